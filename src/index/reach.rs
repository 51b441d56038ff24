//! How far walks must reach for a recall: measured at build time, kept in the file.

use rayon::prelude::*;

use super::calibration::{BLOCK, Nearest, Sample, Truth, share_found};
use super::graph::WalkMemory;
use super::names::view;
use super::search::{Engine, keep_for};
use crate::forest::Scratch;
use crate::progress::Work;

/// The numbers of neighbours that are measured, and the ratio of one reach to the next.
const MEASURED: [(usize, f64); 2] = [(10, 1.3), (100, 1.2)];
/// Reaches measured for each.
const STEPS: usize = 16;
/// A recall that needs no further step.
const ENOUGH: f64 = 0.9995;
/// One query of so many walks every reach.
const COUNTED: usize = 8;
/// Values of the section: (k, reach, compared, recall) for each step; zeros for one not needed.
pub(super) const LEN: usize = MEASURED.len() * STEPS * 4;

/// What walks did.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    reach: f64,
    /// Rows compared, on average.
    compared: f64,
    recall: f64,
}

/// What walks of each reach did.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reaches {
    /// For each k, ascending.
    curves: Vec<(usize, Vec<Step>)>,
}

impl Reaches {
    /// Walks for each query of the sample.
    pub fn measure(
        engine: &Engine<'_>,
        sample: &Sample,
        truth: &Truth,
        work: &Work<'_>,
    ) -> Reaches {
        let n = sample.own_rows.len().max(1) as f64;
        let blocks = sample.blocks(engine.rows.dim).zip(truth.nearest.par_chunks(BLOCK));
        let sums: Vec<Sums> = blocks
            .map(|((queries, own), truth)| match work.is_stopped() {
                true => Sums::default(),
                false => count(engine, queries, own, truth),
            })
            .collect();
        let curve = |at: usize| {
            let mut steps: Vec<Step> = Vec::new();
            for step in 0..STEPS {
                let total = |value: usize| sums.iter().map(|s| s[at][step][value]).sum::<f64>();
                let (recall, compared) = (total(0) / n, total(1) / total(2).max(1.0));
                if steps.last().is_none_or(|last| last.recall < ENOUGH) {
                    steps.push(Step { reach: reach(at, step) as f64, compared, recall });
                }
            }
            (MEASURED[at].0, steps)
        };
        Reaches { curves: (0..MEASURED.len()).map(curve).collect() }
    }

    /// Reads the section of an opened file; without one, no walk reaches any recall.
    pub fn open(file: &[u8], range: Option<&std::ops::Range<usize>>) -> Reaches {
        let values: &[f32] = range.map_or(&[], |range| view(file, range));
        let curve = |&(k, _): &(usize, f64)| {
            let own = values.chunks_exact(4).filter(|v| v[0] == k as f32);
            let usable = own.filter(|v| v[1..].iter().all(|x| x.is_finite() && *x >= 0.0));
            let step = |v: &[f32]| Step {
                reach: f64::from(v[1]).max(1.0),
                compared: f64::from(v[2]).max(1.0),
                recall: f64::from(v[3]),
            };
            (k, usable.map(step).collect())
        };
        Reaches { curves: MEASURED.iter().map(curve).collect() }
    }

    /// The section's values.
    pub fn write(&self, out: &mut [f32]) {
        out.fill(0.0);
        for ((k, steps), out) in self.curves.iter().zip(out.chunks_exact_mut(STEPS * 4)) {
            for (step, out) in steps.iter().zip(out.chunks_exact_mut(4)) {
                let Step { reach, compared, recall } = *step;
                out.copy_from_slice(&[*k as f32, reach as f32, compared as f32, recall as f32]);
            }
        }
    }

    /// The reach at which `k` neighbours were found with `recall`; `None` where none was.
    pub fn reach(&self, k: usize, recall: f64) -> Option<usize> {
        let [(low, low_steps), (high, high_steps)] = &self.curves[..] else { return None };
        let (low, high, k_f) = (*low as f64, *high as f64, k as f64);
        let small = reach_of(low_steps, recall, |step| step.recall)?;
        let reach = if k_f <= low {
            small
        } else {
            let large = reach_of(high_steps, recall, |step| step.recall)?.max(small);
            match k_f >= high {
                true => large * k_f / high,
                false => small * (large / small).powf((k_f / low).ln() / (high / low).ln()),
            }
        };
        Some((reach.round() as usize).max(k))
    }

    /// The reach whose walks compare so many rows on average, for `k` neighbours at least.
    pub fn within(&self, k: usize, budget: usize) -> Option<usize> {
        let (_, steps) = self.curves.first()?;
        let (first, last) = (steps.first()?, steps.last()?);
        let budget = budget as f64;
        let reach = if budget <= first.compared {
            first.reach
        } else {
            let beyond = last.reach * budget / last.compared;
            reach_of(steps, budget, |step| step.compared).unwrap_or(beyond)
        };
        Some((reach as usize).max(k))
    }

    /// How many rows a walk of that reach compares on average.
    pub fn compared(&self, reach: usize) -> f64 {
        let steps = self.curves.iter().flat_map(|(_, steps)| steps);
        let nearest = |step: &&Step| (step.reach / reach.max(1) as f64).ln().abs();
        let step = steps.min_by(|a, b| nearest(a).total_cmp(&nearest(b)));
        step.map_or(f64::INFINITY, |step| step.compared * reach as f64 / step.reach)
    }

    /// (rows compared, recall) as measured for 10 neighbours.
    pub fn curve(&self) -> Vec<(f64, f64)> {
        let steps = self.curves.first().map_or(&[][..], |(_, steps)| steps);
        steps.iter().map(|step| (step.compared, step.recall)).collect()
    }
}

/// A step's reach, of the curve that is the `at`-th.
fn reach(at: usize, step: usize) -> usize {
    let (k, ratio) = MEASURED[at];
    (k as f64 * ratio.powi(step as i32)).round() as usize
}

/// Where a curve comes to a value, between two steps in proportion.
fn reach_of(steps: &[Step], wanted: f64, value: impl Fn(&Step) -> f64) -> Option<f64> {
    let at = steps.iter().position(|step| value(step) >= wanted)?;
    let (reach, v) = (steps[at].reach, value(&steps[at]));
    match at.checked_sub(1).map(|before| &steps[before]) {
        Some(before) if v > value(before) => {
            let share = (wanted - value(before)) / (v - value(before));
            Some(before.reach * (reach / before.reach).powf(share))
        }
        _ => Some(reach),
    }
}

/// For each curve and step, the recalls of some queries, summed; and of some of these the rows
/// compared, and how many they are.
type Sums = [[[f64; 3]; STEPS]; MEASURED.len()];

fn count(engine: &Engine<'_>, queries: &[f32], own: &[Option<u32>], truth: &[Nearest]) -> Sums {
    let mut sums = Sums::default();
    let Some(linked) = engine.graph else { return sums };
    let (mut scratch, mut memory) = (Scratch::default(), WalkMemory::default());
    let queries = queries.chunks_exact(engine.rows.dim).zip(own).zip(truth);
    for (number, ((query, own), truth)) in queries.enumerate() {
        for (at, &(k, _)) in MEASURED.iter().enumerate() {
            let truth = &truth[..k.min(truth.len())];
            let mut share = 0.0;
            for (step, [recall, compared, counted]) in
                sums[at].iter_mut().map(|[a, b, c]| [a, b, c]).enumerate()
            {
                // What has found everything goes on finding it: only a few walk on all the same, to
                // tell how many rows that compares.
                let goes_on = number % COUNTED == 0;
                if share < 1.0 || goes_on {
                    scratch.begin();
                    let asked = (reach(at, step), keep_for(k));
                    let met = engine.walk(linked, query, *own, asked, &mut scratch, &mut memory);
                    if goes_on {
                        *compared += met as f64;
                        *counted += 1.0;
                    }
                    share = share_found(truth, memory.found(), |c| engine.exact_key(query, c));
                }
                *recall += share;
            }
        }
    }
    sums
}
