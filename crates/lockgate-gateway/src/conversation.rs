//! Keeps a conversation where its state is.
//!
//! A call of the responses API may go on from an answer that the provider keeps. Only the target that gave that answer can do so,
//! whichever version its caller is assigned by now.

use std::sync::Arc;

use lockgate_config::live::Table;
use lockgate_config::value::Version;
use lockgate_core::name::{Revision, TargetName};
use lockgate_core::route::{Mode, Trial};
use lockgate_core::signal::Arm;
use lockgate_store::row::About;
use lockgate_wire::api::Api;
use lockgate_wire::body::Body;

use crate::assign::Assigned;
use crate::gateway::Gateway;

/// Where a conversation began.
#[derive(Debug)]
pub(crate) struct Began {
    revision: Revision,
    target: TargetName,
}

/// Where the conversation is that a call goes on with; `None` for a call that begins one, and for one of which nothing is known.
pub(crate) async fn of(gateway: &Gateway, api: Option<Api>, body: Option<&Body<'_>>) -> Option<Began> {
    let id = body.filter(|_| api == Some(Api::Responses))?.previous_response_id()?;
    let about = About::Answer(id.into_owned());
    let answer = match gateway.answers.find(&gateway.store, &about).await {
        Ok(answer) => answer?,
        Err(error) => {
            tracing::warn!(%error, "where a conversation began is not known; it goes on where its caller is assigned");
            return None;
        }
    };
    let target = TargetName::new(answer.target.as_deref()?).ok()?;
    Some(Began { revision: answer.version.revision, target })
}

/// Whether a call goes on with what a provider keeps, or adds to it. A copy of it would fail at another target, or write into the
/// user's own conversation.
pub(crate) fn is_kept_elsewhere(api: Option<Api>, body: Option<&Body<'_>>) -> bool {
    let is_set = |body: &Body<'_>, name| body.get(name).is_some_and(|value| value != "null");
    api == Some(Api::Responses)
        && body.is_some_and(|body| is_set(body, "previous_response_id") || is_set(body, "conversation"))
}

/// Sends a call to the target that holds its conversation: through the version that its caller has, where that asks the same
/// target, else through the one by which it began. A version that was taken out of service is not brought back for it.
pub(crate) fn pin(began: Began, assigned: &mut Assigned, table: &Table) {
    let Began { revision, target } = began;
    let asks = |version: &Version| version.chain.iter().any(|tier| tier.target.name == target);
    if assigned.first_tier > 0 {
        return;
    }
    if !asks(&assigned.version) {
        let Some(route) = table.routes.get(&assigned.feature.name) else { return };
        let is_candidate = |trial: &&Trial| {
            trial.candidate.revision == revision && matches!(trial.mode, Mode::Canary { .. })
        };
        let arm = if route.stable.revision == revision {
            Arm::Stable
        } else if route.trial.as_ref().is_some_and(|trial| is_candidate(&trial)) {
            Arm::Candidate
        } else {
            return;
        };
        let Some(version) = assigned.feature.version_of(revision).filter(|version| asks(version)) else {
            return;
        };
        (assigned.version, assigned.arm) = (Arc::clone(version), arm);
    }
    assigned.pinned = Some(target);
}
