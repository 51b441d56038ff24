//! `nearwood build`, `search` and `similar` over vectors, run as people run them.

use std::fs;

use crate::common::place::{Place, circle, gzipped, ids};
use nearwood::Ids;
use nearwood::io::{ReadOptions, npy, read_interactions};
use serde_json::Value;

#[test]
fn storages_and_packed_bits() {
    let place = Place::with_index();
    for (storage, bytes) in [("float32", 8), ("float16", 4), ("int8", 2)] {
        let words = format!("build v.npy --metric manhattan --storage {storage} -o s.nw --json");
        assert_eq!(place.run(&words).json()["storage"], storage);
        let seen = place.run("inspect s.nw --json").json();
        assert_eq!((&seen["storage"], &seen["metric"]), (&storage.into(), &"manhattan".into()));
        let table = seen["section_table"].as_array().unwrap();
        let vectors = table.iter().find(|s| s["kind"].as_str().unwrap().ends_with("vectors"));
        assert_eq!(vectors.unwrap()["bytes"], 60 * bytes);
        place.run("verify s.nw").ok();
    }
    let error = place.run("build v.npy --metric dot --storage int4 -o s.nw").usage();
    assert!(error.contains("expected \"float32\", \"float16\" or \"int8\""), "{error}");
    // Sixty rows of 12 bits, the number of the row and its complement.
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (60, 2)}";
    let mut file = b"\x93NUMPY\x01\0".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.bytes());
    file.extend((0..60u8).flat_map(|row| [row, !row & 0xf0]));
    place.write("bits.npy", &file);
    let built = place.run("build bits.npy --packed --dim 12 --metric hamming -o b.nw --json");
    let built = built.json();
    assert_eq!((&built["dim"], &built["storage"]), (&12.into(), &"bits".into()));
    place.run("search b.nw --queries bits.npy --packed -k 1 --exact -o o.npy").ok();
    let found = npy::read_i64(place.path("o.npy")).unwrap();
    assert!(found.data.into_iter().eq(0..60));
    for (words, part) in [
        (
            "build bits.npy --packed --metric hamming --dim 24 -o x.nw",
            "rows of 2 bytes, expected 3",
        ),
        ("build bits.npy --packed --metric dot -o x.nw", "metric is \"dot\", expected \"hamming\""),
        ("build v.npy --packed --metric hamming -o x.nw", "expected uint8, as numpy.packbits"),
        ("build bits.npy --packed --metric hamming --dim 10 -o x.nw", "a bit beyond dimension 10"),
        ("search i.nw --queries bits.npy --packed", "for an index of euclidean in dimension 2"),
    ] {
        let error = place.run(words).failure();
        assert!(error.contains(part), "{words}: {error}");
    }
}

#[test]
fn build_and_search() {
    let place = Place::with_index();
    let text = place.run("search i.nw --queries q.npy -k 2").ok();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "query  rank  id  distance");
    assert_eq!(lines[1], "    0     1   0    0.0000");
    assert_eq!(lines.len(), 1 + 10 * 2 + 1);
    assert_eq!(lines[21], "and 2 more queries: -o FILE writes them all");
    place.run("search i.nw --queries q.npy -k 3 --exact -o o.npy --distances d.npy").ok();
    let found = npy::read_i64(place.path("o.npy")).unwrap();
    assert_eq!((found.rows, found.cols), (12, 3));
    assert!((0..12).all(|query| found.row(query)[0] == query as i64));
    let distances = npy::read(place.path("d.npy")).unwrap();
    assert!((0..12).all(|query| distances.row(query)[0] == 0.0));
    let json = place.run("search i.nw --queries q.npy -k 3 --budget 60 --json").ok();
    for (query, line) in json.lines().enumerate() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["query"], &line["exact"]), (&query.into(), &true.into()), "60 are all");
        assert_eq!(ids(&line["neighbours"]), found.row(query));
    }
    place.run("search i.nw --queries q.npy -k 3 --exact --threads 2 -o o.csv").ok();
    let csv = fs::read_to_string(place.path("o.csv")).unwrap();
    assert!(csv.starts_with("query,id,rank,distance\n0,0,1,0\n"), "{csv}");
    assert_eq!(csv.lines().count(), 37);
    let own = place.run("search i.nw --id 5 -k 2 --json").json();
    assert_eq!((&own["query"], ids(&own["neighbours"]).len()), (&5.into(), 2));
    assert!(!ids(&own["neighbours"]).contains(&5));
    assert_eq!(place.run("similar i.nw 5 -k 2 --json").json()["similar"], own["neighbours"]);
}

#[test]
fn a_radius_finds_what_lies_within() {
    let place = Place::with_index();
    let json = place.run("search i.nw --queries q.npy --radius 0.25 --exact --json").ok();
    let lengths: Vec<usize> = json
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| {
            assert_eq!(line["exact"], true);
            let near = line["neighbours"].as_array().unwrap();
            assert!(near.iter().all(|hit| hit["distance"].as_f64().unwrap() <= 0.25));
            near.len()
        })
        .collect();
    let point = |i: usize| [circle()[2 * i], circle()[2 * i + 1]];
    let within = |a: usize, b: usize| {
        let ([x, y], [u, v]) = (point(a), point(b));
        (x - u).hypot(y - v) <= 0.25
    };
    let expected = (0..12).map(|q| (0..60).filter(|&i| within(q, i)).count());
    assert_eq!(lengths, expected.collect::<Vec<usize>>());
    place.run("search i.nw --queries q.npy --radius 0.25 --recall 1 -o o.csv").ok();
    let csv = fs::read_to_string(place.path("o.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + lengths.iter().sum::<usize>());
    let text = place.run("search i.nw --queries q.npy --radius -1").ok();
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        ["query  rank  id  distance", "and 2 more queries: -o FILE writes them all"]
    );
    let own = place.run("search i.nw --id 5 --radius 0.15 --json").json();
    assert!(!ids(&own["neighbours"]).is_empty() && !ids(&own["neighbours"]).contains(&5));
    let npy = place.run("search i.nw --queries q.npy --radius 1 -o o.npy").failure();
    assert!(npy.contains("now more, now fewer: write .parquet"), "{npy}");
    let nan = place.run("search i.nw --queries q.npy --radius nan").failure();
    assert!(nan.contains("radius is NaN, expected a number"), "{nan}");
    assert!(place.run("search i.nw --queries q.npy --radius 1 -k 3").usage().contains("cannot be"));
}

#[test]
fn more_neighbours_than_vectors_are_filled() {
    let place = Place::with_index();
    place.run("search i.nw --queries q.npy -k 70 -o o.npy --distances d.npy").ok();
    let found = npy::read_i64(place.path("o.npy")).unwrap();
    assert_eq!((found.rows, found.cols), (12, 70));
    assert!((0..12).all(|q| found.row(q)[59] >= 0 && found.row(q)[60..] == [-1; 10]));
    let distances = npy::read(place.path("d.npy")).unwrap();
    assert!(distances.row(0)[60..].iter().all(|&d| d == f32::INFINITY));
    let wild = place.run("search i.nw --queries q.npy -k 9000000000000000000 -o o.npy").failure();
    assert!(wild.contains("does not fit in memory: the index has 60 vectors"), "{wild}");
}

#[test]
fn ids_and_labels_of_an_index() {
    let place = Place::with_index();
    let lines = |name: &str| (0..60).map(|i| format!("{name}{i}\n")).collect::<String>();
    place.write("ids.txt", lines("song-").as_bytes());
    place.write("labels.txt", lines("Song ").as_bytes());
    let build = "build v.npy --metric angular --ids ids.txt --labels labels.txt --trees 2 \
                 --leaf-size 16 --seed 3 -o t.nw";
    let report = place.run(&format!("{build} --json")).json();
    assert_eq!((&report["vectors"], &report["dim"]), (&60.into(), &2.into()));
    assert_eq!((&report["metric"], &report["trees"]), (&"angular".into(), &2.into()));
    let text = place.run("search t.nw --queries q.npy -k 1").ok();
    assert!(text.starts_with("query  rank  id      label   distance\n    0     1  song-0  Song 0"));
    let answer = place.words(&["similar", "t.nw", "Song 7", "-k", "1", "--json"]).json();
    assert_eq!((&answer["id"], &answer["label"]), (&"song-7".into(), &"Song 7".into()));
    let refused = place.run("search t.nw --queries q.npy -o o.npy").failure();
    assert!(refused.contains("integer ids and those of this index are strings"), "{refused}");
    assert!(refused.contains(".parquet"), "{refused}");
    place.run("search t.nw --queries q.npy -k 1 -o o.parquet").ok();
    let [user, item] = ["query", "id"].map(|name| Some(name.to_string()));
    let options = ReadOptions { user, item, ..ReadOptions::default() };
    let table = read_interactions(place.path("o.parquet"), &options).unwrap();
    assert_eq!(table.users, Ids::Int((0..12).collect()));
    assert!(matches!(table.items, Ids::Text(_)));
    place.write("few.txt", b"a\nb\n");
    let few = place.run("build v.npy --metric angular --ids few.txt -o x.nw").failure();
    assert!(few.contains("got 2 ids for 60 rows"), "{few}");
}

#[test]
fn vectors_and_queries_from_standard_input() {
    let place = Place::with_index();
    let bytes = fs::read(place.path("v.npy")).unwrap();
    place.fed("build - --metric euclidean -o s.nw", &bytes).ok();
    assert!(fs::read(place.path("s.nw")).unwrap() == fs::read(place.path("i.nw")).unwrap());
    let queries = fs::read(place.path("q.npy")).unwrap();
    let text = place.fed("search i.nw --queries - -k 2", &queries).ok();
    assert_eq!(text, place.run("search i.nw --queries q.npy -k 2").ok());
    place.write("v.npy.gz", &gzipped(&bytes));
    place.run("build v.npy.gz --metric euclidean -o z.nw").ok();
    assert!(fs::read(place.path("z.nw")).unwrap() == fs::read(place.path("i.nw")).unwrap());
}

#[test]
fn a_graph_is_grown_when_told_and_inspect_shows_it() {
    let place = Place::new();
    let values: Vec<f32> = (0..2400).map(|i| ((i * i) as f32 * 0.37).sin()).collect();
    npy::write(place.path("v.npy"), &values, 8).unwrap();
    let build = |words: &str| {
        place.run(&format!("build v.npy --metric angular -o i.nw --json{words}")).json()
    };
    assert_eq!(build("")["graph"], false, "300 vectors");
    assert_eq!(place.run("inspect i.nw --json").json()["graph"], Value::Null);
    assert_eq!(build(" --no-graph")["graph"], false);
    assert_eq!(build(" --graph")["graph"], true);
    let seen = place.run("inspect i.nw --json").json();
    let table = seen["section_table"].as_array().unwrap();
    let graph = table.iter().filter(|s| s["kind"].as_str().unwrap().starts_with("graph"));
    let bytes: u64 = graph.map(|s| s["bytes"].as_u64().unwrap()).sum();
    assert_eq!(seen["graph"]["bytes"], bytes);
    let degree = seen["graph"]["degree"].as_u64().unwrap();
    // Eight values are rows of two halves of 16 bytes; nine steps and the curve come once.
    assert_eq!(bytes, 300 * (32 + 4 * degree) + 4 * 9 + 4 * 160);
    let curve = seen["walk_curve"].as_array().unwrap();
    assert!(!curve.is_empty() && curve.iter().all(|step| step[0].as_f64() > Some(0.0)));
    assert!(!seen["calibration"].as_array().unwrap().is_empty(), "filters ask the trees");
    let text = place.run("inspect i.nw").ok();
    assert!(text.contains(&format!("degree {degree}, ")), "{text}");
    assert!(text.contains("\nwalk curve (recall of 10 neighbours at each budget)\n"), "{text}");
    place.run("verify i.nw").ok();
    place.run("search i.nw --queries v.npy -k 1 -o o.npy").ok();
    let found = npy::read_i64(place.path("o.npy")).unwrap();
    let own = (0i64..300).zip(&found.data).filter(|&(row, &id)| row == id);
    assert!(own.count() > 290);
    let error = place.run("build v.npy --metric dot --graph -o x.nw").failure();
    assert!(error.contains("graph is true by dot, expected none"), "{error}");
    let error = place.run("build v.npy --metric angular --graph --memory-limit 1GB -o x.nw");
    assert!(error.failure().contains("with a memory limit"), "of a mapped file");
    let both = place.run("build v.npy --metric angular --graph --no-graph -o x.nw").usage();
    assert!(both.contains("cannot be used with"), "{both}");
}
