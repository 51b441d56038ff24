//! A file that `verify` calls whole answers: each section of small files is changed in every way that
//! comes to mind, with its checksums made right, and what is still called whole is searched.

use crate::common::file::{reseal_section, sections};
use crate::common::fuzz::{small_files, swing};
use crate::common::{Numbers, sane};
use nearwood::error::BuildError;
use nearwood::format::{Element, Kind};
use nearwood::{Index, Metric, Recommender, Storage, Vectors};

/// A section's kind, by its number in the file.
fn kind(code: u32) -> Kind {
    Kind::ALL.iter().copied().find(|kind| kind.code() == code).unwrap()
}

type Change = (&'static str, fn(&mut [u8], usize));

fn fill(bytes: &mut [u8], value: &[u8]) {
    bytes.chunks_exact_mut(value.len()).for_each(|slot| slot.copy_from_slice(value));
}

/// Numbers that no build writes.
const FLOATS: [f32; 6] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38, -3e38, 1e20];

const CHANGES: [Change; 10] = [
    ("zeros", |bytes, _| bytes.fill(0)),
    ("ones", |bytes, _| bytes.fill(0xff)),
    ("reversed", |bytes, _| bytes.reverse()),
    ("the first one raised", |bytes, size| bytes[size - 1] = bytes[size - 1].wrapping_add(1)),
    ("moved on by one", |bytes, size| bytes.rotate_left(size)),
    ("bits turned", |bytes, _| bytes.iter_mut().for_each(|byte| *byte ^= 0x55)),
    ("to and fro", swing),
    ("the first for all", |bytes, size| {
        let first = bytes[..size].to_vec();
        fill(bytes, &first);
    }),
    ("the last one zero", |bytes, size| {
        let at = bytes.len() - size;
        bytes[at..].fill(0);
    }),
    ("halves exchanged", |bytes, size| {
        let half = bytes.len() / size / 2 * size;
        let (a, b) = bytes.split_at_mut(half);
        let n = a.len().min(b.len());
        a[..n].swap_with_slice(&mut b[..n]);
    }),
];

/// Whether the file opens and is called whole; if so it is searched.
fn is_whole(bytes: &[u8]) -> bool {
    if let Ok(recommender) = Recommender::from_bytes(bytes) {
        let whole = recommender.verify().is_ok();
        if whole {
            sane::check(recommender.items());
            sane::check(recommender.similarity());
        }
        return whole;
    }
    let Ok(index) = Index::from_bytes(bytes) else { return false };
    let whole = index.content().name() == "index" && index.verify().is_ok();
    if whole {
        sane::check(&index);
    }
    whole
}

#[test]
fn what_verify_calls_whole_is_searched_well() {
    let (mut tried, mut whole) = (0, 0);
    for file in small_files() {
        assert!(is_whole(file));
        for section in sections(file).into_iter().filter(|section| !section.bytes.is_empty()) {
            let size = kind(section.kind).element().size();
            for (_, change) in CHANGES {
                let mut bytes = file.clone();
                change(&mut bytes[section.bytes.clone()], size);
                if bytes != *file {
                    reseal_section(&mut bytes, &section);
                    tried += 1;
                    whole += usize::from(is_whole(&bytes));
                }
            }
        }
    }
    // Labels, ids and weights may be others and the file whole all the same.
    assert!(tried > 1000 && whole < tried / 4, "{whole} of {tried} are called whole");
}

#[test]
fn no_section_of_numbers_may_hold_what_a_build_never_writes() {
    for file in small_files() {
        for section in sections(file).into_iter().filter(|section| !section.bytes.is_empty()) {
            let kind = kind(section.kind);
            let values: Vec<Vec<u8>> = match kind.element() {
                Element::F32 => FLOATS.iter().map(|x| x.to_le_bytes().to_vec()).collect(),
                Element::F16 => {
                    [0x7e00u16, 0x7c00].iter().map(|x| x.to_le_bytes().to_vec()).collect()
                }
                _ => continue,
            };
            for value in values {
                let mut all = file.clone();
                fill(&mut all[section.bytes.clone()], &value);
                let mut first = file.clone();
                first[section.bytes.clone()][..value.len()].copy_from_slice(&value);
                for mut bytes in [all, first] {
                    reseal_section(&mut bytes, &section);
                    assert!(!is_whole(&bytes), "{} with {value:?} is called whole", kind.name());
                }
            }
        }
    }
}

/// Vectors that come to the edge of what float32 holds, or that hardly differ.
fn odd(n: usize, dim: usize) -> Vec<(&'static str, Vec<f32>)> {
    let mut numbers = Numbers::new(9);
    let normals = numbers.normals(n * dim);
    let made =
        |f: &dyn Fn(usize, f32) -> f32| normals.iter().enumerate().map(|(i, &x)| f(i, x)).collect();
    vec![
        ("zeros", vec![0.0; n * dim]),
        ("one row for all", (0..n * dim).map(|i| normals[i % dim]).collect()),
        ("tiny", made(&|_, x| 1e-17 * x)),
        ("tinier", made(&|_, x| 1e-30 * x)),
        ("large", made(&|_, x| 1e15 * x)),
        ("of every size", made(&|i, x| 10f32.powi((i / dim) as i32 % 30 - 15) * x)),
        ("far from zero", made(&|_, x| 1e6 + 1e-2 * x)),
        ("near copies", made(&|i, x| normals[i % dim] + 1e-3 * x)),
        ("integers", made(&|_, x| x.round())),
        ("half of them zeros", made(&|i, x| if (i / dim).is_multiple_of(2) { 0.0 } else { x })),
    ]
}

#[test]
fn what_a_build_writes_is_whole_whatever_the_vectors() {
    for (n, dim) in [(1, 3), (2, 40), (300, 5), (300, 40)] {
        for (name, values) in odd(n, dim) {
            for metric in Metric::ALL {
                for storage in [Storage::Float32, Storage::Int8] {
                    let bits = metric == Metric::Hamming;
                    if bits && storage != Storage::Float32 {
                        continue;
                    }
                    for graph in [false, metric != Metric::Dot] {
                        let builder = Index::builder(metric).trees(2).leaf_size(8).storage(storage);
                        let builder = builder.graph(Some(graph)).threads(Some(1));
                        let vectors = Vectors::new(&values, dim).unwrap();
                        let index = match builder.build(vectors) {
                            // Refused, since no distance could be told.
                            Err(BuildError::TooSmall { .. }) if name.starts_with("tin") => continue,
                            built => built.unwrap(),
                        };
                        let what = format!("{name}, {n} x {dim} by {metric}, {storage:?}, {graph}");
                        index.verify().unwrap_or_else(|e| panic!("{what}: {e}"));
                    }
                }
            }
        }
    }
}
