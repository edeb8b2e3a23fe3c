//! Which versions served a feature at a moment, read from its log.

use jiff::Timestamp;
use serde::Serialize;

use crate::event::Entry;
use crate::name::{RolloutId, VersionRef};
use crate::route::{KillTo, Mode};
use crate::segment::Confine;
use crate::share::Share;
use crate::signal::Arm;
use crate::state::FeatureState;

/// Which versions served at a moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Served {
    /// The kill switch, if it was on; with `rules` the stable version's deterministic tier answered.
    pub killed: Option<KillTo>,
    /// The rollout that split the traffic, if one did.
    pub rollout: Option<RolloutId>,
    /// The stable version first.
    pub versions: Vec<ServedVersion>,
}

/// One version and its part of the traffic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServedVersion {
    /// The version.
    pub version: VersionRef,
    /// As what it served; a shadow's answers were seen by nobody.
    pub arm: Arm,
    /// Its part of the callers named by `confine`.
    pub share: Share,
    /// Of whom it had that part. Whoever is not admitted had the stable version.
    pub confine: Confine,
}

/// Which versions served at a moment, by a feature's entries in the log's order; `None` before the feature was known.
pub fn served_at<'e>(entries: impl IntoIterator<Item = &'e Entry>, moment: Timestamp) -> Option<Served> {
    FeatureState::fold(entries.into_iter().filter(|entry| entry.ts <= moment)).map(|state| serving(&state))
}

/// Which versions serve in a state.
pub fn serving(state: &FeatureState) -> Served {
    let route = state.route();
    let part = |version: &VersionRef, arm, share, confine: &Confine| ServedVersion {
        version: version.clone(),
        arm,
        share,
        confine: confine.clone(),
    };
    let everyone = Confine::everyone();
    let trial = route.trial.as_ref().map(|trial| match &trial.mode {
        Mode::Shadow { sample, .. } => {
            (Share::FULL, &everyone, part(&trial.candidate, Arm::Shadow, *sample, &trial.confine))
        }
        Mode::Canary { share, .. } => {
            let rest = Share::from_fraction(1.0 - share.fraction()).unwrap_or(Share::NONE);
            (rest, &trial.confine, part(&trial.candidate, Arm::Candidate, *share, &trial.confine))
        }
    });
    let (stable_share, stable_confine) =
        trial.as_ref().map_or((Share::FULL, &everyone), |(share, confine, _)| (*share, *confine));
    let stable = part(&route.stable, Arm::Stable, stable_share, stable_confine);
    Served {
        killed: route.killed,
        rollout: route.trial.as_ref().map(|trial| trial.rollout),
        versions: std::iter::once(stable).chain(trial.map(|(_, _, candidate)| candidate)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::tests::{AT, entry, minutes, started_events, version};
    use crate::event::{Cause, Event};

    #[test]
    fn every_moment_names_the_versions_and_their_shares() {
        let v1 = version("v1", "a");
        let declared = Event::StableDeclared { declared: v1.clone(), stable: v1.clone() };
        let started = started_events();
        let rollout = started.first().and_then(Event::rollout).unwrap();
        let canary = Event::PhaseEntered {
            rollout,
            phase: 1,
            name: "1 %".into(),
            cause: Cause::Gate,
            why: "passed".into(),
            standing: vec![],
        };
        let back =
            Event::RollbackStarted { rollout, cause: Cause::Trigger, why: "errors".into(), standing: vec![] };
        let mut log = vec![entry(AT, declared)];
        log.extend(started.into_iter().map(|event| entry(minutes(10), event)));
        log.push(entry(minutes(20), canary));
        log.push(entry(minutes(30), back));

        let shares = |at: Timestamp| -> Option<Vec<(String, Arm, f64)>> {
            let served = served_at(&log, at)?;
            let line = |v: ServedVersion| (v.version.name.to_string(), v.arm, v.share.fraction());
            Some(served.versions.into_iter().map(line).collect())
        };
        let one = |name: &str, arm, share| (name.to_owned(), arm, share);
        assert_eq!(shares(minutes(-1)), None);
        assert_eq!(shares(AT), Some(vec![one("v1", Arm::Stable, 1.0)]));
        assert_eq!(shares(minutes(15)), Some(vec![one("v1", Arm::Stable, 1.0), one("v2", Arm::Shadow, 1.0)]));
        let canary = shares(minutes(25)).unwrap();
        assert_eq!((canary[0].1, canary[1].1), (Arm::Stable, Arm::Candidate));
        assert!((canary[0].2 - 0.99).abs() < 1e-9 && (canary[1].2 - 0.01).abs() < 1e-9);
        assert_eq!(shares(minutes(31)), Some(vec![one("v1", Arm::Stable, 1.0)]));
    }
}
