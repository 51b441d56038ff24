//! `nearwood evaluate` and `nearwood tune`, run as people run them.

use std::fs;

use crate::common::place::{Place, TRAIN, plays};
use nearwood::Recommender;

const COLUMNS: &str = "--user user --item item --weight plays";

/// Every seventh line of the plays is the test, the others the training.
fn place() -> Place {
    let place = Place::new();
    let text = plays();
    let (header, rows) = text.split_once('\n').unwrap();
    let pick = |test: bool| {
        let rows = rows.lines().enumerate().filter(|(at, _)| (at % 7 == 0) == test);
        let lines: Vec<&str> = rows.map(|(_, row)| row).collect();
        format!("{header}\n{}\n", lines.join("\n"))
    };
    place.write("plays.csv", pick(false).as_bytes());
    place.write("test.csv", pick(true).as_bytes());
    place.write("names.tsv", crate::common::place::names().as_bytes());
    place.run(TRAIN).ok();
    place
}

#[test]
fn evaluate_prints_figures_beside_the_baselines() {
    let place = place();
    let words = format!("evaluate m.nw --test test.csv {COLUMNS} -k 5,10 --baselines --exact");
    let text = place.run(&words).ok();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains(" users of 60 have something to find, "), "{text}");
    assert_eq!(
        lines[1].split_whitespace().collect::<Vec<_>>(),
        ["measure", "model", "popularity", "item_knn"]
    );
    assert_eq!(lines.len(), 2 + 2 * 8);
    let report = place.run(&format!("{words} --json --threads 1")).json();
    let ndcg = report["ndcg@10"].as_f64().unwrap();
    assert!(lines.iter().any(|l| l.starts_with("ndcg@10") && l.contains(&format!("{ndcg:.4}"))));
    // Two camps: the model knows them, popularity does not.
    assert!(ndcg > 1.5 * report["popularity"]["ndcg@10"].as_f64().unwrap(), "{report}");
    assert!(report["item_knn"]["recall@5"].as_f64().unwrap() > 0.0);
    assert_eq!(report["n_items"], 40);
    assert_eq!((&report["unknown_users"], &report["entries_seen"]), (&0.into(), &0.into()));
    let served = place.run(&format!("evaluate m.nw --test test.csv {COLUMNS} --json")).json();
    assert!(served["recall@20"].as_f64().unwrap() > 0.5, "{served}");
}

#[test]
fn what_the_recommender_does_not_know_is_said() {
    let place = place();
    place.write("odd.csv", b"user,item,plays\nu0,100,1\nnobody,100,1\nu1,999,1\n");
    let done = place.run(&format!("evaluate m.nw --test odd.csv {COLUMNS} -k 3 --json"));
    let report = done.json();
    assert_eq!(report["entries_dropped"], 2);
    assert_eq!((&report["unknown_users"], &report["unknown_items"]), (&1.into(), &1.into()));
    let done = place.run(&format!("evaluate m.nw --test odd.csv {COLUMNS} -k 3"));
    assert_eq!(done.code, 0);
    assert!(done.err.contains("1 of its users and 1 of its items are unknown"), "{}", done.err);
    let failure = place.run("evaluate m.nw --test test.csv").failure();
    assert!(failure.contains("say which columns hold the user and the item"), "{failure}");
    place.run(&format!("evaluate m.nw --test test.csv {COLUMNS} -k 0")).usage();
}

#[test]
fn tune_goes_on_where_it_was_and_trains_the_best() {
    let place = place();
    let words = format!(
        "tune plays.csv {COLUMNS} --factors 2..8 --weighting raw,log1p --iterations 5 --metric \
         recall@5 --validation 0.2 --seed 3 --threads 1 --journal t.jsonl --trials 4"
    );
    let shown = place.run(&format!("{words} --refine 2")).ok();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].trim_start().starts_with("recall@5  trial  epochs"), "{shown}");
    assert_eq!(lines.len(), 1 + 6 + 2);
    assert!(lines[8].starts_with("to train on everything: nearwood train --weighting"), "{shown}");
    // A part of a line, as a kill leaves it.
    let journal = fs::read_to_string(place.path("t.jsonl")).unwrap();
    let kept: Vec<&str> = journal.split_inclusive('\n').take(4).collect();
    place.write("t.jsonl", format!("{}{{\"trial\": 3, ", kept.concat()).as_bytes());
    let done = place.run(&format!("{words} --refine 2 --json --out best.nw"));
    assert_eq!((done.code, done.err.as_str()), (0, "note: 3 trials were in the journal already\n"));
    let report: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    let untimed = |line: &str| line.split(",\"seconds\"").next().unwrap().to_string();
    let again = fs::read_to_string(place.path("t.jsonl")).unwrap();
    let [before, after] = [&journal, &again].map(|t| t.lines().map(untimed).collect::<Vec<_>>());
    assert_eq!(before, after);
    let best = &report["best"];
    let model = Recommender::open(place.path("best.nw")).unwrap();
    assert_eq!(best["epochs"], model.params().iterations);
    assert_eq!(best["factors"], model.params().factors);
    assert_eq!(best["weighting"], model.weighting().name());
    assert_eq!(report["trials"][0], *best);
    let failure = place.run(&format!("{words} --refine 2 --seed 4"));
    assert!(failure.code != 0);
    let other = words.replace("--seed 3", "--seed 4");
    let failure = place.run(&format!("{other} --refine 2")).failure();
    assert!(
        failure.contains("t.jsonl, line 1: the journal is of another search: its"),
        "{failure}"
    );
    place.run(&format!("{words} --alpha 2..1")).usage();
    place.run(&format!("{words} --metric auc@3")).usage();
    let failure = place.run(&format!("{words} --alpha 0..1")).failure();
    assert!(failure.starts_with("alpha is 0..1, expected finite numbers"), "{failure}");
}
