//! Measures what counting a call costs: `cargo run --release -p lockgate-gateway --example record_speed`.
//!
//! One call is everything that the statistics take of it: its slot found, its caller and its session looked up, and some
//! twenty counters moved, from its assignment to its end. What is not in it: the reading of the clock, which is done twice.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails has nothing to say")]

use std::time::{Duration, Instant};

use jiff::Timestamp;
use lockgate_gateway::Workbench;

const ROUNDS: usize = 40;
const CALLS: usize = 100_000;
/// Enough that their sessions do not all stay in the processor's nearest cache.
const CALLERS: usize = 20_000;

fn main() {
    let workbench = Workbench::new().unwrap();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let names: Vec<(String, String)> =
        (0..CALLERS).map(|number| (format!("user-{number}"), format!("session-{number}"))).collect();
    let round = |names: &[(String, String)], calls: usize| {
        for (user, session) in names.iter().cycle().take(calls) {
            workbench.call(user, session, now);
        }
    };
    measure("callers seen for the first time", 1, CALLERS, || round(&names, CALLERS));
    measure("one known caller", ROUNDS, CALLS, || round(&names[..1], CALLS));
    measure("known callers, one after another", ROUNDS, CALLS, || round(&names, CALLS));
}

/// Tells of the fastest round: the others measure what else the machine does.
fn measure(what: &str, rounds: usize, calls: usize, mut round: impl FnMut()) {
    let (mut fastest, mut allocations) = (Duration::MAX, 0);
    for _ in 0..rounds {
        let begun = Instant::now();
        allocations += allocation_counter::measure(&mut round).count_total;
        fastest = fastest.min(begun.elapsed());
    }
    let each = fastest.as_secs_f64() * 1e9 / calls as f64;
    let allocations = allocations as f64 / (rounds * calls) as f64;
    println!("{what:<36} {each:>6.0} ns a call {allocations:>8.4} allocations a call");
}
