//! Records what gateways did alone.
//!
//! A gateway that saw a rule broken in its own calls has taken the trial out of its own table and asked nobody
//! ([`Live::retreat`]). Here that becomes the rollout's end: the way back for everybody, in force at once and in the log as soon
//! as the store can. One gateway's proof is enough; nobody is asked to agree.
//!
//! [`Live::retreat`]: lockgate_config::live::Live::retreat

use lockgate_config::live::Retreat;
use lockgate_core::event::{Cause, Entry, Event};
use lockgate_core::name::RolloutId;
use lockgate_core::state::{FeatureState, Stage};

use crate::controller::{AUTHOR, Controller};

impl Controller {
    /// Puts in force for everybody what a gateway retreated from, unless the rollout is on its way back already.
    pub(crate) fn follow_retreats(&self) {
        let retreats = self.live.retreats();
        if retreats.is_empty() {
            return;
        }
        let mut world = self.world();
        for Retreat { feature, rollout, .. } in &retreats {
            if world.state(feature).is_none_or(|state| is_over(&state, *rollout)) {
                self.live.forget_retreat(feature, *rollout);
            }
        }
        let is_news = |retreat: &Retreat| {
            world.state(&retreat.feature).is_some_and(|state| state.can_go_back(retreat.rollout))
        };
        let news: Vec<Entry> = retreats.into_iter().filter(is_news).map(entry).collect();
        if !news.is_empty() {
            world.put_in_force(news);
            world.publish(&self.live);
        }
    }
}

/// Whether the rollout has come to its end, or another one has begun since.
fn is_over(state: &FeatureState, rollout: RolloutId) -> bool {
    let present = state.rollout.as_ref().filter(|present| present.id == rollout);
    present.is_none_or(|present| matches!(present.stage, Stage::RolledBack { .. }))
}

fn entry(retreat: Retreat) -> Entry {
    let Retreat { at, feature, rollout, why, standing } = retreat;
    let event = Event::RollbackStarted { rollout, cause: Cause::Retreat, why, standing };
    Entry { ts: at, feature, author: AUTHOR.to_owned(), event }
}
