//! Are callers split as the present phase says?
//!
//! A caller's side is drawn once, so what is counted are callers first seen, not calls: a failing arm is called again and a
//! heavy user calls often, and both would look like a broken split. The field calls what is looked for a sample-ratio mismatch.

use lockgate_stats::mismatch::{LOG_NEEDED, log_e};

use super::Mismatch;
use super::tally::Side;
use crate::share::Share;

/// Callers first seen since the present share is in force.
#[derive(Debug, Clone, Default)]
pub(super) struct Visitors {
    candidate: u64,
    stable: u64,
    /// What was found stays until the phase changes: that later callers are split well does not mend what was counted before.
    pub(super) found: Option<Mismatch>,
}

impl Visitors {
    /// Another share is in force, or the same one anew: gateways begin to count again.
    pub(super) fn begin_anew(&mut self) {
        (self.candidate, self.stable) = (0, 0);
    }

    /// Another phase.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn count(&mut self, side: Side, n: u64) {
        let mine = match side {
            Side::Candidate => &mut self.candidate,
            Side::Stable => &mut self.stable,
        };
        *mine = mine.saturating_add(n);
    }

    /// Judges what was counted. Whether that found something new. A caller may have been counted by every writer.
    pub(super) fn judge(&mut self, share: Share, writers: u64) -> bool {
        let Self { candidate, stable, .. } = *self;
        let log_e = log_e(candidate, stable, share.fraction(), writers);
        let is_new = self.found.is_none();
        if !is_new || log_e < LOG_NEEDED {
            return false;
        }
        self.found = Some(Mismatch { share, candidate, stable, log_e });
        true
    }
}
