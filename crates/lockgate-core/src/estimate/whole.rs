//! The rollout as a whole, played through by the code that decides, for a candidate as good as stable.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::course::{BUCKET, Scene, rules};
use super::draw::Draw;
use super::schedule::{Passing, Schedule};
use super::sums::{Drawn, Group, InForce};
use super::{Effort, Whole};
use crate::event::Event;
use crate::plan::{Mode, Plan};
use crate::playback::{Begin, Playback};
use crate::segment::Segment;
use crate::signal::Signal;
use crate::state::Stage;
use crate::sums::BucketStart;

/// In how many buckets the plan's dwell times are cut.
const LOOKS: f64 = 400.0;
/// No bucket is wider: forwards, a candidate must have been seen within the hour.
const WIDEST: f64 = 1_800.0;
/// A rollout that takes more buckets than this is given up as stopped: some gate then waits beyond all deadlines.
const BUCKETS_MAX: u64 = 20_000;

enum Ending {
    Completed(f64),
    RolledBack,
    Stopped,
}

pub(super) fn play(scene: &Scene<'_>, schedule: &Schedule, effort: Effort) -> Whole {
    let runs = effort.rollouts.max(1);
    let endings: Vec<Ending> =
        (0..runs).map(|run| once(scene, Draw::of_item(effort.seed, u64::from(run)))).collect();
    let part = |of: &dyn Fn(&Ending) -> bool| {
        endings.iter().filter(|ending| of(ending)).count() as f64 / endings.len() as f64
    };
    let took: Vec<f64> = (endings.iter())
        .filter_map(|ending| match ending {
            Ending::Completed(seconds) => Some(*seconds),
            _ => None,
        })
        .collect();
    let is_left = schedule.phases.iter().flat_map(|phase| &phase.passes).all(|pass| *pass != Passing::Never);
    Whole {
        seconds: (!took.is_empty()).then(|| took.iter().sum::<f64>() / took.len() as f64),
        completed: part(&|ending| matches!(ending, Ending::Completed(_))),
        rolled_back: part(&|ending| matches!(ending, Ending::RolledBack)),
        stopped: part(&|ending| matches!(ending, Ending::Stopped)),
        phases_seconds: is_left.then(|| schedule.starts.last().copied().unwrap_or_default()),
    }
}

fn once(scene: &Scene<'_>, mut draw: Draw) -> Ending {
    let width = width(scene.plan);
    let bucket = Duration::from_millis(width);
    let signals: BTreeSet<Signal> = rules(scene.plan).map(|(signal, _)| signal.clone()).collect();
    let mut drawn = Drawn::new(scene.parties.clone(), signals, groups(scene));
    let (mut playback, _) = Playback::begin(Begin {
        feature: scene.parties.feature.clone(),
        stable: scene.parties.stable.clone(),
        candidate: scene.parties.candidate.clone(),
        plan: without_literal_windows(scene.plan),
        at: Timestamp::UNIX_EPOCH,
        bucket,
    });
    let mut phase = usize::MAX;
    for i in 0..BUCKETS_MAX {
        let Some(rollout) = playback.rollout() else { return Ending::Stopped };
        let Some(at) = rollout.stage.in_phase() else { return Ending::Stopped };
        let kind = scene.plan.phases[at.phase].kind;
        if at.phase != phase {
            phase = at.phase;
            drawn.confine(&scene.plan.phases[phase].confine);
        }
        drawn.draw(&mut draw, scene.per_second() * bucket.as_secs_f64(), InForce::of(kind));
        playback.take(BucketStart((i * width) as i64), drawn.as_map());
        let now = BucketStart(((i + 1) * width) as i64).timestamp();
        let (entries, _) = playback.look(None, now);
        for entry in &entries {
            match entry.event {
                Event::Completed { .. } => return Ending::Completed(((i + 1) * width) as f64 / 1e3),
                Event::RollbackStarted { .. } => return Ending::RolledBack,
                _ => {}
            }
        }
        let stage = playback.rollout().map(|rollout| &rollout.stage);
        if matches!(stage, Some(Stage::Paused { .. } | Stage::Frozen { .. })) {
            return Ending::Stopped;
        }
    }
    Ending::Stopped
}

/// The callers of all phases: one group for each whom only some phases admit.
fn groups(scene: &Scene<'_>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for phase in &scene.plan.phases {
        let segment = scene.segment(phase);
        let is_new = groups.iter().all(|group| group.segment != segment);
        if is_new && segment != Segment::none() {
            groups.push(Group::alike(segment, scene.part(&phase.confine), &scene.traffic.stable));
        }
    }
    let rest = (1.0 - groups.iter().map(|group| group.part).sum::<f64>()).max(0.0);
    groups.push(Group::alike(Segment::none(), rest, &scene.traffic.stable));
    groups
}

/// In milliseconds.
fn width(plan: &Plan) -> u64 {
    let dwell: f64 = plan.phases.iter().map(|phase| phase.dwell.as_secs_f64()).sum();
    ((dwell / LOOKS).clamp(BUCKET.as_secs_f64(), WIDEST) * 1e3) as u64
}

/// Windows at their word are estimated apart: in wide buckets they would cross less often than they do.
fn without_literal_windows(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    plan.triggers.retain(|trigger| trigger.mode == Mode::Evidence);
    plan
}
