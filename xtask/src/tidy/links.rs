//! Whether the links in Markdown files lead somewhere.
//!
//! A relative link must name a file or folder that exists, a link to a heading one that is there, and a link whose text is
//! code and whose goal is a Rust file (`[`decide`](../src/decide.rs)`) must name something that the file contains. So the
//! documentation cannot describe functions that have gone.

use std::collections::BTreeSet;

use super::{File, Problem};

/// Every link that leads nowhere.
pub fn problems(files: &[File], exists: impl Fn(&str) -> bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        for link in links(&file.text) {
            if let Err(what) = check(&link, &file.path, files, &exists) {
                problems.push(Problem { path: file.path.clone(), line: Some(link.line), what });
            }
        }
    }
    problems
}

/// A link as it stands in the text.
struct Link<'t> {
    line: usize,
    text: &'t str,
    goal: &'t str,
}

fn check(link: &Link<'_>, from: &str, files: &[File], exists: &impl Fn(&str) -> bool) -> Result<(), String> {
    let goal = link.goal;
    if goal.contains("://") || goal.starts_with("mailto:") {
        return Ok(());
    }
    let (path, heading) = goal.split_once('#').map_or((goal, None), |(path, heading)| (path, Some(heading)));
    let path = if path.is_empty() { Some(from.to_owned()) } else { resolve(from, path) };
    let Some(path) = path.filter(|path| exists(path)) else {
        return Err(format!("`{goal}` leads nowhere"));
    };
    let Some(file) = files.iter().find(|file| file.path == path) else {
        return Ok(());
    };
    if let Some(heading) = heading
        && path.ends_with(".md")
        && !headings(&file.text).contains(heading)
    {
        return Err(format!("`{path}` has no heading `#{heading}`"));
    }
    if let Some(name) = named_code(link.text)
        && path.ends_with(".rs")
        && !file.text.contains(name)
    {
        return Err(format!("`{path}` does not contain `{name}`"));
    }
    Ok(())
}

/// The last part of a name in backquotes, `None` when the text is not a name but a file or prose.
fn named_code(text: &str) -> Option<&str> {
    let code = text.strip_prefix('`')?.strip_suffix('`')?;
    let name = code.rsplit("::").next()?.trim_end_matches("()");
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some(name)
}

/// A path relative to the file `from`, without `.` and `..`; `None` when it leaves the workspace.
fn resolve(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// All inline links outside of code blocks.
fn links(markdown: &str) -> Vec<Link<'_>> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (i, line) in markdown.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for (middle, _) in line.match_indices("](") {
            let opens = line[..middle].rfind('[');
            let closes = line[middle..].find(')');
            if let (Some(opens), Some(closes)) = (opens, closes) {
                let (text, goal) = (&line[opens + 1..middle], &line[middle + 2..middle + closes]);
                found.push(Link { line: i + 1, text, goal });
            }
        }
    }
    found
}

/// The names under which headings are linked to: lower case, spaces as hyphens, other punctuation left out.
fn headings(markdown: &str) -> BTreeSet<String> {
    let titles = markdown.lines().filter(|line| line.starts_with('#'));
    titles
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(markdown: &str, expected: &[&str]) {
        let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
        let files = [
            file("docs/guide/a.md", markdown),
            file("docs/b.md", "# What it does\n\n## 2. One, two\n"),
            file("src/c.rs", "//! Is.\npub fn decide() {}\n"),
        ];
        let exists = |path: &str| path == "docs" || files.iter().any(|file| file.path == path);
        let found: Vec<String> = problems(&files, exists).into_iter().map(|problem| problem.what).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn links_that_lead_somewhere_are_left_alone() {
        check(
            "# Own\n[b](../b.md) [one](../b.md#2-one-two), [own](#own), [web](https://example.org/x) and [folder](..)\n",
            &[],
        );
        check(
            "[`c.rs`](../../src/c.rs), [`decide`](../../src/c.rs), [`core::decide()`](../../src/c.rs)\n",
            &[],
        );
        check("```\n[x](gone.md)\n```\n", &[]);
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        check(
            "[x](gone.md) [y](../../../../etc/passwd)\n",
            &["`gone.md` leads nowhere", "`../../../../etc/passwd` leads nowhere"],
        );
        check("[x](../b.md#three)\n", &["`docs/b.md` has no heading `#three`"]);
    }

    #[test]
    fn code_that_has_gone_is_found() {
        check("[`judge`](../../src/c.rs)\n", &["`src/c.rs` does not contain `judge`"]);
    }
}
