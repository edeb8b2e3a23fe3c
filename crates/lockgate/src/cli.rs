//! What may be written on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use lockgate_core::drill::Fault;
use lockgate_core::name::{FeatureName, PlanName, RequestId, VersionName};

/// Takes a change to an AI agent to every user by evidence, and takes it back when users show that it is worse.
#[derive(Debug, Parser)]
#[command(name = "lockgate", version, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub general: General,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands.
#[derive(Debug, Args)]
pub struct General {
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    pub json: bool,
    /// The admin address of the server to talk to; its token, if it asks for one, is read from LOCKGATE_TOKEN.
    #[arg(long, global = true, env = "LOCKGATE_URL", default_value = "http://127.0.0.1:7081")]
    pub url: String,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the whole thing at work: invented providers and users, the real gateway and controller, in this process.
    Demo(DemoArgs),
    /// Carry calls and move rollouts, until told to stop.
    Serve(FileArgs),
    /// Say everything that is wrong with a configuration file.
    Check(FileArgs),
    /// Print the JSON Schema of the configuration file.
    Schema,
    /// How everything does, the worst first: targets that are not asked and why, and every feature with its rollout.
    Status,
    /// Start, watch and steer rollouts.
    #[command(subcommand)]
    Rollout(RolloutCommand),
    /// Send a whole feature to another version at once, or back to the one before.
    Flip(FlipArgs),
    /// Throw the kill switch: everybody to stable, or to the deterministic rules, at once.
    Kill(KillArgs),
    /// Release the kill switch.
    Revive(ReviveArgs),
    /// Read the log of decisions.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look at plans.
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Report what somebody thought of an answer.
    Feedback(FeedbackArgs),
    /// Ask whether a rollout's gates pass: exit status 0 if they do, 1 if one fails, 3 if it cannot be said yet.
    Gate {
        #[arg(value_parser = feature)]
        feature: FeatureName,
    },
    /// Run a plan over recorded outcomes, with the code that decides live.
    Backtest(BacktestArgs),
    /// Rehearse a rollback: a fault in front of stable's own answers, for marked calls only.
    Drill(DrillArgs),
}

#[derive(Debug, Args)]
pub struct FileArgs {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = "lockgate.yaml")]
    pub config: PathBuf,
}

#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// The plan: `standard`, one of the configuration file's, or a file that holds one.
    #[arg(long, value_name = "NAME|FILE", default_value = "standard")]
    pub plan: String,
    /// The outcomes, one JSON object a line, oldest first.
    #[arg(long, value_name = "FILE.jsonl")]
    pub outcomes: PathBuf,
    /// Read plans from this configuration file, beside the built-in one.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct EstimateArgs {
    /// The plan: `standard`, one of the configuration file's, or a file that holds one.
    #[arg(long, value_name = "NAME|FILE", default_value = "standard")]
    pub plan: String,
    /// Calls of users, both versions together: 3/s, 500/min, 20000/h, 1e6/d.
    #[arg(long, value_name = "N/s")]
    pub traffic: String,
    /// Parts of the traffic: `tier=premium:10%,tier=free:90%`.
    #[arg(long, value_name = "LABEL=VALUE:PART,..", value_delimiter = ',')]
    pub segments: Vec<String>,
    /// How stable behaves, where it is known: `error=0.4%,thumbs_down=3%,feedback=2%`.
    #[arg(long, value_name = "SIGNAL=VALUE,..", value_delimiter = ',')]
    pub rates: Vec<String>,
    /// Read plans from this configuration file, beside the built-in one.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DrillArgs {
    #[arg(value_parser = feature)]
    pub feature: FeatureName,
    /// What is made worse: errors=5%, latency=+8s, quality=-15% or cost=4x.
    #[arg(long)]
    pub fault: Fault,
    /// The rehearsal candidate's part of the marked calls.
    #[arg(long, default_value = "50%")]
    pub share: String,
    /// Marked calls per second that the drill makes itself; 0 for none, when marked traffic comes from elsewhere.
    #[arg(long, default_value_t = 20.0)]
    pub rate: f64,
    /// Give up after so long.
    #[arg(long = "for", value_name = "DURATION", default_value = "10m")]
    pub within: String,
    /// The body of the calls that the drill makes; a short greeting unless a file is named.
    #[arg(long, value_name = "FILE.json")]
    pub body: Option<PathBuf>,
    /// The address that clients call; a client key, if one is needed, is read from LOCKGATE_API_KEY.
    #[arg(long, env = "LOCKGATE_GATEWAY_URL", default_value = "http://127.0.0.1:7080")]
    pub gateway: String,
    /// The plan whose canary gates and triggers are rehearsed.
    #[arg(long, value_parser = plan)]
    pub plan: Option<PlanName>,
    /// Why, for the audit.
    #[arg(long)]
    pub why: Option<String>,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Tell only this story; otherwise that of a good candidate and then that of `errors`.
    #[arg(long, value_enum)]
    pub scenario: Option<Scenario>,
    /// Answers, latencies and thumbs are drawn by this number; another one gives another run.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Leave everything running at the end, for a look around, until ctrl-c.
    #[arg(long)]
    pub keep: bool,
}

/// What a candidate is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// As good as stable.
    Good,
    /// 2 % of its calls end in an error.
    Errors,
    /// 6 % of its answers take more than six seconds.
    Slow,
    /// An eighth of its answers are not liked.
    Disliked,
}

#[derive(Debug, Subcommand)]
pub enum RolloutCommand {
    /// Begin to roll out a version.
    Start(StartArgs),
    /// Where a rollout stands, what it waits for, and every gate with its evidence.
    Status {
        #[arg(value_parser = feature)]
        feature: FeatureName,
    },
    /// Follow a rollout until it is over.
    Watch {
        #[arg(value_parser = feature)]
        feature: FeatureName,
    },
    /// Enter the next phase now; the reason stands in the audit in place of evidence.
    Promote {
        #[arg(value_parser = feature)]
        feature: FeatureName,
        /// Why the evidence need not be waited for.
        #[arg(long)]
        why: String,
    },
    /// Stand still: shares stay, triggers go on watching.
    Pause(Act),
    /// Go on after a pause or a freeze.
    Resume(Act),
    /// All traffic back to the version that users had.
    Rollback(Act),
    /// All features with their rollouts.
    List,
    /// Why something was decided, with every number; the last decision unless an event is named.
    Explain {
        /// The feature, or the number of an event in the audit log.
        #[arg(value_name = "FEATURE|EVENT")]
        about: String,
        /// The event's number in the audit log.
        #[arg(value_name = "EVENT")]
        event: Option<u64>,
        /// Read this store's file instead of asking a server, and reproduce every number from it.
        #[arg(long, value_name = "FILE")]
        store: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct StartArgs {
    #[arg(value_parser = feature)]
    pub feature: FeatureName,
    /// The version to roll out.
    #[arg(long, value_parser = version)]
    pub candidate: VersionName,
    /// The plan to go by.
    #[arg(long, value_parser = plan, default_value = "standard")]
    pub plan: PlanName,
    /// Who answers for it, when the configuration names nobody or somebody else.
    #[arg(long)]
    pub owner: Option<String>,
    /// Touch only these callers: `tier=internal,geo=eu`. Several values with `|`; may be given more than once, any will do.
    #[arg(long, value_name = "LABEL=VALUE,..")]
    pub only: Vec<String>,
    /// Start although this very version was taken back before.
    #[arg(long)]
    pub again: bool,
    /// Start although, at the present traffic, gates of the plan cannot decide before their deadlines.
    #[arg(long)]
    pub undecidable: bool,
}

/// An act on a feature's rollout, with a reason for the audit.
#[derive(Debug, Args)]
pub struct Act {
    #[arg(value_parser = feature)]
    pub feature: FeatureName,
    /// Why, for the audit.
    #[arg(long)]
    pub why: Option<String>,
}

#[derive(Debug, Args)]
pub struct FlipArgs {
    #[arg(value_parser = feature)]
    pub feature: FeatureName,
    /// The version to flip to; the one that users had before unless named.
    #[arg(long, value_parser = version)]
    pub to: Option<VersionName>,
    /// Why, for the audit.
    #[arg(long)]
    pub why: Option<String>,
}

#[derive(Debug, Args)]
pub struct KillArgs {
    #[arg(value_parser = feature)]
    pub feature: FeatureName,
    /// Where everybody is sent.
    #[arg(long, value_enum, default_value = "stable")]
    pub to: KillTo,
    /// Why, for the audit.
    #[arg(long)]
    pub why: Option<String>,
}

/// Where a kill switch sends a feature.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum KillTo {
    /// The stable version.
    Stable,
    /// The stable version's deterministic tier.
    Rules,
}

#[derive(Debug, Args)]
pub struct ReviveArgs {
    #[arg(value_parser = feature)]
    pub feature: FeatureName,
    /// Why, for the audit.
    #[arg(long)]
    pub why: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// What was decided, oldest first.
    Log {
        /// Only this feature.
        #[arg(long, value_parser = feature)]
        feature: Option<FeatureName>,
        /// Only entries after this number.
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Which version served at a moment.
    At {
        #[arg(value_parser = feature)]
        feature: FeatureName,
        /// The moment: 2026-08-01T12:00:00Z.
        ts: Timestamp,
    },
    /// Which version answered a call.
    Request {
        /// What `x-lockgate-request-id` said.
        id: RequestId,
    },
    /// Check every byte of the log against its chain.
    Verify {
        /// Check this store's file instead of asking a server.
        #[arg(long, value_name = "FILE")]
        store: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub enum PlanCommand {
    /// The phases, gates and triggers of a plan.
    Show {
        /// `standard`, one of the configuration file's, or a file that holds one.
        #[arg(value_name = "NAME|FILE", default_value = "standard")]
        plan: String,
        /// Read plans from this configuration file, beside the built-in one.
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// What a plan costs and finds at your traffic: how long each phase takes, what each gate can see, whom a bad candidate
    /// reaches.
    Estimate(EstimateArgs),
}

#[derive(Debug, Args)]
pub struct FeedbackArgs {
    #[command(flatten)]
    pub about: AboutArgs,
    /// What is reported: thumbs, csat, task_success, escalated, retried, abandoned, or a declared name.
    pub name: String,
    /// true, false or a number; thumbs are 1 or -1.
    #[arg(allow_negative_numbers = true)]
    pub value: String,
    /// Makes it one and the same piece when it is sent again.
    #[arg(long, value_name = "KEY")]
    pub id: Option<String>,
    /// The address that clients call; a client key, if one is needed, is read from LOCKGATE_API_KEY.
    #[arg(long, env = "LOCKGATE_GATEWAY_URL", default_value = "http://127.0.0.1:7080")]
    pub gateway: String,
}

/// What feedback is about.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct AboutArgs {
    /// A call, as `x-lockgate-request-id` named it.
    #[arg(long, value_name = "ID")]
    pub request: Option<RequestId>,
    /// An answer, by the provider's own id.
    #[arg(long, value_name = "ID")]
    pub answer: Option<String>,
    /// A session: its latest answer.
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
}

fn feature(text: &str) -> Result<FeatureName, String> {
    FeatureName::new(text).map_err(|error| error.to_string())
}

fn version(text: &str) -> Result<VersionName, String> {
    VersionName::new(text).map_err(|error| error.to_string())
}

fn plan(text: &str) -> Result<PlanName, String> {
    PlanName::new(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn feedback_must_name_exactly_one_thing() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("lockgate feedback --answer chatcmpl-1 thumbs -1").is_ok());
        assert!(parse("lockgate feedback thumbs -1").is_err());
        assert!(parse("lockgate feedback --answer a --session s thumbs 1").is_err());
    }

    #[test]
    fn a_promotion_by_hand_needs_a_reason() {
        assert!(Cli::try_parse_from(["lockgate", "rollout", "promote", "f"]).is_err());
        assert!(Cli::try_parse_from(["lockgate", "rollout", "rollback", "f"]).is_ok());
    }
}
