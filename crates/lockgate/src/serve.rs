//! `lockgate serve`: runs until told to stop, and follows its configuration file.
//!
//! A changed file, the configuration itself or a prompt or secret that it reads beside it, is put in force whole or not at
//! all: every problem is logged, and the old configuration stays. Told to stop, it finishes what is under way within the configured drain time; told twice, it ends at once.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lockgate_config::clock::Clock;
use lockgate_config::problem::Problem;
use lockgate_control::Controller;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::complaint::{Complaint, with_causes};
use crate::environment;
use crate::instance::Instance;

/// How often it is looked whether a file has changed.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The configuration file and those it reads beside it, as they were when last looked at.
struct Watched<'f> {
    file: &'f Path,
    beside: BTreeSet<PathBuf>,
    seen: Vec<Option<SystemTime>>,
}

/// What asks a server to do something.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// Serves until SIGTERM or SIGINT.
pub async fn run(file: &Path) -> Result<ExitCode, Complaint> {
    log_to_stderr();
    let mut signals = Signals {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
        hang_up: signal(SignalKind::hangup())?,
    };
    let loaded = lockgate_config::load(file, &environment::variable).map_err(|problems| {
        Complaint::new(
            problems.to_string(),
            "`lockgate check` reads the file again when it has been put right",
        )
    })?;
    warn(&loaded.warnings, file);
    let mut watched = Watched::new(file, loaded.files);
    let mut instance = Instance::start(loaded.config, Clock::System).await?;
    tracing::info!(
        clients = %format_args!("http://{}", instance.listen),
        admin = %format_args!("http://{}", instance.admin),
        "serving"
    );
    let controller = Arc::clone(&instance.controller);
    let ended = tokio::select! {
        complaint = instance.broken() => Some(complaint),
        () = follow(&mut watched, &controller, &mut signals) => None,
    };
    tracing::info!("stopping: no new calls, finishing those under way");
    let stopped = tokio::select! {
        stopped = instance.stop() => stopped,
        () = told_to_stop(&mut signals.terminate, &mut signals.interrupt) => {
            tracing::warn!("told twice: ending at once");
            return Ok(ExitCode::FAILURE);
        }
    };
    match ended {
        Some(complaint) => Err(complaint),
        None => stopped.map(|()| {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }),
    }
}

/// Reloads on SIGHUP and when a file changes; returns when told to stop.
async fn follow(watched: &mut Watched<'_>, controller: &Controller, signals: &mut Signals) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = told_to_stop(&mut signals.terminate, &mut signals.interrupt) => return,
            _ = signals.hang_up.recv() => {
                watched.has_changed();
                reload(watched, controller).await;
            }
            _ = looks.tick() => {
                if watched.has_changed() {
                    reload(watched, controller).await;
                }
            }
        }
    }
}

impl<'f> Watched<'f> {
    fn new(file: &'f Path, beside: BTreeSet<PathBuf>) -> Self {
        let mut watched = Self { file, beside, seen: Vec::new() };
        watched.seen = watched.times();
        watched
    }

    /// Whether a file is another one than at the last look. One that is away for a moment is being replaced: the look that
    /// finds the new one tells.
    fn has_changed(&mut self) -> bool {
        let times = self.times();
        let mut has_changed = false;
        for (now, seen) in times.into_iter().zip(&mut self.seen) {
            if now.is_some() && now != *seen {
                *seen = now;
                has_changed = true;
            }
        }
        has_changed
    }

    fn times(&self) -> Vec<Option<SystemTime>> {
        let changed_at = |file: &Path| std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
        std::iter::once(self.file).chain(self.beside.iter().map(PathBuf::as_path)).map(changed_at).collect()
    }
}

async fn told_to_stop(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn reload(watched: &mut Watched<'_>, controller: &Controller) {
    let file = watched.file;
    let loaded = match lockgate_config::load(file, &environment::variable) {
        Ok(loaded) => loaded,
        Err(problems) => {
            for problem in &problems.list {
                tracing::error!("{}", problem.display(problems.file.as_deref()));
            }
            tracing::error!("the changed configuration is refused whole; the one before stays in force");
            return;
        }
    };
    warn(&loaded.warnings, file);
    *watched = Watched::new(file, loaded.files);
    match controller.reload(loaded.config).await {
        Ok(()) => tracing::info!(file = %file.display(), "the changed configuration is in force"),
        Err(refused) => {
            let hint = refused.hint();
            tracing::error!(hint, "the changed configuration is refused whole: {}", with_causes(&refused));
        }
    }
}

fn warn(warnings: &[Problem], file: &Path) {
    for warning in warnings {
        tracing::warn!("{}", warning.display(Some(file)));
    }
}

/// `LOCKGATE_LOG` says what is logged, as in `info,lockgate_gateway=debug`.
fn log_to_stderr() {
    let filter = environment::variable("LOCKGATE_LOG")
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new("info"));
    // It fails only when somebody set one before, and nobody does.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init();
}
