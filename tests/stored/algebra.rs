//! Trees appended, dropped, merged and built apart: to the byte what one build gives.

use std::fs;

use crate::common::file::{reseal_section, sections};
use crate::common::{Naming, Numbers, clustered, small_index, small_recommender, small_values};
use nearwood::index::Builder;
use nearwood::recommend::Weighting;
use nearwood::{Ids, Index, Metric, TreeOptions, Vectors};

const DIM: usize = 9;
const N: usize = 2500;

fn values() -> Vec<f32> {
    clustered(N, DIM, 20, &mut Numbers::new(51))
}

fn builder(metric: Metric, first: usize, trees: usize) -> Builder {
    let ids = Ids::Text((0..N).map(|i| format!("id {i}")).collect());
    let labels = (0..N).map(|i| format!("label {}", i / 2)).collect();
    let builder = Index::builder(metric).first_tree(first).trees(trees).seed(6).leaf_size(40);
    builder.ids(ids).labels(labels).threads(Some(2))
}

fn build(metric: Metric, first: usize, trees: usize) -> Index {
    builder(metric, first, trees).build(Vectors::new(&values(), DIM).unwrap()).unwrap()
}

fn same(a: &Index, b: &Index, what: &str) {
    let first = a.as_bytes().iter().zip(b.as_bytes()).position(|(a, b)| a != b);
    let sizes = (a.as_bytes().len(), b.as_bytes().len());
    assert!(a.as_bytes() == b.as_bytes(), "{what}: {sizes:?} bytes, first difference at {first:?}");
}

#[test]
fn one_build_is_what_its_parts_come_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.nw");
    for metric in Metric::ALL {
        let (whole, low, high) = (build(metric, 0, 4), build(metric, 0, 2), build(metric, 2, 2));
        assert_eq!((high.tree_numbers(), high.n_trees()), (vec![2, 3], 2));
        for n_threads in [Some(1), Some(3)] {
            for path in [None, Some(path.as_path())] {
                let options = TreeOptions { n_threads, path, ..TreeOptions::default() };
                let what = format!("{metric}, {n_threads:?} threads, {path:?}");
                same(&Index::merge(&[&low, &high], options).unwrap(), &whole, &what);
                same(&Index::merge(&[&high, &low], options).unwrap(), &whole, &what);
                same(&low.append_trees(2, options).unwrap(), &whole, &what);
                same(&whole.drop_trees(&[3, 2], options).unwrap(), &low, &what);
                same(&whole.drop_trees(&[0, 1], options).unwrap(), &high, &what);
                same(&low.drop_trees(&[], options).unwrap(), &low, &what);
                if path.is_some() {
                    assert_eq!(fs::read(dir.path().join("t.nw")).unwrap(), low.as_bytes());
                }
            }
        }
        let options = TreeOptions::default();
        let parts: Vec<Index> = (0..4).map(|first| build(metric, first, 1)).collect();
        let all: Vec<&Index> = [3, 1, 0, 2].iter().map(|&at| &parts[at]).collect();
        same(&Index::merge(&all, options).unwrap(), &whole, "four builds");
        let odd = whole.drop_trees(&[0, 2], options).unwrap();
        odd.verify().unwrap();
        assert_eq!(odd.tree_numbers(), [1, 3]);
        same(&Index::merge(&[&odd, &parts[2], &parts[0]], options).unwrap(), &whole, "put back");
        assert_eq!(odd.append_trees(1, options).unwrap().tree_numbers(), [1, 3, 4]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

#[test]
fn the_calibration_is_measured_with_the_queries_given() {
    let values = values();
    let queries = Numbers::new(52).normals(100 * DIM);
    let build = |first, trees| {
        let builder = builder(Metric::Dot, first, trees).calibration_queries(queries.clone());
        builder.build(Vectors::new(&values, DIM).unwrap()).unwrap()
    };
    let (whole, low, high) = (build(0, 3), build(0, 2), build(2, 1));
    let given = TreeOptions { queries: Some(&queries), ..TreeOptions::default() };
    same(&Index::merge(&[&low, &high], given).unwrap(), &whole, "merged");
    same(&low.append_trees(1, given).unwrap(), &whole, "appended");
    same(&whole.drop_trees(&[2], given).unwrap(), &low, "dropped");
    let without = whole.drop_trees(&[], TreeOptions::default()).unwrap();
    assert_ne!(without.calibration(), whole.calibration());
    assert_eq!(without.metadata()["calibrated_with"], "rows");
    assert_eq!(whole.metadata()["calibrated_with"], "queries");
    let short = TreeOptions { queries: Some(&queries[1..]), ..given };
    assert!(low.append_trees(1, short).is_err());
}

#[test]
fn files_that_do_not_belong_together_are_told_apart() {
    let low = build(Metric::Euclidean, 0, 1);
    let mut moved = values();
    moved[700 * DIM + 3] += 1.0;
    let values = values();
    let plain = Index::builder(Metric::Euclidean).first_tree(1).seed(6).leaf_size(40);
    let ids = |n: usize| Ids::Text((0..n).map(|i| format!("id {}", i + 1)).collect());
    let other = |builder: Builder, values: &[f32]| {
        builder.build(Vectors::new(values, DIM).unwrap()).unwrap()
    };
    let own = || builder(Metric::Euclidean, 1, 1);
    for (other, expected) in [
        (other(own(), &moved), "section vectors of file 2 is other from position 700 on"),
        (build(Metric::Dot, 1, 1), "the metric of file 2 is dot, expected euclidean"),
        (other(own().seed(7), &values), "the parameter seed of file 2 is 7, expected 6"),
        (other(own().leaf_size(41), &values), "the parameter leaf_size of file 2 is 41"),
        (
            build(Metric::Euclidean, 0, 2),
            "the number of a tree of file 2 is 0, as in a file before",
        ),
        (other(plain, &values), "section string id offsets of file 2 is missing, expected there"),
        (other(own().ids(ids(N)), &values), "section string id"),
        (small_index(Metric::Euclidean, 30, Naming::Ints), "the shape of file 2 is 30 x 5"),
    ] {
        let error = Index::merge(&[&low, &other], TreeOptions::default()).err().unwrap();
        let text = error.to_string();
        assert!(text.contains(expected) && text.contains("build "), "{text}\nexpected {expected}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let index = small_index(Metric::Angular, 50, Naming::Ints);
    let options = TreeOptions::default();
    let text = |result: Result<Index, nearwood::Error>| result.err().unwrap().to_string();
    assert!(text(index.append_trees(0, options)).contains("at least 1"));
    assert!(text(index.append_trees(999, options)).contains("at most 1000 in all"));
    assert!(text(index.drop_trees(&[0, 1], options)).contains("at least one tree"));
    assert!(text(index.drop_trees(&[7], options)).contains("7, the index has 0, 1"));
    assert!(
        text(index.drop_trees(&[0, 0], options).and(Index::merge(&[], options))).contains("one")
    );
    let recommender = small_recommender(8, 9, Weighting::Raw);
    assert!(text(recommender.items().append_trees(1, options)).contains("recommender"));
    let stop = TreeOptions { progress: &|_, _| false, ..options };
    assert!(text(index.append_trees(1, stop)).contains("stopped"));
    let builder = Index::builder(Metric::Dot).first_tree(usize::MAX);
    let error = builder.build(Vectors::new(&small_values(9), 5).unwrap()).err().unwrap();
    assert!(error.to_string().contains("first_tree"), "{error}");
}

#[test]
fn damaged_files_give_errors_or_wrong_trees_and_no_panic() {
    let index = small_index(Metric::Euclidean, 60, Naming::Ints);
    let other = small_index(Metric::Euclidean, 60, Naming::Ints);
    let other = other.append_trees(1, TreeOptions::default()).unwrap();
    let other = other.drop_trees(&[0, 1], TreeOptions::default()).unwrap();
    let mut refused = 0;
    for section in sections(index.as_bytes()) {
        for value in [0xff, 0x00, 0x7f, 0x01] {
            let mut bytes = index.as_bytes().to_vec();
            let from = section.bytes.start;
            bytes[from..from + 8.min(section.bytes.len())].fill(value);
            reseal_section(&mut bytes, &section);
            let Ok(damaged) = Index::from_bytes(&bytes) else { continue };
            let options = TreeOptions { n_threads: Some(1), ..TreeOptions::default() };
            for result in [
                damaged.append_trees(1, options),
                damaged.drop_trees(&damaged.tree_numbers()[..1], options),
                Index::merge(&[&damaged, &other], options),
                Index::merge(&[&other, &damaged], options),
            ] {
                refused += usize::from(result.is_err());
            }
        }
    }
    assert!(refused > 50, "{refused}");
}
