//! Puts another configuration in force, unless that would change under a rollout what it is judging.

use std::sync::Arc;

use lockgate_config::value::Config;
use lockgate_core::command::reconcile;
use lockgate_core::event::{Cause, Event};
use lockgate_core::name::{FeatureName, VersionRef};
use lockgate_core::state::{FeatureState, Stage};
use lockgate_store::row::Head;
use lockgate_store::{AppendError, StoreError};

use crate::commit::TRIES;
use crate::controller::{Controller, StartError};

/// Why a configuration is not put in force. The one before stays, whole.
#[derive(Debug, thiserror::Error)]
pub enum ReloadRefused {
    /// What a rollout compares must stay as it is.
    #[error(
        "{feature}: the rollout of {candidate} is under way, and {version} {change}; finish it or roll it back first"
    )]
    UnderWay {
        /// The feature.
        feature: FeatureName,
        /// What is rolled out.
        candidate: VersionRef,
        /// Which of the two versions is concerned.
        version: VersionRef,
        /// What happened to it.
        change: &'static str,
    },
    /// Naming another stable version would go around the gates.
    #[error(
        "{feature}: the rollout of {candidate} is under way, and another `stable` is named; finish it or roll it back first"
    )]
    StableRenamed {
        /// The feature.
        feature: FeatureName,
        /// What is rolled out.
        candidate: VersionRef,
    },
    /// Users have a version that the configuration does not.
    #[error(
        "{feature}: users have {version}, which is not in `versions` any more; keep it, or name another as `stable`"
    )]
    StableGone {
        /// The feature.
        feature: FeatureName,
        /// What users have.
        version: VersionRef,
    },
    /// Sockets and files are opened once.
    #[error("`{what}` changed, and takes effect only at a restart; put it back, or restart")]
    NeedsRestart {
        /// The key in the configuration.
        what: &'static str,
    },
    /// What is new of stable versions cannot be recorded.
    #[error("what is new of stable versions cannot be recorded, because the store is away: {0}")]
    Store(#[from] StoreError),
    /// Somebody else went on appending to the log.
    #[error("others went on writing to the log meanwhile; try again")]
    Overtaken,
}

impl ReloadRefused {
    /// What to do, in one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::UnderWay { .. } => {
                "give the changed version another name; `lockgate rollout status` shows the rollout"
            }
            Self::StableRenamed { .. } => {
                "`lockgate rollout promote` completes it by hand, `lockgate flip` comes after it"
            }
            Self::StableGone { .. } => {
                "after a completed rollout, `stable` in the configuration should follow it"
            }
            Self::NeedsRestart { .. } => {
                "a restart lands in the same rollout, with the same people on the same version"
            }
            Self::Store(_) | Self::Overtaken => {
                "the configuration before is in force; reload again in a moment"
            }
        }
    }
}

impl Controller {
    /// Puts another configuration in force whole, or says why not.
    pub async fn reload(&self, config: Config) -> Result<(), ReloadRefused> {
        same_places(&self.config(), &config)?;
        let config = Arc::new(config);
        for _ in 0..TRIES {
            // Without the store a configuration that says nothing new of stable versions is put in force all the same.
            let caught_up = self.catch_up().await;
            let (head, events) = {
                let world = self.world();
                config
                    .features
                    .keys()
                    .chain(world.config().features.keys())
                    .try_for_each(|feature| keeps_its_versions(feature, world.state(feature), &config))?;
                (world.head(), declarations(&config, |feature| world.state(feature)))
            };
            let entries: Vec<_> = events
                .into_iter()
                .flat_map(|(feature, event)| self.entries(&feature, "configuration", vec![event]))
                .collect();
            let appended = match caught_up {
                _ if entries.is_empty() => Ok(()),
                Ok(()) => self.append(head, entries.clone()).await,
                Err(error) => return Err(error.into()),
            };
            match appended {
                Ok(()) if self.put_config_in_force(&config, entries.is_empty().then_some(head)) => {
                    return Ok(());
                }
                // A rollout may have begun since: look again.
                Ok(()) => {}
                Err(AppendError::HeadMoved { .. }) => {}
                Err(AppendError::Store(error)) => return Err(error.into()),
            }
        }
        Err(ReloadRefused::Overtaken)
    }

    /// Whether it was put in force: not when the log has moved on from where the configuration was checked against it.
    fn put_config_in_force(&self, config: &Arc<Config>, checked_at: Option<Head>) -> bool {
        let mut world = self.world();
        if checked_at.is_some_and(|head| head != world.head()) {
            return false;
        }
        world.set_config(Arc::clone(config));
        world.publish(&self.live);
        true
    }
}

/// What a configuration says anew of each feature's stable version.
pub(crate) fn declarations(
    config: &Config,
    state_of: impl Fn(&FeatureName) -> Option<FeatureState>,
) -> Vec<(FeatureName, Event)> {
    let of_feature = |(name, feature): (&FeatureName, &Arc<lockgate_config::value::Feature>)| {
        let declared = feature.versions.get(&feature.stable)?.id.clone();
        let revision_of = |version: &_| feature.versions.get(version).map(|version| version.id.revision);
        reconcile(state_of(name).as_ref(), declared, revision_of).map(|event| (name.clone(), event))
    };
    config.features.iter().filter_map(of_feature).collect()
}

/// Rollouts that a configuration read at the start no longer fits, each frozen: its candidate would be one that nobody has
/// judged, or would be compared with another stable version than it was. A person decides.
pub(crate) fn freezes(
    config: &Config,
    state_of: impl Fn(&FeatureName) -> Option<FeatureState>,
) -> Result<Vec<(FeatureName, Event)>, StartError> {
    let mut freezes = Vec::new();
    for (name, feature) in &config.features {
        let Some(state) = state_of(name) else { continue };
        let Some(changed) = changed_under_rollout(name, &state, config) else { continue };
        let Some(rollout) = state.rollout else { continue };
        if !feature.versions.contains_key(&rollout.stable.name) {
            let (candidate, stable) = (rollout.candidate, rollout.stable);
            return Err(StartError::StableGone { feature: name.clone(), candidate, stable });
        }
        if matches!(rollout.stage, Stage::Running(_) | Stage::Paused { .. }) {
            let (cause, why) = (Cause::Configuration, changed.to_string());
            let frozen = Event::Frozen { rollout: rollout.id, cause, why, standing: Vec::new() };
            freezes.push((name.clone(), frozen));
        }
    }
    Ok(freezes)
}

fn same_places(old: &Config, new: &Config) -> Result<(), ReloadRefused> {
    let changed = [
        ("listen", old.listen != new.listen),
        ("admin.listen", old.admin.listen != new.admin.listen),
        ("store", old.store != new.store),
        ("signals.bucket", old.signals.bucket != new.signals.bucket),
    ];
    match changed.into_iter().find(|(_, is_changed)| *is_changed) {
        Some((what, _)) => Err(ReloadRefused::NeedsRestart { what }),
        None => Ok(()),
    }
}

/// What is wrong when a rollout is under way and one of the two versions that it compares is not what is configured.
pub(crate) fn changed_under_rollout(
    name: &FeatureName,
    state: &FeatureState,
    config: &Config,
) -> Option<ReloadRefused> {
    let rollout = state.rollout.as_ref().filter(|rollout| rollout.is_under_way())?;
    let versions = config.features.get(name).map(|feature| &feature.versions);
    // The candidate of a rehearsal is stable's own chain.
    let candidate = Some(&rollout.candidate).filter(|_| rollout.drill.is_none());
    candidate.into_iter().chain([&rollout.stable]).find_map(|version| {
        let change = match versions.and_then(|versions| versions.get(&version.name)) {
            Some(configured) if configured.id.revision == version.revision => return None,
            Some(_) => "has another content",
            None => "is not in `versions` any more",
        };
        let (feature, candidate) = (name.clone(), rollout.candidate.clone());
        Some(ReloadRefused::UnderWay { feature, candidate, version: version.clone(), change })
    })
}

fn keeps_its_versions(
    name: &FeatureName,
    state: Option<FeatureState>,
    config: &Config,
) -> Result<(), ReloadRefused> {
    let Some(state) = state else { return Ok(()) };
    let feature = config.features.get(name);
    let revision = |version: &VersionRef| Some(feature?.versions.get(&version.name)?.id.revision);
    let Some(rollout) = state.rollout.as_ref().filter(|rollout| rollout.is_under_way()) else {
        let is_named_anew = feature.is_none_or(|feature| feature.stable != state.declared.name);
        return match revision(&state.stable) {
            None if !is_named_anew => {
                Err(ReloadRefused::StableGone { feature: name.clone(), version: state.stable })
            }
            _ => Ok(()),
        };
    };
    if let Some(changed) = changed_under_rollout(name, &state, config) {
        return Err(changed);
    }
    if feature.is_some_and(|feature| feature.stable != state.declared.name) {
        return Err(ReloadRefused::StableRenamed {
            feature: name.clone(),
            candidate: rollout.candidate.clone(),
        });
    }
    Ok(())
}
