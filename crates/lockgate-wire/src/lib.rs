//! Speaks the providers' formats: parse, write, stream, splice (pure).
