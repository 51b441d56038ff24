//! `nearwood recall` and `nearwood report`, run as people run them.

use std::fs;

use crate::common::place::{Place, plays};
use nearwood::io::npy;

#[test]
fn recall_prints_a_table_and_draws_a_picture() {
    let place = Place::with_index();
    let text = place.run("recall i.nw --queries q.npy -k 3 --budgets 60,20 --plot c.svg").ok();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "3 neighbours of 12 queries; over the trees, one thread");
    assert!(lines[1].starts_with("search"), "{text}");
    let names: Vec<&str> =
        lines[2..].iter().map(|line| line.split_whitespace().next().unwrap()).collect();
    let searches = ["budget=20", "budget=60", "recall=0.9", "recall=0.95", "recall=0.99", "exact"];
    assert_eq!(names, searches);
    assert!(lines[7].contains("100.0%"), "{text}");
    let picture = fs::read_to_string(place.path("c.svg")).unwrap();
    assert!(picture.contains("12 queries") && picture.contains("recall@3"), "{picture}");
    let done = place.run("recall i.nw --queries q.npy --budgets 20 --plot -");
    assert!(done.out.starts_with("<svg ") && done.err.contains("recall=0.95"), "{}", done.err);
}

#[test]
fn recall_without_queries_says_what_it_asked() {
    let place = Place::with_index();
    let curve = place.run("recall i.nw -k 2 --json --threads 1").json();
    assert_eq!((&curve["k"], &curve["n_queries"]), (&2.into(), &60.into()));
    assert_eq!(curve["queries"], "stored");
    assert_eq!(curve["exact"]["recall"], 1.0);
    assert_eq!(curve["asked"][1]["asked"], 0.95);
    let steps = curve["steps"].as_array().unwrap();
    let last = steps.last().unwrap();
    assert_eq!((&last["budget"], &last["recall"]), (&60.into(), &1.0.into()), "all were compared");
    assert!(last["queries_per_second"].as_f64().unwrap() > 0.0);
    let text = place.run("recall i.nw").ok();
    assert!(text.contains("60 stored vectors, each left out of its own answer"), "{text}");
    let place = Place::with_model();
    assert_eq!(place.run("recall m.nw --json").json()["queries"], "users");
    let text = place.run("recall m.nw -k 5").ok();
    assert!(text.starts_with("5 neighbours of 60 users of the recommender"), "{text}");
}

#[test]
fn recall_refuses_what_it_cannot_measure() {
    let place = Place::with_index();
    npy::write(place.path("none.npy"), &[], 2).unwrap();
    npy::write(place.path("wide.npy"), &[0.0; 6], 3).unwrap();
    for (words, part) in [
        ("recall nowhere.nw", "could not open nowhere.nw"),
        ("recall i.nw --queries none.npy", "queries is no row, expected at least one row"),
        ("recall i.nw --queries wide.npy", "the query has 3 values, the index holds vectors of 2"),
        ("recall i.nw --queries q.npy --packed", "packbits"),
        ("recall i.nw --plot nowhere/c.svg", "could not write nowhere/c.svg"),
    ] {
        let error = place.run(words).failure();
        assert!(error.contains(part), "{words}: {error}");
    }
    place.run("recall i.nw -k 0").usage();
    place.run("recall i.nw --plot c.png").usage();
    place.run("recall i.nw --budgets 10,0").usage();
}

#[test]
fn report_writes_a_page() {
    let place = Place::with_model();
    // What a user had is not wanted again: the test has the other items of a camp too.
    let test: String = (100..120).map(|item| format!("u0,{item},1\n")).collect();
    place.write("test.csv", format!("user,item,plays\n{test}u0,999,1\n").as_bytes());
    let columns = "--user user --item item --weight plays";
    let shown = place.run("report m.nw -o m.html --json").json();
    let page = fs::read_to_string(place.path("m.html")).unwrap();
    assert_eq!((&shown["file"], &shown["items"]), (&"m.html".into(), &40.into()));
    assert_eq!(shown["bytes"], page.len());
    assert!(page.contains("<title>m.nw · nearwood</title>") && page.contains("Northern 101"));
    assert!(page.contains("--test FILE") && page.contains("60 users of the recommender"));
    let words =
        format!("report m.nw --test test.csv {columns} -k 5 --title Mine -o m.html --items 7");
    place.run(&words).ok();
    let page = fs::read_to_string(place.path("m.html")).unwrap();
    assert!(page.contains("<h1 dir=\"auto\">Mine</h1>") && page.contains("The 7 items that most"));
    let told = place.run(&format!("evaluate m.nw --test test.csv {columns} -k 5 --json")).noted();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let ndcg = format!("ndcg@5</th><td>{:.4}</td>", told["ndcg@5"].as_f64().unwrap());
    assert!(page.contains(&ndcg), "{ndcg}");
    assert!(page.contains("1 interactions of the test are left out"));
    assert!(plays().contains("u0,"), "the user is known");
    let done = place.run("report m.nw -o - --no-speed");
    assert!(done.out.contains("was not measured for this page"));
    assert_eq!(place.run("report m.nw -o - --no-speed").out, done.out);
    assert!(done.out.starts_with("<!doctype html>") && done.out.ends_with("</html>\n"));
    assert!(done.err.contains("items  40"), "{}", done.err);
}

#[test]
fn report_shows_an_index_and_measures_it() {
    let place = Place::with_index();
    place.run("report i.nw --queries q.npy -o i.html").ok();
    let page = fs::read_to_string(place.path("i.html")).unwrap();
    assert!(page.contains("Measured with 12 queries") && page.contains("All 60 vectors"));
}

#[test]
fn report_refuses_what_it_cannot_show() {
    let place = Place::with_index();
    place.write("model.nw", &crate::common::small_model(nearwood::Storage::Float32));
    place.write("test.csv", b"user,item\na,1\n");
    for (words, part) in [
        ("report model.nw -o x.html", "got a model, expected an index or a recommender"),
        ("report i.nw --test test.csv -o x.html", "got an index, expected a recommender"),
        ("report nowhere.nw -o x.html", "could not open nowhere.nw"),
        ("report v.npy -o x.html", "not a nearwood file"),
        ("report i.nw -o nowhere/x.html", "could not write nowhere/x.html"),
    ] {
        let error = place.run(words).failure();
        assert!(error.contains(part), "{words}: {error}");
        assert!(!place.path("x.html").exists());
    }
    place.run("report i.nw").usage();
    place.run("report i.nw -o x.html --no-speed --queries q.npy").usage();
    place.run("report i.nw -o x.html --items 5001").usage();
    place.run("report i.nw -o x.html --items 0").usage();
}
