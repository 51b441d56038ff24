//! Trees put together from the command line.

use std::fs;

use crate::common::place::Place;

const BUILD: &str = "build v.npy --metric euclidean --leaf-size 8 --threads 1";

#[test]
fn trees_are_built_apart_merged_appended_and_dropped() {
    let place = Place::with_index();
    let bytes = |name: &str| fs::read(place.path(name)).unwrap();
    place.run(&format!("{BUILD} --trees 3 -o whole.nw")).ok();
    place.run(&format!("{BUILD} --trees 2 -o low.nw")).ok();
    place.run(&format!("{BUILD} --first-tree 2 --memory-limit 1GB -o high.nw")).ok();
    let merged = place.run("merge high.nw low.nw --threads 1 -o merged.nw").ok();
    assert!(merged.contains("tree numbers      0, 1, 2\n"), "{merged}");
    let appended = place.run("trees low.nw --append 1 -o appended.nw --json").json();
    assert_eq!(appended["tree_numbers"], serde_json::json!([0, 1, 2]));
    place.run("trees whole.nw --drop 0,1 -o dropped.nw").ok();
    assert!(bytes("merged.nw") == bytes("whole.nw") && bytes("appended.nw") == bytes("whole.nw"));
    assert!(bytes("dropped.nw") == bytes("high.nw"));
    place.run("trees low.nw --append 1 --queries q.npy -o low.nw").ok();
    let inspected = place.run("inspect low.nw --json").json();
    assert_eq!(inspected["metadata"]["calibrated_with"], "queries");
    assert_eq!(inspected["metadata"]["trees"], serde_json::json!([0, 1, 2]));
}

#[test]
fn what_cannot_be_is_said_in_one_line() {
    let place = Place::with_index();
    let failure = |words: &str| place.run(words).failure();
    assert!(failure("merge i.nw i.nw -o x.nw").contains("build each file with another first_tree"));
    assert!(failure("trees i.nw --drop 0 -o x.nw").contains("at least one tree"));
    assert!(failure("trees i.nw --drop 3 -o x.nw").contains("3, the index has 0"));
    place.write("v.csv", b"1,2\n3,4\n");
    let text = "build v.csv --metric dot --memory-limit 1GB -o x.nw";
    assert!(failure(text).contains("takes a plain .npy of float32"));
    let small = format!("{BUILD} --memory-limit 1kB -o x.nw");
    assert!(failure(&small).contains("memory_limit is 0 MB: raise the limit"));
    assert!(!place.path("x.nw").exists());
    for (words, expected) in [
        ("trees i.nw -o x.nw", "<--append <N>|--drop <NUMBERS>>"),
        ("merge i.nw -o x.nw", "2 values required"),
        ("build v.npy --metric dot --memory-limit much -o x.nw", "expected"),
    ] {
        let usage = place.run(words).usage();
        assert!(usage.contains(expected), "{usage}");
    }
}
