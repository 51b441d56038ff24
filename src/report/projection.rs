//! Rows on a plane: their first two principal components.
//!
//! Found by power iteration on the rows themselves, so that neither the covariance nor its
//! factorisation is needed: two passes over the rows a round. What a picture shows of a direction
//! settles long before its digits do.

use crate::random::Random;

const ROUNDS: usize = 100;
/// A direction that turns by less than this (1 - cosine) has settled.
const SETTLED: f64 = 1e-9;

/// Where rows stand on a plane.
pub(super) struct Projection {
    /// (x, y) of each row.
    pub places: Vec<[f64; 2]>,
    /// What share of the rows' spread the plane shows.
    pub share: f64,
}

/// Projects rows of `dim` values. The same rows and seed give the same places on every machine.
pub(super) fn project(rows: &[f32], dim: usize, seed: u64) -> Projection {
    let centred = centred(rows, dim);
    let total: f64 = centred.iter().map(|x| x * x).sum();
    let mut random = Random::new(seed, 0);
    let mut axes: Vec<Vec<f64>> = Vec::new();
    for _ in 0..2.min(dim) {
        let axis = principal(&centred, dim, &axes, &mut random);
        axes.push(axis);
    }
    let along = |row: &[f64], at: usize| axes.get(at).map_or(0.0, |axis| dot(row, axis));
    let places: Vec<[f64; 2]> =
        centred.chunks_exact(dim).map(|row| [along(row, 0), along(row, 1)]).collect();
    let shown: f64 = places.iter().flatten().map(|x| x * x).sum();
    Projection { places, share: if total > 0.0 { shown / total } else { 1.0 } }
}

fn centred(rows: &[f32], dim: usize) -> Vec<f64> {
    let n = (rows.len() / dim).max(1) as f64;
    let mut mean = vec![0f64; dim];
    for row in rows.chunks_exact(dim) {
        mean.iter_mut().zip(row).for_each(|(m, &x)| *m += f64::from(x) / n);
    }
    rows.iter().enumerate().map(|(at, &x)| f64::from(x) - mean[at % dim]).collect()
}

/// The direction of the most spread at right angles to `others`; its largest component is positive.
fn principal(rows: &[f64], dim: usize, others: &[Vec<f64>], random: &mut Random) -> Vec<f64> {
    let mut axis: Vec<f64> = (0..dim).map(|_| random.normal()).collect();
    straighten(&mut axis, others);
    for _ in 0..ROUNDS {
        let mut next = vec![0f64; dim];
        for row in rows.chunks_exact(dim) {
            let along = dot(row, &axis);
            next.iter_mut().zip(row).for_each(|(sum, x)| *sum += along * x);
        }
        // No spread is left: any direction is as good.
        if !straighten(&mut next, others) {
            break;
        }
        let turned = 1.0 - dot(&next, &axis).abs();
        axis = next;
        if turned < SETTLED {
            break;
        }
    }
    let largest = axis.iter().copied().fold(0.0, |a: f64, x| if x.abs() > a.abs() { x } else { a });
    if largest < 0.0 {
        axis.iter_mut().for_each(|x| *x = -*x);
    }
    axis
}

/// Takes the parts along `others` away and scales to length 1; whether anything was left.
fn straighten(axis: &mut [f64], others: &[Vec<f64>]) -> bool {
    for other in others {
        let along = dot(axis, other);
        axis.iter_mut().zip(other).for_each(|(x, o)| *x -= along * o);
    }
    let length = dot(axis, axis).sqrt();
    let is_usable = length.is_finite() && length > 1e-12;
    if is_usable {
        axis.iter_mut().for_each(|x| *x /= length);
    }
    is_usable
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plane_of_the_most_spread_is_found() {
        // Spread 5 along (1, 1, 0), 2 along (1, -1, 0), 0.1 along the third.
        let mut random = Random::new(1, 0);
        let mut rows: Vec<f32> = Vec::new();
        for _ in 0..500 {
            let [a, b, c] = [5.0, 2.0, 0.1].map(|spread| spread * random.normal());
            rows.extend([(a + b) as f32 + 7.0, (a - b) as f32, c as f32]);
        }
        let Projection { places, share } = project(&rows, 3, 0);
        assert!(share > 0.999 && share <= 1.0 + 1e-9, "{share}");
        for (row, [x, y]) in rows.chunks(3).zip(&places) {
            let (a, b) = ((row[0] + row[1]) / 2f32.sqrt(), (row[0] - row[1]) / 2f32.sqrt());
            let middle = 7.0 / 2f64.sqrt();
            assert!((x - (f64::from(a) - middle)).abs() < 1.5, "{x} {a}");
            assert!((y.abs() - (f64::from(b) - middle).abs()).abs() < 1.5, "{y} {b}");
        }
    }

    #[test]
    fn rows_without_spread_have_a_place() {
        for (rows, dim) in [(vec![1.0; 12], 3), (vec![1.0, 2.0, 3.0], 1), (vec![4.0, 5.0], 2)] {
            let Projection { places, share } = project(&rows, dim, 0);
            assert_eq!(places.len(), rows.len() / dim);
            assert!(places.iter().flatten().all(|x| x.is_finite()), "{places:?}");
            assert_eq!(share, 1.0);
        }
        assert!(project(&[], 4, 0).places.is_empty());
    }
}
