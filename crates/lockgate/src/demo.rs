//! `lockgate demo`: the whole thing at work in one process, with nothing needed and nothing left behind.
//!
//! Invented are the provider, the users, and how long a day is. Real are the gateway, the controller, the store and every
//! socket between them: each call goes through the gateway, each decision comes from the controller, and the stories are
//! told from the admin API that anybody could ask. Answers, latencies and opinions are drawn at random from the seed, so a
//! story may end otherwise than it should; the exit status says so.

mod script;
mod story;
mod telling;
mod world;

use std::process::ExitCode;

use serde_json::json;

use self::story::Ending;
use self::telling::Teller;
use self::world::World;
use crate::cli::{DemoArgs, Scenario};
use crate::complaint::Complaint;

/// Tells the stories, and what they cost whom.
pub async fn run(args: &DemoArgs, as_json: bool) -> Result<ExitCode, Complaint> {
    let mut teller = Teller::new(as_json);
    teller.opening(args.seed);
    let world = World::start(args.seed).await?;
    let scenarios = match args.scenario {
        Some(scenario) => vec![scenario],
        None => vec![Scenario::Good, Scenario::Errors],
    };
    let mut endings: Vec<Ending> = Vec::new();
    for scenario in scenarios {
        endings.push(story::tell(&world, scenario, &mut teller).await?);
    }
    world.quiet_down().await;
    let audit = world.client.get("/api/v1/audit/verify").await?;
    let tally = world.users.tally();
    let is_sound = audit.get("broken").is_none_or(serde_json::Value::is_null);
    let as_expected = is_sound && endings.iter().all(Ending::is_as_expected);
    let summary = json!({
        "event": "end",
        "ok": as_expected,
        "seed": args.seed,
        "stories": endings.iter().map(Ending::as_value).collect::<Vec<_>>(),
        "calls": tally.calls(),
        "feedback": tally.feedback_taken,
        "audit": audit,
    });
    teller.closing(&endings, &tally, &summary);
    if args.keep {
        teller.look_around(&world);
        world.keep_busy();
        tokio::signal::ctrl_c().await?;
    }
    world.stop().await?;
    Ok(if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
