//! Files kept: they open, answer as recorded, and are built byte for byte today; and `docs/format.md`
//! shows what is in them.
//!
//! `tests/golden/1.0` has a file of every kind as version 1.0 wrote them, `1.1`, `1.2` and `1.3` as those did.
//! They are never renewed: every later version opens them and answers as it does. The files of `tests/golden` are today's: whoever
//! changes what is written, or the library's version (which the metadata holds), renews them and the
//! document by `NEARWOOD_RENEW_GOLDEN=1 cargo test --test stored golden`, says so in the changelog, and, with
//! a new version of the format, keeps a folder of them under its number.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use crate::common::exercise::{ask_index, ask_model, ask_recommender};
use crate::common::file::{ENTRY, ENTRY_SIZE, HEADER, entry_field, get, header_field};
use crate::common::{
    Naming, small_graph, small_index, small_model, small_recommender, small_stored,
};
use nearwood::als::ModelFile;
use nearwood::format::{Element, Kind};
use nearwood::recommend::{RecommendOptions, Weighting};
use nearwood::{BatchOptions, Effort, Index, Metric, Recommender, Storage, Vectors};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn renews() -> bool {
    std::env::var_os("NEARWOOD_RENEW_GOLDEN").is_some()
}

/// The golden file's bytes; written first if they are to be renewed.
fn golden(name: &str, today: &[u8]) -> Vec<u8> {
    let path = root().join("tests/golden").join(name);
    if renews() {
        fs::write(&path, today).unwrap();
    }
    fs::read(&path).unwrap()
}

fn same(name: &str, today: &[u8]) -> Vec<u8> {
    let kept = golden(name, today);
    let first = kept.iter().zip(today).position(|(a, b)| a != b);
    assert!(
        kept == today,
        "{name} would be built otherwise today, from byte {first:?} on (of {}, was {}): see the \
         head of tests/stored/golden.rs",
        today.len(),
        kept.len()
    );
    kept
}

fn index_answers(index: &Index) -> String {
    let mut text = String::new();
    let positions: Vec<u32> = (0..index.len() as u32).collect();
    for effort in [Effort::Budget(12), Effort::Exact] {
        let options = BatchOptions { k: 3, effort, ..BatchOptions::default() };
        let answers = index.search_positions(&positions, options, false).unwrap();
        for (positions, distances) in answers.positions.chunks(3).zip(answers.distances.chunks(3)) {
            let ids: Vec<String> = positions.iter().map(|&p| index.id(p).to_string()).collect();
            writeln!(text, "{} {distances:.3?}", ids.join(" ")).unwrap();
        }
    }
    text
}

fn recommender_answers(r: &Recommender) -> String {
    let mut text = String::new();
    for user in 0..r.n_users() as u32 {
        let options = RecommendOptions { k: 4, ..RecommendOptions::default() };
        let hits = r.recommend(user, options).unwrap();
        let ids: Vec<String> = hits
            .iter()
            .map(|h| format!("{} {:.3}", r.items().id(h.position), h.distance))
            .collect();
        writeln!(text, "{}: {}", r.user_id(user), ids.join(", ")).unwrap();
    }
    text + &index_answers(r.similarity())
}

#[test]
fn the_golden_index_answers_as_recorded_and_is_built_today() {
    let today = small_index(Metric::Angular, 24, Naming::TextsAndLabels);
    let index = Index::from_bytes(same("index.nw", today.as_bytes())).unwrap();
    index.verify().unwrap();
    ask_index(&index);
    let answers = index_answers(&index);
    assert_eq!(same("index.txt", answers.as_bytes()), answers.as_bytes());
}

/// An index of every kind of section that a plain index may have.
fn kinds() -> [(&'static str, Index); 5] {
    [
        ("graph.nw", small_graph(Metric::Euclidean, 80)),
        ("graph-bits.nw", small_graph(Metric::Hamming, 80)),
        ("half-rows.nw", small_stored(Metric::Dot, Storage::Float16)),
        ("bytes.nw", small_stored(Metric::Manhattan, Storage::Int8)),
        ("bits.nw", small_stored(Metric::Hamming, Storage::Float32)),
    ]
}

#[test]
fn golden_indexes_of_every_kind_answer_as_recorded_and_are_built_today() {
    for (name, today) in kinds() {
        let index = Index::from_bytes(same(name, today.as_bytes())).unwrap();
        index.verify().unwrap();
        ask_index(&index);
        let answers = index_answers(&index);
        let text = name.replace(".nw", ".txt");
        assert_eq!(same(&text, answers.as_bytes()), answers.as_bytes());
    }
}

/// Whether a line of answers is the recorded one, or names rows that are as near or nearer: of rows at the
/// same distance any may be named, and a later version may find more within a budget.
fn is_as_good(recorded: &str, answer: &str) -> bool {
    let distances = |line: &str| -> Option<Vec<f64>> {
        let list = line.split_once('[')?.1.strip_suffix(']')?;
        list.split(", ").map(|distance| distance.parse().ok()).collect()
    };
    let (Some(before), Some(now)) = (distances(recorded), distances(answer)) else {
        return recorded == answer;
    };
    let products = before.first() > before.last();
    let is_near = |(a, b): (&f64, &f64)| if products { b >= a } else { b <= a };
    recorded == answer || before.len() == now.len() && before.iter().zip(&now).all(is_near)
}

#[test]
fn files_of_every_version_open_and_answer_as_they_did() {
    ["1.0", "1.1", "1.2", "1.3"].into_iter().for_each(opens_and_answers);
}

fn opens_and_answers(version: &str) {
    let folder = root().join("tests/golden").join(version);
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let mut indexes = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(stem) = name.strip_suffix(".nw") else { continue };
        let answers = match stem {
            "model" | "half" => {
                ask_model(&ModelFile::from_bytes(read(&name)).unwrap());
                continue;
            }
            "recommender" => recommender_answers(&Recommender::from_bytes(read(&name)).unwrap()),
            _ => {
                let index = Index::from_bytes(read(&name)).unwrap();
                index.verify().unwrap();
                index_answers(&index)
            }
        };
        indexes += 1;
        let recorded = String::from_utf8(read(&format!("{stem}.txt"))).unwrap();
        assert_eq!(recorded.lines().count(), answers.lines().count(), "{version}, {name}");
        for (recorded, answer) in recorded.lines().zip(answers.lines()) {
            assert!(is_as_good(recorded, answer), "{version}, {name}: {recorded}, now {answer}");
        }
    }
    assert_eq!(indexes, 7, "{version}");
}

#[test]
fn the_golden_recommender_answers_as_recorded_and_is_built_today() {
    let today = small_recommender(12, 20, Weighting::Bm25);
    let r = Recommender::from_bytes(same("recommender.nw", today.as_bytes())).unwrap();
    r.verify().unwrap();
    ask_recommender(&r);
    let answers = recommender_answers(&r);
    assert_eq!(same("recommender.txt", answers.as_bytes()), answers.as_bytes());
}

#[test]
fn the_golden_models_open_and_are_written_today() {
    for (name, storage) in [("model.nw", Storage::Float32), ("half.nw", Storage::Float16)] {
        let file = ModelFile::from_bytes(same(name, &small_model(storage))).unwrap();
        ask_model(&file);
        assert_eq!(file.interactions.unwrap().nnz(), 3);
    }
}

/// Two vectors of two values.
fn tiny() -> Vec<u8> {
    let values = [1.0, 2.0, -0.5, 4.0];
    let index = Index::builder(Metric::Euclidean).build(Vectors::new(&values, 2).unwrap()).unwrap();
    index.as_bytes().to_vec()
}

fn dump_field(out: &mut String, bytes: &[u8], name: &str, field: std::ops::Range<usize>) {
    let hex: Vec<String> = bytes[field.clone()].iter().map(|b| format!("{b:02x}")).collect();
    let (hex, value) = match field.len() {
        0..=8 if name != "magic" && !name.contains("crc") => {
            (hex.join(" "), get(bytes, field.clone()).to_string())
        }
        0..=8 => (hex.join(" "), String::new()),
        len => (format!("{} ... ({len} bytes)", hex[0]), String::new()),
    };
    let line = format!("{:5}  {hex:23}  {name:15} {value}", field.start);
    writeln!(out, "{}", line.trim_end()).unwrap();
}

/// What the document shows of the tiny file: header, two entries, the vectors.
fn dump() -> String {
    let bytes = tiny();
    let mut out = String::from("```text\n");
    for (name, ..) in HEADER {
        dump_field(&mut out, &bytes, name, header_field(name));
    }
    for (number, title) in [(0, "entry 0: metadata"), (1, "entry 1: vectors")] {
        writeln!(out, "{:5}  {title}, {ENTRY_SIZE} bytes", entry_field(number, "kind").start)
            .unwrap();
        for (name, ..) in ENTRY {
            dump_field(&mut out, &bytes, name, entry_field(number, name));
        }
    }
    let start = get(&bytes, entry_field(1, "offset")) as usize;
    writeln!(out, "{start:5}  the vectors").unwrap();
    for at in (start..start + 16).step_by(4) {
        let value = f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let hex: Vec<String> = bytes[at..at + 4].iter().map(|b| format!("{b:02x}")).collect();
        writeln!(out, "{at:5}  {:23}  float32         {value}", hex.join(" ")).unwrap();
    }
    out + "```\n"
}

const BEGIN: &str = "<!-- dump -->\n";
const END: &str = "<!-- end of dump -->\n";

#[test]
fn the_document_shows_the_tiny_file_as_it_is() {
    let path = root().join("docs/format.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (shown, after) = rest.split_once(END).unwrap();
    if renews() {
        fs::write(&path, [before, BEGIN, &dump(), END, after].concat()).unwrap();
    } else {
        assert_eq!(shown, dump(), "see the head of tests/stored/golden.rs");
    }
}

#[test]
fn the_document_has_every_kind_of_section() {
    let text = fs::read_to_string(root().join("docs/format.md")).unwrap();
    for kind in Kind::ALL {
        let element = match kind.element() {
            Element::U8 => "u8",
            Element::U32 => "u32",
            Element::U64 => "u64",
            Element::I64 => "i64",
            Element::F32 => "f32",
            Element::F16 => "f16",
            Element::I8 => "i8",
        };
        let row = format!("| {} | {} | {element} |", kind.code(), kind.name());
        assert!(text.contains(&row), "docs/format.md lacks the row {row}");
    }
    for (name, at, len) in HEADER.into_iter().chain(ENTRY) {
        let row = format!("| {at} | {len} | {name} |");
        assert!(text.contains(&row), "docs/format.md lacks the row {row}");
    }
}
