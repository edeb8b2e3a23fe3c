//! The keys of a target: where it is, how it is spoken to, how long it may take, and when it is left alone.

use std::time::Duration;

use super::{HOUR, MS, SECOND, WAIT, optional, or, required};
use crate::shape::{Key, Kind, Shape};

/// The kinds of targets.
pub(crate) const TARGETS: &[(&str, &Shape)] =
    &[("openai", &OPENAI), ("anthropic", &ANTHROPIC), ("agent", &AGENT), ("rules", &RULES)];

const BASE_URL: Kind = Kind::Text;
const API_KEY: Key = optional("api_key", Kind::Secret, "The key that is sent, as `auth_header` says.");
const AUTH_HEADER: Key = or(
    "auth_header",
    Kind::Text,
    "authorization",
    "Where the key is sent: `authorization` sends `Bearer KEY`, any other header (`api-key`, `x-goog-api-key`) the key alone.",
);
const HEADERS: Key = optional(
    "headers",
    Kind::Keyed(&Kind::Either(&Kind::Text, &Kind::Secret)),
    "Headers that every call carries, in place of the client's: a text, or a secret.",
);
const QUERY: Key = optional(
    "query",
    Kind::Keyed(&Kind::Text),
    "Put behind the path of every call, percent-encoded: `{ api-version: 2024-10-21 }`.",
);
const CA_FILE: Key = optional(
    "ca_file",
    Kind::Text,
    "Certificates of authorities that are trusted beside the platform's, as PEM, in a file relative to this one.",
);
const CONNECT_TIMEOUT: Key =
    or("connect_timeout", WAIT, "5s", "Longest time to a connection, name lookup, proxy and TLS included.");
const TIMEOUT: Key = or(
    "timeout",
    WAIT,
    "60s",
    "Longest time from sending a call to the end of a plain answer; and to the first content of a stream, unless `first_content_timeout` says otherwise.",
);
const FIRST_CONTENT_TIMEOUT: Key = optional(
    "first_content_timeout",
    WAIT,
    "Longest time from sending a call to the first content of a stream. As long as `timeout`, when not written.",
);
const IDLE_TIMEOUT: Key = or("idle_timeout", WAIT, "30s", "Longest silence inside a stream.");
const STREAM_TIMEOUT: Key = optional(
    "stream_timeout",
    WAIT,
    "Longest time from sending a call to the end of a stream. Only the call's own deadline, when not written.",
);
const TOKENS_PER_SECOND: Key = optional(
    "min_tokens_per_second",
    Kind::Number(0.001, 1e6),
    "The least speed of a stream once it has begun, over 10 s. A slower one is broken off as a stalled one is.",
);
const SLA: Key = optional(
    "sla",
    WAIT,
    "A call that takes longer, to its end or to a stream's first content, counts as a failure for the breaker, although its answer is used.",
);
const RESUMES: Key = or(
    "resumes",
    Kind::Flag,
    "false",
    "Whether a stream that broke off elsewhere may be gone on with here, by giving its beginning as the assistant's last message. Some models refuse that.",
);
const CONTEXT_WINDOW: Key = optional(
    "context_window",
    Kind::Whole(1, 1_000_000_000),
    "The most tokens that its models can take. A call that was too long for one target goes on only to one that declares more.",
);
const BREAKER_KEY: Key = optional("breaker", Kind::Shape(&BREAKER), "When it is not asked any more.");
const RETRIES_KEY: Key = optional(
    "retries",
    Kind::Either(&RETRIES_COUNT, &RETRIES_IN_DETAIL),
    "How a failed call is tried again here before the next tier is asked: how often, or more in detail.",
);
const AGENT_RETRIES_KEY: Key = optional(
    "retries",
    Kind::Either(&RETRIES_COUNT, &RETRIES_IN_DETAIL),
    "How a failed call is tried again here: how often, or more in detail. Not at all where nothing is written, because an agent may \
     have acted before it failed.",
);
/// A tenth further try helps nobody who waits.
pub(super) const RETRIES_COUNT: Kind = Kind::Whole(0, 10);
static RETRIES_IN_DETAIL: Kind = Kind::Shape(&RETRIES);

pub(crate) static OPENAI: Shape = Shape {
    name: "openai target",
    says: "An OpenAI-compatible server.",
    keys: &[
        required("kind", Kind::OneOf(&["openai"]), "What it is."),
        required("base_url", BASE_URL, "What comes before `/chat/completions`: `https://api.openai.com/v1`."),
        API_KEY,
        AUTH_HEADER,
        HEADERS,
        QUERY,
        or(
            "speaks",
            Kind::List(&Kind::Either(
                &Kind::OneOf(&["chat", "responses", "embeddings", "messages", "count_tokens"]),
                &Kind::Shape(&OPENAI_SPEAKS),
            )),
            "[chat, responses, embeddings]",
            "The APIs that it has, by name or with a path of their own. Others are translated to these where that can be done, or asked of the next tier.",
        ),
        CA_FILE,
        CONNECT_TIMEOUT,
        TIMEOUT,
        FIRST_CONTENT_TIMEOUT,
        IDLE_TIMEOUT,
        STREAM_TIMEOUT,
        TOKENS_PER_SECOND,
        SLA,
        or(
            "asks_usage",
            Kind::Flag,
            "true",
            "Whether a stream may be asked for its usage (`stream_options.include_usage`); some servers refuse the field.",
        ),
        RESUMES,
        CONTEXT_WINDOW,
        BREAKER_KEY,
        RETRIES_KEY,
    ],
};

pub(crate) static OPENAI_SPEAKS: Shape = Shape {
    name: "api of an openai target",
    says: "An API at a path of its own. By name alone they are at `/chat/completions`, `/responses`, `/embeddings`, `/messages` and `/messages/count_tokens`.",
    keys: &[
        required(
            "api",
            Kind::OneOf(&["chat", "responses", "embeddings", "messages", "count_tokens"]),
            "Which one.",
        ),
        required("path", Kind::Text, "What is put behind `base_url`: `/api/chat`."),
    ],
};

pub(crate) static ANTHROPIC: Shape = Shape {
    name: "anthropic target",
    says: "A server that speaks Anthropic's messages.",
    keys: &[
        required("kind", Kind::OneOf(&["anthropic"]), "What it is."),
        required("base_url", BASE_URL, "What comes before `/v1/messages`: `https://api.anthropic.com`."),
        API_KEY,
        or(
            "auth_header",
            Kind::Text,
            "x-api-key",
            "Where the key is sent: `authorization` sends `Bearer KEY`, any other header the key alone.",
        ),
        HEADERS,
        QUERY,
        or(
            "speaks",
            Kind::List(&Kind::Either(
                &Kind::OneOf(&["messages", "count_tokens"]),
                &Kind::Shape(&ANTHROPIC_SPEAKS),
            )),
            "[messages, count_tokens]",
            "The APIs that it has, by name or with a path of their own.",
        ),
        CA_FILE,
        CONNECT_TIMEOUT,
        TIMEOUT,
        FIRST_CONTENT_TIMEOUT,
        IDLE_TIMEOUT,
        STREAM_TIMEOUT,
        TOKENS_PER_SECOND,
        SLA,
        or(
            "max_tokens",
            Kind::Whole(1, 1_000_000_000),
            "4096",
            "The longest answer, in tokens, of a translated call that names none: this API wants a number. The default is one that every model of this kind accepts.",
        ),
        RESUMES,
        CONTEXT_WINDOW,
        BREAKER_KEY,
        RETRIES_KEY,
    ],
};

pub(crate) static ANTHROPIC_SPEAKS: Shape = Shape {
    name: "api of an anthropic target",
    says: "An API at a path of its own. By name alone they are at `/v1/messages` and `/v1/messages/count_tokens`.",
    keys: &[
        required("api", Kind::OneOf(&["messages", "count_tokens"]), "Which one."),
        required("path", Kind::Text, "What is put behind `base_url`: `/messages`."),
    ],
};

pub(crate) static AGENT: Shape = Shape {
    name: "agent target",
    says: "A plain HTTP agent: any JSON is posted to it.",
    keys: &[
        required("kind", Kind::OneOf(&["agent"]), "What it is."),
        required("base_url", BASE_URL, "Where calls are posted."),
        API_KEY,
        AUTH_HEADER,
        HEADERS,
        QUERY,
        CA_FILE,
        CONNECT_TIMEOUT,
        TIMEOUT,
        FIRST_CONTENT_TIMEOUT,
        IDLE_TIMEOUT,
        STREAM_TIMEOUT,
        SLA,
        BREAKER_KEY,
        AGENT_RETRIES_KEY,
    ],
};

pub(crate) static BREAKER: Shape = Shape {
    name: "breaker",
    says: "When a target is not asked any more, and how it is tried again. Only its own faults count: a caller's mistake, a content filter and a text that is too long do not.",
    keys: &[
        or("consecutive", Kind::Whole(1, 10_000), "5", "Failures in a row that open it."),
        or("rate", Kind::Share, "50%", "The part of the calls in the window whose failure opens it."),
        or(
            "calls_min",
            Kind::Whole(1, 1_000_000),
            "20",
            "Calls in the window below which `rate` says nothing.",
        ),
        or("window", Kind::Duration(SECOND, HOUR), "30s", "The rolling window."),
        or(
            "open",
            Kind::Duration(MS, HOUR),
            "10s",
            "How long it stays open the first time; each time that a probe fails, twice as long.",
        ),
        or("open_max", Kind::Duration(MS, HOUR), "5m", "The longest that it stays open; at least `open`."),
        or(
            "probes",
            Kind::Whole(1, 1000),
            "3",
            "Calls that pass after that, at once and in all, and that must succeed.",
        ),
        or(
            "recovery",
            Kind::Duration(Duration::ZERO, HOUR),
            "30s",
            "How long the share of calls then grows, from a small part to all.",
        ),
    ],
};

pub(crate) static RETRIES: Shape = Shape {
    name: "retries",
    says: "How a failed call is tried again at the same target.",
    keys: &[
        or("retries", RETRIES_COUNT, "2", "Most further tries of one call."),
        or("base", WAIT, "200ms", "The bound of the first pause, which is drawn; it doubles with each try."),
        or("max", WAIT, "5s", "The longest bound of a pause; at least `base`."),
        or("budget", Kind::Share, "10%", "Retries per call, over the rolling traffic of the target."),
    ],
};

pub(crate) static RULES: Shape = Shape {
    name: "rules target",
    says: "A deterministic responder that needs no network: the last tier of a chain.",
    keys: &[
        required("kind", Kind::OneOf(&["rules"]), "What it is."),
        optional("rules", Kind::List(&Kind::Shape(&RULE)), "Tried in order."),
        required("otherwise", Kind::Text, "The answer when no rule matches."),
    ],
};

pub(crate) static RULE: Shape = Shape {
    name: "rule",
    says: "One rule of a deterministic responder.",
    keys: &[
        required(
            "when",
            Kind::Text,
            "A regular expression, matched against the last user message, or the whole body for a plain agent.",
        ),
        required("answer", Kind::Text, "What is answered."),
    ],
};
