//! One file per family of commands; each reads its arguments, asks the server or the disk, and hands the answer to
//! [`crate::output`].

mod audit;
mod backtest;
mod check;
mod drill;
mod estimate;
mod feature;
mod feedback;
mod gate;
mod plan;
mod rollout;
mod status;

use std::process::ExitCode;

use serde_json::Value;

use crate::cli::{Cli, Command, General};
use crate::client::Client;
use crate::complaint::Complaint;
use crate::{demo, environment, output, serve};

/// Runs what was asked for.
pub async fn run(cli: Cli) -> Result<ExitCode, Complaint> {
    let general = &cli.general;
    match &cli.command {
        Command::Demo(args) => demo::run(args, general.json).await,
        Command::Serve(args) => serve::run(&args.config).await,
        Command::Check(args) => check::check(&args.config, general.json),
        Command::Schema => check::schema(),
        Command::Status => status::run(general).await,
        Command::Rollout(command) => rollout::run(general, command).await,
        Command::Flip(args) => feature::flip(general, args).await,
        Command::Kill(args) => feature::kill(general, args).await,
        Command::Revive(args) => feature::revive(general, args).await,
        Command::Audit(command) => audit::run(general, command).await,
        Command::Plan(command) => plan::run(command, general.json),
        Command::Feedback(args) => feedback::run(general, args).await,
        Command::Gate { feature } => gate::run(general, feature).await,
        Command::Backtest(args) => backtest::run(args, general.json),
        Command::Drill(args) => drill::run(general, args).await,
    }
}

/// The server that the command line names.
fn server(general: &General) -> Result<Client, Complaint> {
    let token = environment::variable("LOCKGATE_TOKEN");
    Ok(Client::new(&general.url, token, environment::author())?)
}

/// The answer as it is for programs, or as text for people.
fn show(general: &General, answer: &Value, text: impl FnOnce(&Value) -> String) -> ExitCode {
    if general.json {
        output::json(answer);
    } else {
        output::say(&text(answer));
    }
    ExitCode::SUCCESS
}

/// A body without what was not said: the server tells absent from present, and refuses null.
fn said(body: Value) -> Value {
    match body {
        Value::Object(members) => members.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        other => other,
    }
}
