//! The published data sets load, with the shapes they are known for.
//!
//! They are not part of the project: `NEARWOOD_DATA` names their folder, `../shared/data` is the
//! default. Without them each test says so and passes.
#![cfg(feature = "tables")]
// Helpers of tests are tests too.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

use nearwood::eval::{self, Measure, Popularity, Task};
use nearwood::index::Ids;
use nearwood::io::{Format, ReadOptions, read_interactions, read_names, read_vectors};

fn data(file: &str) -> Option<PathBuf> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("NEARWOOD_DATA").map_or_else(default, PathBuf::from);
    let path = folder.join(file);
    if path.exists() {
        return Some(path);
    }
    // Not eprintln!, which the test harness swallows when a test passes.
    let note = format!("NOT RUN: {file} (set NEARWOOD_DATA)\n");
    std::io::stderr().write_all(note.as_bytes()).unwrap();
    None
}

fn columns(user: &str, item: &str, weight: &str) -> ReadOptions {
    let [user, item, weight] = [user, item, weight].map(|name| Some(name.to_string()));
    ReadOptions { user, item, weight, ..ReadOptions::default() }
}

#[test]
fn lastfm() {
    let Some(path) = data("lastfm/user_artists.dat") else { return };
    let plays = read_interactions(&path, &columns("userID", "artistID", "weight")).unwrap();
    let matrix = &plays.matrix;
    assert_eq!((matrix.n_rows(), matrix.n_cols(), matrix.nnz()), (1892, 17_632, 92_834));
    assert_eq!((plays.users.get(0), plays.items.get(0)), (2.into(), 51.into()));
    assert_eq!(matrix.row(0).1[0], 13_883.0);
    let Some(path) = data("lastfm/artists.tsv") else { return };
    let names: HashMap<String, String> = read_names(path).unwrap().into_iter().collect();
    assert_eq!((names.len(), names["1"].as_str()), (17_632, "MALICE MIZER"));
    assert_eq!(names["1686"], "\"Weird Al\" Yankovic");
    assert!((0..plays.items.len()).all(|at| names.contains_key(&plays.items.get(at).to_string())));
}

#[test]
fn gowalla() {
    for (file, nnz) in [("gowalla/train.txt.gz", 810_128), ("gowalla/test.txt.gz", 217_242)] {
        let Some(path) = data(file) else { continue };
        let visits = read_interactions(&path, &ReadOptions::default()).unwrap();
        assert_eq!((visits.matrix.n_rows(), visits.matrix.nnz()), (29_858, nnz));
        let Ids::Int(items) = &visits.items else { panic!("items are numbered") };
        assert!(items.iter().all(|i| (0..40_981).contains(i)));
        assert!(matches!(&visits.users, Ids::Int(users) if users.iter().copied().eq(0..29_858)));
        let asked = ReadOptions { format: Some(Format::Lists), ..ReadOptions::default() };
        assert_eq!(read_interactions(&path, &asked).unwrap(), visits);
    }
}

/// Against a computation in numpy. What is popular there has no ties that count.
#[test]
fn popularity_on_gowalla() {
    let (Some(train), Some(test)) = (data("gowalla/train.txt.gz"), data("gowalla/test.txt.gz"))
    else {
        return;
    };
    let [train, test] =
        [train, test].map(|path| read_interactions(path, &ReadOptions::default()).unwrap());
    let test = eval::align_to(&test, &train).unwrap();
    let task = Task::new(&train.matrix, &test.matrix, &eval::Options::default()).unwrap();
    let got = task.popularity(&Popularity::fit(&train.matrix));
    assert_eq!((got.n_users, got.test_entries + test.entries_dropped), (29_858, 217_242));
    let expected = [
        0.041_630_978_929_955_79,
        0.042_825_004_738_968_23,
        0.013_880_701_989_417_977,
        0.031_689_929_274_216_454,
        0.011_946_723_781_274_662,
        0.063_831_546_448_062_94,
        0.203_831_468_953_044_4,
        37.0 / got.n_items as f64,
    ];
    for (measure, want) in Measure::ALL.into_iter().zip(expected) {
        let got = got.at[0].get(measure);
        assert!((got - want).abs() < 1e-12, "{measure}: {got}, expected {want}");
    }
}

#[test]
fn movielens() {
    let Some(path) = data("ml-1m/interactions.csv.gz") else { return };
    let ratings = read_interactions(&path, &columns("user", "item", "value")).unwrap();
    let matrix = &ratings.matrix;
    assert_eq!((matrix.n_rows(), matrix.n_cols(), matrix.nnz()), (6040, 3706, 1_000_209));
    let Some(path) = data("ml-1m/movies.dat") else { return };
    let names = read_names(path).unwrap();
    assert_eq!(names[0], ("1".to_string(), "Toy Story (1995)".to_string()));
    let known: HashMap<String, String> = names.into_iter().collect();
    assert!(
        (0..ratings.items.len()).all(|at| known.contains_key(&ratings.items.get(at).to_string()))
    );
}

#[test]
fn vectors() {
    for (file, rows, cols) in [
        ("siftsmall/base.npy", 10_000, 128),
        ("siftsmall/queries.npy", 100, 128),
        ("gloss/queries.npy", 1000, 384),
        ("factors-a1/base.npy", 40_981, 64),
    ] {
        let Some(path) = data(file) else { continue };
        let matrix = read_vectors(&path).unwrap();
        assert_eq!((matrix.rows, matrix.cols, matrix.data.len()), (rows, cols, rows * cols));
        assert!(matrix.data.iter().all(|v| v.is_finite()));
        if file.starts_with("gloss") {
            let norm: f32 = matrix.row(0).iter().map(|v| v * v).sum();
            assert!((norm - 1.0).abs() < 1e-2, "{norm}");
        }
    }
}
