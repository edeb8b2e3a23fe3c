//! What providers' errors are judged to be, by their own words.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn told(kind: &str, code: &str, message: &str) -> AnswerError {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    AnswerError { message: message.to_owned(), kind: some(kind), code: some(code) }
}

fn check(cases: &[(u16, &str, &str, &str)], expected: Fault) {
    for (status, kind, code, message) in cases {
        let judged = of(*status, Some(&told(kind, code, message)));
        assert_eq!(judged, expected, "{status} {kind} {code}: {message}");
    }
}

#[test]
fn without_a_body_the_status_decides() {
    for (statuses, expected) in [
        (&[400, 413, 422][..], CALLER),
        (&[401, 402, 403, 404, 405, 410, 301][..], OURS),
        (&[408, 409, 425, 500, 502, 503, 504, 520, 529, 599][..], TARGET),
        (&[429, 498][..], LIMITED),
        (&[501, 505][..], Fault { blame: Blame::Target, is_retryable: false }),
        // A stream that tells of an error without a word.
        (&[200][..], TARGET),
    ] {
        for status in statuses {
            assert_eq!(of(*status, None), expected, "{status}");
            assert_eq!(of(*status, Some(&told("", "", "Something."))), expected, "{status}");
        }
    }
}

#[test]
fn what_is_too_long_for_the_model_is_known_in_every_providers_words() {
    check(
        &[
            (
                400,
                "invalid_request_error",
                "context_length_exceeded",
                "This model's maximum context length is 8192 tokens.",
            ),
            (400, "invalid_request_error", "string_above_max_length", "Invalid 'input': string too long."),
            (
                400,
                "invalid_request_error",
                "",
                "Your input exceeds the context window of this model. Please adjust your input.",
            ),
            (400, "invalid_request_error", "", "prompt is too long: 215000 tokens > 200000 maximum"),
            (
                400,
                "invalid_request_error",
                "",
                "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
            ),
            (
                400,
                "BadRequestError",
                "400",
                "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
            ),
            (
                400,
                "BadRequestError",
                "400",
                "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
            ),
            (
                400,
                "exceed_context_size_error",
                "400",
                "request (4100 tokens) exceeds the available context size (4096 tokens), try increasing it",
            ),
            (500, "server_error", "500", "Context size has been exceeded."),
            (400, "", "", "the input length exceeds the context length"),
            (500, "api_error", "", "input length exceeds the context length"),
            (
                400,
                "invalid_request_error",
                "3051",
                "Prompt contains 65673 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            ),
            (413, "invalid_request_error", "", "Please reduce the length of the messages or completion."),
            (
                400,
                "INVALID_ARGUMENT",
                "400",
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            ),
            (
                422,
                "validation",
                "",
                "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens and 200 `max_new_tokens`",
            ),
            (
                200,
                "invalid_request_error",
                "context_length_exceeded",
                "Your input exceeds the context window of this model.",
            ),
        ],
        CONTEXT_LENGTH,
    );
}

#[test]
fn what_a_filter_refused_is_known_in_every_providers_words() {
    check(
        &[
            (
                400,
                "",
                "content_filter",
                "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
            ),
            (400, "", "", r#"{"innererror":{"code":"ResponsibleAIPolicyViolation"}}"#),
            (
                400,
                "invalid_request_error",
                "content_policy_violation",
                "Your request was rejected as a result of our safety system.",
            ),
            (
                400,
                "image_generation_user_error",
                "moderation_blocked",
                "Your request was rejected by the safety system.",
            ),
            (
                400,
                "invalid_request_error",
                "invalid_prompt",
                "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
            ),
            (400, "invalid_request_error", "", "Output blocked by content filtering policy"),
            (
                403,
                "",
                "403",
                "openai/gpt-4o requires moderation on OpenRouter. Your input was flagged for \"violence\".",
            ),
            (400, "invalid_request_error", "invalid_request_error", "Content Exists Risk"),
            (200, "", "content_filter", "filtered"),
            (500, "", "image_content_policy_violation", "no"),
        ],
        CONTENT_FILTER,
    );
}

#[test]
fn a_limit_passes_and_an_empty_account_does_not() {
    check(
        &[
            (
                429,
                "tokens",
                "rate_limit_exceeded",
                "Rate limit reached for gpt-4o in organization org-X on tokens per min (TPM): Limit 30000, Used 29937, Requested 385. Please try again in 644ms.",
            ),
            (429, "rate_limit_error", "", "Number of request tokens has exceeded your per-minute rate limit"),
            (
                429,
                "RESOURCE_EXHAUSTED",
                "429",
                "You exceeded your current quota, please check your plan and billing details. * Quota exceeded for metric: x. Please retry in 34.07s.",
            ),
            (
                429,
                "",
                "429",
                "Requests to the API have exceeded the call rate limit of your tier. Please retry after 24 seconds.",
            ),
            (200, "rate_limit_error", "", "Rate limited"),
            (200, "", "429", "slow down"),
            (200, "requests", "rate_limit_exceeded", "Rate limit reached"),
        ],
        LIMITED,
    );
    check(
        &[
            (
                429,
                "insufficient_quota",
                "insufficient_quota",
                "You exceeded your current quota, please check your plan and billing details.",
            ),
            (429, "", "", "You exceeded your current quota, please check your plan and billing details."),
            (
                429,
                "rate_limit_error",
                "enforced_spend_limit_reached",
                "You have reached your API usage limits",
            ),
            (
                429,
                "rate_limit_error",
                "",
                "You have reached your API usage limits: your organization has crossed its monthly API usage threshold. You will regain access on 2026-09-01 at 00:00 UTC.",
            ),
            (
                400,
                "invalid_request_error",
                "",
                "You have reached your specified API usage limits. You will regain access on 2026-09-01 at 00:00 UTC.",
            ),
            (400, "invalid_request_error", "", "Your credit balance is too low to access the Anthropic API."),
            (400, "insufficient_quota", "billing_hard_limit_reached", "Billing hard limit has been reached"),
            (402, "unknown_error", "invalid_request_error", "Insufficient Balance"),
            (402, "", "402", "This request requires more credits, or fewer max_tokens."),
            (
                413,
                "tokens",
                "rate_limit_exceeded",
                "Request too large for model `llama` in organization `org` on tokens per minute (TPM): Limit 6000, Requested 8000",
            ),
            (
                429,
                "tokens",
                "rate_limit_exceeded",
                "Request too large for gpt-4o in organization org-X on tokens per min (TPM): Limit 30000, Requested 40000.",
            ),
        ],
        OURS,
    );
}

#[test]
fn keys_models_and_addresses_are_ours_whatever_the_status() {
    check(
        &[
            (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-X."),
            (400, "INVALID_ARGUMENT", "400", "API key not valid. Please pass a valid API key."),
            (
                403,
                "permission_error",
                "",
                "Your API key does not have permission to use the specified resource.",
            ),
            (404, "not_found_error", "", "model: claude-4-5-haiku"),
            (
                404,
                "invalid_request_error",
                "DeploymentNotFound",
                "The API deployment for this resource does not exist.",
            ),
            (
                404,
                "invalid_request_error",
                "model_not_found",
                "The model `x` does not exist or you do not have access to it.",
            ),
            (400, "invalid_model", "1500", "Invalid model: mistral-none"),
            (400, "invalid_request_error", "model_decommissioned", "The model `x` has been decommissioned"),
            (200, "authentication_error", "", "invalid x-api-key"),
        ],
        OURS,
    );
}

#[test]
fn what_is_wrong_with_the_call_itself_is_the_callers() {
    check(
        &[
            (400, "invalid_request_error", "", "messages: at least one message is required"),
            (413, "request_too_large", "", "Request exceeds the maximum size"),
            (
                400,
                "invalid_request_error",
                "previous_response_not_found",
                "Previous response with id 'resp_1' not found.",
            ),
            (
                404,
                "invalid_request_error",
                "",
                "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false.",
            ),
            (200, "invalid_request_error", "", "prefill is not supported"),
            (200, "BadRequestError", "400", "Extra data"),
        ],
        CALLER,
    );
}

#[test]
fn a_target_that_fails_may_be_asked_again() {
    check(
        &[
            (529, "overloaded_error", "", "Overloaded"),
            (500, "api_error", "", "Internal server error"),
            (503, "UNAVAILABLE", "503", "The model is overloaded. Please try again later."),
            (500, "server_error", "", "The server had an error while processing your request."),
            (200, "overloaded_error", "", "Overloaded"),
            (200, "api_error", "", "Internal server error"),
            (200, "server_error", "server_error", "The server had an error."),
            (200, "InternalServerError", "500", "EngineCore died"),
            (200, "something_new", "", "never seen"),
        ],
        TARGET,
    );
}

/// Headers as name and text.
type Headers<'h> = &'h [(&'h str, &'h str)];

const NOW: i64 = 1_741_305_600;

fn waits(headers: Headers<'_>, message: &str) -> Option<f64> {
    let header = |name: &str| headers.iter().find(|(found, _)| *found == name).map(|(_, text)| *text);
    retry_after_of(header, NOW, Some(&told("", "", message))).map(|wait| wait.as_secs_f64())
}

#[test]
fn what_was_said_for_this_answer_wins_over_what_describes_the_account() {
    let all: Headers<'_> = &[
        ("retry-after-ms", "250"),
        ("retry-after", "2"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "6m0s"),
    ];
    let message = "Limit reached. Please try again in 26.604s. Visit the page.";
    assert_eq!(waits(all, message), Some(0.25));
    assert_eq!(waits(&all[1..], message), Some(2.0));
    assert_eq!(waits(&all[2..], message), Some(26.604));
    assert_eq!(waits(&all[2..], ""), Some(360.0));
    let header = |name: &str| all[1..].iter().find(|(found, _)| *found == name).map(|(_, text)| *text);
    assert_eq!(retry_after(header, NOW), Some(Duration::from_secs(2)));
}

#[test]
fn a_wait_is_read_in_all_its_forms() {
    for (name, text, expected) in [
        ("retry-after", "1.5", Some(1.5)),
        ("retry-after", " 7 ", Some(7.0)),
        ("retry-after", "Fri, 07 Mar 2025 00:00:30 GMT", Some(30.0)),
        ("retry-after", "Thu, 06 Mar 2025 23:59:59 GMT", None),
        ("retry-after", "Thu, 29 Feb 2024 12:00:00 GMT", None),
        ("retry-after-ms", "644.5", Some(0.6445)),
        ("x-ratelimit-reset-requests", "120ms", Some(0.12)),
        ("x-ratelimit-reset-tokens", "2m59.56s", Some(179.56)),
        ("x-ratelimit-reset-tokens", "1h0m1s", Some(3_600.0)),
        ("x-ratelimit-reset", "1741305612000", Some(12.0)),
        ("x-ratelimit-reset", "1741305605", Some(5.0)),
        ("x-ratelimit-reset", "9", Some(9.0)),
    ] {
        assert_eq!(waits(&[(name, text)], ""), expected, "{name}: {text}");
    }
    for (message, expected) in [
        ("Please try again in 644ms.", Some(0.644)),
        ("Please try again in 6m0s.", Some(360.0)),
        ("Please retry in 34.07s.", Some(34.07)),
        ("Please retry after 24 seconds.", Some(24.0)),
        ("Please try again in 2 minutes and be patient", Some(120.0)),
        ("Please try again in a moment", None),
        ("try again in , then try again in 3s", Some(3.0)),
        ("try again in 17", None),
    ] {
        assert_eq!(waits(&[], message), expected, "{message}");
    }
}

#[test]
fn nonsense_is_passed_over_and_ages_are_cut() {
    for text in ["-1", "0", "", "soon", "NaN", "inf", "-5s", "0s", "Fri, 99 Mar 2025 00:00:30 GMT", "1 2"] {
        for name in ["retry-after", "retry-after-ms", "x-ratelimit-reset-tokens"] {
            assert_eq!(waits(&[(name, text)], ""), None, "{name}: {text}");
        }
        assert_eq!(waits(&[("retry-after-ms", text), ("retry-after", "3")], ""), Some(3.0), "{text}");
    }
    assert_eq!(waits(&[("retry-after", "1e300")], ""), Some(3_600.0));
    assert_eq!(waits(&[("retry-after", "86400")], ""), Some(3_600.0));
}

#[test]
fn a_limit_of_which_something_is_left_has_refused_nothing() {
    let headers: Headers<'_> =
        &[("x-ratelimit-remaining-requests", "499"), ("x-ratelimit-reset-requests", "120ms")];
    assert_eq!(waits(headers, ""), None);
    let headers: Headers<'_> = &[
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "120ms"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "8ms"),
    ];
    assert_eq!(waits(headers, ""), Some(0.12));
}

/// Errors as people quoted them in public threads, identifiers masked: status, headers, body, fault and wait.
#[test]
fn errors_that_people_met_are_judged_and_waited_for_rightly() {
    type Case = (u16, Headers<'static>, &'static str, Fault, Option<f64>);
    let cases: [Case; 9] = [
        // https://github.com/anthropics/claude-code/issues/71279
        (
            429,
            &[],
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"Rate limited"},"request_id":"req_MASKED"}"#,
            LIMITED,
            None,
        ),
        // https://github.com/anthropics/claude-code/issues/61368
        (
            500,
            &[],
            r#"{"type":"error","error":{"type":"api_error","message":"Internal server error"},"request_id":"req_MASKED"}"#,
            TARGET,
            None,
        ),
        // https://github.com/openai/openai-dotnet/issues/838
        (
            429,
            &[
                ("x-ratelimit-limit-tokens", "-1"),
                ("x-ratelimit-remaining-tokens", "-1"),
                ("x-ratelimit-reset-tokens", "0"),
            ],
            "",
            LIMITED,
            None,
        ),
        // https://github.com/BuilderIO/micro-agent/issues/86
        (
            429,
            &[],
            r#"{"error":{"message":"Rate limit reached for gpt-4o in organization org-MASKED on tokens per min (TPM): Limit 30000, Used 29937, Requested 385. Please try again in 644ms.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
            LIMITED,
            Some(0.644),
        ),
        // https://github.com/alexrudall/ruby-openai/issues/501
        (
            429,
            &[],
            r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            OURS,
            None,
        ),
        // https://github.com/continuedev/continue/issues/11472
        (
            429,
            &[],
            r#"{"error":{"message":"Rate limit reached for gpt-4.1 in organization org-MASKED on tokens per min (TPM): Limit 30000, Used 18928, Requested 11159. Please try again in 174ms. Visit https://platform.openai.com/account/rate-limits to learn more.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
            LIMITED,
            Some(0.174),
        ),
        // https://github.com/daveshap/Medical_Intake/issues/9
        (
            429,
            &[],
            r#"{"error":{"message":"Rate limit reached for 10KTPM-200RPM in organization org-MASKED on tokens per min. Limit: 10000 / min. Please try again in 6ms. Contact us through our help center at help.openai.com if you continue to have issues.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
            LIMITED,
            Some(0.006),
        ),
        // https://github.com/open-webui/open-webui/issues/3743
        (
            429,
            &[
                ("x-ratelimit-limit-requests", "500"),
                ("x-ratelimit-limit-tokens", "30000"),
                ("x-ratelimit-remaining-requests", "499"),
                ("x-ratelimit-remaining-tokens", "29996"),
                ("x-ratelimit-reset-requests", "120ms"),
                ("x-ratelimit-reset-tokens", "8ms"),
            ],
            "",
            LIMITED,
            None,
        ),
        // https://github.com/rotemweiss57/gpt-newspaper/issues/10
        (
            429,
            &[],
            r#"{"error":{"message":"Rate limit reached for gpt-4 in organization org-MASKED on tokens per min (TPM): Limit 10000, Used 9348, Requested 5086. Please try again in 26.604s. Visit https://platform.openai.com/account/rate-limits to learn more.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
            LIMITED,
            Some(26.604),
        ),
    ];
    for (status, headers, body, fault, wait) in cases {
        let error = body.split_once(r#""error":"#).map(|(_, rest)| {
            // The member itself: an object without braces in its texts.
            let end = rest.find('}').unwrap() + 1;
            AnswerError::read(&rest[..end]).unwrap()
        });
        let header = |name: &str| headers.iter().find(|(found, _)| *found == name).map(|(_, text)| *text);
        assert_eq!(of(status, error.as_ref()), fault, "{body}");
        let waited = retry_after_of(header, NOW, error.as_ref()).map(|wait| wait.as_secs_f64());
        assert_eq!(waited, wait, "{body}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_or_wait_for_ever(text in ".{0,60}", status in any::<u16>(), now in any::<i64>()) {
        let error = told(&text, &text, &format!("try again in {text}"));
        of(status, Some(&error));
        for name in ["retry-after", "retry-after-ms", "x-ratelimit-reset-tokens", "x-ratelimit-reset"] {
            let header = |asked: &str| (asked == name).then_some(text.as_str());
            let wait = retry_after_of(header, now, Some(&error));
            prop_assert!(wait.is_none_or(|wait| wait <= RETRY_AFTER_MAX));
        }
    }

    #[test]
    fn a_date_in_the_future_is_waited_for(ahead in 1i64..3_600, day in 1i64..28, hour in 0i64..23) {
        let text = format!("Xyz, {day:02} Mar 2025 {hour:02}:{:02}:{:02} GMT", ahead / 60, ahead % 60);
        let midnight = 1_740_787_200 + (day - 1) * 86_400;
        let header = |asked: &str| (asked == "retry-after").then_some(text.as_str());
        prop_assert_eq!(retry_after(header, midnight + hour * 3_600), Some(Duration::from_secs(ahead as u64)));
    }
}
