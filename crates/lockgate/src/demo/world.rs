//! The demo's world: a provider, a whole Lockgate, and users in front of it.

use std::time::Duration;

use lockgate_config::clock::Clock;
use lockgate_sim::provider::Provider;
use lockgate_sim::provider::behaviour::Behaviour;
use lockgate_sim::users::Users;

use super::script;
use crate::client::Client;
use crate::complaint::Complaint;
use crate::instance::Instance;

/// Time for what is under way to be answered and counted.
const QUIET: Duration = Duration::from_millis(400);

/// Everything that runs.
pub struct World {
    /// Answers as the scenarios say.
    pub provider: Provider,
    /// The real thing.
    pub instance: Instance,
    /// Call it.
    pub users: Users,
    /// Asks its admin port.
    pub client: Client,
}

impl World {
    /// Starts all of it on free ports. Nobody calls yet.
    pub async fn start(seed: u64) -> Result<Self, Complaint> {
        let clock = Clock::System;
        let provider = Provider::start(clock.clone(), seed).await?;
        for model in ["reply-1", "reply-2", "reply-3"] {
            provider.set(model, Behaviour::GOOD);
        }
        let config = script::config(&provider.base_url())?;
        let instance = Instance::start(config, clock).await?;
        let users = Users::start(instance.listen, script::habits(), seed);
        let client = Client::new(&script::url(instance.admin), None, "demo".into())?;
        Ok(Self { provider, instance, users, client })
    }

    /// Lets nobody in for a moment, so that the last calls and opinions are counted.
    pub async fn quiet_down(&self) {
        self.users.set_rate(0.0);
        tokio::time::sleep(QUIET).await;
    }

    /// Some traffic, so that there is something to look at.
    pub fn keep_busy(&self) {
        self.users.set_rate(script::KEPT_RATE);
    }

    /// Ends everything, callers first.
    pub async fn stop(self) -> Result<(), Complaint> {
        self.users.stop().await;
        let stopped = self.instance.stop().await;
        self.provider.stop().await;
        stopped
    }
}
