//! Plans: a path that only rises, judged in every phase, with a way back at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lockgate_core::name::{LabelName, PlanName};
use lockgate_core::plan::{
    Action, Gate, Need, OnDeadline, Phase, PhaseKind, Plan, Rule, SliceAction, Slices, Trigger, standard_name,
};
use lockgate_core::segment::{Confine, Matcher};
use lockgate_core::share::{Share, percent};
use lockgate_core::signal::Signal;

use crate::check::Check;
use crate::check::feature::written_feedback;
use crate::check::rule::spends_alpha;
use crate::duration;
use crate::file::{PHASE, PLAN, SLICES};
use crate::nearest;
use crate::place::{Fields, Place};

/// How many dwell times a phase may last when its deadline is not written. The built-in phases take two to three and a half.
const DEADLINE_IN_DWELLS: u32 = 3;

/// Longest chain of plans that are based on each other. Nobody can follow a longer one, and each link takes stack.
const BASES_MAX: usize = 8;

/// The signals that feedback may bring, as far as they are known.
pub(super) enum Declared {
    /// These.
    Only(BTreeSet<Signal>),
    /// Whatever is asked for: there are no features to ask.
    Any,
}

/// The plans of a file while they are being read, each from the one it is based on.
struct Written<'n> {
    places: BTreeMap<&'n str, Place<'n>>,
    declared: Declared,
    read: BTreeMap<&'n str, Option<Plan>>,
}

impl Check<'_> {
    pub(super) fn plans(&mut self, file: &Fields<'_>) -> BTreeMap<PlanName, Arc<Plan>> {
        let places: BTreeMap<&str, Place<'_>> = file.named("plans").into_iter().collect();
        let names: Vec<&str> = places.keys().copied().collect();
        let declared =
            if file.has("features") { Declared::Only(written_feedback(file)) } else { Declared::Any };
        let mut written = Written { places, declared, read: BTreeMap::new() };
        for name in names {
            self.written_plan(&mut written, name, &mut Vec::new());
        }
        let mut plans = BTreeMap::from([(standard_name(), Arc::new(Plan::standard()))]);
        for plan in written.read.into_values().flatten() {
            plans.insert(plan.name.clone(), Arc::new(plan));
        }
        plans
    }

    /// A plan that stands alone; it may be based on the built-in one.
    pub(super) fn lone_plan(&mut self, name: PlanName, place: Place<'_>) -> Option<Plan> {
        let key = name.as_str();
        let mut written = Written {
            places: BTreeMap::from([(key, place)]),
            declared: Declared::Any,
            read: BTreeMap::new(),
        };
        self.written_plan(&mut written, key, &mut Vec::new())
    }

    fn written_plan<'n>(
        &mut self,
        written: &mut Written<'n>,
        name: &'n str,
        trail: &mut Vec<&'n str>,
    ) -> Option<Plan> {
        if let Some(read) = written.read.get(name) {
            return read.clone();
        }
        trail.push(name);
        let fields = written.places.get(name)?.clone().fields(&PLAN);
        let base = self.base_plan(written, name, &fields, trail);
        let plan = match base {
            Ok(base) => PlanName::new(name)
                .ok()
                .and_then(|name| self.read_plan(name, &fields, base, &written.declared)),
            Err(AlreadyTold) => None,
        };
        trail.pop();
        written.read.insert(name, plan.clone());
        plan
    }

    fn base_plan<'n>(
        &mut self,
        written: &mut Written<'n>,
        name: &str,
        fields: &Fields<'n>,
        trail: &mut Vec<&'n str>,
    ) -> Result<Option<Plan>, AlreadyTold> {
        let standard = standard_name();
        let Some(place) = fields.get("based_on") else {
            return Ok((name == standard.as_str()).then(Plan::standard));
        };
        let based_on = place.node.text().ok_or(AlreadyTold)?;
        if based_on == name && name == standard.as_str() {
            return Ok(Some(Plan::standard()));
        }
        if trail.contains(&based_on) {
            let message = format!("it is based on itself: {} -> {based_on}", trail.join(" -> "));
            self.problem(&place, message, "base it on standard");
            return Err(AlreadyTold);
        }
        if trail.len() > BASES_MAX {
            let message =
                format!("it is the end of more than {BASES_MAX} plans that are based on each other");
            self.problem(&place, message, "base it on standard");
            return Err(AlreadyTold);
        }
        if written.places.contains_key(based_on) {
            return self.written_plan(written, based_on, trail).map(Some).ok_or(AlreadyTold);
        }
        if based_on == standard.as_str() {
            return Ok(Some(Plan::standard()));
        }
        let known = written.places.keys().copied().filter(|known| *known != name).chain([standard.as_str()]);
        let hint = nearest::hint(based_on, known).unwrap_or_default();
        self.problem(&place, format!("there is no plan {}", place.node), hint);
        Err(AlreadyTold)
    }

    fn read_plan(
        &mut self,
        name: PlanName,
        fields: &Fields<'_>,
        base: Option<Plan>,
        declared: &Declared,
    ) -> Option<Plan> {
        const HOW: &str = "write it, or based_on: standard";
        let base = base.as_ref();
        for key in ["phases", "triggers"] {
            if base.is_none() && !fields.has(key) {
                self.problem(&fields.place, format!("`{key}` is missing"), HOW);
            }
        }
        let alpha = self.chance(fields, "alpha", base.map(|base| base.alpha));
        let beta = self.chance(fields, "beta", base.map(|base| base.beta));
        let warm_for = match base {
            Some(base) if !fields.has("warm_for") => Some(base.warm_for),
            _ => fields.duration("warm_for"),
        };
        let slices = self.slices(fields, base.map(|base| base.slices).unwrap_or_default());
        let on_deadline = match base {
            Some(base) if !fields.has("on_deadline") => Some(base.on_deadline),
            _ => on_deadline(fields),
        };
        let phases = match fields.get("phases") {
            Some(place) => self.phases(&place, declared),
            None => base.map(|base| base.phases.clone()),
        };
        let triggers = match fields.get("triggers") {
            Some(place) => self.triggers(&place, declared),
            None => base.map(|base| base.triggers.clone()),
        };
        let plan = Plan {
            name,
            phases: phases?,
            triggers: triggers?,
            alpha: alpha?,
            beta: beta?,
            warm_for: warm_for?,
            slices: slices?,
            on_deadline: on_deadline?,
        };
        self.check_weights(fields, &plan);
        Some(plan)
    }

    /// A probability of being wrong. At one half, a coin would decide.
    fn chance(&mut self, fields: &Fields<'_>, key: &str, base: Option<f64>) -> Option<f64> {
        let Some(place) = fields.get(key) else { return base.or_else(|| fields.share(key)) };
        let chance = fields.share(key)?;
        if chance <= 0.0 || chance >= 0.5 {
            let message = format!("{} is not between 0 % and 50 %", percent(chance));
            self.problem(&place, message, "write 1% or 5%: how often the plan may be wrong");
        }
        Some(chance)
    }

    /// What is not written is as in the plan that this one is based on.
    fn slices(&mut self, fields: &Fields<'_>, base: Slices) -> Option<Slices> {
        let Some(place) = fields.get("slices") else { return Some(base) };
        let fields = place.fields(&SLICES);
        let action = match fields.get("do").map(|place| place.node.text()) {
            None => base.action,
            Some(written) => match written? {
                "roll_back" => SliceAction::RollBack,
                "withdraw" => SliceAction::Withdraw,
                "freeze" => SliceAction::Freeze,
                _ => return None,
            },
        };
        let Some(place) = fields.get("part") else { return Some(Slices { action, ..base }) };
        let part = fields.share("part")?;
        if part >= 1.0 {
            let message = "with all of `alpha` given to slices, the whole of the traffic is not judged";
            self.problem(&place, message, "write 30%, or 0 to judge no slices");
        }
        Some(Slices { action, part })
    }

    fn triggers(&mut self, place: &Place<'_>, declared: &Declared) -> Option<Vec<Trigger>> {
        let written = place.items();
        if written.is_empty() && matches!(place.node.value, crate::node::Value::List(_)) {
            let hint =
                "write [ { signal: error, above: 2% } ], or take the key away and write based_on: standard";
            self.problem(place, "a plan without triggers has no way back", hint);
        }
        let triggers: Vec<Trigger> =
            written.iter().filter_map(|place| self.trigger(place, declared)).collect();
        if triggers.len() != written.len() {
            return None;
        }
        if !triggers.is_empty() && triggers.iter().all(|trigger| trigger.action == Action::Alert) {
            let hint = "add one with do: roll_back or do: freeze";
            self.problem(
                place,
                "its triggers only alert: nothing takes the candidate back at any moment",
                hint,
            );
        }
        Some(triggers)
    }

    /// The plan's alpha is handed out by weight; with no weight at all it cannot be.
    fn check_weights(&mut self, fields: &Fields<'_>, plan: &Plan) {
        let gates = plan.phases.iter().flat_map(|phase| &phase.gates).map(|gate| gate.weight);
        let mut triggers = plan.triggers.iter();
        let acts_without = triggers.any(|trigger| !spends_alpha(trigger) && trigger.action != Action::Alert);
        let triggers =
            plan.triggers.iter().filter(|trigger| spends_alpha(trigger)).map(|trigger| trigger.weight);
        if !acts_without && gates.chain(triggers).sum::<f64>() <= 0.0 {
            self.problem(
                &fields.place,
                "no gate and no trigger has a weight above 0",
                "leave `weight` away, or write 1",
            );
        }
    }

    fn phases(&mut self, place: &Place<'_>, declared: &Declared) -> Option<Vec<Phase>> {
        let written = place.items();
        let phases: Vec<Phase> = written.iter().filter_map(|place| self.phase(place, declared)).collect();
        if phases.len() != written.len() || !matches!(place.node.value, crate::node::Value::List(_)) {
            return None;
        }
        for (place, pair) in written.iter().skip(1).zip(phases.windows(2)) {
            self.check_order(place, &pair[0], &pair[1]);
        }
        if phases.iter().all(is_everybody) {
            let hint = "write [ { share: 1%, dwell: 48h, gates: [ ... ] } ] before the phase with everybody";
            self.problem(place, "a plan without a phase that is judged is no plan", hint);
        }
        Some(with_everybody(phases))
    }

    fn phase(&mut self, place: &Place<'_>, declared: &Declared) -> Option<Phase> {
        let fields = place.clone().fields(&PHASE);
        let kind = self.phase_kind(&fields);
        let confine = self.confine(&fields);
        let written = fields.items("gates");
        // Without its kind a phase's gates are still read for their own sake; a canary is what most are.
        let for_gates = kind.unwrap_or(PhaseKind::Canary { share: Share::NONE });
        let gates: Vec<_> = written.iter().filter_map(|gate| self.gate(gate, for_gates, declared)).collect();
        let kind = kind?;
        if kind.share() == Share::FULL && !fields.has("only") {
            self.check_last(&fields);
            return Some(everybody(fields.text("name")));
        }
        if written.is_empty() {
            let hint = "write gates: [ { signal: error, below: 0.5% } ]: time alone is no evidence";
            self.problem(place, "a phase without gates is not judged", hint);
        }
        if gates.len() == written.len() && !gates.is_empty() && gates.iter().all(passes_without_data) {
            let at = fields.get("gates").unwrap_or_else(|| place.clone());
            let hint = "add a gate that waits for what it judges: { signal: error, below: 0.5% }";
            self.warning(&at, "when nothing is reported, time alone leaves this phase", hint);
        }
        let (dwell, deadline) = self.dwell_and_deadline(&fields)?;
        (gates.len() == written.len()).then(|| Phase {
            name: fields.text("name").unwrap_or_else(|| phase_name(kind)),
            kind,
            dwell,
            deadline,
            confine,
            gates,
        })
    }

    /// Whom a phase may touch. What would fit everybody, or nobody, was meant otherwise.
    fn confine(&mut self, fields: &Fields<'_>) -> Confine {
        for place in fields.items("only") {
            let is_mapping = matches!(place.node.value, crate::node::Value::Map(_));
            if is_mapping && place.named().next().is_none() {
                let hint = "name a label and a value, or take `only` away";
                self.problem(&place, "it names no label, so that everybody fits", hint);
            }
            for (label, place) in place.named() {
                let is_list = matches!(place.node.value, crate::node::Value::List(_));
                if is_list && place.node.items().is_empty() {
                    let hint = format!("write {label}: [ VALUE ], or take the label away");
                    self.problem(&place, "it names no value, so that nobody fits", hint);
                }
            }
        }
        confine(fields)
    }

    fn phase_kind(&mut self, fields: &Fields<'_>) -> Option<PhaseKind> {
        let key = match (fields.has("shadow"), fields.has("share")) {
            (true, false) => "shadow",
            (false, true) => "share",
            _ => {
                let hint = "write shadow: 100% for copies, or share: 1% for users";
                self.problem(&fields.place, "a phase has a `shadow` or a `share`, one of the two", hint);
                return None;
            }
        };
        let fraction = fields.share(key)?;
        let share = Share::from_fraction(fraction)?;
        if share == Share::NONE {
            let place = fields.get(key)?;
            self.problem(&place, format!("{} is nobody", place.node), "write 1% or more");
            return None;
        }
        Some(if key == "shadow" { PhaseKind::Shadow { sample: share } } else { PhaseKind::Canary { share } })
    }

    fn dwell_and_deadline(&mut self, fields: &Fields<'_>) -> Option<(Duration, Duration)> {
        if !fields.has("dwell") {
            self.problem(
                &fields.place,
                "`dwell` is missing",
                "write dwell: 48h: a phase is not left before that",
            );
        }
        let dwell = fields.duration("dwell")?;
        let deadline = match fields.get("deadline") {
            Some(_) => fields.duration("deadline")?,
            None => (dwell * DEADLINE_IN_DWELLS).min(duration::LONGEST),
        };
        if deadline < dwell
            && let Some(place) = fields.get("deadline")
        {
            let message = format!("it is over before the `dwell` of {}", duration::write(dwell));
            self.problem(&place, message, format!("write {} or more", duration::write(dwell)));
        }
        Some((dwell, deadline))
    }

    /// The phase with everybody is not left: what is written for leaving it would never be looked at.
    fn check_last(&mut self, fields: &Fields<'_>) {
        for place in ["gates", "dwell", "deadline"].iter().filter_map(|key| fields.get(key)) {
            let hint = "take it away; `warm_for` says how long the old version stays ready";
            self.problem(&place, "the phase with everybody is the end of the rollout", hint);
        }
    }

    fn check_order(&mut self, place: &Place<'_>, before: &Phase, after: &Phase) {
        let (key, was, is) = match (before.kind, after.kind) {
            // Copies reach nobody, so that the first share may begin with whomever it likes.
            (PhaseKind::Shadow { .. }, PhaseKind::Canary { .. }) => return,
            (PhaseKind::Canary { .. }, PhaseKind::Shadow { .. }) => {
                let message = "copies after users: a shadow phase comes before the first share";
                self.problem(place, message, "put it first");
                return;
            }
            (PhaseKind::Shadow { sample: was }, PhaseKind::Shadow { sample: is }) => ("shadow", was, is),
            (PhaseKind::Canary { share: was }, PhaseKind::Canary { share: is }) => ("share", was, is),
        };
        let reaches_others = !widens(&after.confine, &before.confine);
        if is < was || is == was && !reaches_others {
            let at = place.get(key).unwrap_or_else(|| place.clone());
            self.problem(
                &at,
                format!("{is} is not more than the {was} of the phase before"),
                "a phase has a larger share than the one before, or the same share of more people (`only`)",
            );
        }
        if !widens(&before.confine, &after.confine) {
            let at = place.get("only").unwrap_or_else(|| place.clone());
            let message = format!(
                "`{}` leaves out some of `{}`, whom the phase before reaches",
                after.confine, before.confine
            );
            self.problem(
                &at,
                message,
                "list them here too: nobody is taken back to the old version on the way forwards",
            );
        }
    }
}

/// The reason has been noted.
struct AlreadyTold;

/// Whether a gate passes, or stands aside, while nothing is counted.
fn passes_without_data(gate: &Gate) -> bool {
    gate.need == Need::IfReported || gate.rule == Rule::Never
}

fn on_deadline(fields: &Fields<'_>) -> Option<OnDeadline> {
    match fields.text("on_deadline")?.as_str() {
        "pause" => Some(OnDeadline::Pause),
        "roll_back" => Some(OnDeadline::RollBack),
        _ => None,
    }
}

pub(crate) fn is_everybody(phase: &Phase) -> bool {
    phase.kind.share() == Share::FULL && phase.confine.0.is_empty()
}

fn with_everybody(mut phases: Vec<Phase>) -> Vec<Phase> {
    if !phases.last().is_some_and(is_everybody) {
        phases.push(everybody(None));
    }
    phases
}

fn everybody(name: Option<String>) -> Phase {
    let kind = PhaseKind::Canary { share: Share::FULL };
    Phase {
        name: name.unwrap_or_else(|| phase_name(kind)),
        kind,
        dwell: Duration::ZERO,
        deadline: Duration::ZERO,
        confine: Confine::everyone(),
        gates: Vec::new(),
    }
}

fn phase_name(kind: PhaseKind) -> String {
    match kind {
        PhaseKind::Shadow { .. } => "shadow".into(),
        PhaseKind::Canary { share } => share.to_string(),
    }
}

fn confine(fields: &Fields<'_>) -> Confine {
    let values = |place: &Place<'_>| -> BTreeSet<String> {
        let one = place.node.text().map(str::to_owned);
        one.into_iter()
            .chain(place.node.items().iter().filter_map(|item| item.text().map(str::to_owned)))
            .collect()
    };
    let matcher = |place: &Place<'_>| {
        Matcher(
            place
                .named()
                .filter_map(|(label, at)| Some((LabelName::new(label).ok()?, values(&at))))
                .collect(),
        )
    };
    Confine(fields.items("only").iter().map(matcher).collect())
}

/// Whether `after` admits everyone whom `before` admits, matcher by matcher.
fn widens(before: &Confine, after: &Confine) -> bool {
    let covers = |wide: &Matcher, narrow: &Matcher| {
        wide.0.iter().all(|(label, values)| narrow.0.get(label).is_some_and(|mine| mine.is_subset(values)))
    };
    after.0.is_empty()
        || (!before.0.is_empty()
            && before.0.iter().all(|narrow| after.0.iter().any(|wide| covers(wide, narrow))))
}
