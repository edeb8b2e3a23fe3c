//! Reads what was said: compares two answers (pure).
