//! What a newly read configuration means for a feature whose log has gone on meanwhile.

use crate::event::Event;
use crate::name::{Revision, VersionName, VersionRef};
use crate::state::FeatureState;

/// The event that a configuration gives rise to, if it says anything new of the stable version.
///
/// Naming another version is an order: users go there. Naming the same one is not, so that a configuration which still says
/// `v1` after `v2` was rolled out does not take `v2` back at the next restart. While a rollout is under way nothing is
/// followed: another name would go around the gates, and another content is not what the rollout compares with.
/// `revision_of` tells what a version of this feature is made of now.
pub fn reconcile(
    state: Option<&FeatureState>,
    declared: VersionRef,
    revision_of: impl Fn(&VersionName) -> Option<Revision>,
) -> Option<Event> {
    let Some(state) = state else {
        return Some(Event::StableDeclared { stable: declared.clone(), declared });
    };
    if state.rollout.as_ref().is_some_and(|rollout| rollout.is_under_way()) {
        return None;
    }
    let is_another_name = declared.name != state.declared.name;
    let stable = match revision_of(&state.stable.name) {
        _ if is_another_name => declared.clone(),
        Some(revision) => VersionRef { name: state.stable.name.clone(), revision },
        // What users had is gone from the configuration: they get what it names, and the log says so.
        None => declared.clone(),
    };
    let is_new = declared != state.declared || stable != state.stable;
    is_new.then_some(Event::StableDeclared { declared, stable })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::tests::{applied, started, version};

    fn revisions<'v>(versions: &'v [VersionRef]) -> impl Fn(&VersionName) -> Option<Revision> + 'v {
        |name| versions.iter().find(|version| version.name == *name).map(|version| version.revision)
    }

    fn declares(declared: &VersionRef, stable: &VersionRef) -> Option<Event> {
        Some(Event::StableDeclared { declared: declared.clone(), stable: stable.clone() })
    }

    #[test]
    fn a_feature_without_a_log_takes_what_is_declared() {
        let v1 = version("v1", "a");
        assert_eq!(reconcile(None, v1.clone(), revisions(std::slice::from_ref(&v1))), declares(&v1, &v1));
    }

    #[test]
    fn the_same_configuration_says_nothing_new() {
        let v1 = version("v1", "a");
        let state = FeatureState::new(v1.clone());
        assert_eq!(reconcile(Some(&state), v1.clone(), revisions(&[v1])), None);
    }

    #[test]
    fn another_name_sends_users_there() {
        let (v1, v2) = (version("v1", "a"), version("v2", "b"));
        let state = FeatureState::new(v1.clone());
        assert_eq!(reconcile(Some(&state), v2.clone(), revisions(&[v1, v2.clone()])), declares(&v2, &v2));
    }

    #[test]
    fn another_content_is_followed_under_the_same_name() {
        let (old, new) = (version("v1", "a"), version("v1", "edited"));
        let state = FeatureState::new(old);
        let event = reconcile(Some(&state), new.clone(), revisions(std::slice::from_ref(&new)));
        assert_eq!(event, declares(&new, &new));
    }

    #[test]
    fn a_promoted_version_is_not_taken_back_by_an_old_declaration() {
        let (v1, v2) = (version("v1", "a"), version("v2", "b"));
        let state = FeatureState { declared: v1.clone(), ..FeatureState::new(v2.clone()) };
        assert_eq!(reconcile(Some(&state), v1.clone(), revisions(&[v1.clone(), v2.clone()])), None);

        let edited = version("v1", "edited");
        assert_eq!(
            reconcile(Some(&state), edited.clone(), revisions(&[edited.clone(), v2.clone()])),
            declares(&edited, &v2),
            "the declared version changed, but users are elsewhere"
        );
        let edited = version("v2", "edited");
        assert_eq!(
            reconcile(Some(&state), v1.clone(), revisions(&[v1.clone(), edited.clone()])),
            declares(&v1, &edited),
            "what users have changed under its name"
        );
        assert_eq!(
            reconcile(Some(&state), v1.clone(), revisions(std::slice::from_ref(&v1))),
            declares(&v1, &v1),
            "what users have is gone"
        );
    }

    #[test]
    fn a_rollout_under_way_is_not_overtaken_by_a_declaration() {
        let state = started();
        let (v1, v2) = (state.stable.clone(), version("v2", "b"));
        let known = [v1, v2.clone()];
        assert_eq!(reconcile(Some(&state), v2.clone(), revisions(&known)), None);

        let rollout = state.rollout.as_ref().map(|rollout| rollout.id).unwrap();
        let over = applied(
            state,
            vec![
                Event::RollbackStarted {
                    rollout,
                    cause: crate::event::Cause::Person,
                    why: "no".into(),
                    standing: vec![],
                },
                Event::RolledBack {
                    rollout,
                    last_candidate_call: None,
                    candidate_calls: 0,
                    candidate_users: 0,
                },
            ],
        );
        assert_eq!(reconcile(Some(&over), v2.clone(), revisions(&known)), declares(&v2, &v2));
    }
}
