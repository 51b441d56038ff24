//! All neighbours within a distance.
//!
//! How many lie there nobody knows beforehand, so the search asks for a few, then for four times
//! as many, until the farthest it was given lies beyond the radius. What is nearest is found most
//! surely, so the share found of what lies within is at least the recall asked for. Where more are
//! asked for than brute force costs, brute force answers.

use rayon::prelude::*;

use super::batch::search_batch;
use super::filter::Filter;
use super::plan::{Plan, check_effort, plan};
use super::search::{Effort, Hit, Searcher, check_finite};
use super::{BatchOptions, Index};
use crate::error::QueryError;
use crate::memory;
use crate::metric::Metric;
use crate::threads;

/// How many neighbours are asked for first, and how many times as many each time after that.
const FIRST: usize = 64;
const GROWTH: usize = 4;
/// From one in so many of the rows that pass, looking at all of them is less work.
const MOST: usize = 16;

/// What a radius search asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct RadiusOptions<'a> {
    /// How hard to try.
    pub effort: Effort,
    /// Which rows may be found.
    pub filter: Option<&'a Filter>,
    /// Threads; `None`: all cores. 1 runs on the calling thread.
    pub n_threads: Option<usize>,
}

/// What lies within the radius of one query.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Within {
    /// The nearest first, equal ones by position.
    pub hits: Vec<Hit>,
    /// As [`Searcher::was_exact`].
    pub exact: bool,
}

/// Whether a distance, or product, lies within a radius.
pub(super) fn lies_within(metric: Metric, distance: f32, radius: f64) -> bool {
    match metric.larger_is_nearer() {
        true => f64::from(distance) >= radius,
        false => f64::from(distance) <= radius,
    }
}

pub(super) fn check_radius(radius: f64) -> Result<(), QueryError> {
    match radius.is_nan() {
        false => Ok(()),
        true => Err(QueryError::Parameter {
            name: "radius",
            got: radius.to_string(),
            expected: "a number; an infinite one finds everything or nothing".into(),
        }),
    }
}

impl Searcher<'_> {
    /// Everything within `radius` that may be found: at a distance of at most `radius`, or with a
    /// product of at least that. The nearest first, equal ones by position. With a recall, that
    /// share of it on average; with a budget, what lies within it. `k` says nothing here.
    ///
    /// A radius below any distance finds nothing, an infinite one everything (by inner product,
    /// minus infinity does). Memory grows with what is found.
    ///
    /// # Errors
    /// As [`search`](Self::search), and if `radius` is NaN.
    pub fn radius(&mut self, query: &[f32], radius: f64) -> Result<&[Hit], QueryError> {
        check_radius(radius)?;
        let (metric, (asked, effort)) = (self.metric(), self.asked());
        let mut k = Some(FIRST);
        while let Some(wanted) = k.filter(|&k| !self.takes_all(k)) {
            let found = self.k(wanted).effort(with_margin(effort, wanted)).search(query);
            let all_within = found.map(|hits| {
                hits.len() == wanted && lies_within(metric, hits[wanted - 1].distance, radius)
            });
            self.k(asked).effort(effort);
            k = more_than(wanted, effort);
            if !all_within? || k.is_none() {
                return Ok(self.keep_within(radius));
            }
        }
        self.scan(query, radius)
    }
}

/// How many neighbours to ask for after so many; `None` where a budget has no more.
fn more_than(k: usize, effort: Effort) -> Option<usize> {
    match effort {
        Effort::Budget(budget) => (k < budget).then(|| budget.min(GROWTH * k)),
        _ => Some(GROWTH * k),
    }
}

/// How hard to try for so many neighbours. The calibration measures a hundred at most, and where
/// vectors lie in tight clusters it takes more than its guess to find what lies beyond one: so a
/// quarter of the misses are allowed.
fn with_margin(effort: Effort, k: usize) -> Effort {
    match effort {
        Effort::Recall(recall) if k > FIRST => Effort::Recall(1.0 - (1.0 - recall) / 4.0),
        effort => effort,
    }
}

/// Whether so many neighbours are better found by brute force.
pub(super) fn takes_all(
    index: &Index,
    effort: Effort,
    filter: Option<&Filter>,
    k: usize,
    n_excluded: usize,
) -> bool {
    let passing = filter.map_or(index.len(), Filter::len);
    match plan(index, effort, filter, k.min(index.len()), n_excluded) {
        Plan::All | Plan::Listed(_) => true,
        // A budget is not to be passed: what it does not reach is not found.
        Plan::Budget(_) | Plan::Local(_) | Plan::Walk(_) => {
            k >= passing / MOST && !matches!(effort, Effort::Budget(_))
        }
    }
}

/// Answers many queries, round by round: those that found everything within the radius leave.
pub(super) fn radius_batch(
    index: &Index,
    queries: &[f32],
    radius: f64,
    options: RadiusOptions<'_>,
) -> Result<Vec<Within>, QueryError> {
    let dim = index.dim();
    if !queries.len().is_multiple_of(dim) {
        return Err(QueryError::Dimension { got: queries.len() % dim, expected: dim });
    }
    check_radius(radius)?;
    check_effort(1, options.effort)?;
    check_finite(queries, dim)?;
    let mut found = memory::filled(Within::default(), queries.len() / dim);
    let mut left: Vec<usize> = (0..found.len()).collect();
    let mut k = Some(FIRST);
    let goes_on = |&k: &usize| !takes_all(index, options.effort, options.filter, k, 0);
    while let Some(wanted) = k.filter(|k| !left.is_empty() && goes_on(k)) {
        round(index, queries, radius, options, wanted, &mut left, &mut found)?;
        k = more_than(wanted, options.effort);
    }
    if k.is_some() {
        scan_all(index, queries, radius, options, &left, &mut found)?;
    }
    Ok(found)
}

/// Queries whose answers are held at a time.
const BLOCK: usize = 4096;

fn round(
    index: &Index,
    queries: &[f32],
    radius: f64,
    options: RadiusOptions<'_>,
    k: usize,
    left: &mut Vec<usize>,
    found: &mut [Within],
) -> Result<(), QueryError> {
    let dim = index.dim();
    let RadiusOptions { effort, filter, n_threads } = options;
    let options = BatchOptions { k, effort: with_margin(effort, k), filter, n_threads };
    let mut unfinished = Vec::new();
    for block in left.chunks((BLOCK * FIRST / k).max(1)) {
        let values: Vec<f32> =
            block.iter().flat_map(|&query| &queries[query * dim..][..dim]).copied().collect();
        let answers = search_batch(index, &values, options, |_| &[])?;
        for (at, &query) in block.iter().enumerate() {
            let span = at * k..(at + 1) * k;
            let pairs = answers.positions[span.clone()].iter().zip(&answers.distances[span]);
            let hits = pairs
                .map(|(&position, &distance)| Hit { position, distance })
                .take_while(|hit| hit.position != u32::MAX)
                .take_while(|hit| lies_within(index.metric(), hit.distance, radius));
            let hits: Vec<Hit> = memory::collect(hits);
            if hits.len() == k && more_than(k, effort).is_some() {
                unfinished.push(query);
            } else {
                found[query] = Within { hits, exact: answers.exact[at] };
            }
        }
    }
    *left = unfinished;
    Ok(())
}

fn scan_all(
    index: &Index,
    queries: &[f32],
    radius: f64,
    options: RadiusOptions<'_>,
    left: &[usize],
    found: &mut [Within],
) -> Result<(), QueryError> {
    let dim = index.dim();
    let one = |searcher: &mut Searcher<'_>, query: usize| {
        let query = &queries[query * dim..][..dim];
        let hits = memory::copied(searcher.scan(query, radius)?);
        Ok(Within { hits, exact: true })
    };
    let make = || {
        let mut searcher = index.searcher();
        searcher.filter(options.filter);
        searcher
    };
    let lists: Result<Vec<Within>, QueryError> =
        if threads::count(options.n_threads) == 1 || left.len() < 2 {
            let mut searcher = make();
            left.iter().map(|&query| one(&mut searcher, query)).collect()
        } else {
            threads::run(options.n_threads, || {
                let each = |searcher: &mut _, &query: &usize| one(searcher, query);
                threads::map_init(left.par_iter(), make, each).collect()
            })
        };
    for (&query, within) in left.iter().zip(lists?) {
        found[query] = within;
    }
    Ok(())
}
