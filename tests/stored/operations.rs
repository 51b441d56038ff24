//! Every operation over every file that was ever kept: what an earlier version wrote is no reason to
//! fail.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::exercise::{ask_index, ask_model, ask_recommender};
use crate::common::sane;
use nearwood::als::ModelFile;
use nearwood::index::CurveOptions;
use nearwood::{Index, Recommender, TreeOptions};

/// Every kept file, by its folder and name.
fn kept() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut folders = vec![root];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "nw") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(files.len() >= 36, "{files:?}");
    files
}

fn same_vectors(a: &Index, b: &Index, what: &str) {
    assert_eq!((a.len(), a.ids(), a.metric()), (b.len(), b.ids(), b.metric()), "{what}");
    for position in 0..a.len() as u32 {
        assert_eq!(a.vector(position), b.vector(position), "{what}, position {position}");
        assert_eq!(a.label(position), b.label(position), "{what}, position {position}");
    }
}

/// A file made of another holds the same vectors, is whole, and is searched well.
fn hold(index: &Index, of: &Index, what: &str) {
    same_vectors(index, of, what);
    assert_eq!(index.has_graph(), of.has_graph(), "{what}");
    index.verify().unwrap_or_else(|e| panic!("{what}: {e}"));
    sane::check(index);
    ask_index(index);
}

fn trees(index: &Index, what: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.nw");
    for path in [None, Some(path.as_path())] {
        let options = TreeOptions { path, n_threads: Some(1), ..TreeOptions::default() };
        let n = index.n_trees();
        let more = index.append_trees(2, options).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(more.n_trees(), n + 2, "{what}");
        let numbers = more.tree_numbers();
        let first = index.drop_trees(&[], options).unwrap();
        let fewer = more.drop_trees(&numbers[n..], options).unwrap();
        assert!(fewer.as_bytes() == first.as_bytes(), "{what}: appended and dropped");
        let others = more.drop_trees(&numbers[..n], options).unwrap();
        let both = Index::merge(&[index, &others], options).unwrap();
        assert!(both.as_bytes() == more.as_bytes(), "{what}: merged");
        for (index, of) in
            [(&more, "more"), (&fewer, "fewer"), (&others, "others"), (&both, "both")]
        {
            hold(index, &first, &format!("{what}, {of}"));
        }
        same_vectors(&more, index, what);
    }
}

fn operate(index: &Index, what: &str) {
    index.verify().unwrap_or_else(|e| panic!("{what}: {e}"));
    sane::check(index);
    ask_index(index);
    assert_eq!(index.tree_shapes().len(), index.n_trees(), "{what}");
    assert!(index.suggest("row-1", 3).len() <= 3, "{what}");
    let curve = index.recall_curve(None, CurveOptions::default());
    assert!(curve.is_ok_and(|curve| !curve.steps.is_empty()), "{what}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copy.nw");
    index.save(&path).unwrap();
    for copy in
        [Index::open(&path), Index::open_prefault(&path), Index::from_bytes(index.as_bytes())]
    {
        let copy = copy.unwrap();
        assert!(copy.as_bytes() == index.as_bytes(), "{what}: saved");
        sane::check(&copy);
    }
}

#[test]
fn every_operation_works_on_every_kept_file() {
    for path in kept() {
        let (bytes, what) = (fs::read(&path).unwrap(), path.display().to_string());
        if let Ok(file) = ModelFile::from_bytes(&bytes) {
            ask_model(&file);
        } else if let Ok(recommender) = Recommender::from_bytes(&bytes) {
            recommender.verify().unwrap_or_else(|e| panic!("{what}: {e}"));
            ask_recommender(&recommender);
            operate(recommender.items(), &what);
            operate(recommender.similarity(), &what);
        } else {
            let index = Index::open(&path).unwrap_or_else(|e| panic!("{what}: {e}"));
            operate(&index, &what);
            trees(&index, &what);
        }
    }
}
