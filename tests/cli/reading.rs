//! Files as people have them, through the commands that read tables.

use crate::common::place::Place;

const SMALL: &str = "--factors 2 --iterations 2 --threads 1 -o m.nw";

/// A word for each option, so that one may hold a space.
fn train<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["train"];
    all.extend(words);
    all.extend(SMALL.split(' '));
    all
}

fn counts(place: &Place, words: &[&str]) -> (u64, u64, u64) {
    let mut words = train(words);
    words.push("--json");
    let report = place.words(&words).json();
    let count = |name: &str| report[name].as_u64().unwrap();
    (count("users"), count("items"), count("interactions"))
}

#[test]
fn a_tabbed_file_that_quotes_nothing_loses_no_rows() {
    let place = Place::new();
    let text = "u1\tradiohead\t9\nu1\t\"weird al\" y\t5\nu2\t\"ghost town\t4\nu3\tair\t7\n\
                u4\t7\" heroes\t9\nu5\t\"Heroes\"\t3\nu5\tHeroes\t2\n";
    place.write("t.tsv", text.as_bytes());
    let columns = ["t.tsv", "--user", "0", "--item", "1", "--weight", "2"];
    assert_eq!(counts(&place, &columns), (5, 7, 7));
    let on = [&columns[..], &["--quote", "double"]].concat();
    let error = place.words(&train(&on)).failure();
    assert!(error.contains("t.tsv, line 2: text follows the closing \""), "{error}");
}

#[test]
fn options_overrule_what_is_guessed() {
    let place = Place::new();
    place.write("t.csv", b"user_id^product\na1f^caf\xe9\nb2e^th\xe9\n");
    let columns = ["t.csv", "--user", "0", "--item", "1", "--delimiter", "^"];
    let asked = place.words(&train(&columns)).failure();
    assert!(asked.contains("pass --header (header=True)"), "{asked}");
    let header = [&columns[..], &["--header"]].concat();
    let told = place.words(&train(&header)).failure();
    assert!(told.contains("--encoding latin-1"), "{told}");
    let latin = [&header[..], &["--encoding", "latin-1"]].concat();
    assert_eq!(counts(&place, &latin), (2, 2, 2));
    let row = [&columns[..], &["--no-header", "--encoding", "latin-1"]].concat();
    assert_eq!(counts(&place, &row), (3, 3, 3));
    place.words(&train(&[&header[..], &["--no-header"]].concat())).usage();
    let tuned = [
        "tune",
        "t.csv",
        "--user",
        "0",
        "--item",
        "1",
        "--delimiter",
        "^",
        "--header",
        "--encoding",
        "latin-1",
        "--trials",
        "1",
        "--refine",
        "0",
    ];
    assert!(!place.words(&tuned).err.contains("UTF-8"));
    let test = [
        "evaluate",
        "m.nw",
        "--test",
        "t.csv",
        "--user",
        "0",
        "--item",
        "1",
        "--delimiter",
        "^",
        "--header",
        "--encoding",
        "latin-1",
    ];
    assert!(!place.words(&test).err.contains("UTF-8"));
}

#[test]
fn folders_patterns_and_several_files() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("t/day=2024-01-01")).unwrap();
    std::fs::create_dir_all(place.path("t/day=2024-01-02")).unwrap();
    place.write("t/day=2024-01-01/a.csv", b"u,i\nann,x\nbob,x\n");
    place.write("t/day=2024-01-02/b.csv", b"u,i\nann,y\n");
    place.write("t/_SUCCESS", b"");
    let columns = ["--user", "u", "--item", "i"];
    for paths in [
        &["t"][..],
        &["t/*/*.csv"],
        &["t/day=2024-01-01/a.csv", "t/day=2024-01-02/b.csv"],
        &["t", "--time", "day", "--half-life", "1d"],
    ] {
        assert_eq!(counts(&place, &[paths, &columns].concat()), (2, 2, 3), "{paths:?}");
    }
    let error = place.words(&train(&[&["none*.csv"][..], &columns].concat())).failure();
    assert!(error.contains("none*.csv: no file matches"), "{error}");
}

#[test]
fn a_decay_that_empties_the_model_is_refused() {
    let place = Place::new();
    let table = |unit: u64, extra: &str| {
        let row = |at: u64| format!("u{at},s{},{}\n", at % 7, (1_700_000_000 + at * 86_400) * unit);
        format!("user,item,t\n{}{extra}", (0..60).map(row).collect::<String>())
    };
    place.write("s.csv", table(1, "").as_bytes());
    place.write("ms.csv", table(1000, "").as_bytes());
    place.write("future.csv", table(1, "u1,s1,9999-12-31\n").as_bytes());
    let columns = ["--user", "user", "--item", "item", "--time", "t", "--half-life"];
    let run =
        |file: &str, rest: &[&str]| place.words(&train(&[&[file][..], &columns, rest].concat()));
    run("s.csv", &["30d"]).ok();
    let error = run("ms.csv", &["30d"]).failure();
    assert!(error.contains("number of milliseconds (2592000000)"), "{error}");
    run("ms.csv", &["2592000000"]).ok();
    let error = run("future.csv", &["30d"]).failure();
    assert!(error.contains("pass now= (--now)"), "{error}");
    run("future.csv", &["30d", "--now", "2024-01-12"]).ok();
    let error = run("s.csv", &["30"]).failure();
    assert!(error.contains("59 of 60 would keep less than a millionth"), "{error}");
    let told = run("s.csv", &["36h"]);
    assert!(told.code == 0 && told.err.contains("29 of 60 users keep less"), "{}", told.err);
    let usage = run("s.csv", &["3m"]).usage();
    assert!(usage.contains("minutes or months"), "{usage}");
}

#[test]
fn names_have_columns_and_an_encoding() {
    let place = Place::new();
    place.write("t.csv", b"u,i\nann,1\nbob,2\n");
    place.write("n.item", b"1|Toy, Story|x\n2|Les \xe9t\xe9s|y\n");
    place.write("b.csv", b"isbn;author;title\n1;x;\"First\nline\"\n2;y;Second\n");
    let columns = ["t.csv", "--user", "u", "--item", "i"];
    let run = |rest: &[&str]| place.words(&train(&[&columns[..], rest].concat()));
    let error = run(&["--names", "n.item"]).failure();
    assert!(error.contains("n.item, line 2") && error.contains("--encoding latin-1"), "{error}");
    run(&["--names", "n.item", "--encoding", "latin-1"]).ok();
    let text = place.words(&["similar", "m.nw", "Les étés", "-k", "1"]).ok();
    assert!(text.contains("Toy, Story"), "{text}");
    run(&["--names", "b.csv", "--names-id", "isbn", "--names-label", "title"]).ok();
    assert!(place.words(&["similar", "m.nw", "Second", "-k", "1"]).code == 0);
    let error = run(&["--names", "b.csv", "--names-label", "name"]).failure();
    assert!(error.contains("has no column \"name\"; it has isbn, author, title"), "{error}");
}

#[test]
fn other_files_are_named_and_nothing_raw_is_printed() {
    let place = Place::new();
    place.write("t.zip", b"PK\x03\x04\x14\0\0\0\x1b[31mratings.csv");
    place.write("t.bin", &[27, 91, 51, 49, 109, 0, 1, 2, 3, 4, 5, 6, 7, 8, 14, 15, 16, 17, 18]);
    place.write("t.csv", b"a\x1b[31m,b\nx,y\n");
    for (file, what) in [("t.zip", "zip archive"), ("t.bin", "binary data"), ("t.csv", "no column")]
    {
        let error = place.words(&train(&[file, "--user", "u", "--item", "i"])).failure();
        assert!(error.contains(what) && !error.contains('\x1b'), "{error}");
    }
}
