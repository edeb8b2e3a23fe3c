//! Exact cases, one per rule.

use super::*;

fn for_chat_of(status: u16, body: &str) -> Value {
    let mut body: Value =
        serde_json::from_slice(&error(Way::ChatToMessages, status, body.as_bytes())).unwrap();
    assert_eq!(body.as_object().unwrap().len(), 1);
    let error = body["error"].take();
    let members: Vec<_> = error.as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["message", "type", "param", "code"]);
    error
}

fn for_messages_of(status: u16, body: &str) -> Value {
    let body: Value = serde_json::from_slice(&error(Way::MessagesToChat, status, body.as_bytes())).unwrap();
    assert_eq!(body["type"], "error");
    body
}

#[test]
fn every_type_of_anthropic_has_its_words_in_chat() {
    for (status, kind, told, code) in [
        (400, "invalid_request_error", "invalid_request_error", None),
        (401, "authentication_error", "authentication_error", Some("invalid_api_key")),
        (402, "billing_error", "insufficient_quota", Some("insufficient_quota")),
        (403, "permission_error", "permission_error", None),
        (404, "not_found_error", "invalid_request_error", Some("not_found")),
        (413, "request_too_large", "invalid_request_error", Some("request_too_large")),
        (429, "rate_limit_error", "rate_limit_error", Some("rate_limit_exceeded")),
        (500, "api_error", "server_error", None),
        (504, "timeout_error", "timeout_error", Some("timeout")),
        (529, "overloaded_error", "overloaded_error", Some("overloaded")),
        (400, "invented_tomorrow", "invented_tomorrow", None),
    ] {
        let body =
            json!({ "type": "error", "error": { "type": kind, "message": "Why." }, "request_id": "req_1" });
        let expected = json!({ "message": "Why.", "type": told, "param": null, "code": code });
        assert_eq!(for_chat_of(status, &body.to_string()), expected);
    }
}

#[test]
fn every_error_of_chat_has_its_type_in_messages() {
    for (status, kind, code, told) in [
        (400, "invalid_request_error", None, "invalid_request_error"),
        (400, "invalid_request_error", Some("context_length_exceeded"), "invalid_request_error"),
        (422, "BadRequestError", None, "invalid_request_error"),
        (401, "invalid_request_error", Some("invalid_api_key"), "authentication_error"),
        (403, "invalid_request_error", Some("unsupported_country"), "permission_error"),
        (404, "invalid_request_error", Some("model_not_found"), "not_found_error"),
        (413, "invalid_request_error", None, "request_too_large"),
        (429, "tokens", Some("rate_limit_exceeded"), "rate_limit_error"),
        (429, "requests", None, "rate_limit_error"),
        (429, "insufficient_quota", Some("insufficient_quota"), "billing_error"),
        (500, "server_error", None, "api_error"),
        (502, "invented_tomorrow", None, "api_error"),
        (503, "server_error", None, "overloaded_error"),
        (408, "timeout", None, "timeout_error"),
        (504, "server_error", None, "timeout_error"),
    ] {
        let body = json!({ "error": { "message": "Why.", "type": kind, "param": null, "code": code } });
        let mut expected = json!({ "type": "error", "error": { "type": told, "message": "Why." } });
        if let Some(code) = code {
            expected["error"]["details"] = json!({ "error_code": code });
        }
        assert_eq!(for_messages_of(status, &body.to_string()), expected);
    }
}

#[test]
fn the_request_id_and_the_code_are_kept_where_there_is_room() {
    let anthropic = json!({
        "type": "error",
        "error": { "type": "rate_limit_error", "message": "m", "details": { "error_code": "enforced_spend_limit_reached" } },
        "request_id": "req_1",
    });
    assert_eq!(for_chat_of(429, &anthropic.to_string())["code"], "enforced_spend_limit_reached");
    let openai = json!({ "error": { "message": "m", "type": "server_error" }, "request_id": "req_1" });
    assert_eq!(for_messages_of(500, &openai.to_string())["request_id"], "req_1");
    assert!(for_messages_of(500, "{}").get("request_id").is_none());
}

#[test]
fn what_anthropic_says_by_its_message_alone_has_a_code_in_chat() {
    for (message, code) in [
        ("model: claude-x", "model_not_found"),
        ("prompt is too long: 210000 tokens > 200000 maximum", "context_length_exceeded"),
        ("input length and `max_tokens` exceed context limit: 1 + 2 > 2", "context_length_exceeded"),
    ] {
        let body =
            json!({ "type": "error", "error": { "type": "invalid_request_error", "message": message } });
        assert_eq!(for_chat_of(400, &body.to_string())["code"], code);
    }
}

#[test]
fn the_message_is_found_in_every_shape() {
    for body in [
        r#"{"error":{"message":"Why."}}"#,
        r#"{"error":"Why."}"#,
        r#"[{"error":{"code":400,"message":"Why.","status":"INVALID_ARGUMENT"}}]"#,
        r#"{"object":"error","message":"Why.","type":"BadRequestError","param":null,"code":400}"#,
        r#"{"detail":"Why."}"#,
        "Why.\n",
    ] {
        let error = for_messages_of(400, body);
        assert_eq!(
            error,
            json!({ "type": "error", "error": { "type": "invalid_request_error", "message": "Why." } })
        );
        assert_eq!(for_chat_of(400, body)["message"], "Why.");
    }
    assert_eq!(for_chat_of(422, r#"{"detail":[{"loc":["body"]}]}"#)["message"], r#"[{"loc":["body"]}]"#);
}

#[test]
fn an_unreadable_body_is_an_error_of_its_status_with_a_plain_message() {
    let unsaid = "The provider answered with status 502 and did not say why.";
    for body in ["", " ", "<html><h1>Bad gateway</h1></html>", "{}", "null", "[]", "{\"error\":null}"] {
        let expected = json!({ "message": unsaid, "type": "server_error", "param": null, "code": null });
        assert_eq!(for_chat_of(502, body), expected, "{body}");
        assert_eq!(
            for_messages_of(502, body)["error"],
            json!({ "type": "api_error", "message": unsaid }),
            "{body}"
        );
    }
    assert_eq!(for_chat_of(529, "busy\u{7}\n")["type"], "overloaded_error");
    let long = for_chat_of(500, &"é".repeat(1 << 20));
    assert_eq!(long["message"].as_str().unwrap().len(), crate::answer::LABEL_BYTES_MAX);
    let bytes = error(Way::ChatToMessages, 500, b"\xff\xfe");
    assert!(serde_json::from_slice::<Value>(&bytes).is_ok());
}

#[test]
fn an_error_inside_a_stream_is_told_by_its_own_words() {
    let overloaded = br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let expected =
        json!({ "message": "Overloaded", "type": "overloaded_error", "param": null, "code": "overloaded" });
    assert_eq!(in_stream(Way::ChatToMessages, overloaded), json!({ "error": expected }));
    let limited = br#"{"error":{"code":429,"message":"Slow down"}}"#;
    let expected = json!({ "type": "rate_limit_error", "message": "Slow down" });
    assert_eq!(in_stream(Way::MessagesToChat, limited), json!({ "type": "error", "error": expected }));
}
