//! Turns counts into evidence that may be looked at all the time (pure, numbers only).
