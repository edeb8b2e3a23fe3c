//! A provider that answers by what it is asked, in every API that Lockgate speaks.
//!
//! An agent's client asks several times and goes on with what it is told: a recording cannot play its part, because the second
//! question holds the first answer's ids. So this one reads a call ([`ask`]), settles what to say from its words ([`say`]), and
//! writes that in the API that was asked ([`chat`], [`responses`], [`messages`]). It is as strict as the real ones where clients
//! and gateways err: the key, the version header, the model's name, and that every tool's result belongs to a call.

mod ask;
mod body;
mod chat;
mod messages;
mod responses;
mod say;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::server::{CLIENT_KEY, MODEL, TARGET_KEY};
use ask::Ask;
use body::{Pieces, Sent};
use say::{Say, Wrong};

/// Far above what the scripts send.
const REQUEST_BYTES_MAX: usize = 8 << 20;

/// An API, as far as a provider tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spoken {
    /// Chat completions.
    Chat,
    /// Responses.
    Responses,
    /// Messages.
    Messages,
}

/// What it remembers of a response that it gave, for a call that goes on from there.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// What the user had said.
    said: String,
    /// The calls of tools that it asked for.
    calls: Vec<String>,
}

/// What happened so far.
#[derive(Debug, Default)]
pub struct State {
    kept: HashMap<String, Kept>,
    /// What the callers did wrong, each as a sentence. A gateway that hands on what is right leaves this empty.
    complaints: Vec<String>,
    /// How often each text was refused.
    refused: HashMap<String, u32>,
    /// Answers that were not taken to their end.
    left: u32,
    answers: u32,
}

impl State {
    /// Says in a refusal how often the same call was refused by now: only the caller can know whether it should have been.
    fn counted(&mut self, text: &str, wrong: Wrong) -> Wrong {
        let times = self.refused.entry(text.to_owned()).or_default();
        *times += 1;
        Wrong { what: format!("{}, call {times}", wrong.what), ..wrong }
    }
}

/// A running provider; it stops when this is dropped.
pub struct Provider {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

impl Provider {
    /// Listens on a free port of the loopback address.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<State>>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, _tasks: tasks }
    }

    /// Its root, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What callers did wrong.
    pub fn complaints(&self) -> Vec<String> {
        self.state.lock().unwrap().complaints.clone()
    }

    /// How many answers were left before their end.
    pub fn left(&self) -> u32 {
        self.state.lock().unwrap().left
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    let service = service_fn(|request| answer(request, Arc::clone(&state)));
                    // A client that leaves is part of what is tested.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Pieces>, Infallible> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, REQUEST_BYTES_MAX).collect().await.map(http_body_util::Collected::to_bytes);
    let body: Value = body.ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
    let path = head.uri.path();
    let answered = check(path, &head.headers, &body).and_then(|()| match path {
        "/v1/chat/completions" => conversation(Spoken::Chat, &body, &state),
        "/v1/responses" => conversation(Spoken::Responses, &body, &state),
        "/v1/messages" => conversation(Spoken::Messages, &body, &state),
        "/v1/embeddings" => Ok(Sent::Whole(embeddings(&body))),
        "/v1/messages/count_tokens" => {
            Ok(Sent::Whole(json!({ "input_tokens": Ask::read(Spoken::Messages, &body).words })))
        }
        "/agent" => agent(&body),
        _ => Err(Wrong::new(404, "not_found", format!("there is nothing at {path}"))),
    });
    Ok(response(path, answered, state))
}

/// What real providers refuse before they look at what is asked.
fn check(path: &str, headers: &HeaderMap, body: &Value) -> Result<(), Wrong> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_messages = path.starts_with("/v1/messages");
    // Anthropic takes both, and its SDKs have sent both over time.
    let is_plain = is_messages && header("x-api-key") == TARGET_KEY;
    if !is_plain && header("authorization") != format!("Bearer {TARGET_KEY}") {
        return Err(Wrong::new(401, "authentication_error", "the key is wrong"));
    }
    if headers.values().any(|value| value.to_str().is_ok_and(|value| value.contains(CLIENT_KEY))) {
        return Err(Wrong::new(400, "invalid_request_error", "the client's key was handed on"));
    }
    if is_messages && header("anthropic-version").is_empty() {
        return Err(Wrong::new(400, "invalid_request_error", "anthropic-version: header is required"));
    }
    if path != "/agent" && body["model"] != MODEL {
        let what = format!("the model {} does not exist", body["model"]);
        return Err(Wrong::new(404, "not_found_error", what));
    }
    Ok(())
}

fn conversation(spoken: Spoken, body: &Value, state: &Mutex<State>) -> Result<Sent, Wrong> {
    let mut ask = Ask::read(spoken, body);
    let mut state = state.lock().unwrap();
    if let Some(previous) = body["previous_response_id"].as_str() {
        let what = || format!("Previous response with id '{previous}' not found.");
        let kept = state.kept.get(previous);
        let kept = kept.ok_or_else(|| Wrong::scripted(400, "previous_response_not_found", what()))?;
        ask.calls.extend(kept.calls.iter().cloned());
        ask.earlier = Some(kept.said.clone());
    }
    if let Some(stray) = ask.results.iter().find(|result| !ask.calls.contains(&result.call)) {
        let what = format!("a result names the call {}, which was not made: {body}", stray.call);
        return Err(Wrong::new(400, "invalid_request_error", what));
    }
    let say = Say::to(&ask).map_err(|wrong| state.counted(&ask.text, wrong))?;
    state.answers += 1;
    let id = state.answers;
    if spoken == Spoken::Responses {
        let calls = (0..say.calls.len()).map(|i| responses::call_id(id, i)).collect();
        state.kept.insert(responses::id(id), Kept { said: ask.text.clone(), calls });
    }
    Ok(match (spoken, ask.is_stream) {
        (Spoken::Chat, false) => Sent::Whole(chat::whole(&ask, &say, id)),
        (Spoken::Responses, false) => Sent::Whole(responses::whole(&ask, &say, id)),
        (Spoken::Messages, false) => Sent::Whole(messages::whole(&ask, &say, id)),
        (Spoken::Chat, true) => Sent::stream(chat::events(&ask, &say, id), say.end),
        (Spoken::Responses, true) => Sent::stream(responses::events(&ask, &say, id), say.end),
        (Spoken::Messages, true) => Sent::stream(messages::events(&ask, &say, id), say.end),
    })
}

/// One vector for each text: its length, its words, and something negative.
fn embeddings(body: &Value) -> Value {
    let texts = match &body["input"] {
        Value::Array(texts) => texts.clone(),
        text => vec![text.clone()],
    };
    let vector = |text: &Value| -> Vec<f32> {
        let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
        vec![text.len() as f32, text.split_whitespace().count() as f32, -0.5]
    };
    let written = |vector: Vec<f32>| match body["encoding_format"].as_str() {
        Some("base64") => {
            let bytes: Vec<u8> = vector.into_iter().flat_map(f32::to_le_bytes).collect();
            json!(base64(&bytes))
        }
        _ => json!(vector),
    };
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(i, text)| json!({ "object": "embedding", "index": i, "embedding": written(vector(text)) }))
        .collect();
    let usage = json!({ "prompt_tokens": texts.len(), "total_tokens": texts.len() });
    json!({ "object": "list", "data": data, "model": MODEL, "usage": usage })
}

/// Bytes as base64. Vectors of three numbers are twelve bytes, so that nothing is left over to pad.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (threes, []) = bytes.as_chunks::<3>() else { panic!("{} bytes need padding", bytes.len()) };
    let letters = threes.iter().flat_map(|[a, b, c]| {
        let bits = u32::from_be_bytes([0, *a, *b, *c]);
        [18, 12, 6, 0].map(|shift| char::from(LETTERS[(bits >> shift & 63) as usize]))
    });
    letters.collect()
}

/// An agent with a format of its own.
fn agent(body: &Value) -> Result<Sent, Wrong> {
    let question = body["question"].as_str().unwrap_or_default();
    if question.contains("mistake") {
        return Err(Wrong::scripted(422, "unprocessable", "that is no question"));
    }
    let steps: Vec<Value> = match &body["tools"] {
        Value::Array(tools) => tools.iter().map(|tool| json!({ "tool": tool, "result": "sunny" })).collect(),
        _ => Vec::new(),
    };
    if body["stream"] != true {
        return Ok(Sent::Whole(json!({ "answer": format!("You asked: {question}"), "steps": steps })));
    }
    let words = question.split_inclusive(' ').map(|word| json!({ "delta": word }));
    let events = steps.into_iter().chain(words).chain([json!({ "done": true })]);
    Ok(Sent::stream(
        events.map(|event| Bytes::from(format!("data: {event}\n\n"))).collect(),
        say::End::Proper,
    ))
}

fn response(path: &str, answered: Result<Sent, Wrong>, state: Arc<Mutex<State>>) -> Response<Pieces> {
    let is_messages = path.starts_with("/v1/messages");
    let mut response = match answered {
        Ok(sent) => {
            let kind = match sent {
                Sent::Whole(_) => "application/json",
                Sent::Stream(..) => "text/event-stream; charset=utf-8",
            };
            let mut response = Response::new(sent.into_body(state));
            response.headers_mut().insert("content-type", kind.parse().unwrap());
            response
        }
        Err(wrong) => {
            if !wrong.is_scripted {
                let complaint = format!("{path}: {} {}", wrong.status, wrong.what);
                state.lock().unwrap().complaints.push(complaint);
            }
            let mut response = Response::new(Sent::Whole(wrong.body(is_messages)).into_body(state));
            *response.status_mut() = StatusCode::from_u16(wrong.status).unwrap();
            response.headers_mut().insert("content-type", "application/json".parse().unwrap());
            if wrong.status == 429 {
                response.headers_mut().insert("retry-after", "7".parse().unwrap());
            }
            response
        }
    };
    let name = if is_messages { "request-id" } else { "x-request-id" };
    response.headers_mut().insert(name, "req_of_the_provider".parse().unwrap());
    response
}
