//! One call of one user: what is asked, how the answer is read, what is thought of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Crowd;
use crate::provider::answer::{POOR_CLOSING, REFUSAL};
use crate::random::Random;

/// How long a person waits gladly.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// When a person gives up.
const GIVES_UP_AFTER: Duration = Duration::from_secs(60);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Pause before another try when the gateway does not take connections.
const AWAY: Duration = Duration::from_millis(20);

/// What people ask about; a number makes each question one of many.
const QUESTIONS: [&str; 6] = [
    "Where is my order",
    "I would like my money back for order",
    "How do I change the address of order",
    "Where do I find the invoice of order",
    "The device that I ordered does not switch on, order",
    "Nobody has answered my complaint about order",
];
/// Different numbers in questions: several thousand prompts in all, so that some come again and most do not.
const ORDERS: u64 = 5_000;
const TOOLS: &str = concat!(
    r#","tools":[{"type":"function","function":{"name":"look_up_order","description":"Finds an order","#,
    r#""parameters":{"type":"object","properties":{"order":{"type":"integer"}}}}}]"#
);
const PREMIUM_PART: u64 = 10;
/// Sessions that go on side by side: somebody asks again when so many others have asked in between.
const SESSIONS_AT_ONCE: u64 = 64;
/// Calls of a session.
const CALLS_PER_SESSION: u64 = 3;
/// The part of the calls that come from somebody who asks only once.
const ASKS_ONCE: f64 = 0.25;

/// How well people like an answer, by its closing words.
struct Taste {
    thumbs_down: f64,
    /// Probability of 5 of 5 points, otherwise one less.
    full_points: f64,
    points: u8,
    task_done: f64,
}

const LIKED: Taste = Taste { thumbs_down: 0.01, full_points: 0.8, points: 5, task_done: 0.98 };
const DISLIKED: Taste = Taste { thumbs_down: 0.85, full_points: 0.5, points: 3, task_done: 0.5 };
/// Of those who rate an answer, how many also give points, and how many say whether their task was done.
const GIVES_POINTS: f64 = 0.6;
const TELLS_OUTCOME: f64 = 0.6;

type Connection = SendRequest<Full<Bytes>>;

/// Waits for a place, makes a call, and again, until nobody comes any more. Keeps its connection.
pub(super) async fn visit_in_turn(crowd: Arc<Crowd>, post_box: mpsc::Sender<String>) {
    let mut connection: Option<Connection> = None;
    while let Ok(place) = crowd.places.acquire().await {
        place.forget();
        let number = crowd.arrivals.fetch_add(1, Ordering::Relaxed);
        if number >= crowd.habits.calls_max {
            continue;
        }
        let open = match connection.take().filter(|open| !open.is_closed()) {
            Some(open) => Some(open),
            None => connect(&crowd).await,
        };
        let Some(mut open) = open else {
            crowd.counters.unanswered.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(AWAY).await;
            continue;
        };
        let visit = visit(&crowd, &mut open, number, &post_box);
        match tokio::time::timeout(GIVES_UP_AFTER, visit).await {
            Ok(Some(())) => connection = Some(open),
            Ok(None) | Err(_) => {
                crowd.counters.unanswered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

pub(super) async fn connect(crowd: &Crowd) -> Option<Connection> {
    let stream = TcpStream::connect(crowd.gateway).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    // Ends when its sender is dropped or the gateway closes it; what it says then is told by the call itself.
    tokio::spawn(async move { connection.await.ok() });
    sender.ready().await.ok()?;
    Some(sender)
}

/// `None` when the call did not end in a whole answer of any kind.
async fn visit(
    crowd: &Crowd,
    connection: &mut Connection,
    number: u64,
    post_box: &mpsc::Sender<String>,
) -> Option<()> {
    let mut random = Random::for_item(crowd.seed, number);
    let wants_stream = random.chance(crowd.habits.stream_part);
    let request = request(crowd, number, wants_stream, &mut random)?;
    let began = Instant::now();
    connection.ready().await.ok()?;
    let (head, body) = connection.send_request(request).await.ok()?.into_parts();
    let is_candidate = head.headers.get("x-lockgate-arm").is_some_and(|arm| arm == "candidate");
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.ok().map(|body| body.to_bytes());
    let text = body.as_deref().map(|body| std::str::from_utf8(body).unwrap_or_default());

    let counters = if is_candidate { &crowd.counters.candidate } else { &crowd.counters.stable };
    counters.calls.fetch_add(1, Ordering::Relaxed);
    if began.elapsed() > PATIENCE {
        counters.slow.fetch_add(1, Ordering::Relaxed);
    }
    let text =
        text.filter(|text| head.status.is_success() && (!wants_stream || text.ends_with("data: [DONE]\n\n")));
    let Some(text) = text else {
        counters.wrong.fetch_add(1, Ordering::Relaxed);
        return body.map(|_| ());
    };
    if random.chance(crowd.habits.rated_part)
        && let Some(id) = head.headers.get("x-lockgate-request-id").and_then(|id| id.to_str().ok())
    {
        let is_disliked = text.contains(POOR_CLOSING) || text.contains(REFUSAL);
        let taste = if is_disliked { DISLIKED } else { LIKED };
        let pieces = rate(id, &taste, &mut random);
        if pieces[0].ends_with("-1}") {
            counters.thumbs_down.fetch_add(1, Ordering::Relaxed);
        }
        for piece in pieces {
            if post_box.try_send(piece).is_err() {
                crowd.counters.feedback_lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    Some(())
}

fn request(
    crowd: &Crowd,
    number: u64,
    wants_stream: bool,
    random: &mut Random,
) -> Option<Request<Full<Bytes>>> {
    let session = session(number, random);
    let person = Random::for_item(Random::seed_of(crowd.seed, "people"), session).below(crowd.habits.people);
    let question = QUESTIONS[random.below(QUESTIONS.len() as u64) as usize];
    let order = random.below(ORDERS);
    let stream = if wants_stream { r#","stream":true"# } else { "" };
    let tools = if random.chance(crowd.habits.tools_part) { TOOLS } else { "" };
    let body = format!(
        r#"{{"model":"{}","messages":[{{"role":"user","content":"{question} {order}?"}}]{stream}{tools}}}"#,
        crowd.habits.feature
    );
    let segment = if person.is_multiple_of(PREMIUM_PART) { "tier=premium" } else { "tier=free" };
    Request::post("/v1/chat/completions")
        .header(header::HOST, HeaderValue::from_static("lockgate"))
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header("x-lockgate-user", format!("user-{person}"))
        .header("x-lockgate-session", format!("session-{session:x}"))
        .header("x-lockgate-segment", HeaderValue::from_static(segment))
        .body(Full::new(Bytes::from(body)))
        .ok()
}

/// The session that a call belongs to. Callers take turns, so that the calls of a session are spread over time.
fn session(number: u64, random: &mut Random) -> u64 {
    if random.chance(ASKS_ONCE) {
        // Counted from the other end, where no longer session is.
        return u64::MAX - number;
    }
    let round = number / (SESSIONS_AT_ONCE * CALLS_PER_SESSION);
    round * SESSIONS_AT_ONCE + number % SESSIONS_AT_ONCE
}

/// What somebody says of an answer: a thumb always, points and the outcome sometimes.
fn rate(id: &str, taste: &Taste, random: &mut Random) -> Vec<String> {
    let thumb = if random.chance(taste.thumbs_down) { -1 } else { 1 };
    let mut pieces = vec![format!(r#"{{"request_id":"{id}","name":"thumbs","value":{thumb}}}"#)];
    if random.chance(GIVES_POINTS) {
        let points = taste.points - u8::from(!random.chance(taste.full_points));
        pieces.push(format!(r#"{{"request_id":"{id}","name":"csat","value":{points}}}"#));
    }
    if random.chance(TELLS_OUTCOME) {
        let done = random.chance(taste.task_done);
        pieces.push(format!(r#"{{"request_id":"{id}","name":"task_success","value":{done}}}"#));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn most_sessions_have_several_calls_and_always_the_same_ones() {
        let sessions = || (0..19_200).map(|number| session(number, &mut Random::for_item(5, number)));
        assert!(sessions().eq(sessions()));
        let mut calls: HashMap<u64, u32> = HashMap::new();
        for session in sessions() {
            *calls.entry(session).or_default() += 1;
        }
        assert_eq!(calls.values().max(), Some(&3));
        let with_several = calls.values().filter(|calls| **calls > 1).count();
        assert!((4_500..6_400).contains(&with_several), "{with_several}");
    }
}
