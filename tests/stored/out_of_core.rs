//! Files larger than the memory that builds them: the same bytes, under the system's own limit.
#![cfg(all(feature = "cli", target_os = "linux"))]

use std::fs;
use std::process::{Command, Output};

use crate::common::place::{Done, Place};
use crate::common::{Numbers, clustered, names_in};
use nearwood::error::{BuildError, Error};
use nearwood::io::{map_vectors, npy};
use nearwood::{Ids, Index, Metric, Vectors};

#[test]
fn a_file_built_in_place_has_the_bytes_of_one_built_in_memory() {
    let (n, dim) = (9000, 21);
    let values = clustered(n, dim, 30, &mut Numbers::new(41));
    let vectors = Vectors::new(&values, dim).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("i.nw");
    for metric in Metric::ALL {
        let builder = Index::builder(metric)
            .graph(Some(false))
            .trees(2)
            .leaf_size(50)
            .seed(2)
            .threads(Some(2));
        let builder = builder
            .ids(Ids::Text((0..n).map(|i| format!("id {i}")).collect()))
            .labels((0..n).map(|i| format!("label {}", i / 3)).collect())
            .calibration_queries(values[..40 * dim].to_vec());
        let expected = builder.build(vectors).unwrap();
        // Without a limit, with the least that is taken, and with some more.
        let Error::Build(BuildError::Memory { need, .. }) =
            builder.clone().memory_limit(Some(1)).build_to(&path, vectors).err().unwrap()
        else {
            panic!("another error");
        };
        for limit in [None, Some(need as usize + 1), Some(need as usize + 200_000)] {
            let built = builder.clone().memory_limit(limit).build_to(&path, vectors).unwrap();
            assert!(built.as_bytes() == expected.as_bytes(), "{metric}, {limit:?}");
            assert_eq!(names_in(dir.path()), ["i.nw"]);
        }
    }
}

#[test]
fn a_limit_that_cannot_be_kept_is_refused_at_once() {
    let values = clustered(3000, 8, 5, &mut Numbers::new(42));
    let vectors = Vectors::new(&values, 8).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("i.nw");
    let builder = Index::builder(Metric::Dot).threads(Some(1)).memory_limit(Some(1_000_000));
    let error = builder.build_to(&path, vectors).err().unwrap().to_string();
    assert!(error.contains("memory_limit is 1 MB: raise the limit"), "{error}");
    let error = builder.build(vectors).err().unwrap().to_string();
    assert!(error.contains("none without a path"), "{error}");
    let stopped = Index::builder(Metric::Dot).build_to_with(&path, vectors, &|_, _| false);
    assert!(matches!(stopped, Err(Error::Build(BuildError::Cancelled))));
    assert!(names_in(dir.path()).is_empty());
}

/// Runs a command under a limit on private memory, which the system keeps (RLIMIT_DATA).
fn limited(place: &Place, megabytes: usize, words: &str) -> Output {
    Command::new("sh")
        .args(["-c", &format!("ulimit -d {} && exec \"$0\" \"$@\"", megabytes * 1000)])
        .args(words.split(' '))
        .current_dir(place.path(""))
        .output()
        .unwrap()
}

#[test]
fn a_file_five_times_the_memory_is_built_under_a_limit_of_the_system() {
    let (n, dim) = (160_000, 128);
    let place = Place::new();
    let mut numbers = Numbers::new(43);
    let values: Vec<f32> = (0..n * dim).map(|_| numbers.uniform() as f32).collect();
    npy::write(place.path("v.npy"), &values, dim).unwrap();
    drop(values);
    let build = "build v.npy --metric euclidean --threads 2 -o";
    // 82 MB of vectors, a file of 104 MB, 21 MB to allocate. The process gets no more of its own.
    let command = env!("CARGO_BIN_EXE_nearwood");
    let words = format!("{command} {build} small.nw --memory-limit 21MB");
    Done::of(limited(&place, 21, &words)).ok();
    let file = fs::metadata(place.path("small.nw")).unwrap().len();
    assert!(file > 5 * 21_000_000, "{file}");
    // The limit is one: a buffer of 30 MB does not fit, one of 10 MB does.
    let copied = |bytes: &str| {
        let words = format!("dd if=/dev/zero of=/dev/null count=1 bs={bytes}");
        limited(&place, 21, &words).status.success()
    };
    assert!(copied("10000000") && !copied("30000000"));
    place.run(&format!("{build} large.nw --no-graph")).ok();
    let same =
        fs::read(place.path("small.nw")).unwrap() == fs::read(place.path("large.nw")).unwrap();
    assert!(same && names_in(&place.path("")) == ["large.nw", "small.nw", "v.npy"]);
}

#[test]
fn an_interrupted_build_leaves_nothing() {
    let (n, dim) = (120_000, 32);
    let place = Place::new();
    let mut numbers = Numbers::new(44);
    let values: Vec<f32> = (0..n * dim).map(|_| numbers.uniform() as f32).collect();
    npy::write(place.path("v.npy"), &values, dim).unwrap();
    let vectors = map_vectors(place.path("v.npy")).unwrap();
    assert!(vectors.is_mapped());
    // TERM ends the command as Ctrl-C does, and no shell has it ignored, as INT is by what a shell
    // runs in the background.
    for signal in ["TERM", "KILL"] {
        let words = "build v.npy --metric euclidean --trees 500 -o i.nw";
        let mut child = place.command(&words.split(' ').collect::<Vec<_>>()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        let killed = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(killed.unwrap().success());
        assert!(!child.wait().unwrap().success(), "{signal}");
        assert_eq!(names_in(&place.path("")), ["v.npy"], "{signal}");
    }
}
