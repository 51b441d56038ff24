//! One split: the plane between the two means of a sample.

use crate::exact::Rows;
use crate::kernel::float;
use crate::random::Random;

/// The plane `normal . x = offset`; `x` is above it if the product is larger.
pub(super) struct Plane {
    pub normal: Vec<f32>,
    pub offset: f32,
}

impl Plane {
    fn between(p: &[f32], q: &[f32]) -> Plane {
        let normal: Vec<f32> = p.iter().zip(q).map(|(p, q)| p - q).collect();
        let offset = 0.5 * (float::dot(p, p) - float::dot(q, q));
        Plane { normal, offset }
    }

    /// How far above the plane a row lies, in units of the normal's length.
    pub(super) fn margin(&self, rows: Rows<'_>, row: u32) -> f32 {
        let row = row as usize;
        rows.dot(&self.normal, row) * rows.factor(row) - self.offset
    }
}

/// Rows in the sample of a split.
const SAMPLE: usize = 128;
/// Lloyd steps over the sample.
const STEPS: usize = 4;

/// The plane between two means of a sample of `members`; `None` if the sample is all one point.
pub(super) fn two_means(rows: Rows<'_>, members: &[u32], random: &mut Random) -> Option<Plane> {
    let sample = gather(rows, members, random);
    let points: Vec<&[f32]> = sample.chunks_exact(rows.dim).collect();
    let first = points[0];
    let second = far_point(&points, first, random)?;
    let mut plane = Plane::between(first, second);
    for _ in 0..STEPS {
        match means(&points, &plane, rows.dim) {
            Some((p, q)) => plane = Plane::between(&p, &q),
            None => break,
        }
    }
    plane.normal.iter().any(|&x| x != 0.0).then_some(plane)
}

fn gather(rows: Rows<'_>, members: &[u32], random: &mut Random) -> Vec<f32> {
    let mut sample = Vec::with_capacity(SAMPLE.min(members.len()) * rows.dim);
    for at in random.sample(members.len(), SAMPLE) {
        let row = members[at] as usize;
        let factor = rows.factor(row);
        sample.extend(rows.row(row).iter().map(|x| x * factor));
    }
    sample
}

/// A point chosen with probability in proportion to its squared distance from `from` (k-means++,
/// Arthur and Vassilvitskii 2007).
fn far_point<'a>(points: &[&'a [f32]], from: &[f32], random: &mut Random) -> Option<&'a [f32]> {
    let distances: Vec<f64> =
        points.iter().map(|p| f64::from(float::squared_l2(p, from))).collect();
    let total: f64 = distances.iter().sum();
    if total <= 0.0 {
        return None;
    }
    let mut left = random.uniform() * total;
    for (point, distance) in points.iter().zip(&distances) {
        left -= distance;
        if left < 0.0 {
            return Some(point);
        }
    }
    // Rounding may leave a sliver: the last point that is not `from` itself.
    points.iter().zip(&distances).rev().find(|(_, d)| **d > 0.0).map(|(p, _)| *p)
}

fn means(points: &[&[f32]], plane: &Plane, dim: usize) -> Option<(Vec<f32>, Vec<f32>)> {
    let (mut above, mut below) = (vec![0f32; dim], vec![0f32; dim]);
    let (mut n_above, mut n_below) = (0f32, 0f32);
    for point in points {
        let is_above = float::dot(&plane.normal, point) > plane.offset;
        let (sum, n) =
            if is_above { (&mut above, &mut n_above) } else { (&mut below, &mut n_below) };
        sum.iter_mut().zip(*point).for_each(|(s, x)| *s += x);
        *n += 1.0;
    }
    if n_above == 0.0 || n_below == 0.0 {
        return None;
    }
    above.iter_mut().for_each(|x| *x /= n_above);
    below.iter_mut().for_each(|x| *x /= n_below);
    Some((above, below))
}
