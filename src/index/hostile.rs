//! What a search of a damaged file costs, counted in rows that are compared.

use super::search::Engine;
use super::{BatchOptions, Effort, Id, Ids, Index, Vectors};
use crate::forest::{self, Request, Scratch};
use crate::format::{Key, Kind};
use crate::kernel::steps;
use crate::metric::Metric;
use crate::random::Random;

const N: usize = 6000;
const DIM: usize = 3;

fn index(graph: bool) -> Index {
    let mut random = Random::new(7, 0);
    let values: Vec<f32> = (0..N * DIM).map(|_| random.normal() as f32).collect();
    let builder = Index::builder(Metric::Euclidean).leaf_size(8).graph(Some(graph));
    builder.build(Vectors::new(&values, DIM).unwrap()).unwrap()
}

/// The index with the values of a section replaced, as somebody who makes a file would.
fn with<T: bytemuck::Pod>(index: &Index, kind: Kind, change: impl Fn(usize, usize) -> T) -> Index {
    let range = index.directory().range(Key::new(kind, 0)).unwrap();
    let mut bytes = index.as_bytes().to_vec();
    let len = range.len() / size_of::<T>();
    for (at, slot) in bytes[range].chunks_exact_mut(size_of::<T>()).enumerate() {
        slot.copy_from_slice(bytemuck::bytes_of(&change(at, len)));
    }
    Index::from_bytes(bytes).unwrap()
}

/// (group slots, leaf slots, member slots) of the tree.
fn slots(index: &Index) -> (usize, usize, usize) {
    let trees = index.space().trees(index.file());
    (trees[0].groups.bias.len(), trees[0].leaves.bias.len(), trees[0].members.len())
}

fn search(index: &Index, budget: usize) {
    let engine = Engine::new(index.space(), index.file());
    let mut scratch = Scratch::default();
    scratch.begin();
    let request = Request { at_least: 1, keep: 20, ..engine.request(&[0.1; DIM], budget) };
    forest::search(&engine.trees, request, &mut scratch);
}

#[test]
fn groups_that_hold_every_leaf_are_not_opened_again_and_again() {
    let good = index(true);
    let (groups, leaves, _) = slots(&good);
    assert!(groups >= 32 && leaves > 600, "{groups} groups, {leaves} leaves");
    let near = with(&good, Kind::GroupBias, |_, _| -1e30f32);
    let bad = with(&near, Kind::GroupOffsets, |at, _| (at % 2 * leaves) as u32);
    assert!(bad.verify().is_err());
    let steps = steps::of(|| search(&bad, 1));
    assert!(steps <= 2 * (groups + leaves), "{steps} rows for {groups} groups, {leaves} leaves");
}

#[test]
fn leaves_that_hold_every_member_are_not_scanned_again_and_again() {
    for graph in [true, false] {
        let good = index(graph);
        let (groups, leaves, members) = slots(&good);
        let empty = with(&good, Kind::MemberBias, |_, _| f32::INFINITY);
        let bad = with(&empty, Kind::LeafOffsets, |at, _| (at % 2 * members) as u32);
        let most = members + 12 * (groups + leaves);
        let steps = steps::of(|| search(&bad, N));
        assert!(steps <= most, "{steps} rows of {most}");
        let half: Vec<f32> = (0..64 * DIM).map(|i| (i % 7) as f32 - 3.0).collect();
        let options =
            BatchOptions { effort: Effort::Budget(500), n_threads: Some(1), ..Default::default() };
        let steps = steps::of(|| drop(bad.search_batch(&half, options)));
        // Where nothing is found a batch searches once more, one by one.
        assert!(steps <= 64 * 3 * most, "{steps} rows of 192 x {most}");
        assert_eq!(bad.tree_shapes().len(), 1);
    }
}

#[test]
fn a_walk_that_would_keep_every_row_is_left_to_the_leaves() {
    use super::plan::{Plan, plan};
    let good = index(true);
    let slack = |at: usize, _| match at % 5 {
        0 => [10f32, 100.0][at / 80],
        1 => 1e30,
        2 => 1e9,
        3 => 1.0,
        _ => 1.0,
    };
    let bad = with(&good, Kind::GraphSlack, slack);
    assert!(bad.verify().is_err());
    for effort in [Effort::Recall(0.9), Effort::Budget(100)] {
        assert!(!matches!(plan(&bad, effort, None, 10, 0), Plan::Walk(_)), "{effort:?}");
    }
    // Of vectors this short the leaves are faster for a recall.
    assert!(matches!(plan(&good, Effort::Budget(100), None, 10, 0), Plan::Walk(_)));
}

/// Combinations of bits that CRC-32 does not see: it is linear over them.
fn unseen_bits() -> Vec<u64> {
    let hash = |x: u64| crc32fast::hash(&x.to_le_bytes()) ^ crc32fast::hash(&[0; 8]);
    let (mut pivots, mut unseen) = ([(0u32, 0u64); 32], Vec::new());
    for bit in 0..64 {
        let (mut seen, mut made) = (hash(1 << bit), 1u64 << bit);
        while seen != 0 {
            let pivot = &mut pivots[seen.ilog2() as usize];
            if pivot.0 == 0 {
                *pivot = (seen, made);
                break;
            }
            (seen, made) = (seen ^ pivot.0, made ^ pivot.1);
        }
        if seen == 0 {
            unseen.push(made);
        }
    }
    unseen
}

#[test]
fn ids_of_one_hash_are_looked_up_in_linear_time() {
    let unseen = unseen_bits();
    assert_eq!(unseen.len(), 32);
    let id = |at: usize| {
        let bits = (0..13).filter(|bit| at >> bit & 1 == 1);
        bits.fold(0, |id, bit| id ^ unseen[bit]) as i64
    };
    let ints: Vec<i64> = (0..N).map(id).collect();
    assert!(ints.iter().all(|id| crc32fast::hash(&id.to_le_bytes()) == crc32fast::hash(&[0; 8])));
    // Text of the same eight bytes would not be UTF-8: ids of text probe by the same function.
    let values: Vec<f32> = (0..N).map(|i| i as f32).collect();
    let builder = Index::builder(Metric::Euclidean).ids(Ids::Int(ints.clone()));
    let index = builder.build(Vectors::new(&values, 1).unwrap()).unwrap();
    let steps = steps::of(|| {
        for (position, &id) in ints.iter().enumerate() {
            assert_eq!(index.position(&Id::Int(id)), Some(position as u32));
        }
        assert_eq!(index.position(&Id::Int(5)), None);
        assert_eq!(index.position(&Id::Int(id(N + 1))), None);
        index.verify().unwrap();
    });
    // The first look-ups come by up to 256 slots each, before one takes too far.
    assert!(steps < 256 * 256 + 8 * N, "{steps} slots for {N} ids");
}
