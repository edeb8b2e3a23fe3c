//! Compares the tools that two answers call.
//!
//! Calls made side by side have no order, so first those that are the same in name and arguments are matched, wherever they
//! stand; then what is left, in order, by name. The score is the mean of the matched calls' arguments over the longer list:
//! another tool, or a call too many, counts as 0.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::json;
use super::{Agreement, ToolCall};

/// Differences that are named.
const DIFFERENCES_NAMED: usize = 3;

/// Characters shown of a tool's name.
const SHOWN_CHARS: usize = 64;

/// Compares two lists of calls, of which at least one is not empty.
pub(super) fn compare(stable: &[ToolCall<'_>], candidate: &[ToolCall<'_>]) -> Agreement {
    let stable: Vec<Call<'_>> = stable.iter().map(Call::read).collect();
    let candidate: Vec<Call<'_>> = candidate.iter().map(Call::read).collect();
    let all = stable.len().max(candidate.len());
    let mut by_name: BTreeMap<&str, [Vec<&Value>; 2]> = BTreeMap::new();
    for (side, calls) in
        [unmatched(&stable, &candidate), unmatched(&candidate, &stable)].into_iter().enumerate()
    {
        for call in calls {
            by_name.entry(call.name).or_default()[side].push(&call.arguments);
        }
    }
    if by_name.is_empty() {
        return Agreement::whole("the same tool calls");
    }
    let same = stable.len() - by_name.values().map(|[left, _]| left.len()).sum::<usize>();
    let mut score = same as f64;
    let mut differences = Vec::new();
    for (name, [of_stable, of_candidate]) in by_name {
        let name: String = name.chars().take(SHOWN_CHARS).collect();
        for (a, b) in of_stable.iter().zip(&of_candidate) {
            let arguments = json::compare_values(a, b);
            score += arguments.score;
            differences.push(format!("`{name}`: {}", arguments.why));
        }
        match of_stable.len().cmp(&of_candidate.len()) {
            std::cmp::Ordering::Less => differences.push(format!("only the candidate calls `{name}`")),
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => differences.push(format!("only stable calls `{name}`")),
        }
    }
    differences.truncate(DIFFERENCES_NAMED);
    let why = format!("{same} of {all} tool calls are the same; {}", differences.join("; "));
    Agreement { score: score / all as f64, why }
}

/// The calls that have no equal among the others, in their order.
fn unmatched<'a, 'c>(calls: &'a [Call<'c>], others: &[Call<'c>]) -> Vec<&'a Call<'c>> {
    let mut equals: HashMap<(&str, &str), usize> = HashMap::new();
    for other in others {
        *equals.entry((other.name, &other.canonical)).or_default() += 1;
    }
    let mut left = Vec::new();
    for call in calls {
        match equals.get_mut(&(call.name, call.canonical.as_str())) {
            Some(count) if *count > 0 => *count -= 1,
            _ => left.push(call),
        }
    }
    left
}

struct Call<'c> {
    name: &'c str,
    arguments: Value,
    /// The same for arguments that are the same.
    canonical: String,
}

impl<'c> Call<'c> {
    /// Arguments that are no JSON are compared as the text they are; a tool that takes none may be called with an empty text.
    fn read(call: &ToolCall<'c>) -> Self {
        let arguments = match call.arguments.trim() {
            "" => Value::Object(serde_json::Map::new()),
            text => json::read(text).unwrap_or_else(|| Value::from(text)),
        };
        Self { name: call.name, canonical: json::canonical(&arguments), arguments }
    }
}
