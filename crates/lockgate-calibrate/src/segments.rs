//! A regression of a few: one user in ten has five times the errors, the whole looks nearly fine.

use std::collections::BTreeMap;

use lockgate_core::estimate::draw::Draw;
use lockgate_core::event::Outcome;
use lockgate_core::name::LabelName;
use lockgate_core::plan::{Blame, Rule};
use lockgate_core::segment::Segment;
use lockgate_core::signal::{Arm, Signal};

use crate::bench::{Bench, gate, plan, rate};
use crate::{CalibrateError, Effort, Finding};

/// Ten calls a look: one of premium users at 2 %, nine of others at 0.4 %.
pub fn findings(effort: Effort) -> Result<Vec<Finding>, CalibrateError> {
    let rule = Rule::RateUnder { limit: 0.005, blame: Blame::Always };
    let gates = vec![gate(Signal::Error, rule)];
    let mut sliced = Bench::new(plan(0.01, gates.clone(), Vec::new(), 0.3)?)?;
    let mut pooled = Bench::new(plan(0.01, gates, Vec::new(), 0.0)?)?;
    let runs = effort.runs(200, 4);
    let (mut with, mut without, mut named) = (0.0, 0.0, 0);
    for seed in 0..runs {
        let (calls, slice) = one(&mut sliced, seed)?;
        with += calls;
        named += u64::from(slice.as_deref() == Some("tier=premium"));
        without += one(&mut pooled, seed)?.0;
    }
    let (with, without) = (with / runs as f64, without / runs as f64);
    Ok(vec![Finding::held(
        "segments",
        "premium users (10 %) at 2 %, others 0.4 %, limit 0.5 %: calls until it is taken back, by slices and by the whole",
        format!("{with:.0} and {without:.0} = {:.1} x sooner; named in {named} of {runs}", without / with),
        "at least 10 x sooner",
        without >= 10.0 * with && named * 10 >= runs * 9,
    )])
}

/// Calls of the candidate until something failed, and in which slice. The whole is given up at a million.
fn one(bench: &mut Bench, seed: u64) -> Result<(f64, Option<String>), CalibrateError> {
    let tier = |value: &str| -> Result<Segment, CalibrateError> {
        Ok(Segment::from_labels(&BTreeMap::from([(LabelName::new("tier")?, value.to_owned())])))
    };
    let (premium, free) = (tier("premium")?, tier("free")?);
    let mut draw = Draw::of_item(seed, 10);
    bench.again();
    for look in 1..=100_000_u32 {
        bench.put(Arm::Candidate, &premium, Signal::Error, rate(1, draw.binomial(1, 0.02)));
        bench.put(Arm::Candidate, &free, Signal::Error, rate(9, draw.binomial(9, 0.004)));
        bench.put(Arm::Stable, &premium, Signal::Error, rate(99, draw.binomial(99, 0.004)));
        bench.put(Arm::Stable, &free, Signal::Error, rate(891, draw.binomial(891, 0.004)));
        if bench.close()
            && let Some(failed) = bench.checks().iter().find(|check| check.verdict.outcome == Outcome::Fail)
        {
            return Ok((f64::from(look) * 10.0, failed.slice.as_ref().map(ToString::to_string)));
        }
    }
    Ok((1e6, None))
}
