//! Runs one target under libFuzzer: inputs that reach new code are kept and mutated further.
//!
//! `cargo xtask fuzz` builds this with coverage and says by the environment which target is meant and where the seeds go. One
//! executable serves all targets, so that it is built once.

#![no_main]

use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lockgate_fuzz::{Target, seeds};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var_os("LOCKGATE_FUZZ_TARGET").unwrap_or_default();
    let target = name.to_str().and_then(lockgate_fuzz::target);
    target.unwrap_or_else(|| panic!("LOCKGATE_FUZZ_TARGET names no target: {name:?}"))
});

/// Asked for no target it prints their names.
fn begin() {
    if std::env::var_os("LOCKGATE_FUZZ_TARGET").is_none() {
        let names = lockgate_fuzz::TARGETS.map(|target| target.name).join("\n");
        let printed = writeln!(std::io::stdout(), "{names}");
        std::process::exit(i32::from(printed.is_err()));
    }
    write_seeds();
}

fn write_seeds() {
    let Some(folder) = std::env::var_os("LOCKGATE_FUZZ_SEEDS") else { return };
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let data = std::env::var_os("LOCKGATE_EVAL_DATA");
    let written = seeds::recorded(root, data.as_deref().map(Path::new))
        .and_then(|rows| seeds::write(*TARGET, &rows, Path::new(&folder)));
    written.unwrap_or_else(|error| panic!("no seeds could be written: {error}"));
}

fuzz_target!(init: begin(), |data: &[u8]| (TARGET.run)(data));
