//! Distances as Annoy returns them.

use crate::io::annoy::AnnoyMetric;

/// The distance of two vectors of one dimension as Annoy returns it: sqrt(2 - 2 cos), L2, L1, the
/// number of components that differ, or the product. Summed in float64, rounded once.
///
/// A vector of length zero is at an angular distance of sqrt 2 from everything, itself included.
#[must_use]
pub fn distance(metric: AnnoyMetric, x: &[f32], y: &[f32]) -> f32 {
    let distance = match metric {
        AnnoyMetric::Angular => chord(x, y),
        AnnoyMetric::Euclidean => sum(x, y, |x, y| (x - y) * (x - y)).sqrt(),
        AnnoyMetric::Manhattan => sum(x, y, |x, y| (x - y).abs()),
        AnnoyMetric::Hamming => sum(x, y, |x, y| f64::from(u8::from(is_one(x) != is_one(y)))),
        AnnoyMetric::Dot => sum(x, y, |x, y| x * y),
    };
    distance as f32
}

/// Which components hamming takes for ones.
pub(super) fn is_one(value: impl Into<f64>) -> bool {
    value.into() > 0.5
}

/// 1 - cos in float32 is wrong by 1e-7, whose root is 3e-4: in float64 it is 1e-8.
fn chord(x: &[f32], y: &[f32]) -> f64 {
    let product = |x, y| sum(x, y, |x, y| x * y);
    let lengths = product(x, x) * product(y, y);
    match lengths > 0.0 {
        true => (2.0 - 2.0 * product(x, y) / lengths.sqrt()).max(0.0).sqrt(),
        false => 2f64.sqrt(),
    }
}

/// Four sums side by side, so that each addition need not wait for the one before.
fn sum(x: &[f32], y: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut sums = [0f64; 4];
    let term = |(&x, &y): (&f32, &f32)| term(f64::from(x), f64::from(y));
    let ((x4, x_rest), (y4, y_rest)) = (x.as_chunks::<4>(), y.as_chunks::<4>());
    for (x, y) in x4.iter().zip(y4) {
        for (sum, pair) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += term(pair);
        }
    }
    x_rest.iter().zip(y_rest).map(term).sum::<f64>() + sums.iter().sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_formulas() {
        let (x, y) = ([1.0, 2.0, -1.0, 0.0, 3.0, 1.0], [0.0, 4.0, 1.0, 1.0, 0.0, 0.6]);
        let of = |metric| distance(metric, &x, &y);
        let cos = 7.6 / (16.0f64 * 18.36).sqrt();
        assert!((f64::from(of(AnnoyMetric::Angular)) - (2.0 - 2.0 * cos).sqrt()).abs() < 1e-7);
        assert!((of(AnnoyMetric::Euclidean) - 19.16f32.sqrt()).abs() < 1e-6);
        assert!((of(AnnoyMetric::Manhattan) - 9.4).abs() < 1e-6);
        assert_eq!(of(AnnoyMetric::Hamming), 4.0);
        assert!((of(AnnoyMetric::Dot) - 7.6).abs() < 1e-6);
    }

    #[test]
    fn close_angles_keep_their_digits() {
        let x = [0.3f32, -0.7, 0.2, 0.9, 1.1];
        let mut y = x;
        assert_eq!(distance(AnnoyMetric::Angular, &x, &y), 0.0);
        y[0] += 1e-5;
        let got = f64::from(distance(AnnoyMetric::Angular, &x, &y));
        let (length, along) = (2.64f64, 0.3);
        let expected = 1e-5 / length.sqrt() * (1.0 - along * along / length).sqrt();
        assert!((got / expected - 1.0).abs() < 2e-2, "{got} {expected}");
        assert_eq!(distance(AnnoyMetric::Angular, &[0.0, 0.0], &[0.0, 0.0]), 2f32.sqrt());
    }
}
