//! Mistakes in plans, their phases, gates and triggers.

use super::*;

#[test]
fn mistakes_in_plans_are_told() {
    plan("based_on: standart", "plans.p.based_on: there is no plan `standart`");
    plan("based_on: p", "plans.p.based_on: it is based on itself: p -> p");
    plan("based_on: standard\nalpha: 50%", "plans.p.alpha: 50 % is not between 0 % and 50 %");
    plan("based_on: standard\nbeta: 0", "plans.p.beta: 0 % is not between 0 % and 50 %");
    plan("based_on: standard\ntriggers: []", "plans.p.triggers: a plan without triggers has no way back");
    plan(
        "phases: [ { share: 1%, dwell: 1h, gates: [ { signal: error, below: 1% } ] } ]",
        "plans.p: `triggers` is missing",
    );
    plan("triggers: [ { signal: error, above: 1% } ]", "plans.p: `phases` is missing");
    phases("  []", "plans.p.phases: a plan without a phase that is judged is no plan");
    phases("  - share: 100%", "plans.p.phases: a plan without a phase that is judged is no plan");
    let error = "gates: [ { signal: error, below: 1% } ]";
    phases(
        &format!("  - {{ dwell: 1h, {error} }}"),
        "plans.p.phases[0]: a phase has a `shadow` or a `share`, one of the two",
    );
    phases(&format!("  - {{ share: 1, dwell: 1h, {error} }}"), "plans.p.phases[0].share: 1 is not a share");
    phases(&format!("  - {{ share: 0%, dwell: 1h, {error} }}"), "plans.p.phases[0].share: `0%` is nobody");
    phases(&format!("  - {{ share: 1%, {error} }}"), "plans.p.phases[0]: `dwell` is missing");
    phases("  - { share: 1%, dwell: 1h }", "plans.p.phases[0]: a phase without gates is not judged");
    phases(
        &format!("  - {{ share: 1%, dwell: 2h, deadline: 1h, {error} }}"),
        "plans.p.phases[0].deadline: it is over before the `dwell` of 2h",
    );
    let two = |first: &str, second: &str| {
        format!("  - {{ {first}, dwell: 1h, {error} }}\n  - {{ {second}, dwell: 1h, {error} }}")
    };
    phases(
        &two("share: 10%", "share: 5%"),
        "plans.p.phases[1].share: 5 % is not more than the 10 % of the phase before",
    );
    phases(
        &two("share: 10%, only: [ { tier: free } ]", "share: 10%, only: [ { tier: free } ]"),
        "plans.p.phases[1].share: 10 % is not more than the 10 % of the phase before",
    );
    phases(
        &two("share: 100%, only: [ { tier: internal } ]", "share: 10%"),
        "plans.p.phases[1].share: 10 % is not more than the 100 % of the phase before",
    );
    phases(
        &two("share: 10%", "shadow: 50%"),
        "plans.p.phases[1]: copies after users: a shadow phase comes before the first share",
    );
    phases(
        &two("share: 1%", "share: 5%, only: [ { tier: free } ]"),
        "plans.p.phases[1].only: `tier=free` leaves out some of `everyone`, whom the phase before reaches",
    );
    phases(
        &two("share: 1%, only: [ { tier: [ free, internal ] } ]", "share: 5%, only: [ { tier: free } ]"),
        "plans.p.phases[1].only: `tier=free` leaves out some of `tier=free|internal`, whom the phase before reaches",
    );
    phases(
        &format!("  - {{ share: 1%, only: [ {{}} ], dwell: 1h, {error} }}"),
        "plans.p.phases[0].only[0]: it names no label, so that everybody fits",
    );
    phases(
        &format!("  - {{ share: 1%, only: [ {{ tier: [] }} ], dwell: 1h, {error} }}"),
        "plans.p.phases[0].only[0].tier: it names no value, so that nobody fits",
    );
    phases(
        &format!("  - {{ share: 1%, dwell: 1h, {error} }}\n  - {{ share: 100%, {error} }}"),
        "plans.p.phases[1].gates: the phase with everybody is the end of the rollout",
    );
}

#[test]
fn mistakes_in_gates_and_triggers_are_told() {
    let at = "plans.p.phases[0].gates[0]";
    gate("{ signal: eror, below: 1% }", &format!("{at}.signal: `eror` is not a signal"));
    gate("{ signal: error }", &format!("{at}: it says what is looked at, but not what must hold"));
    gate(
        "{ signal: error, below: 1%, above: 1% }",
        &format!("{at}: it has more than one rule: below, above"),
    );
    gate("{ signal: error, below: 5 }", &format!("{at}.below: 5 is not a share"));
    gate("{ signal: error, below: 0% }", &format!("{at}.below: `0%` can never be shown by counting"));
    gate(
        "{ signal: escalated, ratio_below: 1 }",
        &format!("{at}.ratio_below: 1 times stable leaves no room for chance"),
    );
    gate(
        "{ signal: csat, within: 2%, fail_beyond: 5% }",
        &format!("{at}.fail_beyond: `5%` is past the 2 % at which the gate passes"),
    );
    gate(
        "{ signal: csat, within: 2%, blame: always }",
        &format!("{at}.blame: `blame` goes with `below` and `p.._below` only"),
    );
    gate(
        "{ signal: error, below: 2%, ratio_fail: 2 }",
        &format!("{at}.ratio_fail: `ratio_fail` goes with `ratio_below` only"),
    );
    gate("{ signal: error, below: 2%, blame: never }", &format!("{at}.blame: `never` is not known here"));
    gate("{ signal: error, below: 2%, need: maybe }", &format!("{at}.need: `maybe` is not known here"));
    gate(
        "{ signal: error, below: 2%, weight: 0 }, { signal: agreement, above: 90% }",
        "plans.p.phases[0].gates[1].signal: `agreement` compares copies, of which a phase with a share has none",
    );
    for (rule, signal, judges) in [
        ("below: 1%", "latency", "rates of what should be rare"),
        ("below: 1%", "task_success", "rates of what should be rare"),
        ("above: 1%", "error", "scores, and rates of which more is better"),
        ("within: 1%", "cost", "scores, and rates of which more is better"),
        ("p99_below: 1s", "error", "times"),
        ("ratio_below: 2", "nps", "rates of what should be rare"),
    ] {
        let shown = if signal == "nps" { "score:nps" } else { signal };
        gate(
            &format!("{{ signal: {signal}, {rule} }}"),
            &format!("{at}.signal: `{shown}` cannot be judged by this rule, which is for {judges}"),
        );
    }
    phases(
        "  - { shadow: 100%, dwell: 1h, gates: [ { signal: csat, within: 2% } ] }",
        &format!(
            "{at}.signal: `csat` is seen only where users are answered, which a shadow phase does not do"
        ),
    );
    trigger("{ signal: error, above: 2%, do: panic }", "plans.p.triggers[0].do: `panic` is not known here");
    trigger(
        "{ signal: error, above: 2%, weight: 0 }",
        "plans.p.triggers[0].weight: a trigger without weight never fires",
    );
    trigger(
        "{ signal: error, times_stable: 3 }",
        "plans.p.triggers[0].signal: `error` cannot be judged by this rule, which is for what calls take: tokens and money",
    );
    trigger(
        "{ signal: agreement, below: 50% }",
        "plans.p.triggers[0]: `agreement` is only seen in shadow phases, a trigger is watched in all",
    );
}

#[test]
fn mistakes_in_what_sessions_cost_are_told() {
    let at = "plans.p.phases[0].gates[0]";
    gate(
        "{ signal: session_cost, below: 20% }",
        &format!(
            "{at}.signal: `session_cost` cannot be judged by this rule, which is for rates of what should be rare"
        ),
    );
    gate(
        "{ signal: session_cost, within: 20%, fail_beyond: 30% }",
        &format!("{at}.fail_beyond: `30%` is past the 20 % at which the gate passes"),
    );
    gate(
        "{ signal: cost, within: 20% }",
        &format!(
            "{at}.signal: `cost` cannot be judged by this rule, which is for scores, and rates of which more is better"
        ),
    );
    phases(
        "  - { shadow: 100%, dwell: 1h, gates: [ { signal: session_cost, within: 20% } ] }",
        &format!(
            "{at}.signal: `session_cost` is seen only where users are answered, which a shadow phase does not do"
        ),
    );
    trigger(
        "{ signal: csat, rises: 20% }",
        "plans.p.triggers[0].signal: `csat` cannot be judged by this rule, which is for what sessions cost",
    );
    trigger(
        "{ signal: session_cost, rises: 0% }",
        "plans.p.triggers[0].rises: `0%` can never be shown by counting",
    );
    trigger("{ signal: session_cost, rises: 1.2 }", "plans.p.triggers[0].rises: 1.2 is not a share");
    for signal in ["sessions", "visitors", "assigned"] {
        trigger(
            &format!("{{ signal: {signal}, times_stable: 3 }}"),
            &format!(
                "plans.p.triggers[0].signal: `{signal}` cannot be judged by this rule, which is for what calls take: tokens and money"
            ),
        );
    }
}

#[test]
fn mistakes_in_what_must_never_happen_are_told() {
    let at = "plans.p.phases[0].gates[0]";
    gate(
        "{ signal: pii_leak, never: false }, { signal: error, below: 1% }",
        &format!("{at}.never: `never: false` demands nothing"),
    );
    gate(
        "{ signal: pii_leak, never: yes }, { signal: error, below: 1% }",
        &format!("{at}.never: `yes` is not true or false"),
    );
    gate(
        "{ signal: pii_leak, never: true, below: 1% }",
        &format!("{at}: it has more than one rule: below, never"),
    );
    gate(
        "{ signal: csat, never: true }, { signal: error, below: 1% }",
        &format!(
            "{at}.signal: `csat` cannot be judged by this rule, which is for rates of what must not happen"
        ),
    );
    gate(
        "{ signal: cache_hit, never: true }, { signal: error, below: 1% }",
        &format!(
            "{at}.signal: `cache_hit` cannot be judged by this rule, which is for rates of what must not happen"
        ),
    );
    phases(
        "  - { shadow: 100%, dwell: 1h, gates: [ { signal: incident, never: true }, { signal: error, below: 1% } ] }",
        &format!(
            "{at}.signal: `incident` is seen only where users are answered, which a shadow phase does not do"
        ),
    );
    trigger(
        "{ signal: incident, never: false }",
        "plans.p.triggers[0].never: `never: false` demands nothing",
    );
    trigger(
        "{ signal: incident, never: true, mode: literal }",
        "plans.p.triggers[0].mode: this rule has no statistics: it is taken at its word anyway",
    );
}

#[test]
fn mistakes_in_shifts_are_told() {
    let at = "plans.p.phases[0].gates[0]";
    gate(
        "{ signal: output_length, shift_below: 1 }",
        &format!("{at}.shift_below: 1 times stable leaves no room for chance"),
    );
    gate(
        "{ signal: tokens_out, shift_below: 1.5 }",
        &format!("{at}.signal: `tokens_out` cannot be judged by this rule, which is for sizes"),
    );
    gate(
        "{ signal: output_length, shift_below: 1.5, blame: always }",
        &format!("{at}.blame: `blame` goes with `below` and `p.._below` only"),
    );
    trigger(
        "{ signal: latency, shift_above: 2 }",
        "plans.p.triggers[0].signal: `latency` cannot be judged by this rule, which is for sizes",
    );
}

#[test]
fn mistakes_in_modes_actions_slices_and_deadlines_are_told() {
    trigger(
        "{ signal: error, above: 2%, mode: literaly }",
        "plans.p.triggers[0].mode: `literaly` is not known here",
    );
    trigger(
        "{ signal: tokens, times_stable: 3, mode: literal }",
        "plans.p.triggers[0].mode: this rule has no statistics: it is taken at its word anyway",
    );
    trigger(
        "{ signal: output_length, shift_above: 2, mode: literal }",
        "plans.p.triggers[0].mode: a spread of sizes has no window that could be taken at its word",
    );
    trigger("{ signal: error, above: 2%, do: alarm }", "plans.p.triggers[0].do: `alarm` is not known here");
    trigger(
        "{ signal: error, above: 2%, do: alert }",
        "plans.p.triggers: its triggers only alert: nothing takes the candidate back at any moment",
    );
    plan("based_on: standard\nslices: 30%", "plans.p.slices: `30%` is not a mapping");
    plan("based_on: standard\nslices: { do: stop }", "plans.p.slices.do: `stop` is not known here");
    plan("based_on: standard\nslices: { parts: 30% }", "plans.p.slices.parts: there is no such key");
    plan("based_on: standard\nslices: { part: 30 }", "plans.p.slices.part: 30 is not a share");
    plan(
        "based_on: standard\nslices: { part: 100% }",
        "plans.p.slices.part: with all of `alpha` given to slices, the whole of the traffic is not judged",
    );
    plan("based_on: standard\non_deadline: promote", "plans.p.on_deadline: `promote` is not known here");
    plan("based_on: standard\non_deadline:", "plans.p.on_deadline: it has no value");
    top(
        "signals: { session_idle: 5s }",
        "signals.session_idle: `session_idle` is shorter than `bucket`: a session would end between two calls of the same bucket",
    );
    top("signals: { session_idle: 2d }", "signals.session_idle: `2d` is out of range");
}

#[test]
fn a_phase_that_time_alone_leaves_is_a_warning() {
    let warned = |gates: &str| -> Vec<String> {
        let plan = format!("based_on: standard\nphases:\n  - {{ share: 1%, dwell: 1h, gates: [ {gates} ] }}");
        let loaded = read(&file("", "", "", "", &plan)).unwrap_or_else(|problems| panic!("{problems}"));
        loaded.warnings.into_iter().map(|warning| format!("{}: {}", warning.path, warning.message)).collect()
    };
    let told = "plans.p.phases[0].gates: when nothing is reported, time alone leaves this phase";
    assert_eq!(warned("{ signal: csat, within: 2%, need: if_reported }"), [told]);
    assert_eq!(warned("{ signal: incident, never: true }"), [told]);
    assert_eq!(
        warned("{ signal: incident, never: true }, { signal: error, below: 1% }"),
        Vec::<String>::new()
    );
}

#[test]
fn what_does_not_spend_alpha_needs_no_weight() {
    for trigger in [
        "{ signal: error, above: 2%, mode: literal, weight: 0 }",
        "{ signal: error, above: 2%, do: alert, weight: 0 }, { signal: error, above: 4% }",
        "{ signal: tokens, times_stable: 3, weight: 0 }",
        "{ signal: incident, never: true, weight: 0 }",
    ] {
        let plan = format!("based_on: standard\ntriggers: [ {trigger} ]");
        assert!(read(&file("", "", "", "", &plan)).is_ok(), "{trigger}");
    }
}

#[test]
fn a_long_chain_of_plans_is_told_and_not_followed() {
    let mut plans = String::from("plans:\n");
    for i in 0..2000 {
        plans.push_str(&format!("  p{i}: {{ based_on: p{} }}\n", i + 1));
    }
    plans.push_str("  p2000: { based_on: standard }\n");
    let problems = read(&(file("", "", "", "", "") + &plans)).map(|_| ()).unwrap_err();
    assert!(problems.to_string().contains("more than 8 plans that are based on each other"), "{problems}");
}
