//! What people write: every key, what it is for, how its value is written, and what is taken when it is not there.
//!
//! The tables read as the file does, from the top down. They are all that the reader, the schema and the reference page know.

mod plan;

use std::time::Duration;

pub(crate) use self::plan::{GATE, PHASE, PLAN, SLICES, TRIGGER};
use crate::duration::LONGEST;
use crate::shape::{Key, Kind, Presence, Shape};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// No wait for an upstream may be longer than the longest life of a call.
const WAIT: Kind = Kind::Duration(MS, HOUR);

pub(crate) static FILE: Shape = Shape {
    name: "file",
    says: "The whole file.",
    keys: &[
        or("listen", Kind::Address, "127.0.0.1:7080", "Where clients call."),
        optional("admin", Kind::Shape(&ADMIN), "The port for people and the command line."),
        or(
            "store",
            Kind::Text,
            "sqlite://lockgate.db",
            "Where the log and the sums are kept: `sqlite://FILE`, relative to this file, or `sqlite::memory:`, which is gone with the process.",
        ),
        or("limits", Kind::OneOf(&["memory"]), "memory", "Where limits are counted: in this process."),
        required("targets", Kind::Named(&Kind::Tagged(TARGETS)), "The upstreams, by name."),
        required(
            "features",
            Kind::Named(&Kind::Shape(&FEATURE)),
            "The features, by the name that clients send as `model`.",
        ),
        optional(
            "plans",
            PLANS,
            "The plans, by name. `standard` is built in; what is written for it here changes it.",
        ),
        optional(
            "clients",
            Kind::Named(&Kind::Shape(&CLIENT)),
            "The client keys, by a name for people. Without any, every caller is served; with any, a caller must present one.",
        ),
        optional("bounds", Kind::Shape(&BOUNDS), "What a call may weigh, and how many may be under way."),
        optional("signals", Kind::Shape(&SIGNALS), "How behaviour is counted."),
        optional(
            "prices",
            Kind::Keyed(&Kind::Shape(&PRICE)),
            "What tokens cost, by model. A price at a tier comes first.",
        ),
    ],
};

pub(crate) static ADMIN: Shape = Shape {
    name: "admin",
    says: "The port for people and the command line.",
    keys: &[
        or("listen", Kind::Address, "127.0.0.1:7081", "Where it listens."),
        optional(
            "token",
            Kind::Secret,
            "What callers must present; needed when it listens beyond this machine.",
        ),
    ],
};

/// The kinds of targets.
pub(crate) const TARGETS: &[(&str, &Shape)] = &[("openai", &OPENAI), ("agent", &AGENT), ("rules", &RULES)];

const BASE_URL: Kind = Kind::Text;
const API_KEY: Key = optional("api_key", Kind::Secret, "Sent as `authorization: Bearer`.");
const TIMEOUT: Key = or(
    "timeout",
    WAIT,
    "60s",
    "Longest time from sending a call to the end of a plain answer, or to the first chunk of a stream.",
);
const CONNECT_TIMEOUT: Key = or("connect_timeout", WAIT, "5s", "Longest time to a connection.");
const IDLE_TIMEOUT: Key = or("idle_timeout", WAIT, "30s", "Longest silence inside a stream.");

pub(crate) static OPENAI: Shape = Shape {
    name: "openai target",
    says: "An OpenAI-compatible server.",
    keys: &[
        required("kind", Kind::OneOf(&["openai"]), "What it is."),
        required("base_url", BASE_URL, "What comes before `/chat/completions`: `https://api.openai.com/v1`."),
        API_KEY,
        TIMEOUT,
        CONNECT_TIMEOUT,
        IDLE_TIMEOUT,
        or(
            "asks_usage",
            Kind::Flag,
            "true",
            "Whether a stream may be asked for its usage (`stream_options.include_usage`); some servers refuse the field.",
        ),
    ],
};

pub(crate) static AGENT: Shape = Shape {
    name: "agent target",
    says: "A plain HTTP agent: any JSON is posted to it.",
    keys: &[
        required("kind", Kind::OneOf(&["agent"]), "What it is."),
        required("base_url", BASE_URL, "Where calls are posted."),
        API_KEY,
        TIMEOUT,
        CONNECT_TIMEOUT,
        IDLE_TIMEOUT,
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

pub(crate) static FEATURE: Shape = Shape {
    name: "feature",
    says: "One AI capability as its users know it.",
    keys: &[
        optional("owner", Kind::Text, "Who answers for it. A rollout without an owner does not start."),
        required("stable", Kind::Name, "The version that users have."),
        or(
            "sticky",
            Kind::OneOf(&["user", "session"]),
            "user",
            "What an assignment sticks to first; the other one comes next, then the call itself.",
        ),
        optional(
            "segments",
            Kind::List(&Kind::Either(&Kind::Name, &Kind::Shape(&SEGMENT))),
            "The labels that slice its traffic, as a name or with details.",
        ),
        required("versions", Kind::Named(&Kind::Shape(&VERSION)), "Its versions, by name."),
        optional("shadow", Kind::Shape(&SHADOW), "How copies of its calls are bounded."),
        optional(
            "feedback",
            Kind::Named(&Kind::Either(&Kind::OneOf(&["rate"]), &Kind::Shape(&SCORE))),
            "What may be reported of its answers beside the built-in names: `rate` for yes or no, or a score with its range.",
        ),
        or("csat", Kind::Range, "[1, 5]", "The range in which satisfaction is reported."),
    ],
};

pub(crate) static SEGMENT: Shape = Shape {
    name: "segment",
    says: "One label that slices traffic. The `x-lockgate-segment` header is always read first; a client key that fixes the label comes before everything.",
    keys: &[
        required("name", Kind::Name, "The label."),
        optional("from", Kind::List(&Kind::Shape(&SOURCE)), "Where else its value is read, in order."),
        optional(
            "values",
            Kind::List(&Kind::Name),
            "The values it may take; any, when not written, of which the first 64 are counted apart.",
        ),
        optional("default", Kind::Name, "The value of a caller that has none."),
    ],
};

pub(crate) static SOURCE: Shape = Shape {
    name: "source of a label",
    says: "Where a label's value is read: one of the two.",
    keys: &[
        optional("header", Kind::Text, "A request header."),
        optional("metadata", Kind::Text, "A string in the body's `metadata`."),
    ],
};

pub(crate) static SHADOW: Shape = Shape {
    name: "shadow",
    says: "How copies of a feature's calls are bounded. What does not fit is dropped and counted.",
    keys: &[
        or("concurrency", Kind::Whole(1, 1024), "8", "Copies under way at once."),
        or("queue", Kind::Whole(0, 65_536), "256", "Copies waiting."),
        or("deadline", WAIT, "60s", "Longest life of a copy, waiting included."),
        or(
            "daily_usd",
            Kind::Number(0.0, 1e9),
            "50",
            "Money per UTC day. A model without a price is counted at 20 USD per million tokens read and 100 USD per million written.",
        ),
    ],
};

pub(crate) static SCORE: Shape = Shape {
    name: "score",
    says: "A signal that is reported as a number.",
    keys: &[required("score", Kind::Range, "The range in which it is reported: `[0, 10]`. More is better.")],
};

pub(crate) static VERSION: Shape = Shape {
    name: "version",
    says: "One version of a feature: what is rolled out.",
    keys: &[
        required(
            "kind",
            Kind::OneOf(&["prompt", "model", "retrieval", "pipeline"]),
            "What kind of change it is.",
        ),
        required("chain", Kind::List(&Kind::Shape(&TIER)), "The tiers it answers through, best first."),
        or(
            "shadow_tools",
            Kind::Flag,
            "false",
            "Whether a copy of a call keeps its tools. Without, a shadow answer cannot act.",
        ),
    ],
};

pub(crate) static TIER: Shape = Shape {
    name: "tier",
    says: "One tier of a chain. All but `target` are for model servers; `parameters` and `price` are for agents too.",
    keys: &[
        required("target", Kind::Name, "Who answers."),
        optional(
            "model",
            Kind::Text,
            "The model asked for. Needed for an `openai` target: the client's `model` names the feature.",
        ),
        optional(
            "system",
            Kind::Either(&Kind::Text, &Kind::Shape(&PROMPT)),
            "A system message put before the client's messages: a file, relative to this one, or `{ text: ... }`.",
        ),
        optional(
            "parameters",
            Kind::Any,
            "Members of the request's body that are set, in place of the client's: `{ temperature: 0.2 }`.",
        ),
        optional("price", Kind::Shape(&PRICE), "What its tokens cost."),
    ],
};

pub(crate) static PROMPT: Shape = Shape {
    name: "prompt",
    says: "A prompt written in this file.",
    keys: &[required("text", Kind::Text, "The prompt.")],
};

pub(crate) static PRICE: Shape = Shape {
    name: "price",
    says: "What a model's tokens cost.",
    keys: &[
        required("input_per_million", USD, "US dollars per million tokens read."),
        required("output_per_million", USD, "US dollars per million tokens written."),
    ],
};

const USD: Kind = Kind::Number(0.0, 1e6);

/// Plans, by name.
pub(crate) const PLANS: Kind = Kind::Named(&Kind::Shape(&PLAN));

pub(crate) static CLIENT: Shape = Shape {
    name: "client",
    says: "A client key and what it fixes.",
    keys: &[
        required("key", Kind::Secret, "What is presented in `authorization: Bearer` or `x-api-key`."),
        optional("segments", Kind::Named(&Kind::Name), "Labels that no header can change."),
        optional("features", Kind::List(&Kind::Name), "The features it may call; all, when not written."),
    ],
};

pub(crate) static BOUNDS: Shape = Shape {
    name: "bounds",
    says: "What a call may weigh, and how many may be under way.",
    keys: &[
        or(
            "body_bytes_max",
            Kind::Size(1 << 10, 1 << 30),
            "32MiB",
            "Largest request body; a larger one is answered with 413.",
        ),
        or(
            "header_bytes_max",
            Kind::Size(1 << 10, 1 << 20),
            "64KiB",
            "Largest sum of request header names and values; more is answered with 431.",
        ),
        or(
            "answer_bytes_kept_max",
            Kind::Size(1 << 10, 1 << 30),
            "1MiB",
            "Largest answer that is kept to be read for usage and agreement; a longer one is still relayed whole.",
        ),
        or(
            "calls_max",
            Kind::Whole(1, 1 << 20),
            "4096",
            "Calls under way at once; more are answered with 503.",
        ),
        or(
            "deadline",
            Kind::Duration(SECOND, HOUR),
            "600s",
            "Longest life of a call, unless its client asks for less.",
        ),
        or(
            "drain",
            Kind::Duration(Duration::ZERO, HOUR),
            "120s",
            "How long a stopping process waits for calls under way.",
        ),
    ],
};

pub(crate) static SIGNALS: Shape = Shape {
    name: "signals",
    says: "How behaviour is counted.",
    keys: &[
        or(
            "bucket",
            Kind::Duration(Duration::from_millis(10), HOUR),
            "10s",
            "The width of a bucket; decisions are looked at once per bucket.",
        ),
        or(
            "flush",
            Kind::Duration(MS, HOUR),
            "1s",
            "How often sums are written to the store; at most `bucket`.",
        ),
        or(
            "watermark",
            Kind::Duration(MS, HOUR),
            "2s",
            "How long after its end a bucket is read; at least two flushes.",
        ),
        or(
            "session_idle",
            Kind::Duration(Duration::from_millis(10), DAY),
            "10m",
            "A session with no call for so long has ended, and what it cost is counted; at least `bucket`.",
        ),
        or(
            "retention",
            Kind::Duration(SECOND, LONGEST),
            "30d",
            "How long buckets and answers are kept; at least ten buckets.",
        ),
    ],
};

const fn required(name: &'static str, kind: Kind, says: &'static str) -> Key {
    Key { name, says, kind, presence: Presence::Required }
}

const fn optional(name: &'static str, kind: Kind, says: &'static str) -> Key {
    Key { name, says, kind, presence: Presence::Optional }
}

const fn or(name: &'static str, kind: Kind, default: &'static str, says: &'static str) -> Key {
    Key { name, says, kind, presence: Presence::Default(default) }
}
