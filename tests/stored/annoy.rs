//! Annoy's files in every layout, made here byte by byte: what is read back, what is refused, and
//! what damage does.
// Helpers are no test functions in the eyes of clippy.

use std::path::Path;

use crate::common::annoy::{Writer, items, metric_of};
use nearwood::error::ReadError;
use nearwood::io::annoy::{AnnoyFile, AnnoyLayout, AnnoyMetric};
use nearwood::store::Bytes;
use nearwood::{Error, Id, Index, Metric};
use proptest::collection::vec;
use proptest::prelude::*;

fn read(bytes: &[u8], metric: AnnoyMetric, dim: usize) -> Result<AnnoyFile, ReadError> {
    AnnoyFile::from_shared(Bytes::copy(bytes), "t.ann", metric, dim, None)
}

fn fault(bytes: &[u8], metric: AnnoyMetric, dim: usize) -> String {
    read(bytes, metric, dim).err().unwrap().to_string()
}

fn holds(file: &AnnoyFile, items: &[Option<Vec<f32>>], n_trees: usize) {
    assert_eq!((file.n_items(), file.n_trees()), (items.len(), n_trees), "{}", file.layout());
    let present = items.iter().enumerate().filter_map(|(i, v)| Some((i as i64, v.as_ref()?)));
    let (ids, rows): (Vec<i64>, Vec<&Vec<f32>>) = present.unzip();
    assert_eq!(file.ids(), ids);
    let matrix = file.vectors().unwrap();
    assert_eq!((matrix.rows, matrix.cols), (ids.len(), file.dim()));
    assert!(rows.iter().enumerate().all(|(at, row)| matrix.row(at) == &row[..]));
    for (item, vector) in items.iter().enumerate() {
        assert_eq!(file.vector(item), *vector);
    }
    assert_eq!(file.vector(items.len()), None);
}

#[test]
fn every_layout_is_told_by_itself_and_read() {
    for layout in AnnoyLayout::ALL {
        for (dim, n, n_trees, filler) in [(5, 60, 3, 0), (70, 400, 10, 0xab), (64, 9, 1, 0xff)] {
            let items = items(layout, dim, n);
            let mut writer = Writer::new(layout, dim);
            writer.filler = filler;
            let bytes = writer.file(&items, n_trees);
            let file = read(&bytes, metric_of(layout), dim).unwrap();
            assert_eq!(file.layout(), layout, "{dim} {n}");
            holds(&file, &items, n_trees);
        }
    }
}

#[test]
fn few_items_make_trees_of_one_node_each() {
    for layout in AnnoyLayout::ALL {
        for (n, n_trees) in [(1, 1), (1, 4), (4, 10)] {
            let items = items(layout, 6, n);
            let bytes = Writer::new(layout, 6).file(&items, n_trees);
            holds(&read(&bytes, metric_of(layout), 6).unwrap(), &items, n_trees);
        }
        let none = Writer::new(layout, 6).file(&[], 3);
        let read =
            AnnoyFile::from_shared(Bytes::copy(&none), "t.ann", metric_of(layout), 6, Some(layout));
        holds(&read.unwrap(), &[], 3);
    }
}

#[test]
fn one_item_far_out_makes_a_root_that_names_it_alone() {
    let mut items = vec![None; 50];
    items[49] = Some(vec![1.0, 2.0, 3.0]);
    let mut writer = Writer::new(AnnoyLayout::Angular, 3);
    // What an earlier build left behind the one child.
    writer.filler = 0x7f;
    let bytes = writer.file(&items, 2);
    let file = read(&bytes, AnnoyMetric::Angular, 3).unwrap();
    assert_eq!((file.n_items(), file.len(), file.ids()), (50, 1, vec![49]));
}

#[test]
fn inner_splits_may_say_any_number_of_descendants() {
    let items = items(AnnoyLayout::Angular, 4, 80);
    let mut writer = Writer::new(AnnoyLayout::Angular, 4);
    writer.uncounted = Some(i32::MAX);
    let bytes = writer.file(&items, 2);
    holds(&read(&bytes, AnnoyMetric::Angular, 4).unwrap(), &items, 2);
}

#[test]
fn what_an_empty_file_is_must_be_said() {
    // No items: nodes of zeros, whose sizes, 24 and 20, both divide it.
    let bytes = vec![0; 240];
    let text = fault(&bytes, AnnoyMetric::Hamming, 64);
    assert!(text.ends_with("layouts hamming-1.17 and hamming-1.16: say which"), "{text}");
}

#[test]
fn a_wrong_metric_or_dimension_is_refused_with_every_reason() {
    let bytes = Writer::new(AnnoyLayout::Dot117, 8).file(&items(AnnoyLayout::Dot117, 8, 90), 3);
    let text = fault(&bytes, AnnoyMetric::Dot, 9);
    for part in ["t.ann: ", "dot vectors of 9", "as dot-main, ", "as dot-1.17, ", "check metric"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(fault(&bytes, AnnoyMetric::Angular, 8).contains("as angular, "));
    let none = |dim| fault(&bytes, AnnoyMetric::Dot, dim);
    assert!(none(0).contains("got dimension 0, expected 1 to 65536"));
    assert!(none(1 << 40).contains("expected 1 to 65536"));
    assert!(fault(&[], AnnoyMetric::Angular, 8).contains("0 bytes are not one or more nodes"));
    let named = AnnoyFile::from_shared(
        Bytes::copy(&bytes),
        "t.ann",
        AnnoyMetric::Dot,
        8,
        Some(AnnoyLayout::Angular),
    );
    let text = named.err().unwrap().to_string();
    assert!(text.contains("dot has no layout angular, expected dot-main or dot-1.17"), "{text}");
    assert!(matches!(
        AnnoyFile::open("/no/such.ann", AnnoyMetric::Dot, 8, None),
        Err(ReadError::Io { .. })
    ));
}

#[test]
fn each_kind_of_damage_is_named() {
    let (dim, layout) = (4, AnnoyLayout::Angular);
    let good = Writer::new(layout, dim).file(&items(layout, dim, 40), 2);
    let size = 12 + 4 * dim;
    let put = |node: usize, place: usize, value: i32| {
        let mut bytes = good.clone();
        bytes[node * size + place..][..4].copy_from_slice(&value.to_le_bytes());
        fault(&bytes, AnnoyMetric::Angular, dim)
    };
    let last = good.len() / size - 1;
    assert!(put(last, 0, -3).contains("its last node says -3 items"));
    assert!(put(last, 0, last as i32 + 1).contains(&format!("expected 0 to {last}")));
    assert!(put(5, 0, 2).contains("item 5 has 2 descendants, expected 0 or 1"));
    assert!(put(last, 4, last as i32).contains(&format!("node {last} names {last}")));
    assert!(put(last, 8, -1).contains(&format!("node {last} names -1")));
    assert!(put(40, 0, -1).contains("node 40 has -1 descendants"));
    assert!(put(40, 4, 40).contains("node 40 names 40, expected 0 to below 40"));
    let bits =
        Writer::new(AnnoyLayout::Hamming117, 70).file(&items(AnnoyLayout::Hamming117, 70, 40), 2);
    assert!(fault(&bits, AnnoyMetric::Hamming, 66).contains("bits set beyond dimension 66"));
}

#[test]
fn a_vector_that_cannot_be_searched_is_named() {
    for value in [f32::NAN, f32::INFINITY, 1e30] {
        let mut items = items(AnnoyLayout::Offset, 3, 50);
        items[11] = Some(vec![0.0, value, 0.0]);
        let bytes = Writer::new(AnnoyLayout::Offset, 3).file(&items, 2);
        let file = read(&bytes, AnnoyMetric::Euclidean, 3).unwrap();
        let text = file.vectors().unwrap_err().to_string();
        assert!(text.contains(&format!("item 11 has {value} in column 1")), "{text}");
    }
}

#[test]
fn an_index_is_built_with_item_numbers_as_ids() {
    let items = items(AnnoyLayout::DotMain, 12, 300);
    let bytes = Writer::new(AnnoyLayout::DotMain, 12).file(&items, 4);
    let file = read(&bytes, AnnoyMetric::Dot, 12).unwrap();
    let index = file.build(Index::builder(Metric::Dot), &|_, _| true).unwrap();
    assert_eq!((index.len(), index.dim(), index.metric()), (file.len(), 12, Metric::Dot));
    for item in 0..300 {
        let position = index.position(&Id::Int(item));
        let vector = position.and_then(|p| index.vector(p)).map(|v| v.to_vec());
        assert_eq!(vector, items[item as usize]);
    }
    let stopped = file.build(Index::builder(Metric::Dot), &|_, _| false);
    assert!(matches!(stopped, Err(Error::Build(_))));
    let none = Writer::new(AnnoyLayout::Angular, 2).file(&[], 1);
    let none = read(&none, AnnoyMetric::Angular, 2).unwrap();
    assert!(none.is_empty());
    let text = none.build(Index::builder(Metric::Angular), &|_, _| true).err().unwrap().to_string();
    assert!(text.contains("no vectors"), "{text}");
}

/// Some bytes of a good file replaced, int32s among them put to what a reader may trip over; then
/// perhaps cut, or with a piece repeated.
fn damaged(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let len = good.len();
    let number = prop_oneof![Just(0), Just(1), Just(-1), Just(i32::MAX), Just(i32::MIN), 0..500];
    let numbers = vec((0..len / 4, number), 0..6);
    let changes = vec((0..len, any::<u8>()), 0..6);
    (numbers, changes, 0..=len, 0..=len, 0..4u8).prop_map(move |(numbers, changes, a, b, what)| {
        let mut bytes = good.clone();
        for &(at, number) in &numbers {
            bytes[4 * at..][..4].copy_from_slice(&i32::to_le_bytes(number));
        }
        changes.iter().for_each(|&(at, byte)| bytes[at] = byte);
        match what {
            0 => bytes.truncate(a),
            1 => bytes.extend_from_within(a.min(b)..a.max(b)),
            _ => {}
        }
        bytes
    })
}

fn any_file() -> impl Strategy<Value = (AnnoyLayout, usize, Vec<u8>)> {
    (0..6usize, 1..80usize, 0..60usize, 1..5usize).prop_flat_map(|(layout, dim, n, n_trees)| {
        let layout = AnnoyLayout::ALL[layout];
        let good = Writer::new(layout, dim).file(&items(layout, dim, n), n_trees);
        let bytes = prop_oneof![1 => vec(any::<u8>(), 0..300), 4 => damaged(good)];
        (Just(layout), Just(dim), bytes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused((layout, dim, bytes) in any_file()) {
        for metric in AnnoyMetric::ALL {
            for layout in [None, Some(layout)] {
                let shared = Bytes::copy(&bytes);
                let Ok(file) = AnnoyFile::from_shared(shared, Path::new("t"), metric, dim, layout)
                else { continue };
                prop_assert!(file.len() <= file.n_items() && file.n_items() < bytes.len() / 12);
                prop_assert_eq!(file.ids().len(), file.len());
                if let Ok(matrix) = file.vectors() {
                    prop_assert_eq!(matrix.data.len(), file.len() * dim);
                }
            }
        }
    }

    #[test]
    fn good_files_are_read_whatever_they_hold(
        layout in 0..6usize, dim in 1..80usize, n in 1..200usize, n_trees in 1..5usize, filler: u8,
    ) {
        let layout = AnnoyLayout::ALL[layout];
        let items = items(layout, dim, n);
        let mut writer = Writer::new(layout, dim);
        writer.filler = filler;
        let bytes = writer.file(&items, n_trees);
        let metric = metric_of(layout);
        let file =
            AnnoyFile::from_shared(Bytes::copy(&bytes), "t", metric, dim, Some(layout)).unwrap();
        prop_assert_eq!(file.n_items(), n);
        for (item, vector) in items.iter().enumerate() {
            prop_assert_eq!(&file.vector(item), vector);
        }
    }
}
