//! The feedback's way back: gathered and handed in by the hundred, as an application's own server would.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use tokio::sync::{Mutex, mpsc};

use super::{Crowd, visit};

/// The most pieces that the gateway takes at once.
const PIECES_MAX: usize = 100;
/// How long pieces are gathered: feedback may well come later than the answer.
const GATHER: Duration = Duration::from_millis(20);
/// Longest reply that is read.
const REPLY_BYTES_MAX: usize = 1024 * 1024;

/// Hands in what is posted, until nobody can post any more and all is handed in.
pub(super) async fn deliver(crowd: Arc<Crowd>, posted: Arc<Mutex<mpsc::Receiver<String>>>) {
    let mut connection = None;
    let mut pieces = Vec::with_capacity(PIECES_MAX);
    while gather(&posted, &mut pieces).await > 0 {
        if connection.is_none() {
            connection = visit::connect(&crowd).await;
        }
        let count = pieces.len() as u64;
        let body = format!("[{}]", pieces.join(","));
        pieces.clear();
        let taken = match &mut connection {
            Some(open) => hand_in(open, body).await,
            None => None,
        };
        let counter = match taken {
            Some(true) => &crowd.counters.feedback_taken,
            Some(false) | None => &crowd.counters.feedback_lost,
        };
        counter.fetch_add(count, Ordering::Relaxed);
        if taken.is_none() {
            connection = None;
        }
    }
}

/// Waits for pieces, and then a little for more of them. The other post offices wait meanwhile, which fills the batches.
async fn gather(posted: &Mutex<mpsc::Receiver<String>>, pieces: &mut Vec<String>) -> usize {
    let mut posted = posted.lock().await;
    posted.recv_many(pieces, PIECES_MAX).await;
    if pieces.len() < PIECES_MAX && !posted.is_closed() {
        tokio::time::sleep(GATHER).await;
        while pieces.len() < PIECES_MAX
            && let Ok(piece) = posted.try_recv()
        {
            pieces.push(piece);
        }
    }
    pieces.len()
}

/// Whether the gateway took it; `None` when the connection broke.
async fn hand_in(
    connection: &mut hyper::client::conn::http1::SendRequest<Full<Bytes>>,
    body: String,
) -> Option<bool> {
    let request = Request::post("/v1/feedback")
        .header(header::HOST, HeaderValue::from_static("lockgate"))
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .body(Full::new(Bytes::from(body)))
        .ok()?;
    connection.ready().await.ok()?;
    let response = connection.send_request(request).await.ok()?;
    let is_taken = response.status().is_success();
    Limited::new(response.into_body(), REPLY_BYTES_MAX).collect().await.ok()?;
    Some(is_taken)
}
