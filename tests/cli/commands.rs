//! The command, run as people run it: in a folder of its own, its output and exit code held.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::common::place::{Done, Place, TRAIN, circle, gzipped, ids, n_plays, names, plays};
use crate::common::small_model;
use nearwood::io::{ReadOptions, npy, read_interactions};
use nearwood::recommend::FitOptions;
use nearwood::{Id, Index, Recommender, Storage};
use serde_json::Value;

/// Times differ from run to run: those of a report become `_`.
fn masked(text: &str) -> String {
    let timed = |line: &str| line.contains("seconds");
    let lines = text.lines().map(|line| match timed(line) {
        true => line.split("  ").next().unwrap_or_default().to_string() + "  _",
        false => line.to_string(),
    });
    lines.collect::<Vec<String>>().join("\n")
}

#[test]
fn train_says_what_it_did() {
    let place = Place::new();
    place.write("plays.csv", plays().as_bytes());
    place.write("names.tsv", names().as_bytes());
    let text = masked(&place.run(TRAIN).ok());
    let lines: Vec<&str> = text.lines().collect();
    let expected = [
        "users             60",
        "items             40",
        &format!("interactions      {}", n_plays()),
        "training seconds  _",
    ];
    assert_eq!(lines[..4], expected);
    assert!(lines[4].starts_with("loss              -"), "{text}");
    assert_eq!(lines[6], "file              m.nw");
    let report = place.run(&format!("{TRAIN} --json")).json();
    assert_eq!((&report["users"], &report["interactions"]), (&60.into(), &n_plays().into()));
    assert_eq!(report["bytes"].as_u64().unwrap(), fs::metadata(place.path("m.nw")).unwrap().len());
    let model = Recommender::open(place.path("m.nw")).unwrap();
    assert_eq!(report["loss"].as_f64(), model.loss_history().last().copied());
    assert_eq!((model.params().factors, model.params().iterations), (8, 5));
}

#[test]
fn the_same_file_from_gzip_standard_input_and_any_threads() {
    let place = Place::with_model();
    let model = fs::read(place.path("m.nw")).unwrap();
    place.write("plays.csv.gz", &gzipped(plays().as_bytes()));
    let words = TRAIN.replace("plays.csv", "plays.csv.gz").replace("--threads 1", "--threads 3");
    place.run(&words.replace("m.nw", "gz.nw")).ok();
    assert!(fs::read(place.path("gz.nw")).unwrap() == model);
    let words = TRAIN.replace("plays.csv", "-").replace("m.nw", "stdin.nw");
    place.fed(&words, plays().as_bytes()).ok();
    assert!(fs::read(place.path("stdin.nw")).unwrap() == model);
    // A file on standard output leaves the report to standard error.
    let done = place.command(&TRAIN.replace("m.nw", "-").split(' ').collect::<Vec<_>>());
    let output = { done }.output().unwrap();
    assert!(output.status.success() && output.stdout == model);
    assert!(String::from_utf8(output.stderr).unwrap().contains("interactions"));
}

#[test]
fn options_of_train_reach_the_file() {
    let place = Place::with_model();
    let words = "--weighting bm25 --alpha 2 --regularization 0.5 --unobserved-weight 0.5 \
                 --regularization-scaling 1 --seed 9 --solver cg --cg-steps 2";
    place.run(&format!("{TRAIN} {words}")).ok();
    let document = place.run("inspect m.nw --json").json();
    let training = &document["metadata"]["training"];
    assert_eq!(training["weighting"], "bm25");
    for (key, value) in [("alpha", 2.0), ("regularization", 0.5), ("unobserved_weight", 0.5)] {
        assert_eq!(training["params"][key].as_f64(), Some(value), "{key}");
    }
    assert_eq!(training["params"]["seed"], 9);
    assert_eq!(training["params"]["solver"], "cg");
    assert_eq!(training["params"]["cg_steps"], 2);
    place.run(&format!("{TRAIN} --confidence spark")).ok();
    let document = place.run("inspect m.nw --json").json();
    let params = &document["metadata"]["training"]["params"];
    assert_eq!(
        (&params["confidence"], &params["unobserved_weight"]),
        (&"spark".into(), &1.0.into())
    );
    place.run(TRAIN).ok();
    let model = Recommender::open(place.path("m.nw")).unwrap();
    let defaults = FitOptions::default().params;
    assert_eq!(model.params().unobserved_weight, defaults.unobserved_weight);
    assert_eq!(model.params().regularization, defaults.regularization);
}

#[test]
fn old_plays_count_less_and_bad_rows_are_passed_over() {
    let place = Place::new();
    let mut rows = String::from("who,what,plays,day\n");
    for (user, item) in (0..30).flat_map(|user| (0..4).map(move |at| (user, (user + at) % 9))) {
        rows += &format!("u{user},s{item},8,2024-01-0{}\n", 1 + item % 3);
    }
    fs::write(place.path("whole.csv"), &rows).unwrap();
    fs::write(place.path("bad.csv"), format!("{rows},s1,2,2024-01-01\nu1,s1,2,yesterday\n"))
        .unwrap();
    let words = "--user who --item what --weight plays --factors 4 --time day --half-life 1d";
    place.run(&format!("train whole.csv {words} -o whole.nw")).ok();
    let error = place.run(&format!("train bad.csv {words} -o bad.nw")).failure();
    assert!(error.contains("2 rows cannot be read") && error.contains("line 122"), "{error}");
    let done = place.run(&format!("train bad.csv {words} --skip-bad-rows -o bad.nw"));
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.contains("skipped 2 bad rows:\n  bad.csv, line 122: "), "{}", done.err);
    let (whole, bad) = (fs::read(place.path("whole.nw")), fs::read(place.path("bad.nw")));
    assert!(whole.unwrap() == bad.unwrap(), "the same rows, the same file");
    // Later than all by a half-life: a half of every weight, another file.
    place.run(&format!("train whole.csv {words} --now 2024-01-04 -o late.nw")).ok();
    assert_ne!(fs::read(place.path("late.nw")).unwrap(), fs::read(place.path("bad.nw")).unwrap());
}

#[test]
fn similar_by_id_and_by_label() {
    let place = Place::with_model();
    let text = place.run("similar m.nw 101 -k 3").ok();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "similar to Northern 101 (id 101)");
    assert_eq!(lines[1], "rank   id  label         distance");
    assert_eq!(lines.len(), 5);
    assert!(lines[2..].iter().all(|line| line.contains("  Northern 1")), "{text}");
    assert_eq!(place.words(&["similar", "m.nw", "Northern 101", "-k", "3"]).ok(), text);
    let answer = place.run("similar m.nw 101 -k 3 --json --exact").json();
    assert_eq!((&answer["id"], &answer["label"]), (&101.into(), &"Northern 101".into()));
    let model = Recommender::open(place.path("m.nw")).unwrap();
    let position = model.items().find("101").unwrap();
    let hits = model.similar(position, Default::default()).unwrap();
    for (rank, (hit, told)) in hits.iter().zip(answer["similar"].as_array().unwrap()).enumerate() {
        assert_eq!(told["rank"], rank + 1);
        assert_eq!(Id::Int(told["id"].as_i64().unwrap()), model.items().id(hit.position));
        assert_eq!(told["distance"].as_f64().unwrap() as f32, hit.distance);
    }
}

#[test]
fn names_that_nothing_bears_are_answered_with_near_ones() {
    let place = Place::with_model();
    let ask = |name: &str| place.words(&["similar", "m.nw", name]).failure();
    assert_eq!(
        ask("northern 101"),
        "there is no item northern 101: did you mean \"Northern 101\"?"
    );
    assert!(ask("Southren 121").contains("did you mean \"Southern 121\""));
    assert_eq!(ask("Same Name"), "the label \"Same Name\" belongs to 2 ids: 138, 139; ask by id");
    let nothing = ask("Zz");
    assert!(nothing.starts_with("there is no item Zz: the 40 ids here are integers"), "{nothing}");
}

#[test]
fn recommend_to_a_user() {
    let place = Place::with_model();
    let text = place.run("recommend m.nw --user u4 -k 3").ok();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["rank", "id", "label", "score"]);
    assert_eq!(lines.len(), 5);
    let answer = place.run("recommend m.nw --user u4 -k 40 --exact --json").json();
    assert_eq!(answer["user"], "u4");
    let model = Recommender::open(place.path("m.nw")).unwrap();
    let user = model.find_user("u4").unwrap();
    let seen: HashSet<i64> =
        model.seen(user).iter().map(|&p| model.items().int_id(p).unwrap()).collect();
    assert_eq!(lines[0], format!("for user u4, who has {} items", seen.len()));
    let items = ids(&answer["recommendations"]);
    assert_eq!(items.len(), 40 - seen.len());
    assert!(items.iter().all(|item| !seen.contains(item)));
    // What the user's camp has and they do not comes before anything of the other's.
    let own = items.iter().filter(|item| **item < 120).count();
    assert!(own > 0 && items[..own].iter().all(|item| *item < 120), "{items:?}");
    let all = place.run("recommend m.nw --user u4 -k 99 --exact --include-seen --json").json();
    assert_eq!(ids(&all["recommendations"]).len(), 40);
    let unknown = place.run("recommend m.nw --user nobody").failure();
    assert_eq!(
        unknown,
        "there is no user nobody: the model knows 60 users; for a new one, recommend from a history"
    );
}

#[test]
fn recommend_from_a_history() {
    let place = Place::with_model();
    let history = "101:3,Northern 102,103 : 2";
    let ask = |history: &str| {
        place.words(&["recommend", "m.nw", "--history", history, "-k", "5", "--json"])
    };
    let answer = ask(history).json();
    assert_eq!(ids(&answer["history"]), [101, 102, 103]);
    let weights: Vec<f64> = answer["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|h| h["weight"].as_f64().unwrap())
        .collect();
    assert_eq!(weights, [3.0, 1.0, 2.0]);
    assert!(ids(&answer["recommendations"]).iter().all(|i| (100..120).contains(i)), "{answer}");
    // A label that holds a comma and a colon is an item as a whole.
    let whole = ask("Comma, Colon: 7").json();
    assert_eq!(ids(&whole["history"]), [137]);
    // A name with a comma has a weight too, in quotes or as it stands.
    let names = crate::common::place::names().replace("Northern 102", "Earth, Wind & Fire");
    place.write("commas.tsv", names.as_bytes());
    place.run(&TRAIN.replace("names.tsv", "commas.tsv").replace("m.nw", "c.nw")).ok();
    let history = |text: &str| {
        let words = ["recommend", "c.nw", "--history", text, "-k", "2", "--json"];
        place.words(&words).json()["history"].clone()
    };
    for text in ["Earth, Wind & Fire:3", "\"Earth, Wind & Fire\":3", "\"Earth, Wind & Fire\" : 3"] {
        assert_eq!(history(text)[0]["weight"], 3.0, "{text}");
        assert_eq!(ids(&history(text)), [102], "{text}");
    }
    for text in ["101:2,Earth, Wind & Fire:3,103", "101:2, \"Earth, Wind & Fire\":3 ,103"] {
        assert_eq!(ids(&history(text)), [101, 102, 103], "{text}");
        assert_eq!(history(text)[1]["weight"], 3.0, "{text}");
    }
    let words = ["recommend", "m.nw", "--history", "101", "--history", "102", "-k", "2"];
    let text = place.words(&words).ok();
    let first = "for somebody who has Northern 101 (id 101), Northern 102 (id 102)\n";
    assert!(text.starts_with(first), "{text}");
    assert!(ask("101,Nothern 102").failure().contains("did you mean \"Northern 102\""));
    assert!(ask("101:nan").failure().contains("weight"));
    let some = ["recommend", "m.nw", "--history", "101,999:4,gone", "--skip-unknown", "--json"];
    let output = place.words(&some);
    let told = &output.err;
    for unknown in ["999", "gone"] {
        assert!(told.contains(unknown), "{told}");
    }
    let answer: serde_json::Value = serde_json::from_str(&output.noted()).unwrap();
    assert_eq!(ids(&answer["history"]), [101]);
}

#[test]
fn recommend_to_everybody_in_every_format() {
    let place = Place::with_model();
    let text = place.run("recommend m.nw --all -k 4 -o r.parquet").ok();
    let text = masked(&text);
    assert_eq!(text, "users    60\nrows     240\nseconds  _\nfile     r.parquet");
    let columns = ["user", "item", "score"].map(|name| Some(name.to_string()));
    let [user, item, weight] = columns;
    let options = ReadOptions { user, item, weight, ..ReadOptions::default() };
    let table = read_interactions(place.path("r.parquet"), &options).unwrap();
    for name in ["r.csv", "r.tsv"] {
        place.run(&format!("recommend m.nw --all -k 4 --threads 1 -o {name}")).ok();
        assert_eq!(read_interactions(place.path(name), &options).unwrap(), table, "{name}");
    }
    assert_eq!((table.users.len(), table.matrix.nnz()), (60, 240));
    let model = Recommender::open(place.path("m.nw")).unwrap();
    for user in 0..60 {
        let Id::Text(name) = table.users.get(user) else { panic!("{:?}", table.users) };
        let effort = nearwood::Effort::Exact;
        let options = nearwood::recommend::RecommendOptions { k: 4, effort, ..Default::default() };
        let hits = model.recommend(model.find_user(&name).unwrap(), options).unwrap();
        let told = table.matrix.row(user).0.iter().map(|&i| table.items.get(i as usize));
        let found = hits.iter().map(|hit| model.items().id(hit.position));
        assert_eq!(told.collect::<HashSet<Id>>(), found.collect::<HashSet<Id>>(), "{name}");
    }
    let done = Done::of(
        place.command(&["recommend", "m.nw", "--all", "-k", "4", "-o", "-"]).output().unwrap(),
    );
    assert_eq!((done.code, done.out), (0, fs::read_to_string(place.path("r.csv")).unwrap()));
    let text = masked(&place.run("recommend m.nw --all -k 4 --exact --resume -o r.csv").ok());
    assert_eq!(text, "users    60\nresumed  0\nrows     240\nseconds  _\nfile     r.csv");
    let error = place.run("recommend m.nw --all --resume -o -").failure();
    assert!(error.contains("needs a regular file"), "{error}");
    place.run("recommend m.nw --all -k 1 -o r.jsonl").ok();
    let lines = fs::read_to_string(place.path("r.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 60);
    let error = place.run("recommend m.nw --all -o r.xlsx").failure();
    assert!(error.contains("expected parquet, csv, tsv or jsonl"), "{error}");
}

#[test]
fn inspect_shows_what_is_there() {
    let place = Place::with_model();
    let text = place.run("inspect m.nw").ok();
    for line in [
        "content         recommender",
        "metric          dot",
        "rows            40",
        "users           60",
        "labels          yes",
        "training.weighting                      log1p",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
    }
    let document = place.run("inspect m.nw --json").json();
    let index = Index::open(place.path("m.nw")).unwrap();
    let table = document["section_table"].as_array().unwrap();
    assert_eq!(table.len(), index.directory().sections().len());
    assert_eq!(document["sections"], table.len());
    let size = |kind: &str| table.iter().find(|s| s["kind"] == kind).unwrap()["bytes"].clone();
    assert_eq!((size("vectors"), size("user factors")), ((40 * 8 * 4).into(), (60 * 8 * 4).into()));
    assert_eq!(document["leaves"], 1);
    let curve = document["calibration"].as_array().unwrap();
    assert_eq!(curve.len(), index.calibration().curve().len());
    assert!(document["calibration_by_cosine"][0][1].as_f64().unwrap() > 0.9);
}

#[test]
fn models_are_inspected_and_verified_too() {
    let place = Place::new();
    place.write("model.nw", &small_model(Storage::Float16));
    let text = place.run("inspect model.nw").ok();
    for part in ["content       model", "storage       float16", "half user factors"] {
        assert!(text.contains(part), "{text}");
    }
    let document = place.run("inspect model.nw --json").json();
    assert_eq!((&document["users"], &document["items"]), (&3.into(), &4.into()));
    assert_eq!(document["training"]["params"]["factors"], 5);
    assert_eq!(document["section_table"].as_array().unwrap().len(), 6);
    let document = place.run("verify model.nw --json").json();
    assert_eq!((&document["result"], &document["content"]), (&"ok".into(), &"model".into()));
    let mut bytes = small_model(Storage::Float32);
    let last = bytes.len() - 64;
    bytes[last] ^= 1;
    place.write("bad.nw", &bytes);
    for command in ["verify bad.nw", "inspect bad.nw"] {
        assert!(place.run(command).failure().contains("checksum"), "{command}");
    }
    let error = place.run("recommend model.nw --user 1").failure();
    assert!(error.contains("a whole model, expected"), "{error}");
}

#[test]
fn verify_finds_one_changed_byte() {
    let place = Place::with_model();
    let text = place.run("verify m.nw").ok();
    assert!(text.starts_with("result    ok\ncontent   recommender\n"), "{text}");
    let mut bytes = fs::read(place.path("m.nw")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    place.write("bad.nw", &bytes);
    let error = place.run("verify bad.nw").failure();
    assert!(error.starts_with("bad.nw: "), "{error}");
    assert!(error.contains("checksum of section") || error.contains("padding"), "{error}");
    let place = Place::with_index();
    assert_eq!(place.run("verify i.nw --json").json()["result"], "ok");
}

#[test]
fn files_that_are_none() {
    let place = Place::with_model();
    let missing = place.run("similar no.nw x").failure();
    assert!(missing.starts_with("could not open no.nw: "), "{missing}");
    let missing = place.run("train no.csv --user 0 --item 1 -o x.nw").failure();
    assert!(missing.starts_with("could not read no.csv: "), "{missing}");
    let text = place.run("inspect plays.csv").failure();
    assert!(text.starts_with("plays.csv: not a nearwood file"), "{text}");
    let bytes = fs::read(place.path("m.nw")).unwrap();
    for len in [0, 100, bytes.len() / 2, bytes.len() - 1] {
        place.write("cut.nw", &bytes[..len]);
        for words in
            ["verify cut.nw", "inspect cut.nw", "recommend cut.nw --user u1", "similar cut.nw 101"]
        {
            let error = place.run(words).failure();
            assert!(error.starts_with("cut.nw: "), "{words}: {error}");
        }
    }
    let place = Place::with_index();
    let error = place.run("recommend i.nw --user 1").failure();
    assert!(error.contains("got an index, expected a recommender"), "{error}");
    assert!(!place.path("x.nw").exists());
}

#[test]
fn input_that_makes_no_sense() {
    let place = Place::with_index();
    place.write("plays.csv", b"user,item,plays\na,1,2\nb,2,many\n");
    let run = |words: &str| place.run(words).failure();
    let error = run("train plays.csv -o x.nw");
    assert!(error.contains("say which columns hold the user and the item"), "{error}");
    let error = run("train plays.csv --user user --item song -o x.nw");
    assert!(error.contains("has no column \"song\"; it has user, item, plays"), "{error}");
    let error = run("train plays.csv --user user --item item --weight plays -o x.nw");
    assert!(error.starts_with("plays.csv, line 3: "), "{error}");
    let error = run("train plays.csv --user user --item item --factors 0 -o x.nw");
    assert_eq!(error, "factors is 0, expected 1 to 4096");
    place.write("other.tsv", b"x\tA\ny\tB\n");
    let error = run("train plays.csv --user user --item item --names other.tsv -o x.nw");
    assert!(error.contains("other.tsv names none of the 2 items"), "{error}");
    let mut values = circle();
    values[7] = f32::NAN;
    npy::write(place.path("nan.npy"), &values, 2).unwrap();
    let error = run("build nan.npy --metric dot -o x.nw");
    assert!(error.starts_with("row 3, column 1 is NaN"), "{error}");
    let error = run("search i.nw --queries nan.npy");
    assert!(error.contains("query 3 has NaN in column 1"), "{error}");
    npy::write(place.path("wide.npy"), &values[8..24], 4).unwrap();
    let error = run("search i.nw --queries wide.npy");
    assert_eq!(error, "wide.npy: the query has 4 values, the index holds vectors of 2");
    let error = run("search i.nw --queries q.npy --recall 0");
    assert_eq!(error, "recall is 0, expected above 0, at most 1");
    assert!(!place.path("x.nw").exists());
}

#[test]
fn wrong_usage_ends_with_two() {
    let place = Place::with_index();
    for (words, told) in [
        ("", "Usage: nearwood <COMMAND>"),
        ("dance", "unrecognized subcommand 'dance'"),
        ("build v.npy --metric jaccard -o x.nw", "expected \"euclidean\" (\"l2\"), \"angular\""),
        ("build v.npy --metric dot", "--output <FILE>"),
        ("search i.nw --queries q.npy -k 0", "expected at least 1"),
        ("search i.nw --queries q.npy -k ten", "expected a whole number"),
        ("search i.nw", "<--queries <FILE>|--id <ID>>"),
        ("search i.nw --queries q.npy --exact --budget 3", "cannot be used with"),
        ("recommend i.nw --all", "--output <FILE>"),
        ("recommend i.nw --user 1 -o x.csv", "cannot be used with"),
        ("recommend i.nw --user 1 --all -o x.csv", "cannot be used with"),
        ("recommend i.nw --user 1 --resume", "cannot be used with"),
        ("train p.csv --weighting tfidf -o x.nw", "expected \"raw\", \"log1p\", \"bm25\", "),
        ("train p.csv --time t -o x.nw", "--half-life <TIME>"),
        ("train p.csv --time t --half-life 3y -o x.nw", "such as 90d, 12h or 3600"),
        ("train p.csv --format xlsx -o x.nw", "expected \"table\", \"lists\" or \"parquet\""),
    ] {
        let words: Vec<&str> = words.split(' ').filter(|word| !word.is_empty()).collect();
        let usage = place.words(&words).usage();
        assert!(usage.contains(told), "{words:?}: {usage}");
    }
    let help = place.run("recommend --help").ok();
    assert!(help.contains("--history <ITEM[:WEIGHT],...>"), "{help}");
    assert_eq!(place.run("--version").ok(), format!("nearwood {}\n", env!("CARGO_PKG_VERSION")));
}

/// The reader goes after one line, long before the writer is done.
#[test]
fn a_closed_pipe_is_no_error() {
    let place = Place::with_index();
    let many: Vec<f32> = circle().into_iter().cycle().take(2 * 60_000).collect();
    npy::write(place.path("many.npy"), &many, 2).unwrap();
    for words in ["search i.nw --queries many.npy --json", "search i.nw --queries many.npy -o -"] {
        let words: Vec<&str> = words.split(' ').collect();
        let mut command = place.command(&words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("{\"") || line.starts_with("query,"), "{line}");
        let done = child.wait_with_output().unwrap();
        assert_eq!((done.status.code(), done.stderr), (Some(0), vec![]), "{words:?}");
    }
}

#[test]
fn the_demo_does_the_whole_job() {
    let place = Place::new();
    let words = "demo --users 400 --items 300 --interactions 12000 --factors 16 --iterations 4 \
                 --threads 2 --seed 1 --keep d.nw";
    let text = place.run(words).ok();
    for part in ["400 listeners, 300 artists", "plays most", "is recommended", "similar to "] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let share = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().last().unwrap().trim_end_matches('%').parse().unwrap()
    };
    assert!(share("recall at 10") > 90.0, "{text}");
    let (own, chance) = (share("recommended from own genres"), share("own genres by chance"));
    assert!(own > 70.0 && own > 3.0 * chance, "{text}");
    place.run("verify d.nw").ok();
}
