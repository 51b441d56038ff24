//! Folders in which the command is run, and what it leaves behind.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use nearwood::io::npy;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with what the tests ask about.
pub struct Place(TempDir);

/// What a command left behind.
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Done {
    pub fn of(output: Output) -> Done {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Done {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// What a success printed.
    pub fn ok(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    /// What a success printed that had something to note.
    pub fn noted(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        assert!(self.err.starts_with("note: "), "{}", self.err);
        self.out
    }

    pub fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// The one line of a failure.
    pub fn failure(self) -> String {
        assert_eq!((self.code, self.out.as_str()), (1, ""), "{}", self.err);
        let line = self.err.strip_suffix('\n').unwrap();
        assert!(!line.contains('\n'), "{line}");
        line.strip_prefix("error: ").unwrap().to_string()
    }

    /// What wrong usage is told.
    pub fn usage(self) -> String {
        assert_eq!((self.code, self.out.as_str()), (2, ""), "{}", self.err);
        self.err
    }
}

impl Place {
    pub fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    /// A folder with a small recommender, `m.nw`.
    pub fn with_model() -> Place {
        let place = Place::new();
        place.write("plays.csv", plays().as_bytes());
        place.write("names.tsv", names().as_bytes());
        place.run(TRAIN).ok();
        place
    }

    /// A folder with 60 vectors on a circle and a line out of it, `v.npy`, and an index, `i.nw`.
    pub fn with_index() -> Place {
        let place = Place::new();
        npy::write(place.path("v.npy"), &circle(), 2).unwrap();
        npy::write(place.path("q.npy"), &circle()[..24], 2).unwrap();
        place.run("build v.npy --metric euclidean --threads 1 -o i.nw").ok();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nearwood"));
        command.args(words).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    /// Runs words with single spaces between them.
    pub fn run(&self, words: &str) -> Done {
        self.words(&words.split(' ').collect::<Vec<&str>>())
    }

    pub fn words(&self, words: &[&str]) -> Done {
        Done::of(self.command(words).output().unwrap())
    }

    /// Runs with `bytes` on standard input.
    pub fn fed(&self, words: &str, bytes: &[u8]) -> Done {
        let words: Vec<&str> = words.split(' ').collect();
        let mut command = self.command(&words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        Done::of(child.wait_with_output().unwrap())
    }
}

pub const TRAIN: &str = "train plays.csv --user user --item item --weight plays --names names.tsv \
                     --factors 8 --iterations 5 --threads 1 -o m.nw";

/// 60 users of two camps; each has about four in five of their camp's items, without a pattern.
pub fn plays() -> String {
    let mut text = String::from("user,item,plays\n");
    let mut state = 1u32;
    for user in 0..60 {
        for item in 0..20 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if state >> 16 & 7 > 1 {
                let camp = user % 2 * 20;
                text.push_str(&format!(
                    "u{user},{},{}\n",
                    100 + camp + item,
                    1 + (state >> 20) % 9
                ));
            }
        }
    }
    text
}

pub fn n_plays() -> usize {
    plays().lines().count() - 1
}

pub fn names() -> String {
    let name = |item: usize| match item {
        139 => "Same Name".to_string(),
        138 => "Same Name".to_string(),
        137 => "Comma, Colon: 7".to_string(),
        _ => format!("{} {item}", if item < 120 { "Northern" } else { "Southern" }),
    };
    (100..140).map(|item| format!("{item}\t{}\n", name(item))).collect()
}

pub fn circle() -> Vec<f32> {
    let point = |i: usize| {
        let angle = i as f32 * 0.1;
        [angle.cos() * (1.0 + i as f32 * 0.01), angle.sin()]
    };
    (0..60).flat_map(point).collect()
}

/// The ids of a JSON list of hits.
pub fn ids(list: &Value) -> Vec<i64> {
    list.as_array().unwrap().iter().map(|hit| hit["id"].as_i64().unwrap()).collect()
}

/// The bytes as gzip has them.
pub fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}
