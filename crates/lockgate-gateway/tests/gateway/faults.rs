//! The faults that gateways are known to fail on: each gets a right answer from a lower tier or an honest failure, in the caller's
//! own form and within the deadline, plain and streamed, whichever API the caller and the target speak.

mod faulty;

use std::time::Duration;

use lockgate_config::value::{Endpoint, KeyHeader, Price, TargetKind, Tier, Times};
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::Sum;
use lockgate_wire::api::Api;
use lockgate_wire::reader::{StreamReader, read_plain};
use tokio::time::Instant;

use crate::world::*;
use faulty::{Act, Faulty, said};

/// Of a whole call. The faults themselves last much longer.
const DEADLINE: Duration = Duration::from_secs(8);
/// How long a target may be silent.
const PATIENCE: Duration = Duration::from_millis(400);

const OVERLOADED: Act = refuse(503, "", "overloaded_error", "");

const fn refuse(status: u16, headers: &'static str, kind: &'static str, code: &'static str) -> Act {
    Act::Refuse { status, headers, kind, code, message: "the target said no" }
}

/// How a call is made: the API that the caller speaks, the one that the targets speak, and whether it is streamed.
#[derive(Debug, Clone, Copy)]
struct Manner {
    asked: Api,
    spoken: Api,
    streams: bool,
}

/// What came of a call.
#[derive(Debug)]
struct Came {
    status: u16,
    /// The text that was said.
    text: String,
    is_whole: bool,
    /// What went wrong, in the caller's own form.
    error: Option<String>,
    target: Option<String>,
    attempts: u32,
    is_degraded: bool,
    took: Duration,
}

/// Two targets and fixed rules behind them.
struct Case {
    world: World,
    big: Faulty,
    light: Faulty,
}

async fn for_each_manner(check: impl AsyncFn(Manner)) {
    for asked in [Api::Chat, Api::Messages] {
        for spoken in [Api::Chat, Api::Messages] {
            for streams in [false, true] {
                check(Manner { asked, spoken, streams }).await;
            }
        }
    }
}

fn tier_at(name: &str, spoken: Api, url: &http::Uri) -> Tier {
    let (path, key_header) = match spoken {
        Api::Messages => ("/v1/messages", KeyHeader::Plain(http::HeaderName::from_static("x-api-key"))),
        _ => ("/v1/chat/completions", KeyHeader::Bearer),
    };
    let times = Times {
        connect: PATIENCE,
        answer: PATIENCE,
        first_content: PATIENCE,
        idle: PATIENCE,
        ..endpoint(url).times
    };
    let paths = [(spoken, path.to_owned())].into();
    let endpoint = Endpoint { paths, key_header, times, ..endpoint(url) };
    let kind =
        if spoken == Api::Messages { TargetKind::Anthropic(endpoint) } else { TargetKind::OpenAi(endpoint) };
    Tier { retries: 1, model: Some(format!("{name}-model")), ..tier(name, kind) }
}

impl Case {
    async fn start(manner: Manner, big: Vec<Act>, light: Vec<Act>) -> Self {
        Self::start_with(manner, big, light, |_, _| {}).await
    }

    async fn start_with(
        manner: Manner,
        big: Vec<Act>,
        light: Vec<Act>,
        change: impl FnOnce(&mut Tier, &mut Tier),
    ) -> Self {
        let big = Faulty::start(manner.spoken, big).await;
        let light = Faulty::start(manner.spoken, light).await;
        let mut first = tier_at("big", manner.spoken, &big.url);
        let mut second = tier_at("light", manner.spoken, &light.url);
        change(&mut first, &mut second);
        let chain = vec![first, second, rules("desk")];
        let world = World::start(config(vec![version("v1", chain)])).await;
        Self { world, big, light }
    }

    async fn call(&self, manner: Manner) -> Came {
        let body = serde_json::json!({
            "model": FEATURE, "max_tokens": 100, "stream": manner.streams,
            "messages": [{ "role": "user", "content": "hello" }],
        });
        let mut request = self.world.post(manner.asked.path(), body.to_string());
        let deadline = DEADLINE.as_millis().to_string();
        request.headers_mut().insert("x-lockgate-deadline-ms", deadline.parse().unwrap());
        let begun = Instant::now();
        let got = self.world.send(request).await;
        let took = begun.elapsed();
        let is_stream = got.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        assert_eq!(is_stream, manner.streams && got.status == 200, "{manner:?} {got:?}");
        let (answer, is_whole) = if is_stream {
            let mut reader = StreamReader::new(manner.asked, 1 << 20);
            reader.push(&got.body);
            let summary = reader.finish();
            (summary.answer, summary.is_done)
        } else {
            let answer = read_plain(manner.asked, &got.body);
            let is_whole = answer.finish_reason.is_some();
            (answer, is_whole)
        };
        assert!(!answer.is_unreadable, "{manner:?} {got:?}");
        Came {
            status: got.status.as_u16(),
            text: answer.text,
            is_whole,
            error: answer.error.map(|error| error.message),
            target: got.header("x-lockgate-target").map(str::to_owned),
            attempts: got.header("x-lockgate-attempts").and_then(|text| text.parse().ok()).unwrap_or(0),
            is_degraded: got.header("x-lockgate-degraded") == Some("true"),
            took,
        }
    }
}

/// A whole answer by a target, and whether it is marked as one of a lower tier.
fn assert_right(manner: Manner, came: &Came, target: &str) {
    assert_eq!((came.status, came.target.as_deref()), (200, Some(target)), "{manner:?} {came:?}");
    assert!(came.is_whole && came.error.is_none(), "{manner:?} {came:?}");
    let expected = if target == "desk" { "Please wait.".to_owned() } else { said() };
    assert_eq!(came.text, expected, "{manner:?}");
    assert_eq!(came.is_degraded, target != "big", "{manner:?} {came:?}");
    assert!(came.took < DEADLINE, "{manner:?} {came:?}");
}

/// A part of an answer and the word that it is not whole.
fn assert_honest(manner: Manner, came: &Came) {
    assert!(!came.is_whole && came.error.is_some(), "{manner:?} {came:?}");
    assert!(!came.text.is_empty() && said().starts_with(&came.text), "{manner:?} {came:?}");
    assert!(came.took < DEADLINE, "{manner:?} {came:?}");
}

/// Whatever the first target does before it says anything, the second answers.
async fn the_second_tier_answers(act: Act) {
    for_each_manner(async |manner| {
        let case = Case::start(manner, vec![act], vec![Act::Good]).await;
        assert_right(manner, &case.call(manner).await, "light");
        case.world.stop().await;
    })
    .await;
}

/// What the target does in the middle of an answer is told in a stream, and made good in a plain answer.
async fn a_broken_answer_is_never_told_as_a_whole_one(act: Act) {
    for_each_manner(async |manner| {
        let case = Case::start(manner, vec![act], vec![Act::Good]).await;
        let came = case.call(manner).await;
        if manner.streams {
            assert_honest(manner, &came);
            assert_eq!(case.light.calls(), 0, "nothing is told twice");
        } else {
            assert_right(manner, &came, "light");
        }
        case.world.until_rate("v1", Arm::Stable, Signal::Error, (1, 1)).await;
        case.world.stop().await;
    })
    .await;
}

#[tokio::test]
async fn fault_01_a_429_that_says_when_to_come_again_is_waited_for() {
    for_each_manner(async |manner| {
        let limited = refuse(429, "retry-after-ms: 30\r\n", "rate_limit_error", "rate_limit_exceeded");
        let case = Case::start(manner, vec![limited, Act::Good], vec![Act::Good]).await;
        let came = case.call(manner).await;
        assert_right(manner, &came, "big");
        assert!(came.attempts == 2 && came.took >= Duration::from_millis(30), "{came:?}");
        case.world.stop().await;
        // When it asks for more time than there is, another answers at once.
        let limited = refuse(429, "retry-after: 60\r\n", "rate_limit_error", "rate_limit_exceeded");
        let case = Case::start(manner, vec![limited, Act::Good], vec![Act::Good]).await;
        assert_right(manner, &case.call(manner).await, "light");
        case.world.stop().await;
    })
    .await;
}

#[tokio::test]
async fn fault_02_a_429_that_stays_leads_to_the_next_tier() {
    the_second_tier_answers(refuse(429, "", "rate_limit_error", "rate_limit_exceeded")).await;
}

#[tokio::test]
async fn fault_03_a_single_500_is_tried_again() {
    for_each_manner(async |manner| {
        let case =
            Case::start(manner, vec![refuse(500, "", "api_error", ""), Act::Good], vec![Act::Good]).await;
        let came = case.call(manner).await;
        assert_right(manner, &came, "big");
        assert_eq!((came.attempts, case.light.calls()), (2, 0));
        case.world.until_rate("v1", Arm::Stable, Signal::Error, (0, 1)).await;
        case.world.stop().await;
    })
    .await;
}

#[tokio::test]
async fn fault_04_a_503_leads_to_the_next_tier() {
    the_second_tier_answers(OVERLOADED).await;
}

#[tokio::test]
async fn fault_05_a_reset_connection_leads_to_the_next_tier() {
    the_second_tier_answers(Act::Reset).await;
}

#[tokio::test]
async fn fault_06_a_silent_target_is_given_up_in_time() {
    the_second_tier_answers(Act::Silent).await;
}

#[tokio::test]
async fn fault_07_a_slow_first_word_leads_to_the_next_tier() {
    the_second_tier_answers(Act::SlowFirstWord).await;
}

#[tokio::test]
async fn fault_08_a_stream_that_is_cut_is_not_told_as_a_whole_one() {
    a_broken_answer_is_never_told_as_a_whole_one(Act::Cut).await;
}

#[tokio::test]
async fn fault_09_a_stall_in_the_middle_is_not_waited_for_for_ever() {
    a_broken_answer_is_never_told_as_a_whole_one(Act::Stall).await;
}

#[tokio::test]
async fn fault_10_a_malformed_chunk_never_reaches_the_caller() {
    a_broken_answer_is_never_told_as_a_whole_one(Act::Malformed).await;
    the_second_tier_answers(Act::MalformedFirst).await;
}

#[tokio::test]
async fn fault_11_a_stream_without_its_end_is_not_told_as_a_whole_one() {
    a_broken_answer_is_never_told_as_a_whole_one(Act::WithoutEnd).await;
}

#[tokio::test]
async fn fault_12_a_text_that_is_too_long_goes_to_a_larger_window_or_is_told() {
    for_each_manner(async |manner| {
        let too_long = Act::Refuse {
            status: 400,
            headers: "",
            kind: "invalid_request_error",
            code: "context_length_exceeded",
            message: "prompt is too long: 210000 tokens > 200000 maximum",
        };
        let case = Case::start(manner, vec![too_long], vec![Act::Good]).await;
        let came = case.call(manner).await;
        assert_eq!((came.status, came.target.as_deref()), (400, Some("big")), "{manner:?} {came:?}");
        assert!(came.error.unwrap().contains("too long"), "{manner:?}");
        assert_eq!(case.light.calls(), 0);
        case.world.until_rate("v1", Arm::Stable, Signal::Rejected, (1, 1)).await;
        case.world.stop().await;

        let windows = |big: &mut Tier, light: &mut Tier| {
            set_window(big, 200_000);
            set_window(light, 1_000_000);
        };
        let case = Case::start_with(manner, vec![too_long], vec![Act::Good], windows).await;
        assert_right(manner, &case.call(manner).await, "light");
        case.world.stop().await;
    })
    .await;
}

fn set_window(tier: &mut Tier, tokens: u64) {
    let target = std::sync::Arc::get_mut(&mut tier.target).unwrap();
    match &mut target.kind {
        TargetKind::OpenAi(endpoint) | TargetKind::Anthropic(endpoint) | TargetKind::Agent(endpoint) => {
            endpoint.context_window = Some(tokens);
        }
        TargetKind::Rules(_) => {}
    }
}

#[tokio::test]
async fn fault_13_a_content_filter_is_never_walked_around() {
    for_each_manner(async |manner| {
        let filtered = Act::Refuse {
            status: 400,
            headers: "",
            kind: "invalid_request_error",
            code: "content_filter",
            message: "The response was filtered: output blocked by content filtering policy",
        };
        let case = Case::start(manner, vec![filtered], vec![Act::Good]).await;
        let came = case.call(manner).await;
        assert_eq!((came.status, came.target.as_deref()), (400, Some("big")), "{manner:?} {came:?}");
        assert!(came.error.unwrap().contains("filter"), "{manner:?}");
        assert_eq!((case.big.calls(), case.light.calls()), (1, 0), "{manner:?}");
        case.world.stop().await;
    })
    .await;
}

#[tokio::test]
async fn fault_14_a_fallback_that_refuses_a_prefill_is_not_the_callers_fault() {
    for_each_manner(async |manner| {
        let refused = Act::Refuse {
            status: 400,
            headers: "",
            kind: "invalid_request_error",
            code: "invalid_request_error",
            message: "This model does not support assistant message prefill.",
        };
        let case = Case::start(manner, vec![OVERLOADED], vec![refused]).await;
        assert_right(manner, &case.call(manner).await, "desk");
        assert_eq!(case.light.calls(), 1, "{manner:?}");
        case.world.stop().await;
    })
    .await;
}

#[tokio::test]
async fn fault_15_a_target_that_flaps_never_shows() {
    for_each_manner(async |manner| {
        let acts =
            [OVERLOADED, Act::Good, Act::Reset, OVERLOADED, Act::Good, refuse(500, "", "api_error", "")];
        let case = Case::start(manner, acts.repeat(5), vec![Act::Good]).await;
        for _ in 0..20 {
            let came = case.call(manner).await;
            let target = came.target.clone().unwrap();
            assert_right(manner, &came, &target);
            assert_ne!(target, "desk", "{manner:?}");
        }
        case.world.stop().await;
    })
    .await;
}

#[tokio::test]
async fn fault_16_what_is_counted_is_what_the_one_who_answered_used() {
    for_each_manner(async |manner| {
        let prices = |big: &mut Tier, light: &mut Tier| {
            big.price = Some(Price { input_per_million_usd: 100.0, output_per_million_usd: 100.0 });
            light.price = Some(Price { input_per_million_usd: 1.0, output_per_million_usd: 2.0 });
        };
        let case = Case::start_with(manner, vec![OVERLOADED], vec![Act::Good], prices).await;
        assert_right(manner, &case.call(manner).await, "light");
        let amount = |total: u64| Some(Sum::Amount { n: 1, total, squares: u128::from(total).pow(2) });
        case.world.until_rate("v1", Arm::Stable, Signal::Fallback, (1, 1)).await;
        assert_eq!(case.world.sum("v1", Arm::Stable, Signal::TokensIn).await, amount(11), "{manner:?}");
        assert_eq!(case.world.sum("v1", Arm::Stable, Signal::TokensOut).await, amount(60), "{manner:?}");
        case.world.stop().await;
    })
    .await;
}
