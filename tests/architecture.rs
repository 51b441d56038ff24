//! The walls of `docs/architecture.md`, held by reading the sources.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The rooms by floor. A room imports from floors below and, on its own, from rooms named before
/// it; so no cycle can be.
const FLOORS: [&[&str]; 8] = [
    &["memory", "error", "metric", "progress", "random", "threads"],
    &["kernel", "format", "store"],
    &["quant", "exact"],
    &["forest", "graph", "als"],
    &["index"],
    &["recommend", "eval"],
    &["io", "tune", "annoy", "implicit", "report"],
    &["cli"],
];
/// On this floor no room imports another.
const STRANGERS: usize = 3;
const MOST_LINES: usize = 600;

/// What may stand only in certain rooms.
const RESERVED: [(&str, &[&str]); 6] = [
    ("std::arch", &["kernel"]),
    ("core::arch", &["kernel"]),
    ("std::fs", &["store", "io", "cli", "bin"]),
    ("memmap2", &["store", "io", "cli"]),
    ("unsafe ", &["kernel", "store"]),
    ("allow(unsafe_code)", &["kernel", "store"]),
];

/// (floor, place on it) of a room.
fn place(room: &str) -> Option<(usize, usize)> {
    let on = |floor: &&[&str]| floor.iter().position(|name| *name == room);
    FLOORS.iter().enumerate().find_map(|(number, floor)| Some((number, on(floor)?)))
}

/// Rooms that are no part of the public interface, which is all that the outside may use.
const PRIVATE: [&str; 3] = ["metric", "random", "threads"];

fn may_import(from: &str, to: &str) -> bool {
    if from == "cli" {
        let is_exported = to.starts_with(char::is_uppercase);
        return is_exported || (place(to).is_some() && !PRIVATE.contains(&to));
    }
    let (Some(from), Some(to)) = (place(from), place(to)) else { return false };
    from == to || to.0 < from.0 || (to.0 == from.0 && from.0 != STRANGERS && to.1 < from.1)
}

/// The room of a file: its folder or, at the top, its name.
fn room(path: &str) -> &str {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

/// The code without comments.
fn code(text: &str) -> String {
    let line = |line: &str| line.split("//").next().unwrap_or("").to_string();
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The names that stand after `crate::`, those of a group in braces too.
fn imported(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let starts_a_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            _ if !starts_a_word => {}
            Some(group) => names.extend(group_heads(group)),
            None => names.push(word(rest)),
        }
    }
    names
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first name of each member of a group whose opening brace has been read.
fn group_heads(text: &str) -> Vec<String> {
    let (mut depth, mut heads, mut start) = (1, Vec::new(), 0);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            heads.push(word(text[start..at].trim_start()));
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

/// How many names the module of a file has: kernel/isa.rs and kernel/float/mod.rs have two.
fn depth(path: &str) -> usize {
    path.trim_end_matches("/mod.rs").split('/').count()
}

/// The longest chain of `super::` in some code.
fn climb(code: &str) -> usize {
    (1..9).take_while(|&n| code.contains(&"super::".repeat(n))).count()
}

/// What is wrong with a file of `src`, whose path is relative to it.
fn violations(path: &str, text: &str) -> Vec<String> {
    let (room, code) = (room(path), code(text));
    let mut found = Vec::new();
    let mut wrong = |what: String| found.push(format!("src/{path}: {what}"));
    let lines = text.lines().count();
    if lines > MOST_LINES {
        wrong(format!("{lines} lines, at most {MOST_LINES}: two ideas, two files"));
    }
    for (what, rooms) in RESERVED {
        if code.contains(what) && !rooms.contains(&room) {
            wrong(format!("`{}` outside of {}", what.trim(), rooms.join(", ")));
        }
    }
    if !["lib", "bin"].contains(&room) {
        if place(room).is_none() {
            wrong(format!("the room {room} is on no floor: give it one in tests/architecture.rs"));
        }
        for name in imported(&code).into_iter().filter(|name| !may_import(room, name)) {
            wrong(format!("imports crate::{name}, which does not lie below"));
        }
        // A way around `crate::`. A module of tests is one level deeper than its file.
        let (own, tests) = code.split_once("#[cfg(test)]").unwrap_or((&code, ""));
        if climb(own) >= depth(path) || climb(tests) > depth(path) {
            wrong("climbs by `super` out of its room: write crate::".into());
        }
    }
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn imports_run_downwards_and_every_room_keeps_to_its_own() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&src);
    assert!(files.len() > 40, "only {} sources found", files.len());
    let found: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let path = file.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
            violations(&path, &fs::read_to_string(file).unwrap())
        })
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn tests_and_examples_are_short_files_too() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["tests", "examples", "benches"].map(|f| root.join(f)) {
        for file in if folder.is_dir() { sources(&folder) } else { Vec::new() } {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= MOST_LINES, "{}: {lines} lines", file.display());
        }
    }
}

#[test]
fn a_violation_would_be_seen() {
    let clean = "//! Not `unsafe `, said std::fs.\nuse crate::exact::Rows;\nuse super::split;\n";
    assert_eq!(violations("forest/build.rs", clean), [""; 0]);
    let long = "\n".repeat(MOST_LINES + 1);
    for (path, text) in [
        ("forest/build.rs", "use crate::als::Csr;"),
        ("forest/build.rs", "use crate::index::Index;"),
        ("forest/build.rs", "use crate::{exact, graph::Knn};"),
        ("als/train.rs", "fn f() { crate::forest::build_tree() }"),
        ("kernel/mod.rs", "use crate::exact;"),
        ("kernel/mod.rs", "use crate::store;"),
        ("quant/mod.rs", "use crate::exact::Best;"),
        ("recommend/mod.rs", "use crate::io;"),
        ("recommend/mod.rs", "use crate::{\n    exact,\n    eval::{recall, mean},\n};"),
        ("index/mod.rs", "use crate::Recommender;"),
        ("index/mod.rs", "use super::recommend;"),
        ("index/search.rs", "use super::super::recommend;"),
        ("index/search.rs", "#[cfg(test)]\nmod tests { use super::super::super::recommend; }"),
        ("kernel/float/mod.rs", "use super::super::recommend;"),
        ("metric.rs", "use super::kernel;"),
        ("cli/train.rs", "use crate::threads;"),
        ("attic/mod.rs", "fn f() {}"),
        ("index/mod.rs", "use std::fs::File;"),
        ("recommend/mod.rs", "use memmap2::Mmap;"),
        ("exact/mod.rs", "use std::arch::x86_64::*;"),
        ("format/mod.rs", "unsafe { f() }"),
        ("index/mod.rs", "#![allow(unsafe_code)]"),
        ("lib.rs", "unsafe impl Send for X {}"),
        ("io/csv.rs", &long),
    ] {
        assert!(!violations(path, text).is_empty(), "{path}: {}", text.trim());
    }
    let tested = "use crate::error;\n#[cfg(test)]\nmod tests { use super::*; }";
    assert_eq!(violations("exact/mod.rs", tested), [""; 0]);
    assert_eq!(violations("kernel/float/mod.rs", "use super::Isa;"), [""; 0]);
    assert_eq!(violations("store/mod.rs", "use crate::format::X; unsafe { }"), [""; 0]);
}

/// Each package below, with its features, as cargo lists them.
fn packages(options: &[&str]) -> BTreeSet<String> {
    let listing = ["tree", "--offline", "--prefix", "none", "--format", "{p} [{f}]"];
    let done = Command::new(env!("CARGO")).args(listing).args(options).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let lines = String::from_utf8(done.stdout).unwrap();
    lines.lines().map(|line| line.trim_end_matches(" (*)").to_string()).collect()
}

/// `make test` compiles for minutes more where this is not so.
#[test]
fn the_wheel_is_made_of_what_the_tests_compile() {
    let tests = packages(&["--workspace", "--edges", "normal,build,dev"]);
    let wheel = packages(&["--package", "nearwood-python", "--edges", "normal,build"]);
    let only: Vec<&String> = wheel.difference(&tests).collect();
    assert!(only.is_empty(), "with other features than in tests: {only:?}; see python/Cargo.toml");
}
