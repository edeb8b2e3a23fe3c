//! Which call was answered by what, until the store knows it.
//!
//! A call is noted when it is assigned and again when it ends; a flush writes what is new. Feedback looks here first and then
//! in the store, so that it finds a call that began a moment ago. What is written and ended is forgotten here.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lockgate_core::name::{FeatureName, RequestId};
use lockgate_store::row::{About, Answer};
use lockgate_store::{Retry, Store, StoreError};

use crate::counts::Counter;

/// Most answers that wait for the store, some 60 MiB of them; beyond it the oldest are lost to the audit.
const WAITING_MAX: usize = 100_000;
/// Answers per write: a write of this size holds the store's one writer for some ten milliseconds.
const BATCH: usize = 1_000;

/// The status of a call that is under way.
pub(crate) const UNDER_WAY: u16 = 0;
/// The status of a call whose client left first, as nginx has it.
pub(crate) const CLIENT_LEFT: u16 = 499;

/// The status of an evaluation: somebody was told his version, and no target was asked.
pub(crate) const EVALUATED: u16 = 200;

/// Whether somebody was only told his version and then served elsewhere, so that what came of it is known by report alone. A
/// call that was answered here names its target.
pub(crate) fn is_evaluation(answer: &Answer) -> bool {
    answer.status == EVALUATED && answer.target.is_none()
}

/// Answers that the store does not know yet, or not to the end.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    index: Mutex<Index>,
    pub(crate) dropped: Counter,
}

#[derive(Debug, Default)]
struct Index {
    notes: HashMap<RequestId, Note>,
    /// In the order of their arrival; ids that are no longer in `notes` are skipped.
    order: VecDeque<RequestId>,
    by_answer: HashMap<String, RequestId>,
    /// The latest call of a session, for each feature.
    by_session: HashMap<String, BTreeMap<FeatureName, RequestId>>,
}

#[derive(Debug)]
struct Note {
    answer: Answer,
    /// Whether the store has it as it stands.
    is_written: bool,
}

impl Answers {
    /// Notes a call, new or changed.
    pub(crate) fn note(&self, answer: Answer) {
        let mut index = self.lock();
        if let Some(id) = &answer.answer_id {
            index.by_answer.insert(id.clone(), answer.request_id);
        }
        let id = answer.request_id;
        if !index.notes.contains_key(&id) {
            index.order.push_back(id);
            if let Some(session) = &answer.session {
                index.by_session.entry(session.clone()).or_default().insert(answer.feature.clone(), id);
            }
        }
        index.notes.insert(id, Note { answer, is_written: false });
        while index.notes.len() > WAITING_MAX
            && let Some(oldest) = index.order.pop_front()
        {
            if index.forget(oldest) {
                self.dropped.add(1);
            }
        }
    }

    /// The answer that something is about: the later of what is known here and in the store.
    pub(crate) async fn find(&self, store: &Store, about: &About) -> Result<Option<Answer>, StoreError> {
        let here = self.find_here(about);
        match (about, here) {
            (About::Request(_) | About::Answer(_), Some(here)) => Ok(Some(here)),
            // A session's latest call may have been written and forgotten here while an earlier one is still under way.
            (_, here) => {
                Ok(store.answer(about).await?.into_iter().chain(here).max_by_key(|answer| answer.ts))
            }
        }
    }

    fn find_here(&self, about: &About) -> Option<Answer> {
        let index = self.lock();
        let of = |id: &RequestId| index.notes.get(id).map(|note| &note.answer);
        match about {
            About::Request(id) => of(id),
            About::Answer(id) => of(index.by_answer.get(id)?),
            About::Session { session, feature: Some(feature) } => {
                of(index.by_session.get(session)?.get(feature)?)
            }
            About::Session { session, feature: None } => {
                index.by_session.get(session)?.values().filter_map(of).max_by_key(|answer| answer.ts)
            }
        }
        .cloned()
    }

    /// Writes what is new, oldest first, and forgets what is written and ended.
    pub(crate) async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        let fresh = self.fresh();
        for batch in fresh.chunks(BATCH) {
            match store.put_answers(batch.to_vec()).await {
                Ok(()) => self.confirm(batch),
                // What can never be written must not stand in the way of what comes after it.
                Err(error) if error.retry() == Retry::Never => {
                    self.dropped.add(batch.len() as u64);
                    self.confirm(batch);
                }
                Err(error) => return Err(error),
            }
        }
        self.tidy();
        Ok(())
    }

    fn fresh(&self) -> Vec<Answer> {
        let index = self.lock();
        let notes = index.order.iter().filter_map(|id| index.notes.get(id));
        notes.filter(|note| !note.is_written).map(|note| note.answer.clone()).collect()
    }

    fn confirm(&self, written: &[Answer]) {
        let mut index = self.lock();
        for answer in written {
            match index.notes.get_mut(&answer.request_id) {
                // It went on while it was being written; the next flush writes it again.
                Some(note) if note.answer != *answer => {}
                Some(note) if answer.status == UNDER_WAY => note.is_written = true,
                _ => {
                    index.forget(answer.request_id);
                }
            }
        }
    }

    fn tidy(&self) {
        let Index { notes, order, .. } = &mut *self.lock();
        order.retain(|id| notes.contains_key(id));
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    /// Removes a call and what points to it; whether it was there.
    fn forget(&mut self, id: RequestId) -> bool {
        let Some(Note { answer, .. }) = self.notes.remove(&id) else { return false };
        if let Some(answer_id) = &answer.answer_id
            && self.by_answer.get(answer_id) == Some(&id)
        {
            self.by_answer.remove(answer_id);
        }
        if let Some(session) = &answer.session
            && let Some(latest) = self.by_session.get_mut(session)
        {
            if latest.get(&answer.feature) == Some(&id) {
                latest.remove(&answer.feature);
            }
            if latest.is_empty() {
                self.by_session.remove(session);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use lockgate_core::name::{Revision, VersionName, VersionRef};
    use lockgate_core::segment::Segment;
    use lockgate_core::signal::Arm;

    use super::*;

    fn answer(number: u128, status: u16) -> Answer {
        Answer {
            request_id: RequestId(uuid::Uuid::from_u128(number)),
            answer_id: Some(format!("answer-{number}")),
            session: Some("s".into()),
            ts: Timestamp::from_second(number as i64).unwrap(),
            feature: FeatureName::new("f").unwrap(),
            version: VersionRef { name: VersionName::new("v1").unwrap(), revision: Revision::of(b"v1") },
            arm: Arm::Stable,
            rollout: None,
            segment: Segment::none(),
            point: None,
            target: None,
            tier: None,
            status,
        }
    }

    fn about_session() -> About {
        About::Session { session: "s".into(), feature: None }
    }

    #[tokio::test]
    async fn a_call_is_found_before_during_and_after_its_way_to_the_store() {
        let (answers, store) = (Answers::default(), Store::in_memory().await.unwrap());
        let about = About::Request(RequestId(uuid::Uuid::from_u128(1)));
        answers.note(answer(1, UNDER_WAY));
        assert_eq!(answers.find(&store, &about).await.unwrap(), Some(answer(1, UNDER_WAY)));
        answers.flush(&store).await.unwrap();
        assert_eq!(answers.lock().notes.len(), 1, "it is under way");
        answers.note(answer(1, 200));
        answers.flush(&store).await.unwrap();
        assert!(answers.lock().notes.is_empty() && answers.lock().order.is_empty());
        assert!(answers.lock().by_session.is_empty() && answers.lock().by_answer.is_empty());
        assert_eq!(answers.find(&store, &about).await.unwrap(), Some(answer(1, 200)));
        let by_id = answers.find(&store, &About::Answer("answer-1".into())).await.unwrap();
        assert_eq!(by_id, Some(answer(1, 200)));
    }

    #[tokio::test]
    async fn a_sessions_latest_call_wins_wherever_it_is_kept() {
        let (answers, store) = (Answers::default(), Store::in_memory().await.unwrap());
        answers.note(answer(1, UNDER_WAY));
        answers.note(answer(2, 200));
        answers.flush(&store).await.unwrap();
        let latest = answers.find(&store, &about_session()).await.unwrap().unwrap();
        assert_eq!(latest.request_id, answer(2, 200).request_id, "though only the earlier one is still here");
    }

    #[test]
    fn the_oldest_is_lost_when_the_store_is_away_for_too_long() {
        let answers = Answers::default();
        for number in 0..WAITING_MAX as u128 + 2 {
            answers.note(answer(number, 200));
        }
        let index = answers.lock();
        assert_eq!((index.notes.len(), answers.dropped.value()), (WAITING_MAX, 2));
        assert!(!index.notes.contains_key(&answer(1, 200).request_id));
    }
}
