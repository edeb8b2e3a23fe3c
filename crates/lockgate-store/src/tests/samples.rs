//! Samples: the most different pairs are kept, and only so many.

use lockgate_core::name::FeatureName;

use super::invent::{at, feature, request, version};
use crate::Store;
use crate::row::ShadowSample;

fn sample(number: u128, agreement: f64) -> ShadowSample {
    ShadowSample {
        request_id: request(number),
        ts: at(number as i64),
        feature: feature(),
        candidate: version("v2"),
        agreement,
        why: "two numbers differ".into(),
        stable_text: "It costs 12.".into(),
        candidate_text: "It costs 21.".into(),
    }
}

#[tokio::test]
async fn the_most_different_come_first_and_of_equals_the_latest() {
    let store = Store::in_memory().await.unwrap();
    let elsewhere = ShadowSample { feature: FeatureName::new("search").unwrap(), ..sample(9, 0.0) };
    store.put_samples(vec![sample(1, 0.5), sample(2, 0.1), sample(3, 0.5), elsewhere]).await.unwrap();
    let kept = store.samples(&feature(), 10).await.unwrap();
    assert_eq!(kept, [sample(2, 0.1), sample(3, 0.5), sample(1, 0.5)]);
    assert_eq!(store.samples(&feature(), 1).await.unwrap(), [sample(2, 0.1)]);
}

#[tokio::test]
async fn of_each_candidate_the_two_hundred_most_different_are_kept() {
    let store = Store::in_memory().await.unwrap();
    for part in 0..3 {
        let samples =
            (0..150).map(|i| sample(part * 150 + i, 1.0 - (part * 150 + i) as f64 / 1000.0)).collect();
        store.put_samples(samples).await.unwrap();
    }
    let other = ShadowSample { candidate: version("v3"), ..sample(1, 1.0) };
    store.put_samples(vec![other.clone()]).await.unwrap();
    let kept = store.samples(&feature(), 1000).await.unwrap();
    assert_eq!(kept.len(), 201);
    assert_eq!(kept[199], sample(250, 0.75));
    assert_eq!(kept[200], other);
}

#[tokio::test]
async fn a_pair_sent_again_is_kept_once_and_one_that_could_not_be_compared_comes_first() {
    let store = Store::in_memory().await.unwrap();
    store.put_samples(vec![sample(1, 0.2), sample(1, 0.2), sample(2, f64::NAN)]).await.unwrap();
    let kept = store.samples(&feature(), 10).await.unwrap();
    assert_eq!(kept, [sample(2, 0.0), sample(1, 0.2)]);
}
