//! Starts, watches and steers rollouts.

use std::process::ExitCode;
use std::time::Duration;

use lockgate_control::explain_stored;
use lockgate_core::name::FeatureName;
use serde_json::{Value, json};

use super::{audit, said, server, show};
use crate::cli::{General, RolloutCommand, StartArgs};
use crate::complaint::Complaint;
use crate::output;
use crate::output::{explanation, receipt, rollout};

/// How often a watched rollout is looked at: as often as a person's eye returns.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs one of the commands on rollouts.
pub async fn run(general: &General, command: &RolloutCommand) -> Result<ExitCode, Complaint> {
    match command {
        RolloutCommand::Start(args) => start(general, args).await,
        RolloutCommand::Status { feature } => {
            let answer = status(general, feature).await?;
            Ok(show(general, &answer, rollout::text))
        }
        RolloutCommand::Watch { feature } => watch(general, feature).await,
        RolloutCommand::Promote { feature, why } => act(general, feature, "promote", Some(why)).await,
        RolloutCommand::Pause(args) => act(general, &args.feature, "pause", args.why.as_ref()).await,
        RolloutCommand::Resume(args) => act(general, &args.feature, "resume", args.why.as_ref()).await,
        RolloutCommand::Rollback(args) => act(general, &args.feature, "rollback", args.why.as_ref()).await,
        RolloutCommand::List => {
            let answer = server(general)?.get("/api/v1/features").await?;
            Ok(show(general, &answer, rollout::list))
        }
        RolloutCommand::Explain { about, event, store } => {
            let about = About::read(about, *event)?;
            let answer = match store {
                Some(file) => {
                    json!(explain_stored(&audit::open(file).await?, about.feature(), about.event()).await?)
                }
                None => server(general)?.get(&about.path()).await?,
            };
            Ok(show(general, &answer, explanation::text))
        }
    }
}

/// What is to be explained.
enum About {
    /// The latest of a feature.
    Latest(FeatureName),
    /// An event of a feature.
    Event(FeatureName, u64),
    /// An event, whichever feature it is of.
    Number(u64),
}

impl About {
    /// A number alone is an event's; a feature whose name is a number is named together with one.
    fn read(about: &str, event: Option<u64>) -> Result<Self, Complaint> {
        match (about.parse(), event) {
            (Ok(number), None) => Ok(Self::Number(number)),
            (_, Some(event)) => Ok(Self::Event(FeatureName::new(about)?, event)),
            (_, None) => Ok(Self::Latest(FeatureName::new(about)?)),
        }
    }

    fn path(&self) -> String {
        match self {
            Self::Latest(feature) => format!("/api/v1/rollouts/{feature}/explain"),
            Self::Event(feature, event) => format!("/api/v1/rollouts/{feature}/explain?event={event}"),
            Self::Number(event) => format!("/api/v1/events/{event}/explain"),
        }
    }

    fn feature(&self) -> Option<&FeatureName> {
        match self {
            Self::Latest(feature) | Self::Event(feature, _) => Some(feature),
            Self::Number(_) => None,
        }
    }

    fn event(&self) -> Option<u64> {
        match self {
            Self::Event(_, event) | Self::Number(event) => Some(*event),
            Self::Latest(_) => None,
        }
    }
}

async fn start(general: &General, args: &StartArgs) -> Result<ExitCode, Complaint> {
    let body = json!({
        "feature": args.feature.as_str(),
        "candidate": args.candidate.as_str(),
        "plan": args.plan.as_str(),
        "owner": args.owner,
        "only": args.only,
        "again": args.again,
        "undecidable": args.undecidable,
    });
    let answer = server(general)?.post("/api/v1/rollouts", &said(body)).await?;
    Ok(show(general, &answer, receipt::text))
}

async fn act(
    general: &General,
    feature: &FeatureName,
    verb: &str,
    why: Option<&String>,
) -> Result<ExitCode, Complaint> {
    let path = format!("/api/v1/rollouts/{feature}/{verb}");
    let answer = server(general)?.post(&path, &said(json!({ "why": why }))).await?;
    Ok(show(general, &answer, receipt::text))
}

async fn status(general: &General, feature: &FeatureName) -> Result<Value, Complaint> {
    Ok(server(general)?.get(&format!("/api/v1/rollouts/{feature}")).await?)
}

/// Prints where the rollout stands whenever that changes; ends with it, with exit status 0 when it was completed.
async fn watch(general: &General, feature: &FeatureName) -> Result<ExitCode, Complaint> {
    let mut screen = output::Screen::new();
    loop {
        let answer = status(general, feature).await?;
        if general.json {
            output::json_line(&answer);
        } else {
            screen.show(&rollout::text(&answer));
        }
        match rollout::state(&answer) {
            Some("completed") => return Ok(ExitCode::SUCCESS),
            Some("rolled_back") => return Ok(ExitCode::FAILURE),
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}
