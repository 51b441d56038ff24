//! What a recommender returns, over every weighting and kind of id.

use std::collections::HashSet;
use std::process::Command;

use crate::common::{Numbers, fit_options, plays, small_recommender};
use nearwood::als::Csr;
use nearwood::error::{Error, QueryError, TrainError};
use nearwood::format::{Element, Kind};
use nearwood::recommend::{FitOptions, RecommendOptions, Weighting};
use nearwood::{BatchOptions, Effort, Filter, Hit, Id, Ids, Index, Interactions, Recommender};

const USERS: usize = 120;
const ITEMS: usize = 300;

fn data() -> Interactions {
    Interactions::from_matrix(plays(USERS, ITEMS, 8))
}

/// Items that somebody has: the others have no vector, and nothing is known about them.
fn had() -> usize {
    data().matrix.indices().iter().collect::<HashSet<_>>().len()
}

fn fit(weighting: Weighting) -> Recommender {
    let recommender = Recommender::fit(&data(), &fit_options(8, weighting)).unwrap();
    recommender.verify().unwrap();
    recommender
}

fn options(k: usize) -> RecommendOptions<'static> {
    RecommendOptions { k, effort: Effort::Budget(ITEMS), ..RecommendOptions::default() }
}

fn positions(hits: &[Hit]) -> Vec<u32> {
    hits.iter().map(|hit| hit.position).collect()
}

#[test]
fn scores_are_products_of_factors_and_the_best_come_first() {
    for weighting in Weighting::ALL {
        let r = fit(weighting);
        for user in 0..USERS - 1 {
            let vector = &r.user_factors()[user * 8..][..8];
            let hits = r.recommend(user as u32, options(20)).unwrap();
            let mut scores: Vec<f64> = (0..ITEMS as u32)
                .filter(|item| !r.seen(user as u32).contains(item))
                .map(|item| {
                    let item = r.items().vector(item).unwrap();
                    vector.iter().zip(item.iter()).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
                })
                .collect();
            scores.sort_by(|a, b| b.total_cmp(a));
            assert_eq!(hits.len(), 20);
            for (hit, score) in hits.iter().zip(scores) {
                assert!((f64::from(hit.distance) - score).abs() < 1e-5, "{weighting} {user}");
            }
        }
    }
}

#[test]
fn what_was_seen_comes_up_only_when_asked_for() {
    let (data, r) = (data(), fit(Weighting::Log1p));
    let mut came_up = 0;
    for user in 0..USERS as u32 {
        let seen = data.matrix.row(user as usize).0;
        assert_eq!(r.seen(user), seen);
        for effort in [Effort::Recall(0.9), Effort::Budget(ITEMS), Effort::Exact] {
            let o = RecommendOptions { effort, ..options(ITEMS) };
            let hits = positions(&r.recommend(user, o).unwrap());
            assert!(hits.iter().all(|p| !seen.contains(p)), "user {user}, {effort:?}");
            let all = r.recommend(user, RecommendOptions { include_seen: true, ..o }).unwrap();
            let known = !seen.is_empty();
            assert_eq!(hits.len(), if known { had() - seen.len() } else { 0 }, "user {user}");
            assert_eq!(all.len(), if known { had() } else { 0 }, "user {user}");
            came_up += all.iter().filter(|hit| seen.contains(&hit.position)).count();
        }
    }
    assert_eq!(came_up, 3 * data.matrix.nnz());
    assert!(r.seen(USERS as u32).is_empty());
}

#[test]
fn offsets_of_interactions_have_room_beyond_32_bits() {
    let offsets: fn(&Csr) -> &[u64] = Csr::indptr;
    let data = data();
    assert_eq!(offsets(&data.matrix).last(), Some(&(data.matrix.nnz() as u64)));
    assert_eq!(Kind::SeenOffsets.element(), Element::U64);
    // What an offset of 32 bits would wrap to is not read.
    let beyond = vec![0, 1 << 32, (1 << 32) + 2];
    assert!(Csr::from_parts(9, beyond, vec![1, 2], vec![1.0, 1.0]).is_err());
}

#[test]
fn who_has_no_history_gets_nothing() {
    for weighting in Weighting::ALL {
        let r = fit(weighting);
        let last = USERS as u32 - 1;
        assert!(r.seen(last).is_empty());
        assert!(r.recommend(last, options(5)).unwrap().is_empty());
        let batch = r.recommend_batch(&[last], options(5)).unwrap();
        assert_eq!(batch.positions, [u32::MAX; 5]);
        assert_eq!(batch.distances, [f32::NEG_INFINITY; 5]);
        assert!(r.recommend_for(&[], options(5)).unwrap().is_empty());
        assert_eq!(r.fold_in(&[]).unwrap(), [0.0; 8]);
    }
}

#[test]
fn a_batch_and_all_users_are_what_one_user_is() {
    let r = fit(Weighting::Bm25);
    let filter = Filter::from_positions(r.items(), (0..ITEMS as u32).step_by(3));
    for filter in [None, Some(&filter)] {
        for n_threads in [Some(1), Some(2), Some(3), None] {
            let effort = Effort::Exact;
            let o = RecommendOptions { k: 7, filter, n_threads, effort, include_seen: false };
            let one = |user: u32| r.recommend(user, o).unwrap();
            let users: Vec<u32> = (0..USERS as u32).rev().chain([3, 3]).collect();
            let batch = r.recommend_batch(&users, o).unwrap();
            for (at, &user) in users.iter().enumerate() {
                let mut hits = one(user);
                let (missing, position) = (f32::NEG_INFINITY, u32::MAX);
                hits.resize(7, Hit { position, distance: missing });
                assert_eq!(batch.positions[7 * at..][..7], positions(&hits), "user {user}");
                let scores: Vec<f32> = hits.iter().map(|hit| hit.distance).collect();
                assert_eq!(batch.distances[7 * at..][..7], scores, "user {user}");
            }
            let mut next = 0;
            let each = |user: u32, hits: &[Hit]| {
                assert_eq!((user, hits), (next, &one(user)[..]));
                next += 1;
                Ok::<_, QueryError>(true)
            };
            r.recommend_all(o, each).unwrap();
            assert_eq!(next, USERS as u32);
        }
    }
    let mut calls = 0;
    let stop = |_: u32, _: &[Hit]| {
        calls += 1;
        Ok::<_, QueryError>(calls < 3)
    };
    r.recommend_all(options(1), stop).unwrap();
    assert_eq!(calls, 3);
}

#[test]
fn an_unchanged_history_folds_in_to_the_stored_vector() {
    let data = data();
    for weighting in Weighting::ALL {
        let r = fit(weighting);
        let mut numbers = Numbers::new(1);
        for user in 0..USERS {
            let (items, weights) = data.matrix.row(user);
            let mut history: Vec<(u32, f32)> =
                items.iter().copied().zip(weights.iter().copied()).collect();
            if history.len() > 1 {
                let other = numbers.below(history.len());
                history.swap(0, other);
            }
            // An item that comes twice counts with the sum.
            if let Some((item, weight)) = history.pop() {
                history.extend([(item, weight - 0.5), (item, 0.5)]);
            }
            let folded = r.fold_in(&history).unwrap();
            let stored = &r.user_factors()[user * 8..][..8];
            for (a, b) in folded.iter().zip(stored) {
                assert!((a - b).abs() <= 1e-5, "{weighting}, user {user}: {folded:?} {stored:?}");
            }
            let (a, b) =
                (r.recommend_for(&history, options(5)), r.recommend(user as u32, options(5)));
            let (a, b) = (positions(&a.unwrap()), positions(&b.unwrap()));
            assert_eq!(a, b, "{weighting}, user {user}");
        }
    }
}

#[test]
fn similar_items_are_those_at_the_smallest_angle_without_the_item() {
    let r = fit(Weighting::Log1p);
    for item in 0..ITEMS as u32 {
        let query = r.items().vector(item).unwrap();
        for effort in [Effort::Recall(0.9), Effort::Exact] {
            let o = BatchOptions { k: 10, effort, ..BatchOptions::default() };
            let hits = r.similar(item, o).unwrap();
            let distinct: HashSet<u32> = positions(&hits).into_iter().collect();
            let known = query.iter().any(|&x| x != 0.0);
            assert_eq!(distinct.len(), if known { 10 } else { 0 }, "item {item}");
            assert!(!distinct.contains(&item), "item {item}");
            for hit in &hits {
                let other = r.items().vector(hit.position).unwrap();
                let dot = |a: &[f32], b: &[f32]| -> f64 {
                    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
                };
                let norms = (dot(&query, &query) * dot(&other, &other)).sqrt();
                let angle = 1.0 - dot(&query, &other) / norms;
                assert!((f64::from(hit.distance) - angle).abs() < 1e-5, "{hit:?} {angle}");
            }
        }
    }
}

#[test]
fn names_of_users_and_items_are_found() {
    let r = small_recommender(30, 40, Weighting::Raw);
    r.verify().unwrap();
    for user in 0..30u32 {
        let id = Id::Text(format!("user-{user}"));
        assert_eq!((r.user(&id), r.user_id(user)), (Some(user), id.clone()));
        assert_eq!(r.find_user(&id.to_string()), Ok(user));
    }
    for item in 0..40u32 {
        let id = 1000 + 3 * i64::from(item);
        assert_eq!(r.items().find(&id.to_string()), Ok(item));
        assert_eq!(r.items().label(item), Some(format!("song {}", item / 2)));
    }
    assert!(matches!(r.items().find("song 3"), Err(QueryError::AmbiguousLabel { .. })));
    let error = r.find_user("nobody").unwrap_err().to_string();
    assert!(error.contains("there is no user nobody") && error.contains("history"), "{error}");
    assert_eq!((r.user(&Id::Int(3)), r.user_id(30)), (None, Id::from("")));
    let ints = fit(Weighting::Raw);
    assert_eq!((ints.find_user("7"), ints.user(&Id::Int(119))), (Ok(7), Some(119)));
    assert_eq!((ints.user(&Id::Int(120)), ints.user_id(120)), (None, Id::Int(-1)));
    assert!(ints.find_user("07").is_err());
    assert_eq!(ints.user_ids(), Ids::Sequential(USERS));
}

#[test]
fn what_cannot_be_answered_is_refused() {
    let r = fit(Weighting::Log1p);
    let (users, items) = (USERS as u32, ITEMS as u32);
    for user in [users, u32::MAX] {
        let error = r.recommend(user, options(5)).unwrap_err();
        assert!(matches!(error, QueryError::UnknownId { what: "user", .. }), "{error}");
        assert!(r.recommend_batch(&[0, user], options(5)).is_err());
    }
    for item in [items, u32::MAX] {
        let error = r.similar(item, BatchOptions::default()).unwrap_err();
        assert!(matches!(error, QueryError::UnknownId { what: "item", .. }), "{error}");
        let error = r.recommend_for(&[(0, 1.0), (item, 1.0)], options(5)).unwrap_err();
        assert!(matches!(error, Error::Query(QueryError::UnknownId { what: "item", .. })));
    }
    for weight in [f32::NAN, f32::INFINITY] {
        assert!(r.recommend_for(&[(0, weight)], options(5)).is_err());
    }
    assert!(r.recommend(0, options(0)).is_err());
    let wild = RecommendOptions { k: usize::MAX, ..RecommendOptions::default() };
    assert!(r.recommend_batch(&[0, 1], wild).is_err());
    assert_eq!(r.recommend(0, wild).unwrap().len(), had() - r.seen(0).len());
    let none = RecommendOptions { effort: Effort::Recall(f64::NAN), ..options(5) };
    assert!(r.recommend(0, none).is_err());
    assert!(r.recommend_all::<QueryError>(none, |_, _| Ok(true)).is_err());
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let data = data();
    let with = |change: &dyn Fn(&mut FitOptions)| {
        let mut options = fit_options(4, Weighting::Raw);
        change(&mut options);
        Recommender::fit(&data, &options).err().unwrap().to_string()
    };
    assert!(with(&|o| o.params.factors = 0).starts_with("factors is 0"));
    assert!(with(&|o| o.labels = Some(vec![])).starts_with("got 0 ids for 300 rows"));
    let ids = Interactions { users: Ids::Int(vec![1; USERS]), ..data.clone() };
    assert!(Recommender::fit(&ids, &fit_options(4, Weighting::Raw)).is_err());
    let ids = Interactions { items: Ids::Sequential(3), ..data.clone() };
    assert!(Recommender::fit(&ids, &fit_options(4, Weighting::Raw)).is_err());
    let empty = nearwood::als::Csr::from_triplets(3, 3, &[], &[], &[]).unwrap();
    let empty = Interactions::from_matrix(empty);
    let error = Recommender::fit(&empty, &fit_options(4, Weighting::Raw)).err();
    assert!(matches!(error, Some(Error::Train(TrainError::Empty { .. }))));
}

/// What a process answers, as text.
fn answers(r: &Recommender) -> String {
    let batch = r.recommend_batch(&[0, 1, 2, 119], options(5)).unwrap();
    let similar = r.similar(3, BatchOptions::default()).unwrap();
    format!("{batch:?} {similar:?} {:?} {:?}", r.params(), r.loss_history())
}

#[test]
fn another_process_opens_the_file_and_answers_the_same() {
    // The child is this test again: it finds the file's name here.
    if let Some(path) = std::env::var_os("NEARWOOD_TEST_OPEN") {
        println!("ANSWERS {}", answers(&Recommender::open(path).unwrap()));
        return;
    }
    let r = fit(Weighting::Bm25);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.nw");
    r.save(&path).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "recommend::another_process_opens_the_file_and_answers_the_same",
            "--exact",
            "--nocapture",
        ])
        .env("NEARWOOD_TEST_OPEN", &path)
        .output()
        .unwrap();
    let text = String::from_utf8(child.stdout).unwrap();
    assert!(text.contains(&format!("ANSWERS {}", answers(&r))), "{text}");
    let opened = Recommender::open(&path).unwrap();
    opened.verify().unwrap();
    assert_eq!(opened.as_bytes(), r.as_bytes());
    assert_eq!(opened.weighting(), Weighting::Bm25);
    assert_eq!(Index::open(&path).unwrap().len(), ITEMS, "the items alone open as an index");
}

#[test]
fn a_file_of_the_other_kind_is_named_as_what_it_is() {
    let values: Vec<f32> = (0..40).map(|i| i as f32).collect();
    let index = nearwood::Index::builder(nearwood::Metric::Dot)
        .build(nearwood::Vectors::new(&values, 4).unwrap())
        .unwrap();
    let error = Recommender::from_bytes(index.as_bytes()).err().unwrap().to_string();
    assert_eq!(error, "the file is a whole index, expected recommender: open it as what it is");
}
