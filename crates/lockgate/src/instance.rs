//! One running Lockgate: store, controller, gateway and admin port, wired together.
//!
//! `serve` and `demo` both start it here, so that what the demo shows is what serves.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use lockgate_config::clock::Clock;
use lockgate_config::value::{Config, StoreUrl};
use lockgate_control::{Controller, admin};
use lockgate_gateway::Gateway;
use lockgate_store::Store;
use lockgate_store::row::Writer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::complaint::Complaint;
use crate::environment;

/// A Lockgate that is running. It owns every task it started; [`Instance::stop`] waits for them.
#[derive(Debug)]
pub struct Instance {
    /// Moves rollouts.
    pub controller: Arc<Controller>,
    /// Where clients call.
    pub listen: SocketAddr,
    /// Where people and the command line call.
    pub admin: SocketAddr,
    stop: watch::Sender<bool>,
    parts: JoinSet<(&'static str, io::Result<()>)>,
}

impl Instance {
    /// Opens the store and both ports, and starts everything.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, Complaint> {
        let store = open(&config.store).await?;
        let listener = bind(config.listen, "listen").await?;
        let admin_listener = bind(config.admin.listen, "admin.listen").await?;
        let (listen, admin) = (listener.local_addr()?, admin_listener.local_addr()?);
        let token = config.admin.token.clone();
        let incarnation = u64::try_from(clock.now().as_millisecond()).unwrap_or(0);
        let writer = Writer { replica: environment::replica(), incarnation };

        let controller = Controller::start(config, store.clone(), clock.clone()).await?;
        let gateway = Gateway::new(controller.live(), store, clock, writer);
        let (stop, stopped) = watch::channel(false);
        // People see what is going on, and can act on it, for as long as a call is under way.
        let (end, ended) = watch::channel(false);
        let mut parts = JoinSet::new();
        parts.spawn(async move {
            let served = gateway.serve(listener, stopped).await;
            end.send_replace(true);
            ("gateway", served)
        });
        parts.spawn({
            let (controller, ended) = (Arc::clone(&controller), ended.clone());
            async move { ("admin port", admin::serve(controller, admin_listener, token, ended).await) }
        });
        parts.spawn({
            let controller = Arc::clone(&controller);
            async move {
                controller.run(ended).await;
                ("controller", Ok(()))
            }
        });
        Ok(Self { controller, listen, admin, stop, parts })
    }

    /// Waits for a part to end that should not have, and says which and why.
    pub async fn broken(&mut self) -> Complaint {
        let (sentence, hint) = match self.parts.join_next().await {
            Some(Ok((part, Err(error)))) => (format!("the {part} gave up: {error}"), None),
            Some(Ok((part, Ok(())))) => (format!("the {part} ended unasked"), None),
            Some(Err(error)) => (format!("a part of the server broke: {error}"), None),
            None => ("nothing is running any more".to_owned(), None),
        };
        Complaint { sentence, hint }
    }

    /// Takes no new calls, finishes what is under way, writes what was counted, and returns when everything has ended.
    pub async fn stop(mut self) -> Result<(), Complaint> {
        self.stop.send_replace(true);
        let mut outcome = Ok(());
        while let Some(ended) = self.parts.join_next().await {
            let failed = match ended {
                Ok((_, Ok(()))) => continue,
                Ok((part, Err(error))) => format!("the {part} did not stop well: {error}"),
                Err(error) => format!("a part of the server broke while stopping: {error}"),
            };
            outcome = Err(Complaint { sentence: failed, hint: None });
        }
        outcome
    }
}

async fn open(url: &StoreUrl) -> Result<Store, Complaint> {
    let opened = match url {
        StoreUrl::Sqlite(path) => Store::open(path).await,
        StoreUrl::SqliteMemory => Store::in_memory().await,
    };
    opened.map_err(Complaint::from)
}

async fn bind(address: SocketAddr, key: &str) -> Result<TcpListener, Complaint> {
    TcpListener::bind(address).await.map_err(|error| {
        Complaint::new(
            format!("{address} cannot be listened on: {error}"),
            format!("another process may have it; `{key}` in the configuration names another address"),
        )
    })
}
