//! Every failure in every dialect.

use super::*;
use crate::reader::{StreamReader, read_plain};

const ID: &str = "0190f0c8-0000-7000-8000-000000000000";

fn text() -> String {
    "x".to_owned()
}

/// A failure, its status, OpenAI's class of it, Anthropic's, the parameter at fault and the code.
type Told = (Failure, u16, &'static str, &'static str, Option<&'static str>, &'static str);

/// Every failure.
fn all() -> Vec<Told> {
    const WRONG: &str = "invalid_request_error";
    let missing = BodyError::Missing { param: "model", expected: "a string" };
    let wrong_type = BodyError::WrongType { param: "stream", expected: "true or false", found: "a string" };
    let path = |allowed: &'static str| Failure::MethodNotAllowed { method: text(), path: text(), allowed };
    vec![
        (Failure::Body(BodyError::Empty), 400, WRONG, WRONG, None, "invalid_json"),
        (Failure::Body(BodyError::Utf8 { offset: 3 }), 400, WRONG, WRONG, None, "invalid_utf8"),
        (Failure::Body(missing), 400, WRONG, WRONG, Some("model"), "missing_required_parameter"),
        (Failure::Body(wrong_type), 400, WRONG, WRONG, Some("stream"), "invalid_type"),
        (
            Failure::InvalidValue { name: text(), problem: text() },
            400,
            WRONG,
            WRONG,
            Some("x"),
            "invalid_value",
        ),
        (Failure::BodyTooLarge { bytes_max: 1 }, 413, WRONG, "request_too_large", None, "request_too_large"),
        (Failure::HeadersTooLarge { bytes_max: 1 }, 431, WRONG, WRONG, None, "headers_too_large"),
        (Failure::UnsupportedEncoding { encoding: text() }, 415, WRONG, WRONG, None, "unsupported_encoding"),
        (Failure::BodyNotReceived { problem: text() }, 408, WRONG, WRONG, None, "body_not_received"),
        (
            Failure::UnknownPath { method: text(), path: text() },
            404,
            WRONG,
            "not_found_error",
            None,
            "unknown_url",
        ),
        (path("POST"), 405, WRONG, WRONG, None, "method_not_allowed"),
        (Failure::MissingKey, 401, "authentication_error", "authentication_error", None, "missing_api_key"),
        (Failure::WrongKey, 401, "authentication_error", "authentication_error", None, "invalid_api_key"),
        (
            Failure::NotAllowed { feature: text() },
            403,
            "permission_error",
            "permission_error",
            Some("model"),
            "model_not_allowed",
        ),
        (
            Failure::UnknownFeature { feature: text(), known: vec![text()] },
            404,
            WRONG,
            "not_found_error",
            Some("model"),
            "model_not_found",
        ),
        (
            Failure::WrongSurface { feature: text(), right: text() },
            400,
            WRONG,
            WRONG,
            Some("model"),
            "wrong_endpoint",
        ),
        (
            Failure::UnknownAnswer { id: text(), problem: text() },
            404,
            WRONG,
            "not_found_error",
            None,
            "answer_not_found",
        ),
        (
            Failure::TooManyCalls { calls_max: 1 },
            503,
            "overloaded_error",
            "overloaded_error",
            None,
            "too_many_calls",
        ),
        (
            Failure::DeadlinePassed { deadline_ms: 1 },
            504,
            "server_error",
            "timeout_error",
            None,
            "deadline_exceeded",
        ),
        (
            Failure::ChainExhausted { feature: text(), attempts: 2, last: text() },
            502,
            "server_error",
            "api_error",
            None,
            "chain_exhausted",
        ),
        (
            Failure::NotSpoken { feature: text(), api: "chat", speaks: text() },
            400,
            WRONG,
            WRONG,
            None,
            "unsupported_api",
        ),
        (
            Failure::NotTranslatable { dropped: vec!["logit_bias".to_owned(), text()] },
            400,
            WRONG,
            WRONG,
            Some("logit_bias"),
            "unsupported_parameter",
        ),
        (Failure::CutOff { problem: text() }, 502, "server_error", "api_error", None, "answer_cut_off"),
        (Failure::StoreAway, 503, "overloaded_error", "overloaded_error", None, "store_away"),
        (Failure::Internal, 500, "server_error", "api_error", None, "internal_error"),
    ]
}

fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn every_failure_has_its_status_and_all_members_in_each_familys_shape() {
    for (failure, status, openai, anthropic, param, code) in all() {
        assert_eq!(failure.status(), status, "{failure:?}");
        let message = failure.to_string();
        assert_eq!(
            read(&failure.body(Family::OpenAi, ID)),
            json!({ "error": { "message": message, "type": openai, "param": param, "code": code } })
        );
        assert_eq!(
            read(&failure.body(Family::Anthropic, ID)),
            json!({ "type": "error", "error": { "type": anthropic, "message": message }, "request_id": ID })
        );
    }
}

#[test]
fn an_error_body_is_read_as_an_error_and_as_no_answer() {
    for (failure, ..) in all() {
        for api in Api::ALL {
            let summary = read_plain(api, &failure.body(api.family(), ID));
            let error =
                summary.error.unwrap_or_else(|| panic!("{failure:?} is no error to a client of {api:?}"));
            assert_eq!(error.message, failure.to_string());
            assert_eq!(error.kind.as_deref(), Some(failure.kind(api.family())));
            assert!(!summary.has_content && !summary.is_unreadable);
        }
    }
}

/// The lines of the one event in a text.
fn event(bytes: Vec<u8>) -> (Option<String>, Value) {
    let text = String::from_utf8(bytes).unwrap();
    let lines = text.strip_suffix("\n\n").unwrap();
    let (name, data) = match lines.split_once('\n') {
        Some((name, data)) => (Some(name.strip_prefix("event: ").unwrap().to_owned()), data),
        None => (None, lines),
    };
    (name, read(data.strip_prefix("data: ").unwrap().as_bytes()))
}

#[test]
fn a_failure_inside_a_stream_is_told_in_the_streams_own_way() {
    for (failure, _, openai, anthropic, param, code) in all() {
        let message = failure.to_string();
        let of_chat =
            json!({ "error": { "message": message, "type": openai, "param": param, "code": code } });
        assert_eq!(event(failure.event(Api::Chat, ID)), (None, of_chat));
        let of_messages =
            json!({ "type": "error", "error": { "type": anthropic, "message": message }, "request_id": ID });
        assert_eq!(event(failure.event(Api::Messages, ID)), (Some("error".to_owned()), of_messages));
        let of_responses = json!({
            "type": "error", "code": code, "message": message, "param": param, "sequence_number": 0
        });
        assert_eq!(event(failure.event(Api::Responses, ID)), (Some("error".to_owned()), of_responses));
    }
}

#[test]
fn a_stream_ended_by_a_failure_tells_an_error_and_is_not_done() {
    for (failure, ..) in all() {
        for api in [Api::Chat, Api::Messages, Api::Responses] {
            let mut reader = StreamReader::new(api, 1_000);
            reader.push(&failure.event(api, ID));
            let summary = reader.finish();
            assert!(!summary.is_done && !summary.is_finished, "{failure:?} ends a stream of {api:?}");
            assert!(!summary.answer.has_content && !summary.answer.is_unreadable);
            let error = summary.answer.error.unwrap_or_else(|| panic!("{failure:?} is silent in {api:?}"));
            assert_eq!(error.message, failure.to_string());
        }
    }
}

#[test]
fn a_chat_client_is_told_class_and_code_inside_a_stream() {
    let mut reader = StreamReader::new(Api::Chat, 1_000);
    reader.push(&Failure::CutOff { problem: "the target broke off".to_owned() }.event(Api::Chat, ID));
    let error = reader.finish().answer.error.unwrap();
    assert_eq!(error.message, "The answer is not complete: the target broke off.");
    assert_eq!(
        (error.kind.as_deref(), error.code.as_deref()),
        (Some("server_error"), Some("answer_cut_off"))
    );
}
