//! What all calls share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lockgate_config::clock::Clock;
use lockgate_config::live::Live;
use lockgate_store::Store;
use lockgate_store::row::Writer;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::admit::Places;
use crate::answers::Answers;
use crate::counts::{Counter, Counts};
use crate::labels::LabelValues;
use crate::purse::Purses;
use crate::record::{FlushTime, Recorder};
use crate::retreat::{self, OwnAccounts};
use crate::serve;
use crate::sessions::Sessions;
use crate::shadow::Shadows;
use crate::tally::Books;
use crate::upstream::Upstream;
use crate::visitors::Visitors;

/// Carries calls. One per process; [`Gateway::serve`] runs it on a socket.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) live: Arc<Live>,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    writer: Writer,
    pub(crate) upstream: Upstream,
    pub(crate) places: Arc<Places>,
    pub(crate) labels: LabelValues,
    pub(crate) recorder: Recorder,
    pub(crate) sessions: Sessions,
    pub(crate) visitors: Visitors,
    pub(crate) answers: Answers,
    pub(crate) shadows: Shadows,
    pub(crate) purses: Purses,
    pub(crate) connections_refused: Counter,
    pub(crate) own_accounts: OwnAccounts,
    pub(crate) retreats: Counter,
    is_ready: AtomicBool,
    /// One flush at a time: two would write the same rows and clear them twice.
    flushing: tokio::sync::Mutex<()>,
}

impl Gateway {
    /// A gateway that reads `live` for every call and writes its sums as `writer`.
    pub fn new(live: Arc<Live>, store: Store, clock: Clock, writer: Writer) -> Arc<Self> {
        Arc::new(Self {
            live,
            store,
            clock,
            writer,
            upstream: Upstream::new(),
            places: Arc::default(),
            labels: LabelValues::default(),
            recorder: Recorder::default(),
            sessions: Sessions::default(),
            visitors: Visitors::default(),
            answers: Answers::default(),
            shadows: Shadows::default(),
            purses: Purses::default(),
            connections_refused: Counter::default(),
            own_accounts: OwnAccounts::default(),
            retreats: Counter::default(),
            is_ready: AtomicBool::new(false),
            flushing: tokio::sync::Mutex::default(),
        })
    }

    /// Answers calls on a socket until `stop` turns true; then turns unready, takes no new connection, finishes what is under
    /// way within the configured drain time, writes what it counted, and returns. It owns and awaits every task it starts.
    pub async fn serve(
        self: &Arc<Self>,
        listener: TcpListener,
        stop: watch::Receiver<bool>,
    ) -> std::io::Result<()> {
        serve::run(self, listener, stop).await
    }

    /// Writes what was counted and answered so far. What the store does not take now is written by a later flush. Sums go
    /// first: they are waited for.
    pub async fn flush(&self) {
        let _one_at_a_time = self.flushing.lock().await;
        let time = self.settle();
        let flushed = self.recorder.flush(&self.store, &self.writer, time).await;
        let unwritten = flushed.is_err().then(|| self.live.unwritten_since().unwrap_or(self.clock.now()));
        self.live.tell_unwritten(unwritten);
        if let Err(error) = flushed {
            tracing::warn!(%error, "sums were not written; they wait for the next flush");
        }
        if let Err(error) = self.answers.flush(&self.store).await {
            tracing::warn!(%error, "answers were not written; they wait for the next flush");
        }
        if let Err(error) = self.shadows.flush_samples(&self.store).await {
            tracing::warn!(%error, "shadow samples were not written and are lost");
        }
    }

    /// Judges its own calls, and takes a trial out of the table in force when a rule that takes back is broken in them. It
    /// does so by itself while it serves.
    pub fn look_at_own_calls(&self) {
        retreat::look(self);
    }

    /// What it calls itself when it writes.
    pub(crate) fn replica(&self) -> &str {
        &self.writer.replica
    }

    /// Where calls are counted.
    pub(crate) fn books(&self) -> Books<'_> {
        Books { recorder: &self.recorder, sessions: &self.sessions, visitors: &self.visitors }
    }

    /// Counts what is known only now: sessions that have ended. The table is not held while the store is waited for.
    fn settle(&self) -> FlushTime {
        let (table, now) = (self.live.table(), self.clock.now());
        self.sessions.settle(&table, now);
        self.visitors.tidy(&table);
        let signals = &table.config.signals;
        FlushTime::new(now, signals.bucket, signals.watermark)
    }

    /// Whether it takes calls: from the start of [`Gateway::serve`] until it is told to stop.
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    pub(crate) fn set_ready(&self, is_ready: bool) {
        self.is_ready.store(is_ready, Ordering::Release);
    }

    /// What happened at the bounds so far.
    pub fn counts(&self) -> Counts {
        let shadows = self.shadows.drops();
        Counts {
            calls_refused: self.places.refused.value(),
            connections_refused: self.connections_refused.value(),
            labels_folded: self.labels.folded.value(),
            segments_folded: self.recorder.segments_folded.value(),
            sums_dropped: self.recorder.sums_dropped.value(),
            sums_moved: self.recorder.sums_moved.value(),
            sessions_displaced: self.sessions.displaced.value(),
            sessions_lost: self.sessions.lost.value(),
            repeats_left_out: self.sessions.repeats.value(),
            visitors_uncounted: self.visitors.uncounted.value(),
            answers_dropped: self.answers.dropped.value(),
            shadows_crowded: shadows.crowded.value(),
            shadows_unpaid: shadows.unpaid.value(),
            shadows_late: shadows.late.value(),
            shadows_withdrawn: shadows.withdrawn.value(),
            shadows_stateful: shadows.stateful.value(),
            samples_dropped: shadows.samples.value(),
            retreats: self.retreats.value(),
        }
    }
}
