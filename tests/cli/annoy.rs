//! `nearwood import-annoy`, run as people run it.

use crate::common::annoy::{Writer, items};
use crate::common::place::Place;
use nearwood::io::annoy::AnnoyLayout;
use nearwood::{Id, Index, Metric};

/// A folder with `old.ann`, 90 items of which some are holes, written in `layout`.
fn place(layout: AnnoyLayout) -> Place {
    let place = Place::new();
    place.write("old.ann", &Writer::new(layout, 12).file(&items(layout, 12, 90), 7));
    place
}

const IMPORT: &str = "import-annoy old.ann --dim 12 --metric angular --threads 1 -o new.nw";

#[test]
fn vectors_come_over_with_their_numbers() {
    let place = place(AnnoyLayout::Angular);
    let text = place.run(IMPORT).ok();
    let facts = ["vectors            77", "holes              13", "layout             angular"];
    for fact in facts.iter().chain(&["trees in the file  7", "file               new.nw"]) {
        assert!(text.lines().any(|line| line == *fact), "{fact}: {text}");
    }
    let index = Index::open(place.path("new.nw")).unwrap();
    index.verify().unwrap();
    assert_eq!((index.len(), index.dim(), index.metric()), (77, 12, Metric::Angular));
    for (item, vector) in items(AnnoyLayout::Angular, 12, 90).iter().enumerate() {
        let position = index.position(&Id::Int(item as i64));
        let got = position.and_then(|position| index.vector(position)).map(|v| v.to_vec());
        assert_eq!(got, *vector, "{item}");
    }
    let report = place.run(&format!("{IMPORT} --json")).json();
    assert_eq!((&report["vectors"], &report["holes"]), (&77.into(), &13.into()));
    assert_eq!((&report["metric"], &report["trees_in_the_file"]), (&"angular".into(), &7.into()));
    place.run("search new.nw --id 4 -k 3").ok();
}

#[test]
fn the_layout_is_found_or_told() {
    let place = place(AnnoyLayout::Dot117);
    let words = IMPORT.replace("angular", "dot");
    assert_eq!(place.run(&format!("{words} --json")).json()["layout"], "dot-1.17");
    let told = place.run(&format!("{words} --layout dot-1.17 --json")).json();
    assert_eq!(told["layout"], "dot-1.17");
    let wrong = place.run(&format!("{words} --layout dot-main")).failure();
    assert!(
        wrong.contains("old.ann: not a file that Annoy wrote for dot vectors of 12: as dot-main")
    );
}

#[test]
fn mistakes_are_told_and_leave_no_file() {
    let place = place(AnnoyLayout::Angular);
    let failures = [
        (IMPORT.replace("12", "13"), "check metric and dimension"),
        (IMPORT.replace("old.ann", "none.ann"), "could not read none.ann"),
        (IMPORT.replace("--threads 1", "--layout offset"), "angular has no layout offset"),
    ];
    for (words, part) in failures {
        let line = place.run(&words).failure();
        assert!(line.contains(part), "{line}");
    }
    let usages = [
        (IMPORT.replace("angular", "cosine"), "\"cosine\""),
        (IMPORT.replace("12", "0"), "expected at least 1"),
        (IMPORT.replace("--dim 12", ""), "--dim"),
    ];
    for (words, part) in usages {
        let text = place.run(words.replace("  ", " ").as_str()).usage();
        assert!(text.contains(part), "{text}");
    }
    assert!(!place.path("new.nw").exists());
}
