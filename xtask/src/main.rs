//! The project's own tasks: `cargo xtask check`, `test`, `fuzz`, `tidy`, `generate`, `bench` and `calibrate`.
//!
//! They are Rust and not shell so that they run the same on every machine, can be tested, and need nothing installed but
//! Rust. `check` is what the build checks; nothing is checked elsewhere. `test` is the one test command.

mod bench;
mod calibrate;
mod check;
mod fuzz;
mod generated;
mod output;
mod process;
mod sdk;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use output::say;

const USAGE: &str = "\
usage: cargo xtask TASK

  check            format, lints, documentation, licences, tidiness, generated files: what CI runs
  test             installs what the tests need, runs all of them and prints a summary
  fuzz             hostile input to every parser, ten minutes each: [--seconds N] [TARGET ...]
  tidy             the project's own rules alone, in a second
  generate         writes the generated files under docs/reference again
  bench latency    the latency that the gateway adds on loopback
  calibrate        what the decisions cost and find, by simulation and against other implementations: half an hour;
                   --quick, --only CASE, --data DIR (recorded experiments and series), --without-references
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = root();
    let done = match words.as_slice() {
        ["check"] => check::run(&root),
        ["test", rest @ ..] => test::run(&root, rest),
        ["fuzz", rest @ ..] => fuzz::run(&root, rest),
        ["tidy"] => tidy::run(&root),
        ["generate"] => generated::write(&root),
        ["bench", "latency", rest @ ..] => bench::run(&root, rest),
        ["calibrate", rest @ ..] => calibrate::calibrate(&root, rest),
        ["help" | "--help" | "-h"] => {
            say(USAGE);
            return ExitCode::SUCCESS;
        }
        _ => {
            say(USAGE);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The workspace's directory.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}
