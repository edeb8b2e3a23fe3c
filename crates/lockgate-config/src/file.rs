//! What people write: every key, what it is for, how its value is written, and what is taken when it is not there.
//!
//! The tables read as the file does, from the top down. They are all that the reader, the schema and the reference page know.

mod plan;
mod target;

use std::time::Duration;

pub(crate) use self::plan::{GATE, PHASE, PLAN, SLICES, TRIGGER};
pub(crate) use self::target::{
    AGENT, ANTHROPIC, ANTHROPIC_SPEAKS, BREAKER, OPENAI, OPENAI_SPEAKS, RETRIES, RULE, RULES,
};
use self::target::{RETRIES_COUNT, TARGETS};
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
        or(
            "translation",
            Kind::OneOf(&["drop", "strict"]),
            "drop",
            "What happens to a part of a call that a target's API cannot say: left out and told in a header, or refused.",
        ),
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
    says: "One tier of a chain. `rules` have no key but `target`, and agents have no use for `model`, `system` and `hold_back`. Times and retries are the target's, but for those that are written here.",
    keys: &[
        required("target", Kind::Name, "Who answers."),
        optional(
            "model",
            Kind::Text,
            "The model asked for. Needed for a model's target: the client's `model` names the feature.",
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
        optional(
            "timeout",
            WAIT,
            "Longest time to the end of a plain answer; and to the first content of a stream, unless the tier or its target has a `first_content_timeout`.",
        ),
        optional("first_content_timeout", WAIT, "Longest time to the first content of a stream."),
        optional("idle_timeout", WAIT, "Longest silence inside a stream."),
        optional("stream_timeout", WAIT, "Longest time to the end of a stream."),
        optional("sla", WAIT, "A call that takes longer counts as a failure for the target's breaker."),
        optional("retries", RETRIES_COUNT, "Most further tries of one call at this tier."),
        or(
            "hold_back",
            Kind::Whole(0, 1000),
            "0",
            "How many tokens of a stream are held back before the first is passed on. Until then another tier can still step in.",
        ),
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
        or(
            "lame_duck",
            Kind::Duration(Duration::ZERO, HOUR),
            "1s",
            "How long a stopping process goes on taking calls, each on a connection that closes after it.",
        ),
        or(
            "ping",
            Kind::Duration(Duration::from_millis(10), HOUR),
            "12s",
            "Longest silence towards a client that waits for a stream; then it is sent a comment.",
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
