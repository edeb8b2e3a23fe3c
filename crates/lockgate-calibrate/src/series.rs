//! Labelled series: what the detector of change finds, and what it cries wolf at.
//!
//! Such series drift, repeat daily and remember; the detector's promise is for values independent of each other. So each is
//! reduced to what is left after the forecast "as one step before, corrected by the last season where there is one", and the
//! figures are told, not held against a bar.

use std::io::BufRead as _;
use std::path::Path;

use lockgate_stats::detector::log_threshold;
use lockgate_stats::drift::Drift;
use serde_json::Value;

use crate::{CalibrateError, Finding};

/// The part of a series that counts as its healthy past.
const BASELINE_PART: f64 = 0.15;
const BASELINE_MIN: usize = 20;
const ALPHA: f64 = 0.01;
/// How far from a marked change an alarm may come and be it.
const REACH_PART: f64 = 0.1;

/// One series with its marked stretches, as indices.
struct Series {
    values: Vec<f64>,
    marked: Vec<(usize, usize)>,
}

#[derive(Default)]
struct Tally {
    series: u64,
    marked: u64,
    found: u64,
    false_alarms: u64,
    quiet: u64,
    quiet_alarmed: u64,
}

/// Both files.
pub fn findings(data: &Path) -> Result<Vec<Finding>, CalibrateError> {
    let mut findings = Vec::new();
    for (file, read, what) in [
        ("series_changepoints.jsonl", changepoints as fn(&Value) -> Option<Series>, "levels"),
        ("series_anomalies_labelled.jsonl", anomalies as fn(&Value) -> Option<Series>, "residuals"),
    ] {
        let mut tally = Tally::default();
        let path = data.join(file);
        let shown = path.display().to_string();
        let opened = std::fs::File::open(&path)
            .map_err(|error| CalibrateError::File { path: shown.clone(), error })?;
        for (line, text) in std::io::BufReader::new(opened).lines().enumerate() {
            let text = text.map_err(|error| CalibrateError::File { path: shown.clone(), error })?;
            let value: Value = serde_json::from_str(&text).map_err(|error| CalibrateError::Content {
                path: shown.clone(),
                line: line + 1,
                what: error.to_string(),
            })?;
            if let Some(series) = read(&value) {
                judge(&series, &mut tally);
            }
        }
        findings.push(Finding::told(
            "series",
            format!("{file}, {} series, {what}: marked stretches found", tally.series),
            format!("{} of {}", tally.found, tally.marked),
        ));
        findings.push(Finding::told(
            "series",
            format!("{file}: alarms away from every mark; series without marks in which there was one"),
            format!("{}; {} of {}", tally.false_alarms, tally.quiet_alarmed, tally.quiet),
        ));
    }
    Ok(findings)
}

fn judge(series: &Series, tally: &mut Tally) {
    let n = series.values.len();
    let baseline = ((n as f64 * BASELINE_PART) as usize).max(BASELINE_MIN);
    if n <= 2 * BASELINE_MIN {
        return;
    }
    tally.series += 1;
    let reach = ((n as f64 * REACH_PART) as usize).max(5);
    let needed = log_threshold(n as f64, ALPHA);
    let mut alarms = Vec::new();
    let mut from = 0;
    while from + baseline < n {
        let mut drift = Drift::new(&series.values[from..from + baseline], n as u64);
        let alarm = (from + baseline..n).find(|at| {
            drift.step(series.values[*at]);
            drift.reaches(needed)
        });
        let Some(alarm) = alarm else { break };
        alarms.push(alarm);
        from = alarm + 1;
    }
    let later: Vec<(usize, usize)> =
        series.marked.iter().copied().filter(|(_, end)| *end >= baseline).collect();
    let near = |alarm: usize, (begin, end): (usize, usize)| alarm + 2 >= begin && alarm <= end + reach;
    tally.marked += later.len() as u64;
    tally.found += later.iter().filter(|mark| alarms.iter().any(|alarm| near(*alarm, **mark))).count() as u64;
    tally.false_alarms +=
        alarms.iter().filter(|alarm| !series.marked.iter().any(|mark| near(**alarm, *mark))).count() as u64;
    if series.marked.is_empty() {
        tally.quiet += 1;
        tally.quiet_alarmed += u64::from(!alarms.is_empty());
    }
}

/// A change counts when at least half of the people who looked marked one within five steps of it.
fn changepoints(value: &Value) -> Option<Series> {
    let values: Vec<f64> =
        value["values"].get(0)?.as_array()?.iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect();
    let people: Vec<Vec<usize>> = value["changepoints_by_annotator"]
        .as_object()?
        .values()
        .map(|marks| {
            marks.as_array().into_iter().flatten().filter_map(|at| Some(at.as_u64()? as usize)).collect()
        })
        .collect();
    let mut marked: Vec<(usize, usize)> = Vec::new();
    let mut all: Vec<usize> = people.iter().flatten().copied().collect();
    all.sort_unstable();
    for at in all {
        let agree = people.iter().filter(|marks| marks.iter().any(|mark| mark.abs_diff(at) <= 5)).count();
        if 2 * agree >= people.len() && marked.last().is_none_or(|(last, _)| at > last + 5) {
            marked.push((at, at));
        }
    }
    Some(Series { values, marked })
}

/// Values every few minutes with a daily course: what is left after the step before and the change of a day ago.
fn anomalies(value: &Value) -> Option<Series> {
    let points = value["points"].as_array()?;
    let at = |i: usize| points[i].get(0).and_then(Value::as_f64);
    let values: Vec<f64> =
        points.iter().map(|point| point.get(1).and_then(Value::as_f64).unwrap_or(f64::NAN)).collect();
    let step = (at(1)? - at(0)?).max(1.0);
    let day = ((86_400.0 / step) as usize).max(1);
    let change = |i: usize| values[i] - values[i - 1];
    let left: Vec<f64> = (1..values.len())
        .map(|i| if i > day { change(i) - change(i - day) } else { change(i) })
        .map(f64::abs)
        .collect();
    let index = |ts: f64| {
        points.iter().position(|point| point.get(0).and_then(Value::as_f64).is_some_and(|t| t >= ts))
    };
    let marked = value["anomaly_windows"]
        .as_array()?
        .iter()
        .filter_map(|window| {
            let begin = index(window.get(0)?.as_f64()?)?;
            Some((begin, index(window.get(1)?.as_f64()?).unwrap_or(points.len() - 1)))
        })
        .collect();
    Some(Series { values: left, marked })
}
