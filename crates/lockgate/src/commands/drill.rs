//! Rehearses a rollback: starts it, makes marked calls, waits until it is over, and reports.
//!
//! What is measured is the real thing: the server's gateways count these calls, its controller decides, its table changes.
//! Here is only what a rehearsal needs beside it: callers who know that they take part, and somebody who watches the clock.

mod traffic;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use lockgate_config::duration;
use lockgate_core::drill::Fault;
use lockgate_core::share::Share;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use self::traffic::{Habits, Tally, Traffic};
use super::{said, server};
use crate::cli::{DrillArgs, General};
use crate::client::{Client, ClientError};
use crate::complaint::Complaint;
use crate::environment;
use crate::output::{self, drill};

/// How often it is asked how the rehearsal goes. What is reported comes from the server's own times, so this only says how
/// soon the calls end.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a server may be away in the middle: a restart, with its clean end and its start.
const AWAY_MAX: Duration = Duration::from_secs(60);
/// How long the end may take beyond what the server needs to measure it.
const GRACE: Duration = Duration::from_secs(30);
/// Most calls per second: this is a rehearsal, not a test of load.
const RATE_MAX: f64 = 1000.0;
/// Largest body that is read from a file.
const BODY_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Exit status of wrong usage.
const WRONG_USAGE: u8 = 2;

/// Starts the rehearsal, makes marked calls, waits until the share is 0 again, and reports. Exit status 0: found, and back at
/// 0; 1: not found in time.
pub async fn run(general: &General, args: &DrillArgs) -> Result<ExitCode, Complaint> {
    let (within, body) = match wanted(args) {
        Ok(wanted) => wanted,
        Err(complaint) => {
            output::complain(&complaint);
            return Ok(ExitCode::from(WRONG_USAGE));
        }
    };
    let admin = server(general)?;
    let started = start(&admin, args).await?;
    let begun = Instant::now();
    let tag = format!("drill-{}", text(&started, "rollout"));
    let habits = Habits {
        gateway: args.gateway.trim_end_matches('/').to_owned(),
        path: text(&started, "path").to_owned(),
        key: environment::variable("LOCKGATE_API_KEY"),
        body: body_for(args, &started, body),
        rate: args.rate,
        fault: args.fault,
        tag,
    };
    let traffic = Traffic::start(habits)?;
    let lag = Duration::from_secs_f64(started["lag_seconds"].as_f64().unwrap_or(0.0).clamp(0.0, 3600.0));
    let watched = watch(general, &admin, args, &started, &traffic, begun + within + lag * 3 + GRACE).await;
    let tally = traffic.stop().await;
    let report = report(args, &watched?, &tally, begun);
    if general.json {
        output::json(&report);
    } else {
        output::say(&drill::text(&report));
    }
    let is_safe = report["found"] == true && report["is_over"] == true;
    Ok(if is_safe { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was asked for, as far as it can be checked here.
fn wanted(args: &DrillArgs) -> Result<(Duration, Option<Value>), Complaint> {
    let within = duration::parse(&args.within).filter(|within| !within.is_zero()).ok_or_else(|| {
        Complaint::new(format!("`--for {}` is no time", args.within), "write it as 10m or 90s")
    })?;
    Share::parse(&args.share).filter(|share| *share > Share::NONE && *share < Share::FULL).ok_or_else(
        || {
            let hint =
                "write it as 50%: more than 0 and less than 100%, for stable is what it is compared with";
            Complaint::new(format!("`--share {}` is no share of a drill", args.share), hint)
        },
    )?;
    if !(0.0..=RATE_MAX).contains(&args.rate) {
        let sentence = format!("`--rate {}` is no rate of calls", args.rate);
        return Err(Complaint::new(sentence, format!("write calls per second, from 0 to {RATE_MAX}")));
    }
    Ok((within, args.body.as_deref().map(read).transpose()?))
}

fn read(file: &Path) -> Result<Value, Complaint> {
    let wrong = |why: String| Complaint {
        sentence: format!("the body {} cannot be used: {why}", file.display()),
        hint: Some("it is the JSON that clients send, in a file".to_owned()),
    };
    let length = std::fs::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
    if length > BODY_BYTES_MAX {
        return Err(wrong(format!("it has more than {BODY_BYTES_MAX} bytes")));
    }
    let bytes = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))
}

async fn start(admin: &Client, args: &DrillArgs) -> Result<Value, Complaint> {
    let body = json!({
        "fault": args.fault.to_string(),
        "share": args.share,
        "for": args.within,
        "plan": args.plan.as_ref().map(ToString::to_string),
        "why": args.why,
    });
    Ok(admin.post(&format!("/api/v1/drills/{}", args.feature), &said(body)).await?)
}

/// The body of a marked call. One from a file is sent as it is, but for the feature's name, which a chat must carry.
fn body_for(args: &DrillArgs, started: &Value, body: Option<Value>) -> Bytes {
    let is_chat = text(started, "surface") == "chat";
    let mut body = body.unwrap_or_else(|| {
        let says = "Hello. This is a rehearsal; please answer in one short sentence.";
        match is_chat {
            true => json!({ "messages": [{ "role": "user", "content": says }] }),
            false => json!({ "message": says }),
        }
    });
    if let Some(members) = body.as_object_mut().filter(|_| is_chat) {
        members.insert("model".to_owned(), args.feature.as_str().into());
    }
    body.to_string().into()
}

/// Follows the rehearsal to its end. Ctrl-c ends it and waits for the end; a second one does not wait.
async fn watch(
    general: &General,
    admin: &Client,
    args: &DrillArgs,
    started: &Value,
    traffic: &Traffic,
    until: Instant,
) -> Result<Value, Complaint> {
    let path = format!("/api/v1/drills/{}", args.feature);
    // Heard from here on also while an answer is waited for.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut screen = output::Screen::new();
    let mut heard = Instant::now();
    let mut is_told_to_end = false;
    loop {
        match admin.get(&path).await {
            Ok(drill) if drill["rollout"] != started["rollout"] => {
                return Err(Complaint::new(
                    "another drill of the feature has taken this one's place",
                    "`lockgate audit log` has both",
                ));
            }
            Ok(drill) => {
                heard = Instant::now();
                if drill["state"] != "running" {
                    // From here on nothing tells these calls from anybody's.
                    traffic.pause();
                }
                if drill["state"] == "over" {
                    return Ok(drill);
                }
                if !general.json && screen.is_terminal() {
                    screen.show(&drill::progress(&drill, &traffic.tally().shown()));
                }
            }
            Err(error @ ClientError::Unreachable { .. }) if heard.elapsed() >= AWAY_MAX => {
                return Err(error.into());
            }
            Err(ClientError::Unreachable { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if Instant::now() >= until {
            return Err(Complaint::new(
                "the drill was not over long after its time",
                "`lockgate rollout status` shows what it waits for; `lockgate rollout rollback` ends it",
            ));
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => continue,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if std::mem::replace(&mut is_told_to_end, true) {
            return Err(Complaint::new(
                "told twice: not waiting for the end of the drill",
                "it has been told to end; `lockgate rollout status` shows whether it has",
            ));
        }
        traffic.pause();
        let end = json!({ "rollout": started["rollout"], "why": "interrupted by whoever started it" });
        admin.post(&format!("{path}/end"), &end).await?;
    }
}

/// How it went: the server's own times and numbers, counted from the first call here that the fault touched.
fn report(args: &DrillArgs, drill: &Value, tally: &Tally, begun: Instant) -> Value {
    let from = |first: Instant| first.saturating_duration_since(begun).as_secs_f64();
    let until_faulty = tally.first_faulty.map(from).unwrap_or_default();
    let found = drill["found"] == true;
    let to_back = drill["seconds_to_back"].as_f64().filter(|_| found);
    let to_detection = to_back.map(|seconds| (seconds - until_faulty).max(0.0));
    let looks = drill["standing"].as_array().into_iter().flatten().filter(|verdict| {
        verdict["signal"].as_str().is_some_and(|signal| touched(args.fault).contains(&signal))
    });
    json!({
        "feature": drill["feature"],
        "fault": drill["fault"],
        "plan": drill["plan"],
        "rollout": drill["rollout"],
        "started": drill["started"],
        "found": found,
        "found_by": drill["found_by"],
        "cause": drill["cause"],
        "why": drill["why"],
        "is_over": drill["state"] == "over",
        "within": args.within,
        "seconds_to_detection": to_detection,
        "counted_from": if tally.first_faulty.is_some() { "first_faulty_call" } else { "start" },
        "seconds_to_zero_share": drill["seconds_to_zero"],
        "last_candidate_call": drill["last_candidate_call"],
        "candidate_calls": drill["candidate_calls"],
        "users_touched": drill["candidate_users"],
        "calls": tally.shown(),
        "log": drill["log"],
        "looked_at": looks.collect::<Vec<_>>(),
    })
}

/// The signals in which a fault can show.
fn touched(fault: Fault) -> &'static [&'static str] {
    match fault {
        Fault::Errors(_) => &["error", "fallback", "degraded", "task_success"],
        Fault::Latency(_) => &["latency", "first_token", "timeout", "error"],
        Fault::Quality(_) => &["quality"],
        Fault::Cost(_) => &["tokens", "tokens_in", "tokens_out", "cost", "session_cost"],
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
