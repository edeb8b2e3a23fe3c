//! Reports one piece of feedback, over the address that clients call.

use std::process::ExitCode;

use serde_json::{Map, Value};

use super::show;
use crate::cli::{FeedbackArgs, General};
use crate::client::Client;
use crate::complaint::Complaint;
use crate::environment;

/// Posts it and says what became of it.
pub async fn run(general: &General, args: &FeedbackArgs) -> Result<ExitCode, Complaint> {
    let key = environment::variable("LOCKGATE_API_KEY");
    let client = Client::new(&args.gateway, key, environment::author())?;
    let answer = client.post("/v1/feedback", &piece(args)).await?;
    Ok(show(general, &answer, |answer| match answer.get("status").and_then(Value::as_str) {
        Some(status) => format!("{} {}: {status}", args.name, args.value),
        None => format!("{} {}: taken", args.name, args.value),
    }))
}

fn piece(args: &FeedbackArgs) -> Value {
    let mut piece = Map::new();
    let about = [
        ("request_id", args.about.request.map(|id| id.to_string())),
        ("answer_id", args.about.answer.clone()),
        ("session", args.about.session.clone()),
        ("name", Some(args.name.clone())),
        ("id", args.id.clone()),
    ];
    for (key, text) in about {
        if let Some(text) = text {
            piece.insert(key.into(), Value::String(text));
        }
    }
    // A value that is neither a number nor true or false is sent as text, and the server says what it expects.
    let value = serde_json::from_str(&args.value).unwrap_or_else(|_| Value::String(args.value.clone()));
    piece.insert("value".into(), value);
    Value::Object(piece)
}
