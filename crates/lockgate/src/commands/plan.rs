//! Shows what rollouts are judged by. Needs no server: plans are in the configuration or a file, and one is built in.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockgate_config::{Fit, Plans, fit_plan, load, load_plans};
use lockgate_core::evidence::{Check, Ledger};
use lockgate_core::name::{FeatureName, PlanName, Revision, RolloutId, VersionName, VersionRef};
use lockgate_core::plan::{Action, Plan, standard_name};
use lockgate_core::state::Rollout;
use serde_json::{Value, json};

use super::estimate;
use crate::cli::PlanCommand;
use crate::complaint::Complaint;
use crate::output::plan::Budget;
use crate::{environment, output};

/// Prints a plan, or an estimate of one.
pub fn run(command: &PlanCommand, as_json: bool) -> Result<ExitCode, Complaint> {
    let (named, config) = match command {
        PlanCommand::Estimate(args) => return estimate::run(args, as_json),
        PlanCommand::Show { plan, config } => (plan, config.as_deref()),
    };
    let plan = find(named, config)?;
    let budget = budget(&plan)?;
    let fits = config.map(|config| fits(config, &plan));
    if as_json {
        let mut shown = json!(plan);
        shown["budget"] = budget_json(&plan, &budget);
        if let Some(Ok(fits)) = &fits {
            shown["features"] = fits.iter().map(|(feature, fit)| fit_json(feature, fit)).collect();
        }
        output::json(&shown);
    } else {
        output::say(&output::plan::text(&plan, &budget));
        if let Some(fits) = fits.as_ref() {
            output::say(&output::plan::fits(fits));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The plan of a name, or the one that a file holds.
///
/// A configuration's own plans come first, for it may have changed `standard`; then what is built in, then files.
pub fn find(named: &str, config: Option<&Path>) -> Result<Plan, Complaint> {
    let plans = config.map(load_plans).transpose()?;
    let of_name = |plans: &Plans| {
        let name = PlanName::new(named).ok()?;
        plans.plans.get(&name).map(|plan| Plan::clone(plan))
    };
    if let Some(plan) = plans.as_ref().and_then(of_name) {
        return Ok(plan);
    }
    if named == standard_name().as_str() {
        return Ok(Plan::standard());
    }
    let file = Path::new(named);
    if file.is_file() {
        return of_file(file);
    }
    Err(match (config, plans) {
        (Some(config), Some(plans)) => Complaint::new(
            format!("{} has no plan `{named}`, and there is no such file", config.display()),
            format!("it has {}", listed(plans.plans.keys())),
        ),
        _ => Complaint::new(
            format!("`{named}` is neither built in, as `standard` is, nor a file"),
            "name the file that holds the plan, or the configuration file that it is written in with `-c FILE`",
        ),
    })
}

/// The one plan of a file, which may be a plan by itself or a whole configuration.
fn of_file(file: &Path) -> Result<Plan, Complaint> {
    let Plans { written, plans } = load_plans(file)?;
    match written.as_slice() {
        [one] => plans.get(one).map(|plan| Plan::clone(plan)).ok_or_else(|| {
            Complaint::new(format!("{} has no plan `{one}`", file.display()), "write it below `plans`")
        }),
        [] => Err(Complaint::new(
            format!("{} has no plan", file.display()),
            "write one below `plans`, or name `standard`, which is built in",
        )),
        several => Err(Complaint::new(
            format!("{} has more than one plan: {}", file.display(), listed(several)),
            format!("name one, and the file with `-c {}`", file.display()),
        )),
    }
}

fn listed<'n>(names: impl IntoIterator<Item = &'n PlanName>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Every check that a rollout by this plan begins with, each with its part of the error budget: read off the very ledger that
/// would judge it.
fn budget(plan: &Plan) -> Result<Budget, Complaint> {
    let version = |name: &str| -> Result<VersionRef, Complaint> {
        Ok(VersionRef { name: VersionName::new(name)?, revision: Revision::of(name.as_bytes()) })
    };
    let (stable, candidate) = (version("stable")?, version("candidate")?);
    // Of a rollout that is never started; nothing is drawn by its id.
    let id: RolloutId = "00000000-0000-0000-0000-000000000000".parse()?;
    let rollout = Rollout::begin(id, stable, candidate, plan.clone(), Timestamp::UNIX_EPOCH);
    let checks = Ledger::new(&rollout, BUCKET).evidence().checks;
    let spent: f64 = checks.iter().filter(|check| !is_apart(check)).map(|check| check.verdict.alpha).sum();
    // Slices are not known before they are seen. They have their part of what the controller may spend, the checks the rest.
    let slices = spent * plan.slices.part / (1.0 - plan.slices.part);
    // Less than this is what adding so many parts has rounded away.
    let gateways = Some(plan.alpha - slices - spent).filter(|rest| *rest > 1e-9 * plan.alpha).unwrap_or(0.0);
    Ok(Budget { checks, slices, gateways })
}

/// The bucket that a configuration has unless it says otherwise. The parts do not hang on it.
const BUCKET: Duration = Duration::from_secs(10);

/// An alert moves nothing, and its chance is beta, apart from alpha.
fn is_apart(check: &Check) -> bool {
    check.action == Some(Action::Alert)
}

fn budget_json(plan: &Plan, budget: &Budget) -> Value {
    let parts = budget.checks.iter().map(|check| {
        json!({
            "role": check.verdict.role,
            "lane": check.lane,
            "name": check.verdict.name,
            "action": check.action,
            "alpha": check.verdict.alpha,
            "is_apart": is_apart(check),
        })
    });
    json!({
        "alpha": plan.alpha,
        "beta": plan.beta,
        "slices": budget.slices,
        "gateways": budget.gateways,
        "checks": parts.collect::<Vec<_>>(),
    })
}

/// How the plan goes together with each feature of a configuration; or why the configuration cannot be read, which a plan in
/// it may be all the same.
fn fits(config: &Path, plan: &Plan) -> Result<Vec<(FeatureName, Fit)>, String> {
    // Nothing is called: a secret that is not set here, on whatever machine this is, may be anything.
    let variable = |name: &str| environment::variable(name).or_else(|| Some(name.to_owned()));
    let loaded = load(config, &variable).map_err(|problems| problems.to_string())?;
    let features = loaded.config.features.values();
    Ok(features.map(|feature| (Arc::as_ref(feature).name.clone(), fit_plan(feature, plan))).collect())
}

fn fit_json(feature: &FeatureName, fit: &Fit) -> Value {
    let list = |problems: &[lockgate_config::Problem]| -> Value {
        let one = |problem: &lockgate_config::Problem| json!({ "path": problem.path, "message": problem.message, "hint": problem.hint });
        problems.iter().map(one).collect()
    };
    json!({ "feature": feature, "problems": list(&fit.problems), "warnings": list(&fit.warnings) })
}
