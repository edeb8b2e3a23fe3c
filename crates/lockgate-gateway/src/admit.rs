//! Lets a call in while there is room, and holds its place until its last byte.
//!
//! One bound for now: calls under way. It stands before the body is read, because bodies are what takes memory. Limits that
//! need to know the caller belong here too, after the assignment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lockgate_wire::error::Failure;

use crate::counts::Counter;

/// How many calls are under way.
#[derive(Debug, Default)]
pub(crate) struct Places {
    taken: AtomicUsize,
    pub(crate) refused: Counter,
}

/// A call's place; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Places>);

/// Takes a place, or refuses the call when `calls_max` are taken.
pub(crate) fn place(places: &Arc<Places>, calls_max: usize) -> Result<Place, Failure> {
    let place = Place(Arc::clone(places));
    // Taken first and given back by the drop: between a look and a taking, others could come in.
    if places.taken.fetch_add(1, Ordering::AcqRel) >= calls_max {
        places.refused.add(1);
        return Err(Failure::TooManyCalls { calls_max });
    }
    Ok(place)
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_refused_when_all_are_taken_and_free_again_after() {
        let places = Arc::default();
        let first = place(&places, 1).unwrap();
        assert!(matches!(place(&places, 1), Err(Failure::TooManyCalls { calls_max: 1 })));
        assert_eq!(places.refused.value(), 1);
        drop(first);
        assert!(place(&places, 1).is_ok());
    }
}
