//! Wrong, cut and hostile files: an error or, where only the payload was altered and nobody
//! verified, a wrong answer; never a panic, an endless loop or a wild allocation.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::allocator::{Counting, largest};
use common::exercise::{as_index, as_recommender};
use common::file::{
    ENTRY, ENTRY_SIZE, HEADER, HEADER_SIZE, Section, entry_field, get, header_field, n_sections,
    put, reseal, reseal_section, sections,
};
use common::{DIM, Naming, Numbers, clustered, small_index, small_recommender, small_values};
use nearwood::error::OpenError;
use nearwood::format::Kind;
use nearwood::recommend::Weighting;
use nearwood::{Index, Metric, Recommender, Storage, Vectors};
use proptest::prelude::*;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Far above what these small files ask for.
const WILD: usize = 256 << 20;

/// A file under attack, and how it is opened.
struct Victim {
    name: String,
    bytes: Vec<u8>,
    is_recommender: bool,
}

impl Victim {
    /// Opens, asks everything; whether it opened.
    fn ask(&self, bytes: &[u8]) -> bool {
        if self.is_recommender { as_recommender(bytes) } else { as_index(bytes) }
    }

    fn open_error(&self, bytes: &[u8]) -> Option<OpenError> {
        match self.is_recommender {
            true => Recommender::from_bytes(bytes).err(),
            false => Index::from_bytes(bytes).err(),
        }
    }

    fn verifies(&self, bytes: &[u8]) -> bool {
        match self.is_recommender {
            true => Recommender::from_bytes(bytes).is_ok_and(|r| r.verify().is_ok()),
            false => Index::from_bytes(bytes).is_ok_and(|i| i.verify().is_ok()),
        }
    }

    /// The bytes after the table.
    fn payload(&self) -> std::ops::Range<usize> {
        HEADER_SIZE + ENTRY_SIZE * n_sections(&self.bytes)..self.bytes.len()
    }
}

fn victims() -> Vec<Victim> {
    let indexes = [
        (Metric::Euclidean, Naming::Sequential),
        (Metric::Angular, Naming::Ints),
        (Metric::Dot, Naming::TextsAndLabels),
        (Metric::Manhattan, Naming::Sequential),
        (Metric::Hamming, Naming::Ints),
    ];
    let mut victims: Vec<Victim> = indexes
        .into_iter()
        .map(|(metric, naming)| Victim {
            name: format!("{metric} {naming:?}"),
            bytes: small_index(metric, 24, naming).as_bytes().to_vec(),
            is_recommender: false,
        })
        .collect();
    for storage in [Storage::Float16, Storage::Int8] {
        let index = Index::builder(Metric::Angular).leaf_size(8).storage(storage);
        let index = index.build(Vectors::new(&small_values(24), DIM).unwrap()).unwrap();
        let (name, bytes) = (storage.to_string(), index.as_bytes().to_vec());
        victims.push(Victim { name, bytes, is_recommender: false });
    }
    victims.push(Victim {
        name: "recommender".into(),
        bytes: small_recommender(12, 20, Weighting::Bm25).as_bytes().to_vec(),
        is_recommender: true,
    });
    victims
}

fn recommender() -> Victim {
    victims().into_iter().find(|v| v.is_recommender).unwrap()
}

#[test]
fn the_files_under_attack_are_whole() {
    for v in victims() {
        assert!(v.ask(&v.bytes) && v.verifies(&v.bytes), "{}", v.name);
        let mut again = v.bytes.clone();
        sections(&v.bytes).iter().for_each(|section| reseal_section(&mut again, section));
        assert_eq!(again, v.bytes, "{}: the tests' idea of the checksums", v.name);
    }
}

#[test]
fn a_file_cut_or_lengthened_anywhere_is_refused() {
    for v in victims() {
        for len in 0..v.bytes.len() {
            assert!(v.open_error(&v.bytes[..len]).is_some(), "{} cut to {len}", v.name);
        }
        let longer = [&v.bytes[..], &[0]].concat();
        assert!(matches!(v.open_error(&longer), Some(OpenError::Length { .. })), "{}", v.name);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.nw");
    for len in [0, 1, 7, 8, 127, 128, 500] {
        std::fs::write(&path, &victims()[0].bytes[..len]).unwrap();
        assert!(Index::open(&path).is_err() && Index::open_prefault(&path).is_err(), "{len}");
    }
}

/// Every field of the header and of every entry: a name and where it is.
fn fields(bytes: &[u8]) -> Vec<(String, std::ops::Range<usize>)> {
    let header = HEADER.iter().map(|&(name, ..)| (name.to_string(), header_field(name)));
    let entries = (0..n_sections(bytes)).flat_map(|number| {
        ENTRY.iter().map(move |&(name, ..)| {
            (format!("{name} of section {number}"), entry_field(number, name))
        })
    });
    header.chain(entries).collect()
}

#[test]
fn the_fields_cover_every_byte_of_header_and_table() {
    for v in victims() {
        let mut covered = vec![0; v.payload().start];
        for (_, field) in fields(&v.bytes) {
            covered[field].iter_mut().for_each(|times| *times += 1);
        }
        assert!(covered.iter().all(|&times| times == 1), "{}", v.name);
    }
}

#[test]
fn any_damage_to_header_or_table_is_refused() {
    for v in victims() {
        let mut bytes = v.bytes.clone();
        for (name, field) in fields(&v.bytes) {
            for at in field {
                for flip in [0x01, 0x10, 0x80, 0xff] {
                    bytes[at] ^= flip;
                    assert!(v.open_error(&bytes).is_some(), "{}: {name}, byte {at}", v.name);
                    bytes[at] ^= flip;
                }
            }
        }
    }
}

/// Numbers that are wrong in as many ways as a field can be.
fn wrong_values(right: u64, file: usize, numbers: &mut Numbers) -> Vec<u64> {
    let mut values = vec![0, 1, 2, 3, 16, 63, 64, 65, 128, 1 << 16, 1 << 31, 1 << 32, 1 << 63];
    values.extend([u64::MAX, u64::MAX - 63, u64::MAX / 4, (1 << 32) - 1, (1 << 16) - 1]);
    values.extend([right + 1, right.wrapping_sub(1), right * 2, right + 64, right / 2]);
    values.extend([file as u64, file as u64 - 64, numbers.word(), numbers.word() >> 40]);
    values.retain(|&value| value != right);
    values
}

#[test]
fn absurd_fields_under_right_checksums_do_no_harm() {
    let mut numbers = Numbers::new(1);
    for v in victims() {
        let (mut opened, mut refused) = (0, 0);
        for (name, field) in fields(&v.bytes) {
            if name.contains("crc") && !name.contains("of section") {
                continue;
            }
            let right = if field.len() <= 8 { get(&v.bytes, field.clone()) } else { 0 };
            for value in wrong_values(right, v.bytes.len(), &mut numbers) {
                let mut bytes = v.bytes.clone();
                put(&mut bytes, field.clone(), value);
                reseal(&mut bytes);
                if v.ask(&bytes) { opened += 1 } else { refused += 1 }
            }
        }
        assert!(opened > 0 && refused > opened, "{}: {opened} opened, {refused} not", v.name);
    }
    assert!(largest() < WILD, "{} bytes at once", largest());
}

/// The error after one field was changed and the checksums made right.
fn refusal(v: &Victim, field: std::ops::Range<usize>, value: u64) -> Option<OpenError> {
    let mut bytes = v.bytes.clone();
    put(&mut bytes, field, value);
    reseal(&mut bytes);
    v.ask(&bytes);
    v.open_error(&bytes)
}

#[test]
fn each_check_of_the_header_says_what_is_wrong() {
    for v in victims() {
        let text = |name, value| {
            let error = refusal(&v, header_field(name), value);
            error.map_or("opened".into(), |e| e.to_string())
        };
        let dim = get(&v.bytes, header_field("dim"));
        for (name, value, part) in [
            ("magic", 0, "not a nearwood file"),
            ("major version", 2, "format version 2, this library reads up to 1: upgrade"),
            ("major version", 0, "format version 0, from before the format was settled"),
            ("major version", 0, "this library reads 1: build it again"),
            ("minor version", 999, "opened"),
            ("header size", 256, "header's own size is 256, expected 128"),
            ("header size", 0, "header's own size is 0"),
            ("file length", 77, "its header says 77"),
            ("table offset", 0, "the table of sections"),
            ("table offset", u64::MAX, "the table of sections"),
            ("section count", u64::MAX, "the table of sections"),
            ("section count", 0, "section"),
            ("content", 4, "content code is 4"),
            ("content", 0, "content code is 0"),
            ("rows", 0, "number of rows is 0"),
            ("rows", u64::MAX, "number of rows"),
            ("rows", 3_000_000_000, "section"),
            ("rows", u64::MAX / dim + 1, "number of rows"),
            ("dim", 0, "dimension is 0"),
            ("dim", 65_537, "dimension is 65537, expected 1 to 65536"),
            ("dim", 65_536, "section"),
            ("metric", 5, "metric's code is 5"),
            ("metric", u64::MAX, "metric's code"),
        ] {
            let text = text(name, value);
            assert!(text.contains(part), "{}: {name} = {value}: {text}", v.name);
        }
    }
    let recommender = recommender();
    for users in [0, 11, u64::MAX, u64::MAX / 4 + 1] {
        assert!(refusal(&recommender, header_field("users"), users).is_some(), "{users} users");
    }
    assert!(refusal(&recommender, header_field("metric"), 0).is_some(), "a euclidean recommender");
    assert!(Recommender::from_bytes(&victims()[0].bytes).is_err(), "an index as a recommender");
    assert!(Index::from_bytes(&recommender.bytes).is_ok(), "the items of a recommender");
}

#[test]
fn each_check_of_the_table_says_what_is_wrong() {
    for v in victims() {
        let all = sections(&v.bytes);
        for section in &all {
            let field = |name| entry_field(section.number, name);
            let error = |name, value| refusal(&v, field(name), value);
            let what = format!("{}: section kind {}", v.name, section.kind);
            let (start, len) = (section.bytes.start as u64, section.bytes.len() as u64);
            for offset in [0, 64, start + 1, start + 4, v.bytes.len() as u64, u64::MAX - 63] {
                let error = error("offset", offset);
                let is_last = section.number + 1 == all.len();
                // An empty section at the very end is where it may be.
                let may = len == 0 && is_last && offset == v.bytes.len() as u64;
                assert!(error.is_some() || may, "{what} at {offset}");
            }
            for length in [len + (1 << 20), u64::MAX, u64::MAX - start + 1] {
                assert!(error("length", length).is_some(), "{what} of {length} bytes");
            }
            let element = get(&v.bytes, field("element"));
            for wrong in (0..8).filter(|&e| e != element).chain([u64::MAX]) {
                assert!(error("element", wrong).is_some(), "{what} of element {wrong}");
            }
            let unknown = error("kind", 9999);
            if get(&v.bytes, field("flags")) & 1 == 1 {
                let refused = matches!(unknown, Some(OpenError::UnknownSection { kind: 9999 }));
                assert!(refused, "{what}");
            } else {
                assert!(unknown.is_none(), "{what}: a reader skips what is not required");
            }
        }
        let twins = all.windows(2).find(|w| w[0].kind != w[1].kind).unwrap();
        assert!(refusal(&v, entry_field(twins[1].number, "kind"), twins[0].kind.into()).is_some());
    }
}

/// The file with one more section at its end.
fn with_section(bytes: &[u8], kind: u32, flags: u32, content: &[u8]) -> Vec<u8> {
    let count = n_sections(bytes);
    let first = sections(bytes)[0].bytes.start;
    let shift = (HEADER_SIZE + (count + 1) * ENTRY_SIZE).next_multiple_of(64) - first;
    let mut out = bytes[..HEADER_SIZE + count * ENTRY_SIZE].to_vec();
    out.resize(first + shift, 0);
    out.extend_from_slice(&bytes[first..]);
    let start = out.len();
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(64), 0);
    for number in 0..count {
        let field = entry_field(number, "offset");
        let offset = get(&out, field.clone());
        put(&mut out, field, offset + shift as u64);
    }
    for (name, value) in [
        ("kind", u64::from(kind)),
        ("flags", flags.into()),
        ("offset", start as u64),
        ("length", content.len() as u64),
        ("crc", crc32fast::hash(content).into()),
    ] {
        put(&mut out, entry_field(count, name), value);
    }
    let length = out.len() as u64;
    put(&mut out, header_field("section count"), count as u64 + 1);
    put(&mut out, header_field("file length"), length);
    reseal(&mut out);
    out
}

#[test]
fn a_section_of_a_later_version_is_skipped_unless_it_is_required() {
    for v in victims() {
        let optional = with_section(&v.bytes, 9999, 0, b"later");
        assert!(v.ask(&optional) && v.verifies(&optional), "{}", v.name);
        let required = with_section(&v.bytes, 9999, 1, b"later");
        let error = v.open_error(&required);
        assert!(matches!(error, Some(OpenError::UnknownSection { kind: 9999 })), "{error:?}");
        let at = optional.len() - 64;
        for damage in [at, at + 10] {
            let mut bytes = optional.clone();
            bytes[damage] ^= 1;
            assert!(v.ask(&bytes) && !v.verifies(&bytes), "{}: byte {damage}", v.name);
        }
    }
}

#[test]
fn a_table_of_more_trees_than_there_can_be_is_refused() {
    // With 65,536 trees their 16-bit numbers begin anew, which once was a loop without an end.
    let mut bytes = small_index(Metric::Euclidean, 24, Naming::Sequential).as_bytes().to_vec();
    let all = sections(&bytes);
    // Without product codes, which a tree may lack: their codebooks could not be empty.
    let product = [Kind::ProductBooks, Kind::ProductTiles].map(Kind::code);
    let per_tree = all.iter().filter(|s| s.tree == 1 && !product.contains(&s.kind));
    let per_tree: Vec<Section> = per_tree.cloned().collect();
    assert_eq!(per_tree.len(), 12);
    let kept: Vec<Section> = all.iter().filter(|s| s.tree == 0).cloned().collect();
    let count = kept.len() + per_tree.len() * 65_535;
    let mut table = Vec::with_capacity(count * ENTRY_SIZE);
    let shift = (HEADER_SIZE + count * ENTRY_SIZE).next_multiple_of(64) - all[0].bytes.start;
    let entry = |number: usize, bytes: &[u8]| {
        let start = HEADER_SIZE + number * ENTRY_SIZE;
        bytes[start..start + ENTRY_SIZE].to_vec()
    };
    for section in &kept {
        let mut e = entry(section.number, &bytes);
        put(&mut e, 16..24, (section.bytes.start + shift) as u64);
        table.extend(e);
    }
    let mut end = bytes.len() + shift;
    for tree in 1..=65_535u64 {
        for section in &per_tree {
            let mut e = entry(section.number, &bytes);
            let is_offsets = [10, 14].contains(&section.kind);
            put(&mut e, 6..8, tree);
            put(&mut e, 16..24, end as u64);
            put(&mut e, 24..32, if is_offsets { 4 } else { 0 });
            end += if is_offsets { 64 } else { 0 };
            table.extend(e);
        }
    }
    let mut out = bytes[..HEADER_SIZE].to_vec();
    out.extend(table);
    out.resize(all[0].bytes.start + shift, 0);
    out.extend(bytes.drain(all[0].bytes.start..));
    out.resize(end, 0);
    put(&mut out, header_field("section count"), count as u64);
    put(&mut out, header_field("file length"), end as u64);
    reseal(&mut out);
    let error = Index::from_bytes(&out).err().unwrap().to_string();
    assert!(error.contains("the number of trees is 1001, expected 1 to 1000"), "{error}");
}

#[test]
fn any_damage_to_the_payload_is_found_by_verify_and_harmless_without() {
    for v in victims() {
        let mut bytes = v.bytes.clone();
        for at in v.payload() {
            let flip = [0x01, 0x80, 0xff][at % 3];
            bytes[at] ^= flip;
            v.ask(&bytes);
            assert!(!v.verifies(&bytes), "{}: byte {at}", v.name);
            bytes[at] ^= flip;
        }
    }
    assert!(largest() < WILD, "{} bytes at once", largest());
}

/// Kinds whose content `verify` walks.
const WALKED: [Kind; 20] = [
    Kind::HalfVectors,
    Kind::ByteScales,
    Kind::ByteOffset,
    Kind::Vectors,
    Kind::BitVectors,
    Kind::CodeScale,
    Kind::Positions,
    Kind::Rows,
    Kind::GroupOffsets,
    Kind::LeafOffsets,
    Kind::Members,
    Kind::IntIds,
    Kind::TextIdOffsets,
    Kind::TextIdBytes,
    Kind::IdTable,
    Kind::LabelOffsets,
    Kind::LabelBytes,
    Kind::LabelTable,
    Kind::SeenOffsets,
    Kind::SeenItems,
];

/// Payloads made to mislead, all as long as the right one.
fn hostile(right: &[u8], numbers: &mut Numbers) -> Vec<(&'static str, Vec<u8>)> {
    let words = |word: [u8; 4]| word.into_iter().cycle().take(right.len()).collect::<Vec<u8>>();
    let mut payloads = vec![
        ("all ones", vec![0xff; right.len()]),
        ("all zeros", vec![0; right.len()]),
        ("all 1", words([1, 0, 0, 0])),
        ("all 16", words([16, 0, 0, 0])),
        ("all NaN", words(f32::NAN.to_le_bytes())),
        ("all infinite", words(f32::INFINITY.to_le_bytes())),
        ("all huge", words(f32::MAX.to_le_bytes())),
        ("random bytes", right.iter().map(|_| numbers.word() as u8).collect()),
        ("reversed", right.iter().rev().copied().collect()),
    ];
    for _ in 0..3 {
        let word = |_| ((numbers.below(40) * 16) as u32).to_le_bytes();
        let small: Vec<u8> = (0..right.len().div_ceil(4)).flat_map(word).collect();
        payloads.push(("random multiples of 16", small[..right.len()].to_vec()));
    }
    let one = |at: usize, word: [u8; 4]| {
        let mut bytes = right.to_vec();
        let end = (at + 4).min(right.len());
        bytes[at..end].copy_from_slice(&word[..end - at]);
        bytes
    };
    for at in (0..right.len()).step_by(4).take(40) {
        payloads.push(("a word of ones", one(at, [0xff; 4])));
        payloads.push(("a word of zeros", one(at, [0; 4])));
    }
    payloads.retain(|(_, payload)| payload != right);
    payloads
}

fn attack(v: &Victim, section: &Section, numbers: &mut Numbers) {
    let is_walked = WALKED.iter().any(|kind| kind.code() == section.kind);
    let right = &v.bytes[section.bytes.clone()];
    for (how, payload) in hostile(right, numbers) {
        let mut bytes = v.bytes.clone();
        bytes[section.bytes.clone()].copy_from_slice(&payload);
        reseal_section(&mut bytes, section);
        v.ask(&bytes);
        // Vectors have no redundancy: other finite numbers are other vectors. An offset may hand
        // one leaf's members to the next (or a user's items to another): another partition, and a
        // whole one. And another name may happen to hash to where the old one stood.
        let offsets_or_items = [Kind::LeafOffsets, Kind::SeenOffsets, Kind::SeenItems];
        let is_name = [Kind::IntIds, Kind::TextIdBytes, Kind::LabelBytes].map(Kind::code);
        let is = |kind: Kind| section.kind == kind.code();
        let others = [Kind::Vectors, Kind::CodeScale, Kind::ByteScales, Kind::ByteOffset];
        let may_pass = is(Kind::BitVectors)
            || is(Kind::HalfVectors)
            || others.into_iter().any(is) && !how.contains("NaN")
            || offsets_or_items.into_iter().any(is) && how == "a word of zeros"
            || is_name.contains(&section.kind) && how.starts_with("a word");
        if is_walked && !may_pass {
            assert!(!v.verifies(&bytes), "{}: kind {}: {how}", v.name, section.kind);
        }
    }
}

#[test]
fn hostile_payloads_under_right_checksums_do_no_harm_and_verify_reports_them() {
    let mut numbers = Numbers::new(2);
    for v in victims() {
        for section in sections(&v.bytes) {
            attack(&v, &section, &mut numbers);
        }
    }
    assert!(largest() < WILD, "{} bytes at once", largest());
}

#[test]
fn hostile_groups_of_leaves_do_no_harm() {
    let values = clustered(26_000, 2, 300, &mut Numbers::new(3));
    let index = Index::builder(Metric::Euclidean).leaf_size(8).graph(Some(false));
    let index = index.build(Vectors::new(&values, 2).unwrap()).unwrap();
    index.verify().unwrap();
    let bytes = index.as_bytes().to_vec();
    let all = sections(&bytes);
    let of = |kind: Kind| all.iter().find(|s| s.kind == kind.code()).unwrap();
    let groups = of(Kind::GroupOffsets).bytes.len() / 4 - 1;
    assert!(groups > 16, "the leaves were to stand in groups, there are {groups}");
    let v = Victim { name: "grouped".into(), bytes: bytes.clone(), is_recommender: false };
    let mut numbers = Numbers::new(4);
    for kind in [Kind::GroupOffsets, Kind::GroupBias, Kind::LeafOffsets] {
        let section = of(kind);
        for (how, payload) in hostile(&bytes[section.bytes.clone()], &mut numbers).drain(..14) {
            let mut bytes = v.bytes.clone();
            bytes[section.bytes.clone()].copy_from_slice(&payload);
            reseal_section(&mut bytes, section);
            v.ask(&bytes);
            if kind != Kind::GroupBias {
                assert!(!v.verifies(&bytes), "{kind:?}: {how}");
            }
        }
    }
}

#[test]
fn metadata_that_is_something_else_does_no_harm() {
    for v in victims() {
        let section = sections(&v.bytes).into_iter().find(|s| s.kind == 1).unwrap();
        let room = section.bytes.len();
        let deep = "[".repeat(room);
        for text in ["", "7", "[1]", "\"x\"", "null", "{}", "{\"training\":[]}", "\u{fffd}", &deep]
        {
            let mut bytes = v.bytes.clone();
            let padded = format!("{text:room$}");
            bytes[section.bytes.clone()].copy_from_slice(&padded.as_bytes()[..room]);
            reseal_section(&mut bytes, &section);
            assert_eq!(v.ask(&bytes), !v.is_recommender, "{}: {text}", v.name);
            if let Ok(index) = Index::from_bytes(&bytes) {
                assert!(index.metadata().is_object(), "{}: {text}", v.name);
            }
        }
    }
}

#[test]
fn a_file_does_not_say_how_many_threads_its_reader_starts() {
    let v = &recommender();
    let section = sections(&v.bytes).into_iter().find(|s| s.kind == 1).unwrap();
    let text = String::from_utf8(v.bytes[section.bytes.clone()].to_vec()).unwrap();
    let hostile = text.replace("\"n_threads\":null", "\"n_threads\":1000");
    assert_ne!(text, hostile);
    let mut bytes = v.bytes.clone();
    bytes[section.bytes.clone()].copy_from_slice(hostile.as_bytes());
    reseal_section(&mut bytes, &section);
    assert_eq!(Recommender::from_bytes(&bytes).unwrap().params().n_threads, None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_damage_does_no_harm(
        which in 0usize..8,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24),
        in_payload in any::<bool>(),
        sealed in any::<bool>(),
    ) {
        let v = &victims()[which];
        let mut bytes = v.bytes.clone();
        let first = if in_payload { v.payload().start } else { 8 };
        for (at, value) in damage {
            let room = bytes.len() - first;
            bytes[first + at.index(room)] = value;
        }
        if sealed {
            for section in sections(&v.bytes) {
                reseal_section(&mut bytes, &section);
            }
        }
        v.ask(&bytes);
        prop_assert!(sealed || bytes == v.bytes || !v.verifies(&bytes));
        prop_assert!(largest() < WILD);
    }
}
