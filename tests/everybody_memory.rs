//! That a job for all users needs no more memory for more of them. Alone in its binary: what is
//! counted is what the process holds.
#![cfg(feature = "tables")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::allocator::{self, Counting};
use common::{fit_options, plays};
use nearwood::io::{EverybodyOptions, recommend_everybody};
use nearwood::recommend::{RecommendOptions, Weighting};
use nearwood::{Effort, Interactions, Recommender};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes held during a job for so many users.
fn held(users: usize, effort: Effort) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.nw");
    let mut options = fit_options(4, Weighting::Raw);
    options.params.iterations = 1;
    let data = Interactions::from_matrix(plays(users, 60, 2));
    Recommender::fit(&data, &options).unwrap().save(&path).unwrap();
    let recommender = Recommender::open(&path).unwrap();
    drop(data);
    let recommend =
        RecommendOptions { k: 5, effort, n_threads: Some(2), ..RecommendOptions::default() };
    let options = EverybodyOptions { recommend, ..EverybodyOptions::default() };
    allocator::forget();
    let target = dir.path().join("r.csv");
    let written = recommend_everybody(&recommender, target, options, |_, _| true).unwrap();
    assert_eq!(written.unwrap().users, users);
    allocator::most_held()
}

#[test]
fn memory_does_not_grow_with_the_users() {
    for effort in [Effort::Exact, Effort::Budget(40)] {
        let (few, many) = (held(9_000, effort), held(60_000, effort));
        assert!(many < few + few / 4, "{few} bytes for 9,000 users, {many} for 60,000");
    }
}
