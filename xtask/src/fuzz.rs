//! `cargo xtask fuzz`: hostile input to every parser, guided by coverage.
//!
//! `lockgate-fuzz` is built with libFuzzer and with counters in every branch. Stable Rust can do that: the flags are those that
//! the `cargo fuzz` tool sets when it is asked for no sanitizer, and safe code needs none. Overflow checks and debug assertions
//! are on. What is found on the way is kept under `target/fuzz` and is where the next run goes on.
//!
//! Run with `--seconds 5` by CI; a parser that was changed deserves the ten minutes that are the default.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, bail};

use crate::output::{heading, say};
use crate::process::{cargo, host, run as run_program};

/// How long each target is fuzzed when nothing else is asked for.
const SECONDS: u64 = 600;

/// Longest input: that of the seeds. Longer ones are slow and find little.
const INPUT_BYTES_MAX: usize = 8 * 1024;

/// An input that takes longer is a failure although nothing panicked. Honest ones take a thousandth of it.
const INPUT_SECONDS_MAX: u64 = 20;

/// Far more than any target needs, so that a leak or a runaway allocation is a failure and not a dead machine.
const MEMORY_MB_MAX: u64 = 1_024;

/// Counts branches and compared values, in the form that libFuzzer reads.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0";

/// Like a release, but with every check that a build for development has; nothing here is linked across crates.
const PROFILE: [(&str, &str); 4] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "2"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true"),
    ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true"),
];

/// Builds, then fuzzes the named targets, or all, as many at a time as there are processors.
pub fn run(root: &Path, words: &[&str]) -> anyhow::Result<()> {
    let (seconds, named) = arguments(words)?;
    heading("build");
    let fuzzer = Fuzzer { root, program: build(root)?, seconds };
    let known = fuzzer.targets()?;
    if let Some(unknown) = named.iter().find(|name| !known.contains(*name)) {
        bail!("no target is called `{unknown}`; there are: {}", known.join(", "));
    }
    let targets = if named.is_empty() { known } else { named };
    heading(&format!("fuzzing, {seconds} s each"));
    let waiting = Mutex::new(VecDeque::from(targets));
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(target) = next else { break };
                    if let Err(error) = fuzzer.fuzz(&target) {
                        say(&format!("  FAILED  {target}: {error:#}"));
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(target);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

fn arguments(words: &[&str]) -> anyhow::Result<(u64, Vec<String>)> {
    let (mut seconds, mut named) = (SECONDS, Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--seconds" => {
                let number = words.next().and_then(|number| number.parse().ok()).filter(|number| *number > 0);
                seconds = number.context("`--seconds` takes a whole number above 0")?;
            }
            option if option.starts_with('-') => {
                bail!("`{option}` is not known: cargo xtask fuzz [--seconds N] [TARGET ...]")
            }
            target => named.push(target.to_owned()),
        }
    }
    Ok((seconds, named))
}

fn build(root: &Path) -> anyhow::Result<PathBuf> {
    // A named platform keeps the flags away from build scripts and macros, which have nobody to count for.
    let host = host()?;
    let folder = root.join("target/fuzz");
    let package = ["--package", "lockgate-fuzz", "--bin", "guided", "--features", "guided"];
    run_program(
        cargo(root)
            .args(["build", "--release", "--locked", "--target", &host, "--target-dir"])
            .arg(&folder)
            .args(package)
            .env("RUSTFLAGS", FLAGS)
            .envs(PROFILE),
    )?;
    Ok(folder.join(host).join("release/guided"))
}

struct Fuzzer<'r> {
    root: &'r Path,
    program: PathBuf,
    seconds: u64,
}

impl Fuzzer<'_> {
    fn targets(&self) -> anyhow::Result<Vec<String>> {
        let mut asking = Command::new(&self.program);
        let told =
            asking.env_remove("LOCKGATE_FUZZ_TARGET").output().context("the fuzzer could not be started")?;
        let names = String::from_utf8_lossy(&told.stdout);
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Fuzzes one target. What libFuzzer prints goes to a file; of a failure, the panic and the input are told.
    fn fuzz(&self, target: &str) -> anyhow::Result<()> {
        let folder = |name: &str| -> anyhow::Result<PathBuf> {
            let folder = self.root.join("target/fuzz").join(name);
            std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
            Ok(folder)
        };
        let seeds = folder(&format!("seeds/{target}"))?;
        let path = folder("logs")?.join(format!("{target}.log"));
        let log = File::create(&path).with_context(|| path.display().to_string())?;
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.root)
            .env("LOCKGATE_FUZZ_TARGET", target)
            .env("LOCKGATE_FUZZ_SEEDS", &seeds)
            .arg(folder(&format!("corpus/{target}"))?)
            .arg(&seeds)
            .args(Some(self.root.join("fuzz/regressions").join(target)).filter(|folder| folder.is_dir()))
            .arg(format!("-max_total_time={}", self.seconds))
            .arg(format!("-max_len={INPUT_BYTES_MAX}"))
            .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
            .arg(format!("-rss_limit_mb={MEMORY_MB_MAX}"))
            .arg(format!("-artifact_prefix={}/{target}-", folder("crashes")?.display()))
            .args(["-dict=fuzz/tokens.dict", "-print_final_stats=1"])
            // A build takes the same way each time, so that an unchanged tree does not fail by chance; a person's run does not.
            .args(std::env::var_os("CI").map(|_| "-seed=1"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let status = command.status().context("the fuzzer could not be started")?;
        let told = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        if !status.success() {
            bail!("{}\n    all of it: {}", failure(target, &told), path.display());
        }
        let stat = |name: &str| {
            told.lines().find_map(|line| line.strip_prefix(name)).map_or("?", str::trim).to_owned()
        };
        say(&format!(
            "  ok      {target}: {} inputs, {} a second, {} kept, {} MB",
            stat("stat::number_of_executed_units:"),
            stat("stat::average_exec_per_sec:"),
            stat("stat::new_units_added:"),
            stat("stat::peak_rss_mb:"),
        ));
        Ok(())
    }
}

/// What went wrong, and how to see it again.
fn failure(target: &str, told: &str) -> String {
    let panicked = told.lines().skip_while(|line| !line.contains("panicked at")).take(2);
    let panicked = panicked.collect::<Vec<_>>().join(" ");
    let other = || told.lines().find(|line| line.contains("ERROR: libFuzzer")).unwrap_or("it ended badly");
    let what = if panicked.is_empty() { other().to_owned() } else { panicked };
    let input = told.lines().find_map(|line| line.split_once("Test unit written to ").map(|(_, path)| path));
    match input {
        None => what,
        Some(input) => format!(
            "{what}\n    input:  {input}\n    replay: mkdir -p fuzz/regressions/{target} && cp {input} \
             fuzz/regressions/{target}/ && cargo test -p lockgate-fuzz"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_with_its_input_and_how_to_replay_it() {
        let told = "INFO: Seed: 1\nthread '<unnamed>' panicked at src/sse.rs:1:2:\nother events\nnote: run with\n\
                    artifact_prefix='x'; Test unit written to target/fuzz/crashes/sse-crash-1\nBase64: YQ==\n";
        let failure = failure("sse", told);
        assert!(
            failure.starts_with("thread '<unnamed>' panicked at src/sse.rs:1:2: other events\n"),
            "{failure}"
        );
        assert!(failure.contains("input:  target/fuzz/crashes/sse-crash-1\n"), "{failure}");
        assert!(failure.ends_with("cargo test -p lockgate-fuzz"), "{failure}");
    }

    #[test]
    fn a_slow_input_is_told_by_what_the_fuzzer_says() {
        assert_eq!(
            failure("sse", "==1== ERROR: libFuzzer: timeout after 20 seconds\n"),
            "==1== ERROR: libFuzzer: timeout after 20 seconds"
        );
    }

    #[test]
    fn targets_and_seconds_come_in_any_order() {
        assert_eq!(arguments(&["sse", "--seconds", "5"]).unwrap(), (5, vec!["sse".to_owned()]));
        assert_eq!(arguments(&[]).unwrap(), (SECONDS, Vec::new()));
        assert!(arguments(&["--seconds", "0"]).is_err() && arguments(&["--jobs"]).is_err());
    }
}
