//! Splitting until every part is small enough.

use rayon::prelude::*;

use super::split::two_means;
use crate::exact::Rows;
use crate::progress::Work;
use crate::random::Random;

/// A side smaller than this share of its node makes the split a median split: no path grows longer
/// than log n / log 1.25.
const LEAST_SIDE: f64 = 0.2;
/// Below this many members a node is not worth a second thread.
const PARALLEL: usize = 4096;

/// Splits `members` into parts of at most `largest`, in the order of the tree, members ascending.
/// Runs in parallel; each node's random numbers depend on its place alone, so the result does not
/// depend on the threads.
pub(super) fn partition(
    rows: Rows<'_>,
    members: Vec<u32>,
    largest: usize,
    seed: u64,
    work: &Work<'_>,
) -> Vec<Vec<u32>> {
    divide(rows, members, largest, seed, 1, work)
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
    let side = |members, child: u64| {
        divide(rows, members, largest, seed, node.wrapping_mul(2).wrapping_add(child), work)
    };
    let (mut parts, rest) = if parallel {
        rayon::join(|| side(below, 0), || side(above, 1))
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
    let above = margins.iter().filter(|&&m| m > 0.0).count();
    let least = (LEAST_SIDE * members.len() as f64) as usize;
    if above < least || members.len() - above < least {
        return at_median(members, &margins);
    }
    let mut sides = (Vec::with_capacity(members.len() - above), Vec::with_capacity(above));
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
        let parts = |threads| {
            crate::threads::run(Some(threads), || {
                partition(rows(&values, 3), (0..20_000).collect(), 100, 5, &Work::unwatched())
            })
        };
        let one = parts(1);
        assert!(one.iter().all(|p| !p.is_empty() && p.len() <= 100));
        let mut all = one.concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..20_000));
        assert_eq!(one, parts(3));
    }

    #[test]
    fn equal_rows_are_split_too() {
        let values = vec![1.0f32; 1000 * 2];
        let parts = partition(rows(&values, 2), (0..1000).collect(), 64, 0, &Work::unwatched());
        assert!(parts.iter().all(|p| p.len() <= 64));
        assert_eq!(parts.concat().len(), 1000);
    }
}
