//! Offsets of names and of seen items that go to and fro: what a small file makes a reader allocate is
//! bounded by its size, not by the product of two sections.

use crate::common::allocator::asked;
use crate::common::file::{reseal_section, sections};
use crate::common::fuzz::swing;
use crate::common::{Naming, small_index, small_recommender};
use nearwood::format::Kind;
use nearwood::recommend::{RecommendOptions, Weighting};
use nearwood::{BatchOptions, Effort, Index, Metric, Recommender};

fn swung(good: &[u8], kind: Kind, space: u16) -> Vec<u8> {
    let mut bytes = good.to_vec();
    let mut found = sections(good).into_iter();
    let section = found.find(|s| (s.kind, s.space) == (kind.code(), space)).unwrap();
    swing(&mut bytes[section.bytes.clone()], kind.element().size());
    reseal_section(&mut bytes, &section);
    bytes
}

/// The bytes that `body` asks for on this thread.
fn cost(body: impl FnOnce()) -> usize {
    let before = asked();
    body();
    asked() - before
}

#[test]
fn names_that_are_all_the_same_bytes_are_copied_once() {
    let good = small_index(Metric::Euclidean, 3000, Naming::TextsAndLabels);
    let len = good.as_bytes().len();
    for kind in [Kind::TextIdOffsets, Kind::LabelOffsets] {
        let index = Index::from_bytes(swung(good.as_bytes(), kind, 0)).unwrap();
        assert!(index.verify().is_err(), "{}", kind.name());
        let positions: Vec<u32> = (0..3000).collect();
        let taken = cost(|| {
            assert_eq!(index.ids().len(), 3000);
            let labels = positions.iter().map(|&p| index.label(p).unwrap().len());
            assert!(labels.sum::<usize>() <= len);
            assert!(
                positions.iter().map(|&p| index.id(p).to_string().len()).sum::<usize>() <= 2 * len
            );
            assert!(index.suggest("row-2", 3).len() <= 3);
            let _ = index.find("label 7");
        });
        assert!(taken < 20 * len, "{taken} bytes for a file of {len}");
        // What is found has its distances all the same.
        let options =
            BatchOptions { k: 2, effort: Effort::Exact, n_threads: Some(1), filter: None };
        let found = index.search_positions(&positions[..9], options, true).unwrap();
        assert!(found.positions.chunks(2).zip(&positions).all(|(hits, own)| hits[0] == *own));
    }
}

#[test]
fn items_that_all_users_have_seen_are_read_once() {
    let good = small_recommender(1500, 60, Weighting::Raw);
    let bad = Recommender::from_bytes(swung(good.as_bytes(), Kind::SeenOffsets, 0)).unwrap();
    assert!(bad.verify().is_err());
    let seen = |r: &Recommender| (0..1500).map(|user| r.seen(user).len()).sum::<usize>();
    let all = seen(&good);
    assert!(all > 4000 && seen(&bad) <= all, "{} of {all}", seen(&bad));
    let options =
        RecommendOptions { k: 5, effort: Effort::Budget(30), ..RecommendOptions::default() };
    let options = RecommendOptions { n_threads: Some(1), ..options };
    let everybody = |r: &Recommender| {
        cost(|| {
            let users: Vec<u32> = (0..1500).collect();
            assert_eq!(r.recommend_batch(&users, options).unwrap().positions.len(), 7500);
        })
    };
    let (own, other) = (everybody(&good), everybody(&bad));
    assert!(other <= 2 * own + (1 << 20), "{other} bytes, {own} for the good file");
}

#[test]
fn names_of_users_are_copied_once() {
    let good = small_recommender(1500, 60, Weighting::Raw);
    let bad = Recommender::from_bytes(swung(good.as_bytes(), Kind::TextIdOffsets, 2)).unwrap();
    let taken = cost(|| assert_eq!(bad.user_ids().len(), 1500));
    assert!(taken < 2 * good.as_bytes().len(), "{taken} bytes");
}
