//! Many threads on one file, and files replaced under their readers.

use std::fs;

use crate::common::{DIM, Naming, Numbers, names_in, small_index, small_recommender, small_values};
use nearwood::error::SaveError;
use nearwood::recommend::{RecommendOptions, Weighting};
use nearwood::{BatchOptions, Effort, Filter, Hit, Index, Metric};

/// All answers of an index, one query after another.
fn answers(index: &Index) -> Vec<Vec<Hit>> {
    let queries = Numbers::new(11).normals(200 * DIM);
    let odd = Filter::from_positions(index, (1..index.len() as u32).step_by(2));
    let mut all = Vec::new();
    for query in queries.chunks_exact(DIM) {
        for effort in [Effort::Recall(0.8), Effort::Budget(40), Effort::Exact] {
            let hits = |filter, excluded: &[u32]| {
                index.with_searcher(|searcher| {
                    searcher.k(6).effort(effort).filter(filter).exclude(excluded);
                    searcher.search(query).unwrap().to_vec()
                })
            };
            all.extend([hits(None, &[]), hits(None, &[1, 5, 9]), hits(Some(&odd), &[])]);
        }
    }
    all
}

#[test]
fn eight_threads_at_once_get_the_answers_of_one() {
    let dir = tempfile::tempdir().unwrap();
    for metric in Metric::ALL {
        let path = dir.path().join(metric.name());
        small_index(metric, 1000, Naming::Ints).save(&path).unwrap();
        let index = Index::open(&path).unwrap();
        let alone = answers(&index);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| answers(&index))).collect();
            for thread in threads {
                assert!(thread.join().unwrap() == alone, "{metric}");
            }
        });
        let queries = small_values(333);
        let batch = |n_threads| {
            let options = BatchOptions { n_threads, ..BatchOptions::default() };
            index.search_batch(&queries, options).unwrap()
        };
        let one = batch(Some(1));
        assert!([Some(2), Some(3), Some(8), None].into_iter().all(|n| batch(n) == one), "{metric}");
    }
}

#[test]
fn eight_threads_may_ask_a_fresh_recommender_at_once() {
    let r = small_recommender(40, 60, Weighting::Bm25);
    // Everyone meets the first fold-in, which computes what the later ones share.
    let ask = || {
        let o = RecommendOptions { k: 4, ..RecommendOptions::default() };
        let history = r.recommend_for(&[(3, 2.0), (9, 1.0)], o).unwrap();
        let users: Vec<Vec<Hit>> = (0..40).map(|user| r.recommend(user, o).unwrap()).collect();
        (history, users, r.similar(5, BatchOptions::default()).unwrap())
    };
    let all: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(all.iter().all(|answers| *answers == ask()));
}

#[test]
fn a_reader_keeps_the_file_that_it_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("live.nw");
    let old = small_index(Metric::Euclidean, 300, Naming::Sequential);
    let new = small_index(Metric::Euclidean, 200, Naming::TextsAndLabels);
    old.save(&path).unwrap();
    let reader = Index::open(&path).unwrap();
    let expected = answers(&old);
    std::thread::scope(|scope| {
        let readers: Vec<_> =
            (0..3).map(|_| scope.spawn(|| (0..5).all(|_| answers(&reader) == expected))).collect();
        for round in 0..20 {
            let index = if round % 2 == 0 { &new } else { &old };
            index.save(&path).unwrap();
            assert_eq!(Index::open(&path).unwrap().len(), index.len());
        }
        new.save(&path).unwrap();
        assert!(readers.into_iter().all(|reader| reader.join().unwrap()));
    });
    assert!(reader.verify().is_ok() && answers(&reader) == expected);
    let again = Index::open(&path).unwrap();
    assert!(again.as_bytes() == new.as_bytes() && again.verify().is_ok());
    assert_eq!(names_in(dir.path()), ["live.nw"]);
}

#[test]
fn writers_at_once_leave_one_whole_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("contested.nw");
    let indexes: Vec<Index> =
        (0..4).map(|i| small_index(Metric::Dot, 100 + i, Naming::Ints)).collect();
    std::thread::scope(|scope| {
        for index in &indexes {
            scope.spawn(|| (0..10).for_each(|_| index.save(&path).unwrap()));
        }
    });
    let last = Index::open(&path).unwrap();
    last.verify().unwrap();
    assert!(indexes.iter().any(|index| index.as_bytes() == last.as_bytes()));
    assert_eq!(names_in(dir.path()), ["contested.nw"]);
}

#[test]
fn a_save_that_fails_leaves_the_old_file_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let index = small_index(Metric::Dot, 50, Naming::Sequential);
    let protected = dir.path().join("protected.nw");
    fs::write(&protected, "old").unwrap();
    let mut permissions = fs::metadata(&protected).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&protected, permissions).unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    let model = small_recommender(8, 9, Weighting::Raw);
    for name in ["missing/index.nw", "folder", "protected.nw", "protected.nw/index.nw"] {
        let path = dir.path().join(name);
        for error in [index.save(&path).unwrap_err(), model.save(&path).unwrap_err()] {
            let SaveError::Io { path: said, .. } = &error else { panic!("{error}") };
            assert_eq!(*said, path);
            assert!(error.to_string().contains("untouched"), "{error}");
        }
    }
    assert_eq!(fs::read(&protected).unwrap(), b"old");
    assert_eq!(names_in(dir.path()), ["folder", "protected.nw"]);
    assert!(names_in(&dir.path().join("folder")).is_empty());
}
