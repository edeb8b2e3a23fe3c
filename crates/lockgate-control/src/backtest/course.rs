//! Plays a rollout along the buckets of a file, as the controller would have.
//!
//! Each closed bucket is given its meaning by where the rollout stands at its beginning: the candidate's lines are copies in
//! a shadow phase, calls of users in a canary phase, and everybody's calls after completion. Buckets in which nothing happened
//! are handed over too, as they are live, but of a long silence only as many as can matter.

use std::time::Duration;

use jiff::Timestamp;
use lockgate_core::decide::Decision;
use lockgate_core::event::{Cause, Entry, Event, Outcome, Role, Verdict};
use lockgate_core::name::{FeatureName, VersionRef};
use lockgate_core::plan::{PhaseKind, Plan};
use lockgate_core::playback::{Begin, Playback};
use lockgate_core::segment::Confine;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::size_levels;
use lockgate_core::state::{Rollout, Stage};
use lockgate_core::sums::{BucketStart, BucketSums};

use super::bucket::{Bucket, Counters, Part, SlotIndex, segment_of, side_of};
use super::line::{LineReader, Side};
use super::people::{Distinct, Ended, Sessions, Share};
use super::problem::Problem;
use super::signals::Seen;
use super::telling::{Grounds, Told, What, rules, told};

/// While nothing new is shown, only time changes a decision: looking this often is enough.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// A silence is walked through bucket by bucket for so long, which is longer than any window; then by the hour.
const SILENCE_MS: i64 = 24 * 3600 * 1000;

/// A recorded split does not change to the second at which the plan would have changed it: callers are counted as new from
/// so long after a move on, or from a tenth of the phase's dwell on where that is less.
const SETTLING: Duration = Duration::from_secs(3600);

/// The rollout under way, and what has been counted of it.
pub(super) struct Course<'t> {
    playback: Playback,
    tell: &'t mut dyn FnMut(&Told),
    feature: FeatureName,
    stable: VersionRef,
    candidate: VersionRef,
    width_ms: i64,
    /// The bucket after the last that was closed.
    next_ms: i64,
    looked: Timestamp,
    /// When time alone may next change something.
    due: Option<Timestamp>,
    /// Since when the present share is in force.
    since: Option<Timestamp>,
    visitors: Distinct,
    pub(super) sessions: Sessions,
    /// Calls that were left out of a rate after a mishap of their session.
    pub(super) repeats: u64,
    /// The phase of which a hold was told, by when it was entered.
    held: Option<Timestamp>,
    mismatch_told: bool,
    /// The rule by which it stands still, once it does.
    stopped_by: Option<String>,
    pub(super) reached: Reached,
}

/// Whom the candidate reached.
#[derive(Debug, Default)]
pub(super) struct Reached {
    pub(super) requests: u64,
    pub(super) users: Distinct,
    pub(super) copies: u64,
    pub(super) stable_requests: u64,
    /// The candidate's calls of people whom the plan would not have let it touch.
    pub(super) outside: u64,
}

/// As what the candidate's outcomes count in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// Copies.
    Copies,
    /// Calls of users.
    Users,
    /// Calls that live it would not have been given; still evidence.
    AfterFreeze,
    /// Calls of users, of which every one is its own now.
    Everybody,
}

impl Meaning {
    /// The arm that the candidate's outcomes are of.
    fn arm(self) -> Arm {
        match self {
            Self::Copies => Arm::Shadow,
            Self::Users | Self::AfterFreeze => Arm::Candidate,
            Self::Everybody => Arm::Stable,
        }
    }

    /// One of a session's sessions: it has one of its own with each version, and another when the version takes part as
    /// something else.
    fn session(self, session: u64, side: Side) -> u64 {
        match (side, self.arm()) {
            (Side::Stable, _) => session,
            (Side::Candidate, arm) => !session.wrapping_add(arm as u64),
        }
    }
}

impl<'t> Course<'t> {
    /// Begins with the first bucket.
    pub(super) fn begin(
        plan: Plan,
        first_ms: i64,
        width: Duration,
        names: (FeatureName, VersionRef, VersionRef),
        tell: &'t mut dyn FnMut(&Told),
    ) -> Self {
        let (feature, stable, candidate) = names;
        let at = BucketStart(first_ms).timestamp();
        let phase = plan.phases.first().map(|phase| phase.name.clone()).unwrap_or_default();
        let why = format!("the rollout begins by the plan `{}`", plan.name);
        let (playback, _) = Playback::begin(Begin {
            feature: feature.clone(),
            stable: stable.clone(),
            candidate: candidate.clone(),
            plan,
            at,
            bucket: width,
        });
        let grounds = Grounds { why, ..Grounds::default() };
        let start = Some("start".to_owned());
        tell(&Told { ts: Some(at), event: What::PhaseEntered, phase, rule: start, evidence: grounds });
        Self {
            playback,
            tell,
            feature,
            stable,
            candidate,
            width_ms: width.as_millis() as i64,
            next_ms: first_ms,
            looked: at,
            due: Some(at),
            since: None,
            visitors: Distinct::default(),
            sessions: Sessions::default(),
            repeats: 0,
            held: None,
            mismatch_told: false,
            stopped_by: None,
            reached: Reached::default(),
        }
    }

    /// Whether nothing more can be decided.
    pub(super) fn is_over(&self) -> bool {
        self.rollout().is_none_or(|rollout| {
            matches!(rollout.stage, Stage::RollingBack { .. }) || !rollout.is_watched(self.now())
        })
    }

    /// The end of the last bucket that was closed.
    pub(super) fn now(&self) -> Timestamp {
        BucketStart(self.next_ms).timestamp()
    }

    /// The phase it is in, or was in last.
    pub(super) fn phase(&self) -> String {
        let Some(rollout) = self.rollout() else { return String::new() };
        let last = rollout.moves.iter().rev().find_map(|moved| moved.phase);
        let at = match &rollout.stage {
            Stage::Completed { .. } => rollout.plan.phases.len().checked_sub(1),
            stage => stage.in_phase().map(|at| at.phase).or(last),
        };
        at.and_then(|at| rollout.plan.phases.get(at)).map(|phase| phase.name.clone()).unwrap_or_default()
    }

    /// The word for where it is.
    pub(super) fn state(&self) -> String {
        match self.rollout().map_or("", Rollout::state_word) {
            "rolling_back" => "rolled_back".into(),
            word => word.into(),
        }
    }

    /// Closes a bucket, and the empty ones before it.
    pub(super) fn close(
        &mut self,
        start_ms: i64,
        bucket: Bucket,
        reader: &LineReader,
        spare: &mut Vec<Counters>,
        is_last: bool,
    ) {
        self.keep_silent(start_ms, reader, spare);
        if !self.is_over() {
            self.take(start_ms, bucket, reader, spare, is_last);
        }
    }

    /// Buckets in which nothing happened. Without calls, a rollout that stands still cannot be moved by them.
    fn keep_silent(&mut self, until_ms: i64, reader: &LineReader, spare: &mut Vec<Counters>) {
        let from_ms = self.next_ms;
        while self.next_ms < until_ms && !self.is_over() {
            let stage = self.rollout().map(|rollout| &rollout.stage);
            if !matches!(stage, Some(Stage::Running(_) | Stage::Completed { .. })) {
                break;
            }
            self.take(self.next_ms, Bucket::default(), reader, spare, false);
            if self.next_ms - from_ms > SILENCE_MS {
                let hop = self.next_ms.saturating_add(LOOK_EVERY.as_millis() as i64);
                // The bucket at whose end it is due.
                let due =
                    self.due.map(|due| (due.as_millisecond() - 1).div_euclid(self.width_ms) * self.width_ms);
                let due = due.filter(|due| *due >= self.next_ms).unwrap_or(hop);
                self.next_ms = hop.min(due).div_euclid(self.width_ms) * self.width_ms;
            }
        }
        self.next_ms = self.next_ms.max(until_ms);
    }

    fn take(
        &mut self,
        start_ms: i64,
        mut bucket: Bucket,
        reader: &LineReader,
        spare: &mut Vec<Counters>,
        is_last: bool,
    ) {
        let Some(meaning) = self.meaning() else { return };
        self.follow();
        self.count_people(start_ms, &mut bucket, meaning, reader, spare, is_last);
        let sums = self.sums(&mut bucket, meaning, reader, spare);
        self.count_reached(&sums, meaning);
        self.playback.take(BucketStart(start_ms), &sums);
        self.next_ms = start_ms + self.width_ms;
        let now = self.now();
        let quiet_until = self.looked.checked_add(LOOK_EVERY).unwrap_or(Timestamp::MAX);
        if self.playback.has_news() || now >= quiet_until || self.due.is_some_and(|due| now >= due) {
            self.look(now);
        }
    }

    fn meaning(&self) -> Option<Meaning> {
        let rollout = self.rollout()?;
        Some(match (&rollout.stage, rollout.phase().map(|phase| phase.kind)) {
            (Stage::Completed { .. }, _) => Meaning::Everybody,
            (_, Some(PhaseKind::Shadow { .. })) => Meaning::Copies,
            (Stage::Frozen { .. }, Some(PhaseKind::Canary { .. })) => Meaning::AfterFreeze,
            (_, Some(PhaseKind::Canary { .. })) => Meaning::Users,
            (_, None) => return None,
        })
    }

    /// Another share: everybody is new again, and sessions under way are left out.
    fn follow(&mut self) {
        let since = self.rollout().and_then(|rollout| rollout.moves.last()).map(|moved| moved.at);
        if since != self.since {
            self.since = since;
            self.visitors.clear();
            self.sessions.cut();
        }
    }

    /// Visitors, sessions, what those cost and what goes wrong in them, from the calls of a bucket in the order of time.
    fn count_people(
        &mut self,
        start_ms: i64,
        bucket: &mut Bucket,
        meaning: Meaning,
        reader: &LineReader,
        spare: &mut Vec<Counters>,
        is_last: bool,
    ) {
        let (signals, at) = (&reader.signals, reader.signals.at);
        let counts_visitors = meaning == Meaning::Users && self.has_settled(start_ms);
        let reaches = matches!(meaning, Meaning::Users | Meaning::Everybody);
        let cost = |nano_usd| Seen::Level(size_levels::level(nano_usd));
        let mut calls = std::mem::take(&mut bucket.calls);
        calls.sort_by_key(|call| call.after_ms);
        for call in calls {
            let side = side_of(call.slot);
            if side == Side::Candidate && !self.may_touch(call.slot, meaning, reader) {
                self.reached.outside += 1;
                continue;
            }
            if reaches && side == Side::Candidate {
                match call.visitor {
                    Some(visitor) => _ = self.reached.users.insert(visitor),
                    None => self.reached.users.insert_nameless(),
                }
            }
            if counts_visitors && call.visitor.is_none_or(|visitor| self.visitors.insert(visitor)) {
                bucket.add(signals, spare, call.slot, at.visitors, Seen::Amount(1));
            }
            let Share { begins, ended, before } = match call.session {
                Some(session) => {
                    let session = meaning.session(session, side);
                    let ts_ms = start_ms + i64::from(call.after_ms);
                    let mishaps = call.rates.mishaps(signals);
                    self.sessions.call(session, ts_ms, call.slot, call.cost_nano_usd, mishaps)
                }
                None => {
                    if let Some(nano_usd) = call.cost_nano_usd {
                        bucket.add(signals, spare, call.slot, at.session_cost, cost(nano_usd));
                    }
                    Share { begins: true, ..Share::default() }
                }
            };
            self.repeats += u64::from(bucket.add_rates(signals, spare, &call, before));
            if begins {
                bucket.add(signals, spare, call.slot, at.sessions, Seen::Amount(1));
            }
            if let Some(ended) = ended {
                bucket.add(signals, spare, ended.slot, at.session_cost, cost(ended.cost_nano_usd));
            }
        }
        let mut ends = |ended: Ended| {
            bucket.add(signals, spare, ended.slot, at.session_cost, cost(ended.cost_nano_usd));
        };
        match is_last {
            true => self.sessions.end_all(&mut ends),
            false => self.sessions.sweep(start_ms + self.width_ms, &mut ends),
        }
    }

    fn has_settled(&self, start_ms: i64) -> bool {
        let dwell = self.rollout().and_then(Rollout::phase).map_or(Duration::ZERO, |phase| phase.dwell);
        let settled = self.since.and_then(|since| since.checked_add(SETTLING.min(dwell / 10)).ok());
        settled.is_none_or(|settled| BucketStart(start_ms).timestamp() >= settled)
    }

    fn sums(
        &self,
        bucket: &mut Bucket,
        meaning: Meaning,
        reader: &LineReader,
        spare: &mut Vec<Counters>,
    ) -> BucketSums {
        let arm = meaning.arm();
        bucket.sums(&reader.signals, &reader.segments, spare, &self.feature, |slot| match side_of(slot) {
            Side::Stable => Some(Part { arm: Arm::Stable, revision: self.stable.revision }),
            Side::Candidate => self
                .may_touch(slot, meaning, reader)
                .then_some(Part { arm, revision: self.candidate.revision }),
        })
    }

    /// Whether the candidate would have been given calls of these people.
    fn may_touch(&self, slot: SlotIndex, meaning: Meaning, reader: &LineReader) -> bool {
        let Some(rollout) = self.rollout() else { return false };
        let phase = rollout.phase().map_or(Confine::everyone(), |phase| phase.confine.clone());
        if meaning == Meaning::Everybody || (phase.0.is_empty() && rollout.withdrawn.is_empty()) {
            return true;
        }
        let segment = reader.segments.get(segment_of(slot));
        phase.admits(segment) && !rollout.withdrawn.iter().any(|withdrawn| withdrawn.slice.holds(segment))
    }

    fn count_reached(&mut self, sums: &BucketSums, meaning: Meaning) {
        for (key, sum) in sums.iter().filter(|(key, _)| key.signal == Signal::Assigned) {
            let n = sum.n();
            match meaning {
                _ if key.revision == self.stable.revision => self.reached.stable_requests += n,
                Meaning::Copies => self.reached.copies += n,
                Meaning::Users | Meaning::Everybody => self.reached.requests += n,
                Meaning::AfterFreeze => {}
            }
        }
    }

    /// Looks once, and tells what follows.
    fn look(&mut self, now: Timestamp) -> Decision {
        let phase = self.phase();
        let (entries, decision) = self.playback.look(None, now);
        self.looked = now;
        for entry in &entries {
            self.tell_entry(entry, &phase);
        }
        self.due = if entries.is_empty() { self.next_due(now) } else { Some(now) };
        if entries.is_empty() {
            self.tell_hold(&decision, now);
        }
        decision
    }

    fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let rollout = self.rollout()?;
        let later = |moment: Timestamp, by: Duration| moment.checked_add(by).ok();
        let moments = match &rollout.stage {
            Stage::Running(at) => {
                let phase = rollout.plan.phases.get(at.phase)?;
                [later(at.since, phase.dwell), later(at.resumed.unwrap_or(at.since), phase.deadline)]
            }
            Stage::Completed { warm_until, .. } => [Some(*warm_until), None],
            _ => [None, None],
        };
        moments.into_iter().flatten().filter(|moment| *moment > now).min()
    }

    fn tell_entry(&mut self, entry: &Entry, phase: &str) {
        if let Event::Completed { .. } = entry.event {
            let why = "everybody has the candidate".to_owned();
            let checks: Vec<Verdict> =
                self.playback.evidence().checks.into_iter().map(|check| check.verdict).collect();
            let passed: Vec<Verdict> = checks
                .into_iter()
                .filter(|check| check.role == Role::Gate && check.outcome == Outcome::Pass)
                .collect();
            let rule = rules(&passed);
            let evidence = Grounds { why, checks: passed, ..Grounds::default() };
            let phase = self.phase();
            (self.tell)(&Told { ts: Some(entry.ts), event: What::Completed, phase, rule, evidence });
            return;
        }
        let Some(decided) = told(&entry.event, entry.ts, phase) else { return };
        (self.tell)(&decided);
        if matches!(decided.event, What::Held | What::Frozen) {
            self.stopped_by.clone_from(&decided.rule);
        }
        match &entry.event {
            Event::PhaseEntered { name, why, .. } => {
                let evidence = Grounds { why: why.clone(), ..Grounds::default() };
                let rule = decided.rule;
                (self.tell)(&Told {
                    ts: Some(entry.ts),
                    event: What::PhaseEntered,
                    phase: name.clone(),
                    rule,
                    evidence,
                });
            }
            Event::Alerted { .. } => self.tell_mismatch(entry.ts),
            _ => {}
        }
    }

    /// Callers that are not split as planned hold the rollout; told when that is first shown.
    fn tell_mismatch(&mut self, now: Timestamp) {
        let Some(mismatch) = self.playback.evidence().mismatch.filter(|_| !self.mismatch_told) else {
            return;
        };
        self.mismatch_told = true;
        let why = format!(
            "visitors are not split as the plan says: {} of the candidate's to {} of stable's, where the candidate's part is \
             {:.2} %",
            mismatch.candidate,
            mismatch.stable,
            mismatch.share.fraction() * 100.0
        );
        let evidence = Grounds { why, mismatch: Some(mismatch), ..Grounds::default() };
        self.hold(Some(now), Some("visitors".into()), evidence);
    }

    /// The phase's time has passed and it cannot be left: told once per phase.
    fn tell_hold(&mut self, decision: &Decision, now: Timestamp) {
        let Some(rollout) = self.rollout() else { return };
        let Stage::Running(at) = rollout.stage else { return };
        let Some(phase) = rollout.plan.phases.get(at.phase) else { return };
        let has_passed = at.since.checked_add(phase.dwell).is_ok_and(|ends| now >= ends);
        if !has_passed || self.held == Some(at.since) || decision.waiting_for.is_empty() {
            return;
        }
        self.held = Some(at.since);
        self.hold(Some(now), awaited(decision), waiting(decision));
    }

    fn hold(&mut self, ts: Option<Timestamp>, rule: Option<String>, evidence: Grounds) {
        let phase = self.phase();
        (self.tell)(&Told { ts, event: What::Held, phase, rule, evidence });
    }

    /// Something is wrong with the file: from here on nothing goes forwards, and somebody has to look.
    pub(super) fn stop_for(&mut self, problem: &Problem, ts: Timestamp) {
        if self.is_over() {
            return;
        }
        let why = problem.to_string();
        if let Some(rollout) = self.rollout().filter(|rollout| matches!(rollout.stage, Stage::Running(_))) {
            let id = rollout.id;
            let paused = Event::Paused {
                rollout: id,
                cause: Cause::Configuration,
                why: why.clone(),
                standing: Vec::new(),
            };
            self.playback.happen(paused, ts);
        }
        let evidence = Grounds { why, problems: vec![problem.clone()], ..Grounds::default() };
        self.hold(Some(ts), Some("input".into()), evidence);
    }

    /// The file is over: looks a last time and, unless the rollout is over too, tells what is missing.
    pub(super) fn finish(&mut self, problems: &[Problem]) {
        if self.is_over() {
            return;
        }
        let decision = self.look(self.now());
        let is_open = self.rollout().is_some_and(|rollout| rollout.stage.in_phase().is_some());
        if !is_open || self.is_over() {
            return;
        }
        let mismatch = self.playback.evidence().mismatch;
        let rule = match (problems.is_empty(), mismatch) {
            (false, _) => Some("input".to_owned()),
            (true, Some(_)) => Some("visitors".to_owned()),
            (true, None) => self.stopped_by.clone().or_else(|| awaited(&decision)),
        };
        let evidence = Grounds { mismatch, problems: problems.to_vec(), ..waiting(&decision) };
        self.hold(Some(self.now()), rule, evidence);
    }

    fn rollout(&self) -> Option<&Rollout> {
        self.playback.rollout()
    }
}

/// The gates that are waited for; where none is, only time is.
fn awaited(decision: &Decision) -> Option<String> {
    let is_awaited = |check: &&Verdict| {
        let named = rules(std::slice::from_ref(check)).map(|name| format!("{name}:"));
        named.is_some_and(|name| decision.waiting_for.iter().any(|line| line.starts_with(&name)))
    };
    let gates = decision.standing.iter().filter(|check| check.role == Role::Gate);
    let gates: Vec<Verdict> = gates.filter(is_awaited).cloned().collect();
    rules(&gates).or_else(|| (!decision.waiting_for.is_empty()).then(|| "dwell".to_owned()))
}

fn waiting(decision: &Decision) -> Grounds {
    let gates = decision.standing.iter().filter(|check| check.role == Role::Gate);
    Grounds {
        why: decision.waiting_for.join("; "),
        checks: gates.cloned().collect(),
        waiting_for: decision.waiting_for.clone(),
        ..Grounds::default()
    }
}
