//! Passes an answer on to the client, reads beside it, and sees to it that its end is recorded.
//!
//! A body here owns the call's observation. hyper asks for the next chunk when the client can take it, so a slow client slows
//! the target and nothing piles up; hyper drops the body when the client leaves, and with it go the connection to the target
//! and the observation, which then says that the call was cancelled.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use lockgate_config::value::Price;
use lockgate_wire::chat::AnswerSummary;
use lockgate_wire::chat_usage_strip::UsageStrip;

use crate::answer::Answer;
use crate::headers::{self, COST, DEGRADED, SHOULD_RETRY, TARGET, TIER};
use crate::observation::{End, Observation};
use crate::stream::{Record, StreamBody};
use crate::tier::{TierAnswer, Told, is_callers_fault};

/// The body of any answer.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    Whole(Box<WholeBody>),
    Stream(Box<StreamBody>),
}

/// An answer broke off where its form has no way to say so: the connection is cut, so that it does not look finished.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub(crate) struct BrokenOff;

/// An answer that is there as a whole.
#[derive(Debug)]
pub(crate) struct WholeBody {
    /// `None` once taken, and from the start when there is nothing to take: nobody asks for an empty body.
    bytes: Option<Bytes>,
    /// Told when the bytes have been taken.
    ending: Option<(Observation, u16, End)>,
}

impl AnswerBody {
    /// An answer of our own, about which nothing is recorded.
    pub(crate) fn own(bytes: Bytes) -> Self {
        Self::Whole(Box::new(WholeBody { bytes: Some(bytes), ending: None }))
    }
}

/// The client's response, but for the headers that every answer carries.
pub(crate) fn to_client(answer: Answer, mut observation: Observation) -> Response<AnswerBody> {
    let Answer { answer: TierAnswer { head, told }, tier, target, price, is_last_resort } = answer;
    observation.answered_by(tier, &target, head.status.as_u16());
    let mut response = Response::new(());
    *response.status_mut() = head.status;
    *response.headers_mut() = headers::to_client(&head.headers);
    let headers = response.headers_mut();
    headers::put(headers, TARGET, target);
    headers::put(headers, TIER, tier.to_string());
    if is_last_resort {
        headers::put(headers, SHOULD_RETRY, "false".to_owned());
    } else if tier > 0 {
        headers::put(headers, DEGRADED, "true".to_owned());
    }
    let failed = if is_last_resort {
        Some(End::Failed)
    } else {
        is_callers_fault(head.status).then_some(End::CallersFault)
    };
    let body = match told {
        Told::Whole { bytes, summary } => {
            if summary.is_none() {
                observation.keep_text_for_comparison(&bytes);
            }
            let end = failed.unwrap_or_else(|| read(summary.as_deref(), price, &mut observation));
            if let End::Answered { cost_nano_usd: Some(cost), .. } = end {
                headers::put(headers, COST, usd(cost));
            }
            let ending = Some((observation, head.status.as_u16(), end));
            AnswerBody::Whole(Box::new(WholeBody { bytes: (!bytes.is_empty()).then_some(bytes), ending }))
        }
        Told::Long { start, rest, idle } => {
            let record = Record { observation, status: head.status.as_u16(), price, failed };
            AnswerBody::Stream(Box::new(StreamBody::unread(start, rest, idle, record)))
        }
        Told::Stream { first, rest, reader, strips_usage, idle } => {
            let record = Record { observation, status: head.status.as_u16(), price, failed };
            let strip = strips_usage.then(UsageStrip::default);
            AnswerBody::Stream(Box::new(match reader {
                Some(reader) => StreamBody::chat(first, rest, idle, reader, strip, record),
                None => StreamBody::unread([first].into(), rest, idle, record),
            }))
        }
    };
    response.map(|()| body)
}

/// What an answer's end is recorded as. The summary goes on to the comparison with a copy's answer, if one is to be made.
pub(crate) fn read(
    summary: Option<&AnswerSummary>,
    price: Option<Price>,
    observation: &mut Observation,
) -> End {
    let Some(summary) = summary else {
        return End::Answered { usage: None, cost_nano_usd: None, refused: None };
    };
    if let Some(id) = &summary.id {
        observation.identified(id.clone());
    }
    observation.keep_for_comparison(summary);
    let usage = summary.usage;
    let cost =
        usage.zip(price).map(|(usage, price)| price.nano_usd(usage.prompt_tokens, usage.completion_tokens));
    End::Answered { usage, cost_nano_usd: cost, refused: summary.is_refusal() }
}

/// Nano-dollars as a decimal of dollars.
fn usd(nano_usd: u64) -> String {
    format!("{}.{:09}", nano_usd / 1_000_000_000, nano_usd % 1_000_000_000)
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Whole(whole) => Poll::Ready(whole.bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream.poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(whole) if whole.bytes.is_none())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => SizeHint::with_exact(whole.bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

impl Drop for WholeBody {
    fn drop(&mut self) {
        // With the bytes still here, nobody took the answer, and the observation's own drop says so.
        if self.bytes.is_none()
            && let Some((observation, status, end)) = self.ending.take()
        {
            observation.end(status, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_told_as_a_decimal_to_the_nano_dollar() {
        assert_eq!(usd(0), "0.000000000");
        assert_eq!(usd(3_100_000), "0.003100000");
        assert_eq!(usd(12_000_000_001), "12.000000001");
    }
}
