//! The lockgate executable.
fn main() {}
