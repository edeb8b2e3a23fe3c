//! Which crate may use which, and what the pure crates must do without.
//!
//! Dependencies point one way: `lockgate -> {gateway, control, sim} -> {store, config} -> {core, text, wire} -> stats`. A
//! crate uses crates of lower levels only, so gateway and control can never import each other. Tests of the gateway and of
//! the controller may use the simulator as well, because invented targets are what they are tested with.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Problem;

/// The levels, lowest first.
const LEVELS: [&[&str]; 5] = [
    &["lockgate-stats"],
    &["lockgate-core", "lockgate-text", "lockgate-wire"],
    &["lockgate-store", "lockgate-config"],
    &["lockgate-gateway", "lockgate-control", "lockgate-sim"],
    &["lockgate", "lockgate-calibrate", "lockgate-fuzz"],
];

/// Crates that compute and do nothing else.
const PURE: [&str; 4] = ["lockgate-stats", "lockgate-core", "lockgate-text", "lockgate-wire"];

/// What a pure crate must not come to depend on, not even through others: runtimes, sockets, databases.
const IMPURE: [&str; 10] = [
    "tokio",
    "async-std",
    "mio",
    "hyper",
    "hyper-util",
    "axum",
    "reqwest",
    "rustls",
    "rusqlite",
    "libsqlite3-sys",
];

/// Every broken rule in what `cargo metadata` tells of the workspace.
pub fn problems(metadata: &Value) -> Vec<Problem> {
    let workspace = Workspace::read(metadata);
    let mut problems = Vec::new();
    for member in &workspace.members {
        let mut add =
            |what: String| problems.push(Problem { path: member.manifest.clone(), line: None, what });
        if member.description.trim().is_empty() {
            add("a crate says in `description` what it is for, in one sentence".into());
        }
        if member.name != "xtask" && level(&member.name).is_none() {
            add(format!("`{}` has no place among the levels in xtask/src/tidy/manifests.rs", member.name));
        }
        for dependency in &member.dependencies {
            if !may_use(&member.name, dependency) {
                add(format!("`{}` must not depend on `{}`", member.name, dependency.name));
            }
        }
        if PURE.contains(&member.name.as_str()) {
            for found in workspace.reached_from(&member.id).intersection(&IMPURE.into()) {
                add(format!("`{}` is pure and must not come to depend on `{found}`", member.name));
            }
        }
    }
    problems
}

fn level(name: &str) -> Option<usize> {
    LEVELS.iter().position(|level| level.contains(&name))
}

fn may_use(user: &str, used: &Dependency) -> bool {
    let Some(used_level) = level(&used.name) else {
        return true;
    };
    let Some(user_level) = level(user) else {
        // Tasks drive the executable from outside.
        return false;
    };
    let tests_with_targets = used.is_for_tests && used.name == "lockgate-sim" && user != "lockgate-sim";
    used_level < user_level || (tests_with_targets && used_level == user_level)
}

struct Dependency {
    name: String,
    is_for_tests: bool,
}

struct Member {
    id: String,
    name: String,
    manifest: String,
    description: String,
    dependencies: Vec<Dependency>,
}

struct Workspace {
    members: Vec<Member>,
    /// Name of every package by its id.
    names: BTreeMap<String, String>,
    /// Ids of what every package uses outside its tests and build scripts.
    uses: BTreeMap<String, Vec<String>>,
}

impl Workspace {
    fn read(metadata: &Value) -> Self {
        let root = format!("{}/", text(&metadata["workspace_root"]));
        let member_ids: BTreeSet<String> = list(&metadata["workspace_members"]).map(text).collect();
        let packages = || list(&metadata["packages"]);
        let members = packages().filter(|package| member_ids.contains(&text(&package["id"])));
        Self {
            members: members.map(|package| Member::read(package, &root)).collect(),
            names: packages().map(|package| (text(&package["id"]), text(&package["name"]))).collect(),
            uses: list(&metadata["resolve"]["nodes"])
                .map(|node| {
                    let used = list(&node["deps"]).filter(|used| is_normal(used));
                    (text(&node["id"]), used.map(|used| text(&used["pkg"])).collect())
                })
                .collect(),
        }
    }

    /// Names of all packages that one depends on, directly or through others.
    fn reached_from(&self, id: &str) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![id];
        while let Some(id) = waiting.pop() {
            for used in self.uses.get(id).into_iter().flatten() {
                if let Some(name) = self.names.get(used)
                    && reached.insert(name.as_str())
                {
                    waiting.push(used);
                }
            }
        }
        reached
    }
}

impl Member {
    fn read(package: &Value, root: &str) -> Self {
        let manifest = text(&package["manifest_path"]);
        Self {
            id: text(&package["id"]),
            name: text(&package["name"]),
            manifest: manifest.strip_prefix(root).unwrap_or(&manifest).to_owned(),
            description: text(&package["description"]),
            dependencies: list(&package["dependencies"])
                .map(|used| Dependency { name: text(&used["name"]), is_for_tests: used["kind"] == "dev" })
                .collect(),
        }
    }
}

/// In `cargo metadata` a dependency that is neither for tests nor for build scripts has the kind `null`.
fn is_normal(used: &Value) -> bool {
    list(&used["dep_kinds"]).any(|kind| kind["kind"].is_null())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A workspace of crates, each with what it uses; a name with `?` is used by its tests only.
    fn check(crates: &[(&str, &[&str])], expected: &[&str]) {
        let id = |name: &str| format!("id-{name}");
        let kind = |used: &str| if used.ends_with('?') { json!("dev") } else { Value::Null };
        let plain = |used: &str| used.trim_end_matches('?').to_owned();
        let packages: Vec<Value> = crates
            .iter()
            .map(|(name, used)| {
                json!({
                    "id": id(name), "name": name, "description": "Is.", "manifest_path": format!("/w/{name}/Cargo.toml"),
                    "dependencies": used.iter().map(|used| json!({"name": plain(used), "kind": kind(used)})).collect::<Vec<_>>(),
                })
            })
            .collect();
        let nodes: Vec<Value> = crates
            .iter()
            .map(|(name, used)| {
                let deps = used
                    .iter()
                    .map(|used| json!({"pkg": id(&plain(used)), "dep_kinds": [{"kind": kind(used)}]}));
                json!({"id": id(name), "deps": deps.collect::<Vec<_>>()})
            })
            .collect();
        let members: Vec<String> = crates
            .iter()
            .filter(|(name, _)| name.starts_with("lockgate"))
            .map(|(name, _)| id(name))
            .collect();
        let metadata = json!({"workspace_root": "/w", "workspace_members": members, "packages": packages, "resolve": {"nodes": nodes}});
        let found: Vec<String> = problems(&metadata).into_iter().map(|problem| problem.what).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn lower_levels_may_be_used() {
        check(
            &[
                ("lockgate-stats", &[]),
                ("lockgate-core", &["lockgate-stats"]),
                ("lockgate-gateway", &["lockgate-core"]),
                ("lockgate", &["lockgate-gateway", "lockgate-core"]),
            ],
            &[],
        );
    }

    #[test]
    fn gateway_and_control_never_import_each_other() {
        check(
            &[("lockgate-gateway", &["lockgate-control"]), ("lockgate-control", &["lockgate-gateway?"])],
            &[
                "`lockgate-gateway` must not depend on `lockgate-control`",
                "`lockgate-control` must not depend on `lockgate-gateway`",
            ],
        );
    }

    #[test]
    fn only_tests_of_the_gateway_may_use_the_simulator() {
        check(&[("lockgate-gateway", &["lockgate-sim?"]), ("lockgate-sim", &[])], &[]);
        check(
            &[
                ("lockgate-gateway", &["lockgate-sim"]),
                ("lockgate-store", &["lockgate-sim?"]),
                ("lockgate-sim", &[]),
            ],
            &[
                "`lockgate-gateway` must not depend on `lockgate-sim`",
                "`lockgate-store` must not depend on `lockgate-sim`",
            ],
        );
    }

    #[test]
    fn a_pure_crate_may_not_reach_a_runtime_through_others() {
        check(
            &[("lockgate-wire", &["parser"]), ("parser", &["tokio"]), ("tokio", &[])],
            &["`lockgate-wire` is pure and must not come to depend on `tokio`"],
        );
        check(&[("lockgate-wire", &["parser"]), ("parser", &["tokio?"]), ("tokio", &[])], &[]);
    }

    #[test]
    fn a_new_crate_must_be_given_its_place() {
        check(
            &[("lockgate-new", &[])],
            &["`lockgate-new` has no place among the levels in xtask/src/tidy/manifests.rs"],
        );
    }
}
