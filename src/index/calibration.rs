//! How much work a recall takes: measured at build time, kept in the file.

use std::collections::HashMap;

use rayon::prelude::*;

use super::names::view;
use super::sample::Sample;
use super::search::Engine;
use super::verify::wrong;
use crate::error::OpenError;
use crate::exact;
use crate::forest::{self, Ask, Block, BlockScratch, Request, Scratch, search_block};
use crate::metric::Metric;
use crate::progress::Work;
use crate::threads;

/// The numbers of neighbours that are measured; others are interpolated.
const NEIGHBOURS: [usize; 2] = [10, 100];
/// One query of so many is measured with, for each of them: what a hundred neighbours say of one query is
/// as good as ten of two.
pub(super) const ASKED: [usize; NEIGHBOURS.len()] = [1, 2];
/// Budgets measured for each, from [`LEAST`] to all rows in equal ratios.
const STEPS: usize = 24;
const LEAST: f64 = 64.0;
/// A recall that needs no further step.
const ENOUGH: f64 = 0.9995;
/// A recall that rises by this many times as much as from the step before, or as the least that counts,
/// leaps.
const LEAP: f64 = 2.0;
const LEAST_RISE: f64 = 0.01;
/// Queries that share the reading of rows; a multiple of all in [`ASKED`], so that blocks do not show.
pub(super) const BLOCK: usize = 64;
/// Values of a calibration section: (k, budget, recall) for each step; k = 0 where the step before
/// had found everything. And ([`PRECISION`], rows, precision of the 8-bit codes).
pub(crate) const LEN: usize = NEIGHBOURS.len() * STEPS * 3 + 3;
const PRECISION: f32 = -1.0;
/// Queries that the precision is measured with.
const PROBES: usize = 16;
/// Codes that keep fewer of the true neighbours than this are not searched with.
const PRECISE: f64 = 0.99;

/// The recall measured at each budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// For each k, (budget, recall) ascending.
    curves: Vec<(usize, Vec<(f64, f64)>)>,
    /// What share of the true neighbours is among the candidates that all 8-bit codes give.
    precision: f64,
}

/// That a section's values are such as a build measures: a search takes them at their word.
pub(super) fn verify(values: &[f32]) -> Result<(), OpenError> {
    // A mean of shares may be rounded up.
    let is_share = |share: f32| (0.0..=1.0001).contains(&share);
    for (at, step) in values.chunks_exact(3).enumerate() {
        let is_sane = match step {
            [k, budget, recall] => {
                let is_known = NEIGHBOURS.iter().any(|&known| known as f32 == *k);
                (is_known || *k == 0.0 || *k == PRECISION) && *budget >= 0.0 && is_share(*recall)
            }
            _ => true,
        };
        if !is_sane || !step[1].is_finite() {
            let expected = "finite budgets, and recalls from 0 to 1";
            return Err(wrong("the calibration", format!("{step:?} as step {at}"), expected));
        }
    }
    Ok(())
}

/// The units of work that measuring counts.
pub(crate) fn work(n_rows: usize) -> u64 {
    2 * n_rows as u64
}

impl Calibration {
    /// Follows a search for each query of the sample and compares what it has found so far with the
    /// best of all rows, at budgets from [`LEAST`] to all rows.
    pub(super) fn measure(
        engine: &Engine<'_>,
        sample: &Sample,
        truth: &Truth,
        work: &Work<'_>,
    ) -> Calibration {
        let n = engine.rows.len() as f64;
        let ratio = (n / LEAST).max(1.0).powf(1.0 / (STEPS - 1) as f64);
        let budget = |step| (LEAST * ratio.powi(step as i32)).ceil().min(n) as usize;
        let budgets: Vec<usize> = (0..STEPS).map(budget).collect();
        let blocks = sample.blocks(engine.rows.dim).zip(truth.nearest.par_chunks(BLOCK));
        let found = threads::map(blocks, |((queries, own), truth)| {
            if work.is_stopped() {
                return Counts::default();
            }
            let counts = count(engine, queries, own, truth, &budgets);
            let share = own.len() as f64 / sample.own_rows.len() as f64;
            work.advance((share * n) as u64);
            counts
        });
        let found: Vec<Counts> = found.collect();
        let precision = truth.precision;
        let curve = |at: usize| {
            let total = |step| found.iter().map(|counts| counts.found[at][step]).sum::<f64>();
            let asked: usize = found.iter().map(|counts| counts.asked[at]).sum();
            // Where every answer is right the least work is enough.
            let recall = |step| if asked == 0 { 1.0 } else { total(step) / asked as f64 };
            let mut curve: Vec<(f64, f64)> = Vec::new();
            for (step, &budget) in budgets.iter().enumerate() {
                if curve.last().is_none_or(|&(b, r)| r < ENOUGH && b < budget as f64) {
                    curve.push((budget as f64, recall(step)));
                }
            }
            (NEIGHBOURS[at], curve)
        };
        Calibration { curves: (0..NEIGHBOURS.len()).map(curve).collect(), precision }
    }

    /// Reads a section.
    pub fn read(values: &[f32]) -> Calibration {
        let mut curves: Vec<(usize, Vec<(f64, f64)>)> =
            NEIGHBOURS.iter().map(|&k| (k, Vec::new())).collect();
        let mut precision = 0.0;
        for step in values.chunks_exact(3) {
            if step[0] == PRECISION {
                precision = f64::from(step[2]);
            }
            let place = curves.iter_mut().find(|(k, _)| *k as f32 == step[0]);
            if let Some((_, curve)) = place.filter(|_| step[1].is_finite() && step[2].is_finite()) {
                curve.push((f64::from(step[1]).max(1.0), f64::from(step[2])));
            }
        }
        Calibration { curves, precision }
    }

    /// Whether 8-bit codes tell near rows from others. Where vectors lie in clusters that are small
    /// beside their distances they do not: the steps of a code are as wide as a cluster.
    #[must_use]
    pub fn codes_are_precise(&self) -> bool {
        self.precision >= PRECISE
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
        if let Some(last) = out.last_chunk_mut::<3>() {
            *last = [PRECISION, 0.0, self.precision as f32];
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

    /// Whether any budget found `k` neighbours with `recall`: of more than are measured, those that
    /// are.
    #[must_use]
    pub fn reaches(&self, k: usize, recall: f64) -> bool {
        let needed = self.curves.iter().filter(|(measured, _)| *measured <= k.max(10));
        needed.map(|(_, curve)| at_recall(curve, recall)).all(|budget| budget.is_some())
    }

    /// (budget, recall) as measured for 10 neighbours.
    #[must_use]
    pub fn curve(&self) -> &[(f64, f64)] {
        self.curves.first().map_or(&[], |(_, curve)| curve)
    }
}

/// Where the curve reaches `recall`, between the measured budgets in proportion. Recalls rise by less
/// and less, as a rule; where one rises by much more than the one before, many rows lie in between that
/// are no neighbours (empty ones, copies), and nothing is found before all of these are passed.
fn at_recall(curve: &[(f64, f64)], recall: f64) -> Option<f64> {
    let at = curve.iter().position(|&(_, r)| r >= recall)?;
    let (budget, r) = curve[at];
    let rise = |at: usize| curve[at].1 - at.checked_sub(1).map_or(0.0, |before| curve[before].1);
    if at >= 2 && rise(at) > LEAP * rise(at - 1).max(LEAST_RISE) {
        return Some(budget);
    }
    match at.checked_sub(1).map(|before| curve[before]) {
        Some((b, below)) if r > below => {
            Some(b * (budget / b).powf((recall - below) / (r - below)))
        }
        _ => Some(budget),
    }
}

/// What some queries found.
#[derive(Default)]
struct Counts {
    /// For each number of neighbours and budget, the sum of the recalls.
    found: [[f64; STEPS]; NEIGHBOURS.len()],
    /// For each number of neighbours, how many queries these are of.
    asked: [usize; NEIGHBOURS.len()],
}

fn count(
    engine: &Engine<'_>,
    queries: &[f32],
    own: &[Option<u32>],
    truth: &[Nearest],
    budgets: &[usize],
) -> Counts {
    let (mut counts, mut scratch, mut best) = (Counts::default(), Scratch::default(), Vec::new());
    let queries = queries.chunks_exact(engine.rows.dim).zip(own).zip(truth);
    for (number, ((query, own), truth)) in queries.enumerate() {
        // The same candidates come up at one budget after another.
        let mut known: HashMap<u32, f32> = truth.iter().map(|&(key, row)| (row, key)).collect();
        for (at, &k) in NEIGHBOURS.iter().enumerate() {
            let truth = &truth[..k.min(truth.len())];
            if number % ASKED[at] != 0 || is_settled(engine, query, *own, truth) {
                continue;
            }
            counts.asked[at] += 1;
            let counts = &mut counts.found[at];
            scratch.begin();
            if let Some(row) = own {
                scratch.exclude(*row, engine.rows.len());
            }
            let keep = engine.keep_for(k, usize::MAX);
            let request = Request { keep, ..engine.request(query, usize::MAX) };
            forest::trace(&engine.trees, request, &mut scratch, budgets, |step, found| {
                best.clear();
                best.extend_from_slice(found);
                let keep = engine.keep_for(k, budgets[step]);
                if keep < best.len() {
                    best.select_nth_unstable_by(keep, |a, b| a.0.total_cmp(&b.0));
                    best.truncate(keep);
                }
                let share = share_found(truth, &best, |c| {
                    *known.entry(c.1).or_insert_with(|| engine.exact_key(query, c))
                });
                // What has found everything goes on finding it.
                let done = share >= 1.0;
                counts[step..]
                    .iter_mut()
                    .take(if done { STEPS } else { 1 })
                    .for_each(|c| *c += share);
                !done
            });
        }
    }
    counts
}

/// Whether all true neighbours of a row are copies of it: then any copies will do, and nothing is learnt
/// of how others are found.
pub(super) fn is_settled(
    engine: &Engine<'_>,
    query: &[f32],
    own: Option<u32>,
    truth: &[(f32, u32)],
) -> bool {
    let (Some(own), Some(&(last, _))) = (own, truth.last()) else { return false };
    // Vectors of one direction and different lengths are rounded differently.
    let rounding = if engine.rows.metric == Metric::Angular { 1e-12 } else { 0.0 };
    engine.rows.metric != Metric::Dot && last <= engine.rows.key(query, own as usize) + rounding
}

/// What the queries of a sample ought to find.
pub(super) struct Truth {
    /// The nearest rows of each query, as many as are measured for.
    pub nearest: Vec<Nearest>,
    /// See [`Calibration`].
    precision: f64,
}

impl Truth {
    /// Looks through all rows for each query of the sample: by their 8-bit codes, where these are
    /// there and precise.
    pub fn find(engine: &Engine<'_>, sample: &Sample, work: &Work<'_>) -> Truth {
        let has_codes = engine.trees[0].has_codes();
        let precision = if has_codes { precision(engine, sample) } else { 0.0 };
        let most = NEIGHBOURS[NEIGHBOURS.len() - 1];
        let blocks = threads::map(sample.blocks(engine.rows.dim), |(queries, own)| {
            if work.is_stopped() {
                return vec![Nearest::default(); own.len()];
            }
            let share = own.len() as f64 / sample.own_rows.len() as f64;
            work.advance((share * engine.rows.len() as f64) as u64);
            match precision >= PRECISE {
                true => nearest(engine, queries, own, most),
                false => exactly(engine, queries, own, most),
            }
        });
        Truth { nearest: blocks.flatten_iter().collect(), precision }
    }

    /// The same, where the codes are not in the file: then no search is made with them.
    pub fn without_codes(self) -> Truth {
        Truth { precision: 0.0, ..self }
    }
}

/// The share of the ten nearest rows that [`nearest`] finds, over a few queries.
fn precision(engine: &Engine<'_>, sample: &Sample) -> f64 {
    let own = &sample.own_rows[..PROBES.min(sample.own_rows.len())];
    let queries = &sample.queries[..own.len() * engine.rows.dim];
    let (found, truth) = (nearest(engine, queries, own, 10), exactly(engine, queries, own, 10));
    let share = |(found, truth): (&Vec<_>, &Vec<_>)| share_found(truth, found, |c| c.0);
    let shares: f64 = found.iter().zip(&truth).map(share).sum();
    shares / own.len().max(1) as f64
}

/// Rows with their exact keys, the nearest first.
pub(super) type Nearest = Vec<(f32, u32)>;

/// The `k` nearest rows of each query, by brute force.
fn exactly(engine: &Engine<'_>, queries: &[f32], own: &[Option<u32>], k: usize) -> Vec<Nearest> {
    let others = |query: usize, row| (own[query] != Some(row)).then_some(row);
    exact::search(engine.rows, queries, k, others)
}

/// Three times `k` rows near each query, the `k` nearest among them. Rows are looked through by
/// their 8-bit codes, and so many scored exactly: in no test did that miss one.
fn nearest(engine: &Engine<'_>, queries: &[f32], own: &[Option<u32>], k: usize) -> Vec<Nearest> {
    let excluded = own.iter().map(Option::as_slice);
    let asks: Vec<Ask<'_>> =
        excluded.map(|excluded| Ask { budget: usize::MAX, excluded }).collect();
    let mut scratch = BlockScratch::default();
    let block = Block {
        tree: engine.trees[0],
        queries,
        asks: &asks,
        metric: engine.rows.metric,
        mean: engine.mean,
        code_scale: engine.code_scale,
        keep: 3 * k,
        allowed: None,
        n_rows: engine.rows.len(),
    };
    search_block(block, &mut scratch);
    let near = |(at, query): (usize, &[f32])| {
        let found = scratch.candidates(at).iter();
        let mut near: Nearest = found.map(|c| (engine.exact_key(query, c), c.1)).collect();
        near.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        near
    };
    queries.chunks_exact(engine.rows.dim).enumerate().map(near).collect()
}

/// The share of the true neighbours found: as in ann-benchmarks, anything no farther than the last
/// of them counts. `key` gives a candidate's exact key.
pub(super) fn share_found(
    truth: &[(f32, u32)],
    found: &[(f32, u32)],
    mut key: impl FnMut(&(f32, u32)) -> f32,
) -> f64 {
    let Some(&(last, _)) = truth.last() else { return 1.0 };
    let mut rows: Vec<u32> = truth.iter().map(|t| t.1).collect();
    rows.sort_unstable();
    let (own, others): (Vec<_>, Vec<_>) =
        found.iter().partition(|c| rows.binary_search(&c.1).is_ok());
    // Keys are asked for only of others, that may be as near, and while there is room for them.
    let as_near = others.into_iter().filter(|c| key(c) <= last).take(truth.len() - own.len());
    (own.len() + as_near.count()) as f64 / truth.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calibration() -> Calibration {
        let curve = vec![(100.0, 0.5), (1000.0, 0.9), (10_000.0, 1.0)];
        Calibration { curves: vec![(10, curve.clone()), (100, curve)], precision: 0.75 }
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
    fn a_recall_that_leaps_is_not_interpolated() {
        let curve = [(100.0, 0.7), (200.0, 0.85), (400.0, 0.86), (800.0, 0.97), (1600.0, 0.99)];
        assert_eq!(at_recall(&curve, 0.9), Some(800.0));
        assert_eq!(at_recall(&curve, 0.97), Some(800.0));
        let smooth = at_recall(&curve, 0.8).unwrap();
        assert!((150.0..190.0).contains(&smooth), "{smooth}");
    }

    #[test]
    fn a_section_gives_back_what_was_written() {
        let mut section = vec![7f32; LEN];
        calibration().write(&mut section);
        let read = Calibration::read(&section);
        assert_eq!(read.budget(10, 0.9, 20_000), 1000);
        assert_eq!(read.curve().len(), 3);
        assert_eq!(read.precision, 0.75);
        assert_eq!(Calibration::read(&[f32::NAN; 9]).budget(10, 0.9, 77), 77);
    }
}
