//! The keys of a plan: its phases, gates, triggers and slices.

use std::time::Duration;

use super::{MS, WAIT, optional, or, required};
use crate::duration::LONGEST;
use crate::shape::{Key, Kind, Shape};

pub(crate) static PLAN: Shape = Shape {
    name: "plan",
    says: "The path of a rollout. It is stored with the rollout when that starts: a later change of this file does not move the goalposts.",
    keys: &[
        optional("based_on", Kind::Name, "A plan whose values are taken for what is not written here."),
        or(
            "alpha",
            Kind::Share,
            "1%",
            "Probability, over the whole rollout, of taking a harmless candidate back.",
        ),
        or(
            "beta",
            Kind::Share,
            "5%",
            "Probability, per gate, of passing a candidate that is at or past the limit.",
        ),
        or(
            "warm_for",
            Kind::Duration(Duration::ZERO, LONGEST),
            "14d",
            "How long the old version stays ready after completion.",
        ),
        optional(
            "phases",
            Kind::List(&Kind::Shape(&PHASE)),
            "In order: copies first, then shares that rise or reach more people. A last phase with everybody is added when it is missing.",
        ),
        optional(
            "triggers",
            Kind::List(&Kind::Shape(&TRIGGER)),
            "What takes the candidate back or freezes the rollout, in any phase.",
        ),
        optional(
            "slices",
            Kind::Shape(&SLICES),
            "How single slices of the traffic are judged beside the whole.",
        ),
        or(
            "on_deadline",
            Kind::OneOf(&["pause", "roll_back"]),
            "pause",
            "What becomes of a phase that was not left by its deadline: it stands still and calls for a person, or all traffic goes back.",
        ),
    ],
};

pub(crate) static SLICES: Shape = Shape {
    name: "slices",
    says: "How single slices of the traffic, one for each value of each label that the feature has, are judged beside the whole: by the same gates and triggers, each with evidence of its own.",
    keys: &[
        or(
            "do",
            Kind::OneOf(&["roll_back", "withdraw", "freeze"]),
            "roll_back",
            "What follows when a rule is shown to be broken in one slice: all traffic goes back, only the slice does, or the rollout is frozen.",
        ),
        or(
            "part",
            Kind::Share,
            "30%",
            "The part of `alpha` that all slices together may use. At 0 slices are not judged.",
        ),
    ],
};

pub(crate) static PHASE: Shape = Shape {
    name: "phase",
    says: "One stretch of the path: `shadow` or `share`, and what must hold before it is left.",
    keys: &[
        optional("name", Kind::Text, "For people. When not written: `shadow`, or the share."),
        optional(
            "shadow",
            Kind::Share,
            "The part of the calls of which the candidate gets copies, after the user's own answer.",
        ),
        optional("share", Kind::Share, "The part of the users whom the candidate answers."),
        optional(
            "dwell",
            Kind::Duration(MS, LONGEST),
            "Not left forwards before this has passed. Needed in all phases but the one with everybody.",
        ),
        optional(
            "deadline",
            Kind::Duration(MS, LONGEST),
            "When it has not been left by then, `on_deadline` says what follows. When not written: three times `dwell`.",
        ),
        optional(
            "only",
            Kind::List(&Kind::Named(&Kind::Either(&Kind::Name, &Kind::List(&Kind::Name)))),
            "Whom it may touch: callers who fit any of these, each a label with its value or values.",
        ),
        optional(
            "gates",
            Kind::List(&Kind::Shape(&GATE)),
            "All must pass for the phase to be left forwards. Needed in all phases but the one with everybody.",
        ),
    ],
};

const SIGNAL: Key = required("signal", Kind::Text, "What is looked at.");
const BLAME: Kind = Kind::Either(&Kind::OneOf(&["always"]), &Kind::Number(1.0, 100.0));
const WEIGHT: Kind = Kind::Number(0.0, 1000.0);

pub(crate) static GATE: Shape = Shape {
    name: "gate",
    says: "What must be shown for a phase to be left: a signal and one rule. A rule that is shown to be broken takes the candidate back.",
    keys: &[
        SIGNAL,
        optional("below", Kind::Share, "A rate is under this."),
        optional("above", Kind::Share, "A mean score, or a rate of which more is better, is over this."),
        optional(
            "within",
            Kind::Share,
            "A mean score, or a rate of which more is better, is shown to be less than this under stable's at the same time; `session_cost` to be less than this over it.",
        ),
        optional(
            "fail_beyond",
            Kind::Share,
            "For `within`: broken when it is shown to be more than this under stable's (`session_cost`: over). When not written: the same.",
        ),
        optional(
            "ratio_below",
            Kind::Number(1.0, 100.0),
            "A rate is shown to be under this many times stable's at the same time.",
        ),
        optional(
            "ratio_fail",
            Kind::Number(1.0, 100.0),
            "For `ratio_below`: broken when it is shown to be over this many times stable's. When not written: the same.",
        ),
        optional("p50_below", SLOW, "Half of the calls are faster than this."),
        optional("p90_below", SLOW, "90 % of the calls are faster."),
        optional("p95_below", SLOW, "95 % of the calls are faster."),
        optional("p99_below", SLOW, "99 % of the calls are faster."),
        optional("p999_below", SLOW, "99.9 % of the calls are faster."),
        optional(
            "never",
            Kind::Flag,
            "`true`: it does not happen at all. The first time breaks it, without statistics; it passes while nothing happened.",
        ),
        optional(
            "shift_below",
            Kind::Number(1.0, 100.0),
            "Sizes are spread as stable's at the same time: no range of them (1, 2 to 3, 4 to 7, and so on) is this many times as common.",
        ),
        optional(
            "blame",
            BLAME,
            "For `below` and `p.._below`: a broken limit is held against the candidate only when it is also shown to be more than this many times stable's, because a provider's incident hits both. When not written: 1.25.",
        ),
        or(
            "need",
            Kind::OneOf(&["always", "if_reported"]),
            "always",
            "Whether it waits for a signal that nobody has reported yet.",
        ),
        or(
            "weight",
            WEIGHT,
            "1",
            "Its part of `alpha`, relative to the other gates and triggers. At 0 it can only pass or wait. `never` needs none: it fails without statistics, and its weight is 0 when not written.",
        ),
    ],
};

const SLOW: Kind = WAIT;

pub(crate) static TRIGGER: Shape = Shape {
    name: "trigger",
    says: "What, at any moment, takes the candidate back or freezes the rollout: a signal and one rule.",
    keys: &[
        SIGNAL,
        optional("above", Kind::Share, "A rate is over this."),
        optional("below", Kind::Share, "A mean score, or a rate of which more is better, is under this."),
        optional(
            "drops",
            Kind::Share,
            "A mean score, or a rate of which more is better, is more than this under stable's at the same time.",
        ),
        optional(
            "ratio_above",
            Kind::Number(1.0, 100.0),
            "A rate is more than this many times stable's at the same time.",
        ),
        optional("p50_above", SLOW, "Half of the calls are slower than this."),
        optional("p90_above", SLOW, "10 % of the calls are slower."),
        optional("p95_above", SLOW, "5 % of the calls are slower."),
        optional("p99_above", SLOW, "1 % of the calls are slower."),
        optional("p999_above", SLOW, "0.1 % of the calls are slower."),
        optional(
            "times_stable",
            Kind::Number(1.0, 1000.0),
            "What is spent in the window per session that began in it is more than this many times stable's. A plain comparison of sums, outside `alpha`.",
        ),
        optional("rises", Kind::Share, "`session_cost` is more than this over stable's at the same time."),
        optional(
            "never",
            Kind::Flag,
            "`true`: it must not happen at all. The first time fires, without statistics and outside `alpha`.",
        ),
        optional(
            "shift_above",
            Kind::Number(1.0, 100.0),
            "Sizes are spread otherwise than stable's at the same time: some range of them (1, 2 to 3, 4 to 7, and so on) is more than this many times as common.",
        ),
        optional(
            "blame",
            BLAME,
            "For `above` and `p.._above`: a broken limit is held against the candidate only when it is also shown to be more than this many times stable's, because a provider's incident hits both. When not written: 1.25.",
        ),
        or("over", Kind::Duration(MS, LONGEST), "5m", "The window in which a person would look."),
        or(
            "mode",
            Kind::OneOf(&["evidence", "literal"]),
            "evidence",
            "`evidence`: it acts on what is shown, however often it is looked at; a window over its limit alone warns and pages, once. `literal`: it acts as soon as the window is over its limit, by chance or not.",
        ),
        or(
            "do",
            Kind::OneOf(&["roll_back", "freeze", "alert"]),
            "roll_back",
            "What it does: all traffic goes back; the candidate gets no new calls until a person decides; or it only pages, once.",
        ),
        or(
            "weight",
            WEIGHT,
            "1",
            "Its part of `alpha`, relative to the other gates and triggers. What does not spend `alpha` needs none: `literal`, `alert`, `times_stable` and `never`; their weight is 0 when not written.",
        ),
    ],
};
