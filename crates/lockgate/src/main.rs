//! The lockgate executable: reads the command line, runs one command, and says how it ended.

use std::process::ExitCode;

use clap::Parser as _;

mod cli;
mod complaint;
mod environment;

mod client;
mod commands;
mod demo;
mod instance;
mod serve;

mod output;

// Thousands of small, short-lived pieces per second, from many threads, is what the system's allocator is slowest at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Wrong usage, help and version end here, with exit status 2, 0 and 0.
    let cli = cli::Cli::parse();
    let ran = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(commands::run(cli)),
        Err(error) => Err(complaint::Complaint::from(error)),
    };
    ran.unwrap_or_else(|complaint| {
        output::complain(&complaint);
        ExitCode::FAILURE
    })
}
