//! Mirrors calls to a candidate, after the user's answer and never in front of it.
//!
//! A copy waits in its feature's queue and is made by the one task here, within bounds of its own: how many at once, how many
//! and how many bytes waiting, how long each may live, how much money a day. Nothing that happens to a copy reaches the user's
//! call. Every call that should have been mirrored counts towards the candidate's coverage, and what was not made is counted
//! by reason, so that a comparison of few copies does not look like one of all.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use lockgate_config::value::{Feature, ShadowBounds};
use lockgate_core::name::{FeatureName, RequestId, VersionRef};
use lockgate_core::segment::Segment;
use lockgate_core::signal::Arm;
use lockgate_store::row::ShadowSample;
use lockgate_store::{Store, StoreError};
use lockgate_wire::answer::AnswerSummary;
use lockgate_wire::api::Api;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::caller::Caller;
use crate::copy;
use crate::counts::Counter;
use crate::gateway::Gateway;
use crate::record::{Observed, Slot, Subject};
use crate::serve::stopped;
use crate::sessions::Seat;
use crate::tier::Question;

/// Most bytes that wait in one feature's queue, requests and what stable answered to them: some hundred long conversations, or
/// one photo album.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// Most pairs kept between two flushes; a person reads a dozen.
const SAMPLES_MAX: usize = 100;

/// A copy to be made when the user has the answer.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) feature: Arc<Feature>,
    pub(crate) candidate: VersionRef,
    pub(crate) segment: Segment,
    pub(crate) request_id: RequestId,
    pub(crate) api: Option<Api>,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
    pub(crate) wants_stream: bool,
    pub(crate) kept_bytes_max: usize,
    /// The part that the user's call had in its session, where it is known.
    pub(crate) copied_from: Option<Seat>,
    /// What the user was answered; `None` when that was too long to be kept.
    pub(crate) stable: Option<Box<AnswerSummary>>,
}

/// A copy in its queue.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) planned: Box<Planned>,
    /// When its life ends.
    pub(crate) deadline: Instant,
    pub(crate) slot: Arc<Slot>,
}

/// All queues.
#[derive(Debug, Default)]
pub(crate) struct Shadows {
    lanes: Mutex<HashMap<FeatureName, Lane>>,
    /// A copy came in.
    came: Notify,
    samples: Mutex<Vec<ShadowSample>>,
    drops: Drops,
}

/// What was not made, by reason.
#[derive(Debug, Default)]
pub(crate) struct Drops {
    pub(crate) crowded: Counter,
    pub(crate) unpaid: Counter,
    pub(crate) late: Counter,
    pub(crate) withdrawn: Counter,
    pub(crate) stateful: Counter,
    pub(crate) samples: Counter,
}

/// One feature's queue.
#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    running: usize,
}

impl Planned {
    pub(crate) fn new(
        feature: &Arc<Feature>,
        candidate: VersionRef,
        caller: &Caller,
        question: &Question<'_>,
    ) -> Self {
        Self {
            feature: Arc::clone(feature),
            candidate,
            segment: caller.segment.clone(),
            request_id: question.id,
            api: question.api,
            headers: question.headers.clone(),
            bytes: question.bytes.clone(),
            wants_stream: question.wants_stream,
            kept_bytes_max: question.kept_bytes_max,
            copied_from: None,
            stable: None,
        }
    }

    /// The bytes that it holds while it waits. An answer may be as long as is kept of one, and longer than its request.
    fn weight(&self) -> usize {
        self.bytes.len() + self.stable.as_deref().map_or(0, weight)
    }
}

fn weight(answer: &AnswerSummary) -> usize {
    let calls = answer.tool_calls.iter().map(|call| call.id.len() + call.name.len() + call.arguments.len());
    answer.text.len() + answer.refusal.as_ref().map_or(0, String::len) + calls.sum::<usize>()
}

/// An answer that is compared as the text that it is.
pub(crate) fn unread(answer: &[u8]) -> AnswerSummary {
    AnswerSummary { text: String::from_utf8_lossy(answer).into_owned(), ..AnswerSummary::default() }
}

impl Shadows {
    /// Puts a copy in its queue, or counts why not. Takes no time worth speaking of: the user's call waits for it.
    pub(crate) fn submit(&self, gateway: &Gateway, planned: Box<Planned>) {
        let slot = gateway.recorder.slot(&Subject {
            feature: planned.feature.name.clone(),
            revision: planned.candidate.revision,
            arm: Arm::Shadow,
            segment: planned.segment.clone(),
        });
        let deadline = Instant::now() + planned.feature.shadow.deadline;
        let waiting = Waiting { planned, deadline, slot };
        let refused = if gateway.is_ready() {
            let bounds = waiting.planned.feature.shadow.clone();
            self.enqueue(waiting, &bounds).map(|waiting| (waiting, &self.drops.crowded))
        } else {
            Some((waiting, &self.drops.withdrawn))
        };
        if let Some((waiting, reason)) = refused {
            not_made(gateway, &waiting.slot, reason);
        }
    }

    /// Gives the copy back when there is no room.
    fn enqueue(&self, waiting: Waiting, bounds: &ShadowBounds) -> Option<Waiting> {
        let bytes = waiting.planned.weight();
        let mut lanes = self.lanes();
        let lane = lanes.entry(waiting.planned.feature.name.clone()).or_default();
        if lane.waiting.len() >= bounds.queue || lane.waiting_bytes + bytes > WAITING_BYTES_MAX {
            return Some(waiting);
        }
        lane.waiting_bytes += bytes;
        lane.waiting.push_back(waiting);
        drop(lanes);
        self.came.notify_one();
        None
    }

    /// The copies that may be made now, already counted as running.
    fn startable(&self) -> Vec<Waiting> {
        let mut startable = Vec::new();
        for lane in self.lanes().values_mut() {
            while let Some(first) = lane.waiting.front()
                && lane.running < first.planned.feature.shadow.concurrency
                && let Some(waiting) = lane.waiting.pop_front()
            {
                lane.waiting_bytes -= waiting.planned.weight();
                lane.running += 1;
                startable.push(waiting);
            }
        }
        startable
    }

    fn ended(&self, feature: &FeatureName) {
        if let Some(lane) = self.lanes().get_mut(feature) {
            lane.running = lane.running.saturating_sub(1);
        }
    }

    /// Keeps a pair for a person to read.
    pub(crate) fn keep(&self, sample: ShadowSample) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() >= SAMPLES_MAX {
            self.drops.samples.add(1);
        } else {
            samples.push(sample);
        }
    }

    /// Writes the pairs kept since the last flush.
    pub(crate) async fn flush_samples(&self, store: &Store) -> Result<(), StoreError> {
        let samples = std::mem::take(&mut *self.samples.lock().unwrap_or_else(PoisonError::into_inner));
        if samples.is_empty() { Ok(()) } else { store.put_samples(samples).await }
    }

    pub(crate) fn drops(&self) -> &Drops {
        &self.drops
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<FeatureName, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A copy was not made: one call more that should have been mirrored and was not compared.
pub(crate) fn not_made(gateway: &Gateway, slot: &Slot, reason: &Counter) {
    reason.add(1);
    let bucket = gateway.live.table().config.signals.bucket;
    slot.observe(gateway.clock.now(), bucket, [Observed::Coverage { compared: false }]);
}

/// Makes copies until the process is to stop; then what waits is dropped and what runs is cut, because nobody waits for it.
pub(crate) async fn run(gateway: Arc<Gateway>, mut stop: watch::Receiver<bool>) {
    let shadows = &gateway.shadows;
    let mut running = JoinSet::new();
    loop {
        for waiting in shadows.startable() {
            let place =
                Place { gateway: Arc::clone(&gateway), feature: waiting.planned.feature.name.clone() };
            running.spawn(async move { copy::make(&place.gateway, waiting).await });
        }
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_) = running.join_next() => {}
            () = shadows.came.notified() => {}
        }
    }
    running.shutdown().await;
    let left: Vec<Waiting> = shadows.lanes().values_mut().flat_map(|lane| lane.waiting.drain(..)).collect();
    for waiting in left {
        not_made(&gateway, &waiting.slot, &shadows.drops.withdrawn);
    }
}

/// A running copy's place, given back however the copy ends.
struct Place {
    gateway: Arc<Gateway>,
    feature: FeatureName,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gateway.shadows.ended(&self.feature);
    }
}

#[cfg(test)]
mod tests;
