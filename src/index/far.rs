//! How far neighbours are as a rule: measured at build time, kept in the file.
//!
//! A recall is measured with queries that look like the rows, or like those that a build was given. A
//! query from elsewhere (another model, another modality, a point between clusters) may find less. Its
//! neighbours are then farther than those of nearly all queries that were measured with, which a search
//! can tell at no cost.

use super::Index;
use super::calibration::Truth;
use super::names::view;
use super::sample::Sample;
use super::search::Engine;
use super::verify::wrong;
use crate::error::{OpenError, QueryError};
use crate::format::{Directory, Key, Kind};
use crate::metric::Metric;

/// The numbers of neighbours that are measured; between them distances are interpolated.
const NEIGHBOURS: [usize; 5] = [1, 3, 10, 30, 100];
/// The share of the measured queries whose k-th neighbour is farther than what counts as far.
const FARTHER: f64 = 0.005;
/// Values of a step: k, the median, what counts as far.
const WIDTH: usize = 3;
/// Values of the section; zeros for a step that was not measured.
pub(super) const LEN: usize = NEIGHBOURS.len() * WIDTH;

/// From what distance of the k-th neighbour on a query counts as far from everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Far {
    /// (k, distance), ascending.
    steps: Vec<(usize, f64)>,
}

impl Far {
    /// Writes the section: of the distances from the queries of the sample to their true neighbours the
    /// median and the one that few are above.
    pub fn measure(engine: &Engine<'_>, sample: &Sample, truth: &Truth, out: &mut [f32]) {
        out.fill(0.0);
        let queries = sample.queries.chunks_exact(engine.rows.dim).zip(&truth.nearest);
        for (&k, out) in NEIGHBOURS.iter().zip(out.chunks_exact_mut(WIDTH)) {
            let distance = |(query, nearest): (&[f32], &Vec<(f32, u32)>)| {
                let &(key, _) = nearest.get(k - 1)?;
                Some(comparable(engine.rows.metric, query, engine.rows.distance(key)))
            };
            let mut distances: Vec<f64> = queries.clone().filter_map(distance).collect();
            distances.sort_unstable_by(f64::total_cmp);
            let at =
                |share: f64| distances[((distances.len() - 1) as f64 * share).round() as usize];
            if !distances.is_empty() {
                let values = [k as f64, at(0.5), at(1.0 - FARTHER)];
                out.iter_mut().zip(values).for_each(|(out, value)| *out = value as f32);
            }
        }
    }

    /// Reads the section of an opened file; without one, nothing counts as far.
    pub fn open(d: &Directory, file: &[u8], space: u16) -> Result<Far, OpenError> {
        let key = Key::new(Kind::Distances, space);
        if d.range(key).is_none() {
            return Ok(Far::default());
        }
        let range = d.sized(key, LEN, "search")?;
        let values: &[f32] = view(file, &range);
        let measured = values.chunks_exact(WIDTH).filter(|step| step[0] >= 1.0);
        let usable = measured.filter(|step| step.iter().all(|value| value.is_finite()));
        Ok(Far { steps: usable.map(|step| (step[0] as usize, f64::from(step[2]))).collect() })
    }

    /// Whether the `k`-th neighbour of a query is farther than those of nearly all queries that were
    /// measured with; `None` where this was not measured for as many.
    pub fn is_far(&self, metric: Metric, query: &[f32], k: usize, distance: f32) -> Option<bool> {
        let at = self.steps.iter().position(|step| step.0 >= k)?;
        let (high, far) = self.steps[at];
        let limit = match at.checked_sub(1).map(|below| self.steps[below]) {
            Some((low, near)) if k < high => {
                let share = (k as f64 / low as f64).ln() / (high as f64 / low as f64).ln();
                near + share * (far - near)
            }
            _ => far,
        };
        // What is as far as most (of equal distances, say) is not far.
        let margin = 1e-5 * limit.abs();
        Some(comparable(metric, query, distance) > limit + margin)
    }
}

impl Index {
    /// Whether queries lie farther from their neighbours than nearly all (99.5%) of the queries that the
    /// recall was measured with: row-major `queries`, and `distances` of each to its k nearest, as a
    /// search without a filter gave them. Such queries may find less than the recall that they asked
    /// for; with queries like them as [`Builder::calibration_queries`](crate::index::Builder) they would not.
    /// A query that found nothing is not far.
    ///
    /// # Errors
    /// If there are not as many distances for each query, if these are of more than 100 neighbours, or
    /// if the index was written before format 1.3, which does not say how far neighbours are.
    pub fn are_far(&self, queries: &[f32], distances: &[f32]) -> Result<Vec<bool>, QueryError> {
        let (dim, n) = (self.dim(), queries.len() / self.dim());
        if !queries.len().is_multiple_of(dim) {
            return Err(QueryError::Dimension { got: queries.len() % dim, expected: dim });
        }
        let bad = |name, got: String, expected: &str| {
            Err(QueryError::Parameter { name, got, expected: expected.into() })
        };
        if n == 0 || distances.is_empty() || !distances.len().is_multiple_of(n) {
            let got = format!("{} values for {n} queries", distances.len());
            return bad("distances", got, "as many for each query, at least one");
        }
        let (k, most) = (distances.len() / n, NEIGHBOURS[NEIGHBOURS.len() - 1]);
        if k > most {
            return bad("distances", format!("those of {k} neighbours"), "of at most 100");
        }
        if self.far.steps.is_empty() {
            let expected = "one of format 1.3 or later: build it again";
            return bad(
                "index",
                "a file that does not say how far neighbours are".into(),
                expected,
            );
        }
        let missing = self.metric().missing();
        let is_far = |(query, distances): (&[f32], &[f32])| {
            let found = distances.iter().take_while(|&&distance| distance != missing).count();
            found > 0 && self.is_far(query, found, distances[found - 1]).unwrap_or_default()
        };
        Ok(queries.chunks_exact(dim).zip(distances.chunks_exact(k)).map(is_far).collect())
    }
}

/// A distance that is larger for what is farther, and for products does not grow with the query.
fn comparable(metric: Metric, query: &[f32], distance: f32) -> f64 {
    match metric {
        Metric::Dot => {
            let squares: f64 = query.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            if squares > 0.0 { -f64::from(distance) / squares.sqrt() } else { 0.0 }
        }
        _ => f64::from(distance),
    }
}

/// That a section's values are such as a build measures.
pub(super) fn verify(values: &[f32]) -> Result<(), OpenError> {
    let is_sane = |step: &[f32]| {
        let is_known = step[0] == 0.0 || NEIGHBOURS.iter().any(|&k| k as f32 == step[0]);
        is_known && step[1].is_finite() && step[2].is_finite() && step[1] <= step[2]
    };
    match values.chunks_exact(WIDTH).position(|step| !is_sane(step)) {
        Some(at) => Err(wrong(
            "the distances of neighbours",
            format!("{:?} as step {at}", &values[at * WIDTH..][..WIDTH]),
            "finite distances, the median not above the far one",
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_what_was_measured_it_is_interpolated() {
        let far = Far { steps: vec![(1, 2.0), (10, 4.0), (100, 5.0)] };
        let is_far = |k, distance| far.is_far(Metric::Euclidean, &[1.0], k, distance);
        assert_eq!(is_far(1, 2.1), Some(true));
        assert_eq!(is_far(1, 2.0), Some(false));
        assert_eq!((is_far(3, 2.9), is_far(3, 3.0)), (Some(false), Some(true)));
        assert_eq!((is_far(10, 3.9), is_far(100, 5.1)), (Some(false), Some(true)));
        assert_eq!(is_far(101, 9.0), None);
        assert_eq!(Far::default().is_far(Metric::Euclidean, &[1.0], 1, 9.0), None);
    }

    #[test]
    fn products_are_compared_at_length_one() {
        let far = Far { steps: vec![(10, -0.5)] };
        let is_far = |query: &[f32], product| far.is_far(Metric::Dot, query, 5, product);
        assert_eq!(is_far(&[3.0, 4.0], 2.0), Some(true));
        assert_eq!(is_far(&[3.0, 4.0], 3.0), Some(false));
        assert_eq!(is_far(&[0.3, 0.4], 0.3), Some(false));
    }
}
