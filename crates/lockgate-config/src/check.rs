//! Turns what people wrote into what code uses, or into every problem at once.
//!
//! First the file is compared with the tables of `file`: keys, types, ranges. Then each part below builds its values and
//! notes what only shows when two values are seen together. A part that meets something malformed stays silent about it, for
//! that has been told, and gives `None`; the others go on, so that one mistake hides no other.

mod client;
mod endpoint;
mod feature;
mod outside;
mod patience;
mod plan;
mod plan_for;
mod rule;
mod target;
mod version;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lockgate_core::name::PlanName;
use lockgate_core::plan::{Plan, standard_name};

use crate::file::{ADMIN, BOUNDS, FILE, PLAN, PLANS, PRICE, SIGNALS};
use crate::load::Plans;
use crate::node::{Node, Value};
use crate::place::{Fields, Place};
use crate::problem::{Found, Problem};
use crate::shape::{Kind, compare};
use crate::value::{Admin, Bounds, Config, Price, SignalSettings, StoreUrl};

pub(crate) use outside::reason;
pub(crate) use plan::is_everybody;
pub use plan_for::{Fit, check_plan_for, fit_plan, fit_rollout};
pub(crate) use rule::is_hard;

/// Whom to ask for what is outside the file, and what has been found.
pub(crate) struct Check<'a> {
    /// What relative files are relative to.
    base: &'a Path,
    env: &'a dyn Fn(&str) -> Option<String>,
    found: &'a mut Found,
    /// The files that were read beside the configuration.
    files: BTreeSet<PathBuf>,
}

/// Checks a whole file; gives the configuration and the files that it points to.
pub(crate) fn config(
    root: &Node,
    base: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    found: &mut Found,
) -> Option<(Config, BTreeSet<PathBuf>)> {
    if root.value == Value::Null {
        found.problem(Problem::of_file(
            "there is nothing in it".into(),
            "begin with `targets:` and `features:`",
        ));
        return None;
    }
    let place = Place::root(root);
    compare(&place, &Kind::Shape(&FILE), found);
    let mut check = Check { base, env, found, files: BTreeSet::new() };
    let config = check.config(&place.fields(&FILE))?;
    Some((config, check.files))
}

/// Checks one plan that stands alone. The signals it declares are taken on trust: there is no feature to ask.
pub(crate) fn plan(root: &Node, name: PlanName, found: &mut Found) -> Option<Plan> {
    let place = Place::root(root);
    compare(&place, &Kind::Shape(&PLAN), found);
    let mut check = Check { base: Path::new(""), env: &|_| None, found, files: BTreeSet::new() };
    check.lone_plan(name, place)
}

/// Checks what a file says of plans and nothing else: a whole configuration's, or the one plan that the file is.
pub(crate) fn plans(root: &Node, name_of_one: PlanName, found: &mut Found) -> Option<Plans> {
    let is_configuration = FILE.keys.iter().any(|key| root.get(key.name).is_some());
    let (written, plans) = if is_configuration {
        let place = Place::root(root);
        if let Some(plans_at) = place.get("plans") {
            compare(&plans_at, &PLANS, found);
        }
        let file = place.fields(&FILE);
        let written: BTreeSet<&str> = file.named("plans").into_iter().map(|(name, _)| name).collect();
        let mut check = Check { base: Path::new(""), env: &|_| None, found, files: BTreeSet::new() };
        (written.into_iter().filter_map(|name| PlanName::new(name).ok()).collect(), check.plans(&file))
    } else {
        let one = plan(root, name_of_one.clone(), found)?;
        let standard = (standard_name(), Arc::new(Plan::standard()));
        (vec![name_of_one.clone()], BTreeMap::from([standard, (name_of_one, Arc::new(one))]))
    };
    Some(Plans { written, plans })
}

impl Check<'_> {
    fn config(&mut self, file: &Fields<'_>) -> Option<Config> {
        let admin = self.admin(file);
        let listen = file.address("listen");
        let store = self.store(file);
        let targets = self.targets(file);
        let prices = prices(file);
        let features = self.features(file, &targets, &prices);
        let plans = self.plans(file);
        let clients = self.clients(file);
        let bounds = bounds(&sub(file, "bounds", &BOUNDS));
        let signals = self.signals(&sub(file, "signals", &SIGNALS));
        Some(Config {
            listen: listen?,
            admin: admin?,
            store: store?,
            targets: targets.values,
            features,
            plans,
            clients,
            bounds: bounds?,
            signals: signals?,
        })
    }

    fn admin(&mut self, file: &Fields<'_>) -> Option<Admin> {
        let fields = sub(file, "admin", &ADMIN);
        let token_at = fields.get("token");
        let token = token_at.as_ref().and_then(|place| self.secret(place));
        let listen = fields.address("listen")?;
        let at = fields.get("listen").unwrap_or_else(|| fields.place.clone());
        if !listen.ip().is_loopback() && token_at.is_none() {
            let message = format!("{listen} can be reached from other machines, and there is no token");
            self.problem(
                &at,
                message,
                "add token: { env: LOCKGATE_ADMIN_TOKEN }, or listen on 127.0.0.1:7081",
            );
        }
        if listen.port() != 0 && file.address("listen") == Some(listen) {
            self.problem(
                &at,
                format!("clients call {listen} already"),
                "give the admin port a number of its own: 127.0.0.1:7081",
            );
        }
        Some(Admin { listen, token })
    }

    fn store(&mut self, file: &Fields<'_>) -> Option<StoreUrl> {
        let text = file.text("store")?;
        if text == "sqlite::memory:" {
            return Some(StoreUrl::SqliteMemory);
        }
        if let Some(path) =
            text.strip_prefix("sqlite://").filter(|path| !path.is_empty() && !path.contains('?'))
        {
            return Some(StoreUrl::Sqlite(self.base.join(path)));
        }
        let place = file.get("store")?;
        let message = match text.split_once(':') {
            Some(("postgres" | "postgresql", _)) => {
                "this version keeps its log in SQLite only, not in Postgres".into()
            }
            _ => format!("{} is not a store", place.node),
        };
        self.problem(
            &place,
            message,
            "write sqlite://lockgate.db, sqlite:///var/lib/lockgate/lockgate.db or sqlite::memory:",
        );
        None
    }

    fn signals(&mut self, fields: &Fields<'_>) -> Option<SignalSettings> {
        let settings = SignalSettings {
            bucket: fields.duration("bucket")?,
            flush: fields.duration("flush")?,
            watermark: fields.duration("watermark")?,
            session_idle: fields.duration("session_idle")?,
            retention: fields.duration("retention")?,
        };
        let mut at_least = |key: &str, least: Duration, what: &str| {
            let place = fields.get(key).unwrap_or_else(|| fields.place.clone());
            if fields.duration(key).is_some_and(|given| given < least) {
                let hint = format!("write {key}: {} or more", crate::duration::write(least));
                self.problem(&place, format!("`{key}` is shorter than {what}"), hint);
            }
        };
        at_least("bucket", settings.flush, "`flush`: sums would be read before they are written");
        at_least(
            "watermark",
            2 * settings.flush,
            "two times `flush`: a bucket would be read before all of it is written",
        );
        at_least(
            "session_idle",
            settings.bucket,
            "`bucket`: a session would end between two calls of the same bucket",
        );
        at_least("retention", 10 * settings.bucket, "ten times `bucket`");
        Some(settings)
    }

    fn problem(&mut self, place: &Place<'_>, message: impl Into<String>, hint: impl Into<String>) {
        self.found.problem(place.problem(message, hint));
    }

    fn warning(&mut self, place: &Place<'_>, message: impl Into<String>, hint: impl Into<String>) {
        self.found.warning(place.problem(message, hint));
    }
}

/// A mapping below a key; when it is not written, an empty one, so that its defaults hold.
fn sub<'n>(fields: &Fields<'n>, key: &str, shape: &'static crate::shape::Shape) -> Fields<'n> {
    static NOTHING: Node = Node { line: 1, value: Value::Map(Vec::new()) };
    let unwritten = || Place { path: key.to_owned(), ..Place::root(&NOTHING) };
    fields.get(key).unwrap_or_else(unwritten).fields(shape)
}

fn prices(file: &Fields<'_>) -> BTreeMap<String, Price> {
    let price_of =
        |(model, place): (&str, Place<'_>)| Some((model.to_owned(), price(&place.fields(&PRICE))?));
    file.named("prices").into_iter().filter_map(price_of).collect()
}

fn price(fields: &Fields<'_>) -> Option<Price> {
    Some(Price {
        input_per_million_usd: fields.number("input_per_million")?,
        output_per_million_usd: fields.number("output_per_million")?,
    })
}

fn bounds(fields: &Fields<'_>) -> Option<Bounds> {
    Some(Bounds {
        body_bytes_max: fields.size("body_bytes_max")?,
        header_bytes_max: fields.size("header_bytes_max")?,
        answer_bytes_kept_max: fields.size("answer_bytes_kept_max")?,
        calls_max: fields.whole("calls_max")?,
        deadline: fields.duration("deadline")?,
        drain: fields.duration("drain")?,
        lame_duck: fields.duration("lame_duck")?,
        ping: fields.duration("ping")?,
    })
}
