//! Keeps a conversation where its state is.
//!
//! A call of the responses API may go on from an answer that the provider keeps. Only the target that gave that answer can do so,
//! whichever version its caller is assigned by now. A fixed answer is kept by nobody: who goes on from one is sent where everybody is,
//! and told by the provider there that it does not know the id.

use std::sync::Arc;
use std::time::Duration;

use lockgate_config::live::Table;
use lockgate_config::value::{Tier, Version};
use lockgate_core::name::{Revision, TargetName};
use lockgate_core::route::{Mode, Trial};
use lockgate_core::signal::Arm;
use lockgate_store::StoreError;
use lockgate_store::row::About;
use lockgate_wire::api::Api;
use lockgate_wire::body::Body;
use tokio::time::{Instant, timeout_at};

use crate::assign::Assigned;
use crate::gateway::Gateway;

/// Longest time in which the store is asked where a conversation began. A look-up takes milliseconds; a store that takes this long is
/// in trouble, and most of the call's time should be left for the answer.
const LOOK_UP_TIME_MAX: Duration = Duration::from_secs(2);

/// Where a conversation began.
#[derive(Debug)]
pub(crate) struct Began {
    revision: Revision,
    target: TargetName,
}

/// Where the conversation is that a call goes on with; `None` for a call that begins one, and for one of which nothing is known by the
/// deadline.
pub(crate) async fn of(
    gateway: &Gateway,
    api: Option<Api>,
    body: Option<&Body<'_>>,
    deadline: Instant,
) -> Option<Began> {
    let id = body.filter(|_| api == Some(Api::Responses))?.previous_response_id()?;
    let about = About::Answer(id.into_owned());
    let by = deadline.min(Instant::now() + LOOK_UP_TIME_MAX);
    let answer = found(gateway.answers.find(&gateway.store, &about), by).await?;
    let target = TargetName::new(answer.target.as_deref()?).ok()?;
    Some(Began { revision: answer.version.revision, target })
}

/// What was found, if it was found in time.
async fn found<T>(finding: impl Future<Output = Result<Option<T>, StoreError>>, by: Instant) -> Option<T> {
    const GOES_ON: &str = "where a conversation began is not known; it goes on where its caller is assigned";
    match timeout_at(by, finding).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::warn!(%error, "{GOES_ON}");
            None
        }
        Err(_) => {
            tracing::warn!(error = "the store did not say in time", "{GOES_ON}");
            None
        }
    }
}

/// Whether a call goes on with what a provider keeps, adds to it, or is answered from it later. A copy of it would fail at another
/// target, write into the user's own conversation, or leave behind an answer that nobody fetches.
pub(crate) fn is_kept_elsewhere(api: Option<Api>, body: Option<&Body<'_>>) -> bool {
    let is_kept = |body: &Body<'_>| {
        let is_set = |name| body.get(name).is_some_and(|value| value != "null");
        is_set("previous_response_id") || is_set("conversation") || body.get("background") == Some("true")
    };
    api == Some(Api::Responses) && body.is_some_and(is_kept)
}

/// Sends a call to the target that holds its conversation: through the version that its caller has, where that asks the same
/// target, else through the one by which it began. A version that was taken out of service is not brought back for it.
pub(crate) fn pin(began: Began, assigned: &mut Assigned, table: &Table) {
    let Began { revision, target } = began;
    // What answers in fixed words has no conversations to go on with.
    let keeps = |tier: &Tier| tier.target.name == target && tier.target.kind.endpoint().is_some();
    let asks = |version: &Version| version.chain.iter().any(keeps);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_that_says_nothing_is_waited_for_no_longer_than_it_may_take() {
        let never = std::future::pending::<Result<Option<()>, StoreError>>();
        let waited = tokio::time::timeout(Duration::from_secs(30), found(never, Instant::now())).await;
        assert_eq!(waited, Ok(None));
    }

    #[test]
    fn what_a_provider_keeps_is_told_from_what_it_forgets() {
        let is_kept = |text: &str| {
            let body = Body::read(text.as_bytes()).unwrap();
            is_kept_elsewhere(Some(Api::Responses), Some(&body))
        };
        assert!(is_kept(r#"{"previous_response_id":"resp_1"}"#));
        assert!(is_kept(r#"{"conversation":{"id":"conv_1"}}"#));
        assert!(is_kept(r#"{"background": true}"#));
        assert!(!is_kept(r#"{"previous_response_id":null,"conversation":null,"background":false}"#));
    }
}
