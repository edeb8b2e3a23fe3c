//! The release executable under measurement: built, configured as in `bench/latency.yaml`, started, and stopped when dropped.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::process::{cargo, run};

/// What the configuration has in place of what only a run knows.
const TEMPLATE: &str = "bench/latency.yaml";
/// A start that takes longer has failed.
const STARTED_WITHIN: Duration = Duration::from_secs(20);

/// Which calls are mirrored to the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mirrored {
    /// None: the candidate answers half of the users itself.
    Nothing,
    /// All of them: the candidate answers nobody.
    Everything,
}

/// A running gateway.
pub struct Gateway {
    process: Child,
    address: SocketAddr,
    folder: PathBuf,
}

/// Builds the release executable and says where it is.
pub fn build(root: &Path) -> anyhow::Result<PathBuf> {
    run(cargo(root).args(["build", "--release", "--locked", "--package", "lockgate"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release/lockgate"))
}

impl Gateway {
    /// Starts it and a rollout.
    pub fn start(
        root: &Path,
        executable: &Path,
        upstream: SocketAddr,
        mirrored: Mirrored,
    ) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("lockgate-bench-{}-{mirrored:?}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let [address, admin] = [free_address()?, free_address()?];
        let template = std::fs::read_to_string(root.join(TEMPLATE)).context(TEMPLATE)?;
        let config = template
            .replace("LISTEN", &address.to_string())
            .replace("ADMIN", &admin.to_string())
            .replace("UPSTREAM", &upstream.to_string());
        let config_file = folder.join("lockgate.yaml");
        std::fs::write(&config_file, config)?;

        let process = Command::new(executable)
            .args(["serve", "--config"])
            .arg(&config_file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| executable.display().to_string())?;
        let gateway = Self { process, address, folder };
        wait_for(address)?;
        wait_for(admin)?;
        let plan = match mirrored {
            Mirrored::Nothing => "canary",
            Mirrored::Everything => "shadow",
        };
        let url = format!("http://{admin}");
        run(Command::new(executable)
            .args(["--url", &url, "rollout", "start", "bench", "--candidate", "v2", "--plan", plan])
            .stdout(Stdio::null()))?;
        Ok(gateway)
    }

    /// Where clients call.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It is on its way out either way; what cannot be tidied up lies in the system's temporary folder.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A port that was free a moment ago.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?.local_addr()?)
}

fn wait_for(address: SocketAddr) -> anyhow::Result<()> {
    let until = Instant::now() + STARTED_WITHIN;
    while TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_err() {
        if Instant::now() > until {
            bail!("nobody listens at {address} after {STARTED_WITHIN:?}");
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}
