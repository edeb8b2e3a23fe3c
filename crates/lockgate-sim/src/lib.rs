//! Invented targets, traffic, faults and time: for the demo, the drill and the tests.
