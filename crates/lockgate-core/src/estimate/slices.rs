//! What is seen of a candidate that is bad in one slice only: by the slice's own check, and by that of the whole.

use super::cell::ask;
use super::course::{Question, Scene};
use super::schedule::Schedule;
use super::worse::worse;
use super::{Effort, SliceEstimate};
use crate::plan::PhaseKind;
use crate::segment::Slice;
use crate::signal::Signal;

/// How bad a candidate is in the slice: what one would call broken.
const TIMES: f64 = 4.0;

pub(super) fn slices(scene: &Scene<'_>, schedule: &Schedule, effort: Effort) -> Vec<SliceEstimate> {
    let each = scene.traffic.slices.iter();
    each.flat_map(|(slice, part)| {
        let canaries = scene.plan.phases.iter().enumerate();
        canaries
            .filter(|(_, phase)| matches!(phase.kind, PhaseKind::Canary { .. }))
            .filter_map(|(i, _)| in_phase(scene, schedule, slice, *part, i, effort))
            .collect::<Vec<_>>()
    })
    .collect()
}

fn in_phase(
    scene: &Scene<'_>,
    schedule: &Schedule,
    slice: &Slice,
    part: f64,
    i: usize,
    effort: Effort,
) -> Option<SliceEstimate> {
    let phase = &scene.plan.phases[i];
    let gate = phase.gates.iter().find(|gate| gate.signal == Signal::Error)?;
    let stable = scene.traffic.stable.of(&gate.signal);
    let worse = worse(gate.rule, gate.signal.measure(), &stable, TIMES)?;
    let question = |of_slice| Question {
        slice: Some((slice.clone(), part)),
        of_slice,
        ..Question::of_gate(i, gate, Some(worse.manner.clone()))
    };
    let until = |of_slice| {
        ask(scene, schedule, &question(of_slice), effort.runs, effort.seed).map(|figure| figure.expected)
    };
    let (alone, pooled) = (until(true), until(false));
    Some(SliceEstimate {
        slice: slice.clone(),
        part,
        phase: i,
        phase_name: phase.name.clone(),
        gate: format!("{} {}", gate.signal, gate.rule),
        times: worse.times,
        of: worse.of,
        level: worse.level,
        alone,
        pooled,
        sooner: alone.zip(pooled).map(|(alone, pooled)| pooled.seconds / alone.seconds),
    })
}
