//! Configuration: any text gives a configuration or problems that can be printed.

use std::path::Path;

use lockgate_config::parse;

use crate::seeds::{self, Row};

/// What a configuration may name as files is looked for here, where there are none.
const NOWHERE: &str = "a/folder/that/is/not/there";

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // A device named as a secret's file may be read for ever or block; that is whose wish it was to name it.
    if text.contains("/dev") || text.contains("/proc") {
        return;
    }
    match parse(text, Path::new(NOWHERE), &|_| None) {
        Ok(loaded) => assert!(loaded.warnings.iter().all(|warning| !warning.message.is_empty())),
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
}

/// No exchange has a configuration: the example, and parts that lead to others of the checks.
pub fn seeds(_: &[Row]) -> Vec<Vec<u8>> {
    seeds::configurations()
}
