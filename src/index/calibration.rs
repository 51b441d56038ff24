//! How much work a recall takes: measured at build time, kept in the file.

use rayon::prelude::*;

use super::names::view;
use super::search::{Engine, keep_for};
use super::space::Space;
use crate::exact;
use crate::forest::Scratch;
use crate::progress::Work;
use crate::random::Random;

/// The numbers of neighbours that are measured; others are interpolated.
const NEIGHBOURS: [usize; 2] = [10, 100];
/// Budgets measured for each, from [`LEAST`] to all rows in equal ratios.
const STEPS: usize = 24;
const LEAST: f64 = 64.0;
/// Values of a calibration section: (k, budget, recall) for each step; k = 0 where the step before
/// had found everything.
pub(crate) const LEN: usize = NEIGHBOURS.len() * STEPS * 3;

/// The recall measured at each budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// For each k, (budget, recall) ascending.
    curves: Vec<(usize, Vec<(f64, f64)>)>,
}

/// Queries to calibrate with.
pub(crate) struct Sample {
    /// Row-major, prepared for the space.
    pub queries: Vec<f32>,
    /// The row that a query is a copy of, if it is one: it does not count as its own neighbour.
    pub own_rows: Vec<Option<u32>>,
}

/// Where the queries to calibrate with come from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// Any row is as likely to be asked about as any other.
    Rows,
    /// Rows by how often they stand here, as positions: what is asked about is what is popular.
    Positions(&'a [u32]),
    /// Vectors from elsewhere, row-major.
    Vectors(&'a [f32]),
}

impl Sample {
    /// Draws queries at random; a row is left out of its own answer.
    pub fn draw(
        space: &Space,
        file: &[u8],
        source: Source<'_>,
        row_of: &[u32],
        seed: u64,
    ) -> Sample {
        let mut random = Random::new(seed, u64::MAX);
        let size = sample_size(space);
        match source {
            Source::Vectors(queries) => Sample::of_queries(space, file, queries, seed),
            Source::Positions(positions) if !positions.is_empty() => {
                let picked = random.sample(positions.len(), size).into_iter();
                let row = |at: usize| row_of[positions[at] as usize] as usize;
                Sample::of_rows(space, file, &picked.map(row).collect::<Vec<usize>>())
            }
            _ => Sample::of_rows(space, file, &random.sample(space.n_rows, size)),
        }
    }

    fn of_rows(space: &Space, file: &[u8], picked: &[usize]) -> Sample {
        let rows = space.rows(file);
        let mut queries = Vec::with_capacity(picked.len() * space.dim);
        for &row in picked {
            let mut query = rows.row(row).to_vec();
            rows.prepare(&mut query);
            queries.extend(query);
        }
        Sample { queries, own_rows: picked.iter().map(|&row| Some(row as u32)).collect() }
    }

    /// Vectors from elsewhere, at most as many as are needed, drawn at random.
    fn of_queries(space: &Space, file: &[u8], queries: &[f32], seed: u64) -> Sample {
        let rows = space.rows(file);
        let n = queries.len() / space.dim;
        let mut sample = Vec::new();
        for at in Random::new(seed, u64::MAX).sample(n, sample_size(space)) {
            let mut query = queries[at * space.dim..][..space.dim].to_vec();
            rows.prepare(&mut query);
            sample.extend(query);
        }
        let own_rows = vec![None; sample.len() / space.dim];
        Sample { queries: sample, own_rows }
    }
}

/// The units of work that measuring counts: about a dozen steps for each k, each as long as
/// reading a quarter of the rows.
pub(crate) fn work(n_rows: usize) -> u64 {
    6 * n_rows as u64
}

/// Enough for a standard error of about half a point of recall, less where brute force over all
/// rows would take long.
fn sample_size(space: &Space) -> usize {
    (2e10 / (space.n_rows as f64 * space.dim as f64)).clamp(64.0, 256.0) as usize
}

impl Calibration {
    /// Searches the sample with growing budgets and compares with brute force.
    pub(crate) fn measure(
        space: &Space,
        file: &[u8],
        sample: &Sample,
        work: &Work<'_>,
    ) -> Calibration {
        let rows = space.rows(file);
        let others = |query: usize, row| (sample.own_rows[query] != Some(row)).then_some(row);
        let most = NEIGHBOURS[NEIGHBOURS.len() - 1];
        let truth = exact::search(rows, &sample.queries, most, others);
        let curve = |&k: &usize| (k, curve(space, file, sample, &truth, k, work));
        Calibration { curves: NEIGHBOURS.iter().map(curve).collect() }
    }

    /// Reads a section.
    pub fn read(values: &[f32]) -> Calibration {
        let mut curves: Vec<(usize, Vec<(f64, f64)>)> =
            NEIGHBOURS.iter().map(|&k| (k, Vec::new())).collect();
        for step in values.chunks_exact(3) {
            let place = curves.iter_mut().find(|(k, _)| *k as f32 == step[0]);
            if let Some((_, curve)) = place.filter(|_| step[1].is_finite() && step[2].is_finite()) {
                curve.push((f64::from(step[1]).max(1.0), f64::from(step[2])));
            }
        }
        Calibration { curves }
    }

    /// Reads the section of an opened file; without one, every search looks at all rows.
    pub fn open(file: &[u8], range: Option<std::ops::Range<usize>>) -> Calibration {
        Calibration::read(range.as_ref().map_or(&[], |range| view(file, range)))
    }

    /// The section's values.
    pub fn write(&self, out: &mut [f32]) {
        out.fill(0.0);
        for (&(k, ref curve), out) in self.curves.iter().zip(out.chunks_exact_mut(STEPS * 3)) {
            for (&(budget, recall), out) in curve.iter().zip(out.chunks_exact_mut(3)) {
                out.copy_from_slice(&[k as f32, budget as f32, recall as f32]);
            }
        }
    }

    /// The budget at which `k` neighbours were found with `recall`, at most `n_rows`.
    #[must_use]
    pub fn budget(&self, k: usize, recall: f64, n_rows: usize) -> usize {
        let at = |curve: &[(f64, f64)]| at_recall(curve, recall).unwrap_or(n_rows as f64);
        let [(low, low_curve), (high, high_curve)] = &self.curves[..] else { return n_rows };
        let (small, large) = (at(low_curve), at(high_curve).max(at(low_curve)));
        let budget = if k <= *low {
            small
        } else if k >= *high {
            large * k as f64 / *high as f64
        } else {
            let share = (k as f64 / *low as f64).ln() / (*high as f64 / *low as f64).ln();
            small * (large / small).powf(share)
        };
        (budget.round() as usize).clamp(1, n_rows)
    }

    /// (budget, recall) as measured for 10 neighbours.
    #[must_use]
    pub fn curve(&self) -> &[(f64, f64)] {
        self.curves.first().map_or(&[], |(_, curve)| curve)
    }
}

/// Where the curve reaches `recall`, between the measured budgets in proportion.
fn at_recall(curve: &[(f64, f64)], recall: f64) -> Option<f64> {
    let at = curve.iter().position(|&(_, r)| r >= recall)?;
    let (budget, r) = curve[at];
    match at.checked_sub(1).map(|before| curve[before]) {
        Some((b, below)) if r > below => {
            Some(b * (budget / b).powf((recall - below) / (r - below)))
        }
        _ => Some(budget),
    }
}

fn curve(
    space: &Space,
    file: &[u8],
    sample: &Sample,
    truth: &[Vec<(f32, u32)>],
    k: usize,
    work: &Work<'_>,
) -> Vec<(f64, f64)> {
    let n = space.n_rows as f64;
    let ratio = (n / LEAST).max(1.0).powf(1.0 / (STEPS - 1) as f64);
    let mut curve = Vec::new();
    for step in 0..STEPS {
        let budget = (LEAST * ratio.powi(step as i32)).ceil().min(n);
        let recall = recall(space, file, sample, truth, k, budget as usize);
        curve.push((budget, recall));
        work.advance(space.n_rows as u64 / 4);
        if recall >= 0.9995 || budget >= n || work.is_stopped() {
            break;
        }
    }
    curve
}

fn recall(
    space: &Space,
    file: &[u8],
    sample: &Sample,
    truth: &[Vec<(f32, u32)>],
    k: usize,
    budget: usize,
) -> f64 {
    let shares: Vec<f64> = sample
        .queries
        .par_chunks_exact(space.dim)
        .zip(&sample.own_rows)
        .zip(truth)
        .map_init(
            || (Engine::new(space, file), Scratch::default()),
            |(engine, scratch), ((query, own), truth)| {
                scratch.begin();
                if let Some(row) = own {
                    scratch.exclude(*row, space.n_rows);
                }
                let found = engine.candidates(query, budget, k, keep_for(k), None, scratch);
                let rows: Vec<u32> = found.iter().map(|c| c.1).collect();
                share_found(space, file, query, &rows, &truth[..k.min(truth.len())])
            },
        )
        .collect();
    shares.iter().sum::<f64>() / shares.len().max(1) as f64
}

/// The share of the true neighbours found: as in ann-benchmarks, anything no farther than the last
/// of them counts.
fn share_found(
    space: &Space,
    file: &[u8],
    query: &[f32],
    found: &[u32],
    truth: &[(f32, u32)],
) -> f64 {
    let Some(&(last, _)) = truth.last() else { return 1.0 };
    let rows = space.rows(file);
    let hits = found.iter().filter(|&&row| rows.key(query, row as usize) <= last).count();
    hits.min(truth.len()) as f64 / truth.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calibration() -> Calibration {
        let curve = vec![(100.0, 0.5), (1000.0, 0.9), (10_000.0, 1.0)];
        Calibration { curves: vec![(10, curve.clone()), (100, curve)] }
    }

    #[test]
    fn budgets_grow_with_recall_and_with_k() {
        let c = calibration();
        assert_eq!(c.budget(10, 0.5, 20_000), 100);
        assert_eq!(c.budget(10, 0.9, 20_000), 1000);
        let between = c.budget(1, 0.7, 20_000);
        assert!((300..330).contains(&between), "{between}");
        assert_eq!(c.budget(200, 0.9, 20_000), 2000);
        assert_eq!(c.budget(10, 0.9999, 5000), 5000, "never more than there are rows");
    }

    #[test]
    fn a_section_gives_back_what_was_written() {
        let mut section = vec![7f32; LEN];
        calibration().write(&mut section);
        let read = Calibration::read(&section);
        assert_eq!(read.budget(10, 0.9, 20_000), 1000);
        assert_eq!(read.curve().len(), 3);
        assert_eq!(Calibration::read(&[f32::NAN; 9]).budget(10, 0.9, 77), 77);
    }
}
