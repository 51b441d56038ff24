//! Names that steer a terminal, messages that are too long, and readers that go away.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use nearwood::io::npy;

use crate::common::place::{Done, Place, circle};

/// Clears the screen, begins a title, changes colours by one character, and reverses the line. A bell
/// in every line would make a text file binary data to its reader.
const NASTY: &str = "\x1b[2J\x1b]0;\u{9b}31m\u{202e}";

fn steers(c: char) -> bool {
    (c.is_control() && c != '\n') || c == '\u{202e}'
}

fn is_clean(done: &Done) {
    for text in [&done.out, &done.err] {
        assert!(!text.contains(steers), "{text:?}");
    }
}

/// An index and a recommender whose ids and labels are all nasty.
fn place() -> Place {
    let place = Place::with_index();
    let id = |row: usize| format!("{NASTY}{row}");
    let lines = |f: &dyn Fn(usize) -> String| (0..60).map(|r| f(r) + "\n").collect::<String>();
    place.write("ids.txt", lines(&id).as_bytes());
    place.write("labels.txt", lines(&|row| format!("{NASTY}label {}", row / 2)).as_bytes());
    let build = "build v.npy --metric euclidean --ids ids.txt --labels labels.txt -o n.nw";
    place.run(build).ok();
    let mut plays = format!("{NASTY}user,item\n");
    for row in 0..200 {
        plays.push_str(&format!("{},{}\n", id(row % 20), id(row * 7 % 30)));
    }
    place.write("plays.csv", plays.as_bytes());
    place
}

#[test]
fn no_command_lets_a_name_steer_the_terminal() {
    let place = place();
    let user = format!("{NASTY}user");
    let one = format!("{NASTY}1");
    let train = ["train", "plays.csv", "--user", &user, "--item", "item", "--factors", "4"];
    let train = place.words(&[&train[..], &["--names", "ids.txt", "-o", "r.nw"]].concat());
    is_clean(&train);
    let train = place.words(
        &[
            &["train", "plays.csv", "--user", &user, "--item"][..],
            &["item", "--factors", "4", "--iterations", "2", "-o", "r.nw"],
        ]
        .concat(),
    );
    is_clean(&train);
    assert_eq!(train.code, 0, "{}", train.err);
    let ambiguous = format!("{NASTY}label 3");
    let history = format!("{NASTY}1:2");
    for words in [
        &["similar", "n.nw", &one][..],
        &["similar", "n.nw", &ambiguous],
        &["similar", "n.nw", &user],
        &["similar", "r.nw", &one],
        &["search", "n.nw", "--id", &one],
        &["search", "n.nw", "--id", &user],
        &["inspect", "n.nw"],
        &["inspect", "r.nw"],
        &["inspect", &user],
        &["verify", &one],
        &["verify", "ids.txt"],
        &["recommend", "r.nw", "--user", &one],
        &["recommend", "r.nw", "--user", "nobody"],
        &["recommend", "r.nw", "--user", &user],
        &["recommend", "r.nw", "--history", &history],
        &["recommend", "r.nw", "--all", "-o", &user],
        &["train", "plays.csv", "--user", "user", "--item", "item", "-o", "x.nw"],
        &["train", &user, "-o", "x.nw"],
        &["evaluate", "r.nw", "--test", "plays.csv", "--user", "user", "--item", "item"],
        &["search", &user],
        &[&user],
        &["build", "v.npy", "--metric", &user, "-o", "x.nw"],
        &["build", "v.npy", "--metric", "dot", &user, "-o", "x.nw"],
    ] {
        is_clean(&place.words(words));
    }
}

#[test]
fn data_for_programs_is_as_it_is_in_the_file() {
    let place = place();
    let one = format!("{NASTY}1");
    let answer = place.words(&["similar", "n.nw", &one, "--json"]).json();
    assert_eq!(answer["id"], one);
    let table = place.words(&["search", "n.nw", "--id", &one, "-o", "-"]);
    assert!(table.out.contains(NASTY) && table.code == 0, "{:?}", table.out);
}

#[test]
fn messages_have_an_end() {
    let place = Place::with_index();
    let label = "x".repeat(2_000);
    let labels: String = (0..60).map(|_| format!("{label}\n")).collect();
    let ids: String = (0..60).map(|row| format!("{label}{row}\n")).collect();
    place.write("labels.txt", labels.as_bytes());
    place.write("ids.txt", ids.as_bytes());
    place.run("build v.npy --metric dot --ids ids.txt --labels labels.txt -o l.nw").ok();
    let columns: Vec<String> = (0..100_000).map(|n| format!("column{n}")).collect();
    place.write("wide.csv", format!("{}\n", columns.join(",")).as_bytes());
    let long = format!("{label}9");
    let short = format!("{label}z");
    for (words, part) in [
        (&["similar", "l.nw", &label][..], "and 50 more"),
        (&["similar", "l.nw", &short], "there is no"),
        (&["train", "wide.csv", "--user", "u", "--item", "i", "-o", "x.nw"], "and 99990 more"),
        (&["recommend", "l.nw", "--user", &long], ""),
    ] {
        let done = place.words(words);
        assert_eq!(done.code, 1, "{}", done.out);
        assert!(done.err.len() < 9_000 && done.err.contains(part), "{}", done.err);
    }
    let table = place.words(&["similar", "l.nw", &long]).ok();
    assert!(table.lines().all(|line| line.chars().count() < 2_000));
}

/// The reader goes after one line, long before the writer is done.
#[test]
fn every_command_ends_well_when_its_reader_goes() {
    let place = Place::with_model();
    let many: Vec<f32> = circle().into_iter().cycle().take(2 * 60_000).collect();
    npy::write(place.path("many.npy"), &many, 2).unwrap();
    npy::write(place.path("v.npy"), &circle(), 2).unwrap();
    place.run("build v.npy --metric euclidean -o i.nw").ok();
    let mut plays = String::from("user,item\n");
    for row in 0..60_000 {
        plays.push_str(&format!("{row},{}\n{row},{}\n", row % 50, row % 37));
    }
    place.write("many.csv", plays.as_bytes());
    let train = "train many.csv --user user --item item --factors 4 --iterations 1 -o many.nw";
    place.run(train).ok();
    for words in [
        "recommend many.nw --all -k 20 -o -",
        "search i.nw --queries many.npy --json",
        "search i.nw --queries many.npy -o -",
        "build many.npy --metric euclidean --no-graph -o -",
        "build many.npy --metric euclidean --no-graph -o /dev/stdout",
        "train many.csv --user user --item item --factors 4 --iterations 1 -o -",
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let mut command = place.command(&words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = Vec::new();
        let mut reader = BufReader::with_capacity(16, child.stdout.take().unwrap());
        first.extend_from_slice(reader.fill_buf().unwrap());
        drop(reader);
        assert!(!first.is_empty(), "{words:?}");
        let done = Done::of(child.wait_with_output().unwrap());
        assert_eq!(done.code, 0, "{words:?}: {}", done.err);
        assert!(!done.err.contains("error"), "{words:?}: {}", done.err);
    }
    // Standard error gone: a command that has something to note is done all the same.
    let words = ["train", "many.csv", "--user", "user", "--item", "item", "--weight", "item"];
    let mut command =
        place.command(&[&words[..], &["--skip-bad-rows", "--factors", "4", "-o", "y.nw"]].concat());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
