//! The examples run to their end, as `cargo run --example` would run them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../examples/build_and_search.rs"]
mod build_and_search;
#[path = "../examples/neighbour_graph.rs"]
mod neighbour_graph;
#[path = "../examples/recommend.rs"]
mod recommend;
#[path = "../examples/serve_from_map.rs"]
mod serve_from_map;
#[path = "../examples/string_ids.rs"]
mod string_ids;

#[test]
fn build_and_search_runs() {
    build_and_search::main().unwrap();
}

#[test]
fn neighbour_graph_runs() {
    neighbour_graph::main().unwrap();
}

#[test]
fn recommend_runs() {
    recommend::main().unwrap();
}

#[test]
fn serve_from_map_runs() {
    serve_from_map::main().unwrap();
}

#[test]
fn string_ids_runs() {
    string_ids::main().unwrap();
}

#[test]
fn every_example_is_run() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let here = include_str!("examples.rs");
    // Notebooks are run by the Python tests.
    let files = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    for entry in files.filter(|entry| entry.path().is_file()) {
        let name = entry.file_name().into_string().unwrap();
        assert!(here.contains(&format!("../examples/{name}")), "{name} is run by no test");
    }
}
