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
    place.write("odd.csv", b"user,item,plays\nnobody,100,1\nu1,999,1\n");
    for more in ["--exact", "--json"] {
        let words = format!("evaluate m.nw --test odd.csv {COLUMNS} -k 3 {more}");
        let failure = place.run(&words).failure();
        let start = "odd.csv: the test has nothing to find, so that every figure is 0: ";
        assert!(failure.starts_with(start), "{failure}");
        assert!(failure.contains("1 of its 2 users are unknown, such as \"nobody\""), "{failure}");
    }
    let half = format!("{}nobody,100,1\n", fs::read_to_string(place.path("test.csv")).unwrap());
    place.write("half.csv", half.as_bytes());
    let done = place.run(&format!("evaluate m.nw --test half.csv {COLUMNS} -k 3 --json"));
    assert_eq!(done.code, 0);
    assert!(done.err.contains("1 of its users and 0 of its items are unknown"), "{}", done.err);
    let report: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&report["entries_dropped"], &report["unknown_users"]), (&1.into(), &1.into()));
    let failure = place.run("evaluate m.nw --test test.csv").failure();
    assert!(failure.contains("say which columns hold the user and the item"), "{failure}");
    place.run(&format!("evaluate m.nw --test test.csv {COLUMNS} -k 0")).usage();
}

#[test]
fn a_recommender_trained_on_the_test_is_refused() {
    let place = place();
    for words in [
        format!("evaluate m.nw --test plays.csv {COLUMNS}"),
        format!("evaluate m.nw --test plays.csv {COLUMNS} --exact --json"),
        format!("report m.nw --test plays.csv {COLUMNS} --no-speed -o page.html"),
    ] {
        let failure = place.run(&words).failure();
        let told = "test entries in its own history: it was trained on the test; train it on";
        assert!(failure.contains("the recommender has ") && failure.contains(told), "{failure}");
    }
    assert!(!place.path("page.html").exists());
    let again = format!("evaluate m.nw --test plays.csv {COLUMNS} --include-seen --json");
    assert!(place.run(&again).json()["recall@20"].as_f64().unwrap() > 0.5);
    let (plays, test) =
        ["plays.csv", "test.csv"].map(|name| fs::read_to_string(place.path(name)).unwrap()).into();
    let seen: Vec<&str> = plays.lines().skip(1).take(3).collect();
    place.write("some.csv", format!("{test}{}\n", seen.join("\n")).as_bytes());
    let done = place.run(&format!("evaluate m.nw --test some.csv {COLUMNS}"));
    assert_eq!(done.code, 0);
    assert!(done.err.contains("in the recommender's own history: left out."), "{}", done.err);
    place.write("empty.csv", b"user,item,plays\n");
    for command in ["report m.nw -o p.html", "evaluate m.nw"] {
        let failure = place.run(&format!("{command} --test empty.csv {COLUMNS}")).failure();
        assert!(failure.contains("it has no interactions"), "{failure}");
    }
}

#[test]
fn negative_weights_are_told_by_their_ids() {
    let place = place();
    place.write("stars.csv", b"user,item,plays\n1,25,-1\n1,26,3\n2,25,2\n2,26,1\n3,26,1\n");
    let failure = place.run(&format!("train stars.csv {COLUMNS} -o s.nw")).failure();
    let start = "the weight of user 1, item 25 is -1, which log1p makes -0.6931472, expected above";
    assert!(failure.starts_with(start), "{failure}");
    assert!(failure.contains("choose confidence \"implicit\" or \"spark\""), "{failure}");
    let failure = place.run(&format!("tune stars.csv {COLUMNS} --trials 2 --refine 0")).failure();
    assert!(failure.starts_with("the weight of user 1, item 25 is -1"), "{failure}");
    let mut rows = String::from("user,item,plays\n");
    for at in 0..400u32 {
        let weight = if at % 50 == 7 { -2 } else { 1 + at as i32 % 5 };
        rows.push_str(&format!("{},{},{weight}\n", at % 40, (at / 40) * 2 + at % 3));
    }
    place.write("many.csv", rows.as_bytes());
    let words = format!(
        "tune many.csv {COLUMNS} --confidence implicit --factors 4 --trials 3 --refine 0 \
         --iterations 2 --json"
    );
    let done = place.run(&words);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(
        done.err.contains("note: the weighting bm25 is left out: the weight of user "),
        "{}",
        done.err
    );
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
