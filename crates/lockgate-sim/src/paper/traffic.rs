//! Who calls on paper, and what happens to them.

use std::time::Duration;

use lockgate_core::estimate::sums::Group;
use lockgate_core::estimate::traffic::Behaviour;
use lockgate_core::segment::Segment;
use lockgate_core::sums::BucketStart;

/// Who calls, and how the versions behave.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    /// Calls of users, both versions together.
    pub calls_per_second: f64,
    /// The version that users have.
    pub stable: Behaviour,
    /// The candidate, on copies.
    pub shadow: Behaviour,
    /// The candidate, on calls of users.
    pub candidate: Behaviour,
    /// Callers with labels, each a part of the traffic; who is left over has none.
    pub parts: Vec<Part>,
    /// Something that hits both versions alike.
    pub incident: Option<Incident>,
}

/// Callers with the same labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Their labels.
    pub segment: Segment,
    /// Their part of the traffic.
    pub part: f64,
    /// How the candidate behaves with them, where that is otherwise than with all.
    pub candidate: Option<Behaviour>,
}

/// A stretch of time in which every call fails with this probability, whichever version answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Incident {
    /// When it begins, after the rollout's start.
    pub begins: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// The error rate in it.
    pub error: f64,
}

impl Traffic {
    /// Both versions healthy and alike, callers without labels.
    pub fn healthy(calls_per_second: f64) -> Self {
        let alike = Behaviour::healthy();
        Self {
            calls_per_second,
            stable: alike.clone(),
            shadow: alike.clone(),
            candidate: alike,
            parts: Vec::new(),
            incident: None,
        }
    }

    /// The callers, by what tells them apart.
    pub(super) fn groups(&self) -> Vec<Group> {
        let group = |segment: Segment, part: f64, candidate: Option<&Behaviour>| Group {
            segment,
            part,
            stable: self.stable.clone(),
            shadow: self.shadow.clone(),
            candidate: candidate.unwrap_or(&self.candidate).clone(),
        };
        let mut groups: Vec<Group> = (self.parts.iter())
            .map(|part| group(part.segment.clone(), part.part, part.candidate.as_ref()))
            .collect();
        let rest = 1.0 - self.parts.iter().map(|part| part.part).sum::<f64>();
        // Parts that add up to one leave a last digit of rounding over, and nobody.
        if rest > 1e-9 {
            groups.push(group(Segment::none(), rest, None));
        }
        groups
    }

    /// The error rate that something imposes on both versions at this time.
    pub(super) fn incident_at(&self, start: BucketStart) -> Option<f64> {
        let since = Duration::from_millis(start.0.unsigned_abs());
        let hit = |incident: &Incident| {
            since >= incident.begins && since < incident.begins.saturating_add(incident.lasts)
        };
        self.incident.filter(hit).map(|incident| incident.error)
    }
}
