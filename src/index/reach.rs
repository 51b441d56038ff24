//! How far walks must go for a recall: measured at build time, kept in the file.

use rayon::prelude::*;

use super::calibration::{ASKED, BLOCK, Truth, is_settled, share_found};
use super::names::view;
use super::sample::Sample;
use super::search::{Engine, keep_for};
use super::verify::wrong;
use super::walk::{Kept, WalkMemory};
use crate::error::OpenError;
use crate::forest::Scratch;
use crate::format::{Directory, Key, Kind};
use crate::graph::MAX_REACH;
use crate::progress::Work;
use crate::threads;

/// The numbers of neighbours that are measured, and the ratio of one reach to the next.
const MEASURED: [(usize, f64); 2] = [(10, 1.3), (100, 1.2)];
/// Steps measured for each.
const STEPS: usize = 16;
/// A recall that needs no further step.
const ENOUGH: f64 = 0.9995;
/// One query of so many walks every step.
const COUNTED: usize = 8;
/// Values of a step: k, slack, reach, compared, recall.
const WIDTH: usize = 5;
/// Values of the section: zeros for a step that was not needed.
pub(super) const LEN: usize = MEASURED.len() * STEPS * WIDTH;
/// Values of a step in files of format 1.0, whose walks had no slack: k, reach, compared, recall.
const WIDTH_1_0: usize = 4;

/// That a section's values are such as a build measures: finite, recalls shares, reaches no farther than
/// a walk goes.
pub(super) fn verify(kind: Kind, values: &[f32]) -> Result<(), OpenError> {
    let width = if kind == Kind::GraphSlack { WIDTH } else { WIDTH_1_0 };
    for (at, step) in values.chunks_exact(width).enumerate() {
        let ([k, .., recall], Step { reach, .. }) = (step, step_of(&step[1..])) else { continue };
        let is_known = *k == 0.0 || MEASURED.iter().any(|measured| measured.0 as f32 == *k);
        let is_sane = step.iter().all(|x| x.is_finite() && *x >= 0.0)
            && *recall <= 1.0001
            && is_known
            && reach <= MAX_REACH as f64;
        if !is_sane {
            let expected = "finite numbers, recalls up to 1 and reaches that a build measures";
            return Err(wrong(
                "the graph's calibration",
                format!("{step:?} as step {at}"),
                expected,
            ));
        }
    }
    Ok(())
}

/// How a walk goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Walk {
    /// For how many neighbours.
    pub k: usize,
    /// See [`graph::Until`](crate::graph::Until).
    pub slack: f32,
    /// Likewise.
    pub reach: usize,
    /// How many rows it compares on average.
    pub compared: f64,
}

/// What walks of a kind did.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    slack: f64,
    reach: f64,
    /// Rows compared, on average.
    compared: f64,
    recall: f64,
}

/// What walks of each kind did.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reaches {
    /// For each k, ascending.
    curves: Vec<(usize, Vec<Step>)>,
}

impl Reaches {
    /// Walks for each query of the sample, further with every step, until the recall is [`ENOUGH`].
    pub fn measure(
        engine: &Engine<'_>,
        sample: &Sample,
        truth: &Truth,
        work: &Work<'_>,
    ) -> Reaches {
        let curve = |(at, &(k, _))| (k, curve(engine, sample, truth, at, work));
        Reaches { curves: MEASURED.iter().enumerate().map(curve).collect() }
    }

    /// Reads the section of an opened file; without one, no walk reaches any recall.
    pub fn open(d: &Directory, file: &[u8], space: u16) -> Result<Reaches, OpenError> {
        let section = |kind| d.range(Key::new(kind, space)).map(|range| (kind, range));
        let found = section(Kind::GraphSlack).or_else(|| section(Kind::GraphReach));
        let (width, values): (usize, &[f32]) = match &found {
            Some((Kind::GraphSlack, range)) => (WIDTH, view(file, range)),
            Some((_, range)) => (WIDTH_1_0, view(file, range)),
            None => (WIDTH, &[]),
        };
        let curve = |&(k, _): &(usize, f64)| {
            let own = values.chunks_exact(width).filter(|v| v[0] == k as f32);
            let usable = own.filter(|v| v[1..].iter().all(|x| x.is_finite() && *x >= 0.0));
            (k, usable.map(|values| step_of(&values[1..])).collect())
        };
        Ok(Reaches { curves: MEASURED.iter().map(curve).collect() })
    }

    /// The section's values.
    pub fn write(&self, out: &mut [f32]) {
        out.fill(0.0);
        for ((k, steps), out) in self.curves.iter().zip(out.chunks_exact_mut(STEPS * WIDTH)) {
            for (step, out) in steps.iter().zip(out.chunks_exact_mut(WIDTH)) {
                let Step { slack, reach, compared, recall } = *step;
                let values = [*k as f64, slack, reach, compared, recall];
                out.iter_mut().zip(values).for_each(|(out, value)| *out = value as f32);
            }
        }
    }

    /// The walk that finds `k` neighbours with `recall`; `None` where none does.
    pub fn for_recall(&self, k: usize, recall: f64) -> Option<Walk> {
        let [(low, low_steps), (high, high_steps)] = &self.curves[..] else { return None };
        let (low, high) = (*low as f64, *high as f64);
        let small = where_it_comes_to(low_steps, recall, |step| step.recall)?;
        if k as f64 <= low {
            return Some(small.walk(k));
        }
        let large = where_it_comes_to(high_steps, recall, |step| step.recall)?;
        Some(small.on_to(large, (k as f64 / low).ln() / (high / low).ln()).walk(k))
    }

    /// The walk that compares `budget` rows on average, for `k` neighbours at least, or as many as the
    /// furthest that was measured.
    pub fn within(&self, k: usize, budget: usize) -> Option<Walk> {
        let (_, steps) = self.curves.first()?;
        let (first, last) = (steps.first()?, steps.last()?);
        let budget = budget as f64;
        let step = match budget <= first.compared {
            true => *first,
            false => where_it_comes_to(steps, budget, |step| step.compared).unwrap_or(*last),
        };
        Some(Step { reach: step.reach.floor(), ..step }.walk(k))
    }

    /// (rows compared, recall) as measured for 10 neighbours.
    pub fn curve(&self) -> Vec<(f64, f64)> {
        let steps = self.curves.first().map_or(&[][..], |(_, steps)| steps);
        steps.iter().map(|step| (step.compared, step.recall)).collect()
    }
}

impl Step {
    fn walk(self, k: usize) -> Walk {
        let Step { slack, reach, compared, .. } = self;
        Walk { k: k.max(1), slack: slack as f32, reach: (reach.round() as usize).max(k), compared }
    }

    /// A step that is a share of the way from this one to another.
    fn on_to(self, other: Step, share: f64) -> Step {
        let between = |a: f64, b: f64| a * (b / a).powf(share);
        let is_same = self.slack == other.slack;
        Step {
            // Infinite in files of format 1.0.
            slack: if is_same { self.slack } else { between(self.slack, other.slack) },
            reach: between(self.reach, other.reach),
            compared: between(self.compared, other.compared),
            recall: self.recall + share * (other.recall - self.recall),
        }
    }
}

/// The numbers of a step behind its k; format 1.0 had no slack.
fn step_of(values: &[f32]) -> Step {
    let [reach, compared, recall] = [3, 2, 1].map(|back| f64::from(values[values.len() - back]));
    let slack = match values.len() + 1 {
        WIDTH => f64::from(values[0]).max(1.0),
        _ => f64::INFINITY,
    };
    Step { slack, reach: reach.max(1.0), compared: compared.max(1.0), recall }
}

/// The slack of a step. On descriptors and sentences the fourth has a recall of 0.95 or a little more, and
/// the sixth of 0.99; the last hardly binds, so that what is kept at most does.
fn slack(step: usize) -> f64 {
    1.0 + 0.02 * step as f64 * 1.1f64.powi(step as i32)
}

/// The most rows that a step's walk keeps, of the curve that is the `at`-th: three to five times as many
/// lists as it reads on average, so that a query which lies far from everything ends.
fn reach(at: usize, step: usize) -> usize {
    let (k, ratio) = MEASURED[at];
    (4.0 * k as f64 * ratio.powi(step as i32)).round() as usize
}

/// Where a curve comes to a value, between two steps in proportion.
fn where_it_comes_to(steps: &[Step], wanted: f64, value: impl Fn(&Step) -> f64) -> Option<Step> {
    let at = steps.iter().position(|step| value(step) >= wanted)?;
    let v = value(&steps[at]);
    match at.checked_sub(1).map(|before| &steps[before]) {
        Some(before) if v > value(before) => {
            let share = (wanted - value(before)) / (v - value(before));
            Some(before.on_to(steps[at], share))
        }
        _ => Some(steps[at]),
    }
}

/// The steps of the curve that is the `at`-th.
fn curve(
    engine: &Engine<'_>,
    sample: &Sample,
    truth: &Truth,
    at: usize,
    work: &Work<'_>,
) -> Vec<Step> {
    let (k, mut steps) = (MEASURED[at].0, Vec::new());
    let is_open = |&query: &usize| {
        let nearest = &truth.nearest[query];
        let values = &sample.queries[query * engine.rows.dim..][..engine.rows.dim];
        !is_settled(engine, values, sample.own_rows[query], &nearest[..k.min(nearest.len())])
    };
    let queries = (0..sample.own_rows.len()).step_by(ASKED[at]).filter(is_open);
    let mut found: Vec<Found> = queries.map(|query| Found { query, share: 0.0 }).collect();
    for step in 0..STEPS {
        let walk = Walk { k, slack: slack(step) as f32, reach: reach(at, step), compared: 0.0 };
        let block = |found: &mut [Found]| match work.is_stopped() {
            true => [0.0; 2],
            false => walk_on(engine, walk, sample, truth, found),
        };
        let counts: Vec<[f64; 2]> = threads::map(found.par_chunks_mut(BLOCK), block).collect();
        let total = |value: usize| counts.iter().map(|count| count[value]).sum::<f64>();
        // Where every answer is right the least work is enough.
        let recall = match found.len() {
            0 => 1.0,
            n => found.iter().map(|f| f.share).sum::<f64>() / n as f64,
        };
        let compared = total(0) / total(1).max(1.0);
        steps.push(Step { slack: slack(step), reach: walk.reach as f64, compared, recall });
        if recall >= ENOUGH {
            break;
        }
    }
    steps
}

/// What share of its neighbours the last walk for a query of the sample found.
struct Found {
    query: usize,
    share: f64,
}

/// Walks for some queries of the sample. Returns the rows compared for a part of them, summed, and how
/// many these are.
fn walk_on(
    engine: &Engine<'_>,
    walk: Walk,
    sample: &Sample,
    truth: &Truth,
    found: &mut [Found],
) -> [f64; 2] {
    let mut sums = [0.0; 2];
    let Some(linked) = engine.graph else { return sums };
    let (mut scratch, mut memory) = (Scratch::default(), WalkMemory::default());
    for (number, found) in found.iter_mut().enumerate() {
        // What has found everything goes on finding it: only a few walk on all the same, to tell how
        // many rows that compares.
        let is_counted = number % COUNTED == 0;
        if found.share == 1.0 && !is_counted {
            continue;
        }
        scratch.begin();
        let query = &sample.queries[found.query * engine.rows.dim..][..engine.rows.dim];
        let own = sample.own_rows[found.query];
        // Nothing is done for codes that err more than usual: what is measured is at least kept.
        let keep = keep_for(walk.k);
        let kept = Kept { walk, k: walk.k, keep, allowed: f64::INFINITY };
        let met = engine.walk(linked, query, own, kept, &mut scratch, &mut memory);
        if is_counted {
            sums[0] += met as f64;
            sums[1] += 1.0;
        }
        let nearest = &truth.nearest[found.query];
        let nearest = &nearest[..walk.k.min(nearest.len())];
        let best = &memory.found()[..keep.min(memory.found().len())];
        found.share = share_found(nearest, best, |c| engine.exact_key(query, c));
    }
    sums
}
