//! Inputs that once did harm under `make fuzz`, a folder a target, done again here; and that the
//! targets reach what they are for.
#![cfg(feature = "tables")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::Numbers;
use crate::common::fuzz::{annoy, open, payload, readers};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// What is kept of a target's finds.
fn finds(target: &str) -> Vec<Vec<u8>> {
    let folder = tests().join("fuzz_finds").join(target);
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|file| !file.ends_with(".gitkeep")).collect();
    files.sort();
    eprintln!("{target}: {} finds", files.len());
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

#[test]
fn what_was_found_does_no_harm_any_more() {
    let _opened = finds("open").iter().filter(|bytes| open(bytes)).count();
    let _opened = finds("payload").iter().filter(|bytes| payload(bytes)).count();
    finds("readers").iter().for_each(|bytes| readers(bytes));
    let _read = finds("annoy").iter().filter(|bytes| annoy(bytes)).count();
}

#[test]
fn the_target_of_whole_files_opens_them_however_their_checksums_are() {
    for name in ["index.nw", "graph.nw", "recommender.nw", "model.nw", "half.nw"] {
        let mut bytes = fs::read(tests().join("golden").join(name)).unwrap();
        assert!(open(&bytes), "{name}");
        // The checksum of the table, and a byte of the payload: the end may be padding.
        let last = bytes.len() - 64;
        bytes[121] ^= 1;
        bytes[last] ^= 1;
        assert!(open(&bytes), "{name}");
        bytes[0] ^= 1;
        assert!(!open(&bytes), "{name}");
    }
}

#[test]
fn the_target_of_annoy_reads_whole_files() {
    // Euclidean, one dimension, two items of 20 bytes and a bucket of both, written twice.
    let mut file = vec![1, 0];
    let item = |x: f32| [&1u32.to_le_bytes()[..], &[0; 12], &x.to_le_bytes()].concat();
    let bucket = [2u32, 0, 0, 1, 0].map(u32::to_le_bytes).concat();
    let parts = [item(1.0), item(2.0), bucket.clone(), bucket];
    parts.iter().for_each(|part| file.extend(part));
    assert!(annoy(&file));
    file.pop();
    assert!(!annoy(&file));
}

#[test]
fn the_target_of_payloads_opens_every_one() {
    let mut numbers = Numbers::new(61);
    assert!(!payload(&[]));
    for which in 0..16 {
        let damage = (0..41).map(|_| numbers.word() as u8);
        let bytes: Vec<u8> = [which].into_iter().chain(damage).collect();
        // Metadata that is no JSON any more: then a recommender is none, and opens as its items.
        assert!(payload(&bytes), "{bytes:?}");
    }
}
