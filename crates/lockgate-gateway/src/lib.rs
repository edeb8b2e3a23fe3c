//! Carries calls from clients to targets.
