//! Moves rollouts by evidence and shows them to people.
