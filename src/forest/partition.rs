//! Splitting until every part is small enough.

use rayon::prelude::*;

use super::split::{Plane, two_means};
use crate::exact::{Rows, Values};
use crate::memory;
use crate::progress::Flag;
use crate::progress::Work;
use crate::random::Random;

/// A side smaller than this share of its node makes the split a median split: no path grows longer
/// than log n / log 1.25.
const LEAST_SIDE: f64 = 0.2;
/// Below this many members a node is not worth a second thread.
const PARALLEL: usize = 4096;

/// Rows whose margins are computed together where a pass goes over all of them.
const BLOCK: usize = 1 << 16;

/// A node of the tree: its number, and its rows ascending.
type Node = (u64, Vec<u32>);

/// Splits `members`, which ascend, into parts of at most `largest`, in the order of the tree,
/// members ascending. Runs in parallel; each node's random numbers depend on its place alone, so
/// the result does not depend on the threads.
///
/// Nodes of more than `window` rows are split level by level, all of a level in one pass over the
/// rows; the others one after the other, each over a copy of its rows. So rows that do not fit in
/// memory are read from the disk in their order, twice as often as a window fits into them and once
/// for each level above, and never at random. What comes out does not depend on the window.
pub(super) fn partition(
    rows: Rows<'_>,
    members: Vec<u32>,
    largest: usize,
    window: usize,
    seed: u64,
    work: &Work<'_>,
) -> Vec<Vec<u32>> {
    if members.len() <= window.max(largest) {
        return divide(rows, members, largest, seed, 1, work);
    }
    let nodes = divide_in_passes(rows, members, largest.max(window), seed, work);
    let parts = nodes.into_iter().flat_map(|node| divide_copy(rows, node, largest, seed, work));
    parts.collect()
}

/// Splits until every node has at most `largest` rows.
fn divide_in_passes(
    rows: Rows<'_>,
    members: Vec<u32>,
    largest: usize,
    seed: u64,
    work: &Work<'_>,
) -> Vec<Node> {
    let mut nodes = vec![(1, members)];
    while nodes.iter().any(|(_, m)| m.len() > largest) && !work.is_stopped() {
        let plane = |(number, members): &Node| {
            let is_large = members.len() > largest;
            is_large.then(|| two_means(rows, members, &mut Random::new(seed, *number)))
        };
        let planes: Vec<Option<Option<Plane>>> = nodes.iter().map(plane).collect();
        let margins = margins_in_a_pass(rows, &nodes, &planes, work);
        if work.is_stopped() {
            break;
        }
        let mut children = Vec::with_capacity(2 * nodes.len());
        for (((number, members), plane), margins) in nodes.into_iter().zip(planes).zip(margins) {
            let (below, above) = match plane {
                None => {
                    children.push((number, members));
                    continue;
                }
                Some(None) => halves(members),
                Some(Some(_)) => sides(members, margins),
            };
            children.extend([(child(number, 0), below), (child(number, 1), above)]);
        }
        nodes = children;
    }
    nodes
}

/// The margins of all nodes that have a plane, each row read once.
fn margins_in_a_pass(
    rows: Rows<'_>,
    nodes: &[Node],
    planes: &[Option<Option<Plane>>],
    work: &Work<'_>,
) -> Vec<Vec<f32>> {
    let mut margins: Vec<Vec<f32>> = Vec::with_capacity(nodes.len());
    for ((_, members), plane) in nodes.iter().zip(planes) {
        margins.push(Vec::with_capacity(if let Some(Some(_)) = plane { members.len() } else { 0 }));
    }
    for end in (1..=rows.len().div_ceil(BLOCK)).map(|block| block * BLOCK) {
        if work.is_stopped() {
            break;
        }
        for (((_, members), plane), margins) in nodes.iter().zip(planes).zip(&mut margins) {
            let Some(Some(plane)) = plane else { continue };
            let rest = &members[margins.len()..];
            let here = &rest[..rest.partition_point(|&row| (row as usize) < end)];
            margins.par_extend(here.par_iter().map(|&row| plane.margin(rows, row)));
            work.advance(here.len() as u64);
        }
    }
    margins
}

/// Divides a node over a copy of its rows.
fn divide_copy(
    rows: Rows<'_>,
    (number, members): Node,
    largest: usize,
    seed: u64,
    work: &Work<'_>,
) -> Vec<Vec<u32>> {
    if members.len() <= largest || work.is_stopped() {
        return vec![members];
    }
    let mut values = memory::with_capacity(members.len() * rows.dim);
    members.iter().for_each(|&row| values.extend_from_slice(&rows.row(row as usize)));
    let norm = |&row: &u32| rows.inverse_norms.get(row as usize).copied();
    let inverse_norms: Vec<f32> = members.iter().filter_map(norm).collect();
    let near = Rows { values: Values::F32(&values), inverse_norms: &inverse_norms, ..rows };
    let all = (0..members.len() as u32).collect();
    let mut parts = divide(near, all, largest, seed, number, work);
    parts.iter_mut().flatten().for_each(|row| *row = members[*row as usize]);
    parts
}

fn child(number: u64, side: u64) -> u64 {
    number.wrapping_mul(2).wrapping_add(side)
}

fn divide(
    rows: Rows<'_>,
    members: Vec<u32>,
    largest: usize,
    seed: u64,
    node: u64,
    work: &Work<'_>,
) -> Vec<Vec<u32>> {
    if members.len() <= largest || work.is_stopped() {
        return vec![members];
    }
    work.advance(members.len() as u64);
    let parallel = members.len() >= PARALLEL;
    let (below, above) = split(rows, members, &mut Random::new(seed, node));
    let side = |members, at| divide(rows, members, largest, seed, child(node, at), work);
    let (mut parts, rest) = if parallel {
        let flag = Flag::current();
        rayon::join(|| flag.run(|| side(below, 0)), || flag.run(|| side(above, 1)))
    } else {
        (side(below, 0), side(above, 1))
    };
    parts.extend(rest);
    parts
}

fn split(rows: Rows<'_>, members: Vec<u32>, random: &mut Random) -> (Vec<u32>, Vec<u32>) {
    let Some(plane) = two_means(rows, &members, random) else {
        return halves(members);
    };
    let margins: Vec<f32> = if members.len() >= PARALLEL {
        members.par_iter().map(|&row| plane.margin(rows, row)).collect()
    } else {
        members.iter().map(|&row| plane.margin(rows, row)).collect()
    };
    sides(members, margins)
}

/// Below the plane and above it; or, where one side would be small, below the median and above.
fn sides(members: Vec<u32>, margins: Vec<f32>) -> (Vec<u32>, Vec<u32>) {
    let above = margins.iter().filter(|&&m| m > 0.0).count();
    let least = (LEAST_SIDE * members.len() as f64) as usize;
    if above < least || members.len() - above < least {
        return at_median(members, &margins);
    }
    let mut sides = (memory::with_capacity(members.len() - above), memory::with_capacity(above));
    for (&row, &margin) in members.iter().zip(&margins) {
        if margin > 0.0 { sides.1.push(row) } else { sides.0.push(row) }
    }
    sides
}

fn at_median(members: Vec<u32>, margins: &[f32]) -> (Vec<u32>, Vec<u32>) {
    let mut order: Vec<(f32, u32)> = margins.iter().copied().zip(members).collect();
    let middle = order.len() / 2;
    order.select_nth_unstable_by(middle, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let ascending = |part: &[(f32, u32)]| {
        let mut rows: Vec<u32> = part.iter().map(|p| p.1).collect();
        rows.sort_unstable();
        rows
    };
    (ascending(&order[..middle]), ascending(&order[middle..]))
}

/// What becomes of rows that are all the same: any half is as good as another.
fn halves(mut members: Vec<u32>) -> (Vec<u32>, Vec<u32>) {
    let above = members.split_off(members.len() / 2);
    (members, above)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Metric;

    fn rows(values: &[f32], dim: usize) -> Rows<'_> {
        Rows { metric: Metric::Euclidean, dim, values: values.into(), inverse_norms: &[] }
    }

    #[test]
    fn parts_hold_every_row_once_on_any_number_of_threads() {
        let mut r = Random::new(1, 0);
        let values: Vec<f32> = (0..20_000 * 3).map(|_| r.normal() as f32).collect();
        let everything = || (0..20_000).collect();
        let parts = |threads, window| {
            crate::threads::run(Some(threads), || {
                partition(rows(&values, 3), everything(), 100, window, 5, &Work::unwatched())
            })
        };
        let one = parts(1, usize::MAX);
        assert!(one.iter().all(|p| !p.is_empty() && p.len() <= 100));
        let mut all = one.concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..20_000));
        for window in [usize::MAX, 9000, 300, 99, 0] {
            assert_eq!(one, parts(3, window), "window of {window}");
        }
    }

    #[test]
    fn equal_rows_are_split_too() {
        let values = vec![1.0f32; 1000 * 2];
        for window in [usize::MAX, 100] {
            let everything = (0..1000).collect();
            let parts = partition(rows(&values, 2), everything, 64, window, 0, &Work::unwatched());
            assert!(parts.iter().all(|p| p.len() <= 64));
            assert_eq!(parts.concat().len(), 1000);
        }
    }
}
