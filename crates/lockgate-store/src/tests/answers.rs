//! Answers: the audit of calls and what feedback is attributed by.

use lockgate_core::name::FeatureName;
use lockgate_core::signal::Arm;

use super::invent::{Folder, answer, at, feature, request, rollout};
use crate::Store;
use crate::row::{About, Answer, Reach};

fn finished(number: u128) -> Answer {
    Answer {
        answer_id: Some(format!("chatcmpl-{number}")),
        session: Some("s1".into()),
        target: Some("big".into()),
        tier: Some(0),
        status: 200,
        ..answer(number)
    }
}

#[tokio::test]
async fn an_answer_is_read_back_as_it_was_written_by_each_of_its_names() {
    let folder = Folder::new();
    let store = Store::open(&folder.file()).await.unwrap();
    let full = Answer { point: Some(u32::MAX), ts: at(1) + jiff::Span::new().nanoseconds(1), ..finished(7) };
    let bare = Answer { rollout: None, point: None, arm: Arm::Stable, ..answer(8) };
    store.put_answers(vec![full.clone(), bare.clone()]).await.unwrap();
    drop(store);

    let store = Store::open(&folder.file()).await.unwrap();
    assert_eq!(store.served(request(7)).await.unwrap(), Some(full.clone()));
    assert_eq!(store.served(request(8)).await.unwrap(), Some(bare));
    assert_eq!(store.served(request(9)).await.unwrap(), None);
    assert_eq!(store.answer(&About::Answer("chatcmpl-7".into())).await.unwrap(), Some(full));
    assert_eq!(store.answer(&About::Answer("chatcmpl-8".into())).await.unwrap(), None);
}

#[tokio::test]
async fn a_session_is_its_latest_call_of_the_feature_that_is_named() {
    let store = Store::in_memory().await.unwrap();
    let other = FeatureName::new("search").unwrap();
    let foreign = Answer { feature: other.clone(), ..finished(3) };
    store.put_answers(vec![foreign.clone(), finished(2), finished(1)]).await.unwrap();
    let session = |feature| About::Session { session: "s1".into(), feature };
    assert_eq!(store.answer(&session(None)).await.unwrap(), Some(foreign.clone()));
    assert_eq!(store.answer(&session(Some(feature()))).await.unwrap(), Some(finished(2)));
    assert_eq!(store.answer(&session(Some(other))).await.unwrap(), Some(foreign));
    let nobody = About::Session { session: "s2".into(), feature: None };
    assert_eq!(store.answer(&nobody).await.unwrap(), None);
}

#[tokio::test]
async fn a_later_state_replaces_an_earlier_one_and_a_call_that_ended_stays_ended() {
    let store = Store::in_memory().await.unwrap();
    store.put_answers(vec![answer(1)]).await.unwrap();
    store.put_answers(vec![finished(1)]).await.unwrap();
    store.put_answers(vec![answer(1)]).await.unwrap();
    assert_eq!(store.served(request(1)).await.unwrap(), Some(finished(1)));
    let cut = Answer { status: 499, ..finished(1) };
    store.put_answers(vec![cut.clone()]).await.unwrap();
    assert_eq!(store.served(request(1)).await.unwrap(), Some(cut));
}

#[tokio::test]
async fn reach_counts_each_call_and_each_user_once_and_only_the_candidates() {
    let store = Store::in_memory().await.unwrap();
    assert_eq!(store.reach(rollout(1)).await.unwrap(), Reach::default());
    let of_point = |number, point| Answer { point, ..answer(number) };
    let mut answers =
        vec![of_point(1, Some(5)), of_point(2, Some(5)), of_point(3, Some(u32::MAX)), of_point(4, None)];
    answers.push(Answer { arm: Arm::Shadow, ..answer(90) });
    answers.push(Answer { arm: Arm::Stable, ..answer(91) });
    answers.push(Answer { rollout: Some(rollout(2)), ..answer(92) });
    answers.push(Answer { rollout: None, ..answer(93) });
    store.put_answers(answers.clone()).await.unwrap();
    // Again, and ended: nobody is reached twice by one call.
    let ended = answers.into_iter().map(|answer| Answer { status: 200, ..answer }).collect();
    store.put_answers(ended).await.unwrap();
    let reach = Reach { calls: 4, users: 2, last: Some(at(4)) };
    assert_eq!(store.reach(rollout(1)).await.unwrap(), reach);
    assert_eq!(store.reach(rollout(2)).await.unwrap(), Reach { calls: 1, users: 1, last: Some(at(92)) });
}
