//! How a question is answered: by brute force over all rows or over those that a filter lets
//! through, or by the trees, and with what budget.

use super::Index;
use super::filter::Filter;
use super::reach::Walk;
use super::search::{Effort, Engine};
use crate::error::QueryError;
use crate::forest::Scratch;
use crate::graph::MAX_REACH;

/// How a question for `k` neighbours, some rows left out, is to be answered.
#[derive(Clone, Copy)]
pub(super) enum Plan<'a> {
    /// Brute force over every row.
    All,
    /// Brute force over the rows that pass.
    Listed(&'a Filter),
    /// A walk over the graph.
    Walk(Walk),
    /// The trees.
    Budget(usize),
    /// One of the last two: that depends on how many rows pass about the query.
    Local(Local<'a>),
}

impl Plan<'_> {
    /// Whether every row that may be found is compared in float32.
    pub(super) fn is_exact(self) -> bool {
        matches!(self, Plan::All | Plan::Listed(_))
    }

    /// The budget of the trees, if they are searched; before the query is known, the likely one.
    pub(super) fn budget(self) -> Option<usize> {
        match self {
            Plan::All | Plan::Listed(_) | Plan::Walk(_) => None,
            Plan::Budget(budget) | Plan::Local(Local { budget, .. }) => Some(budget),
        }
    }
}

/// A filtered search for a recall, before its query is known.
#[derive(Clone, Copy)]
pub(super) struct Local<'a> {
    filter: &'a Filter,
    /// How many neighbours the search must reach for.
    k: usize,
    recall: f64,
    /// The budget where about the query about as many pass as anywhere.
    budget: usize,
}

/// A row that a walk compares costs as much as so many that a scan of leaves does: 6 and 9 measured with
/// 128 and 384 dimensions. On vectors without any structure (32 independent normals) walks must compare
/// so many that leaves are faster.
const WALK_COST: f64 = 8.0;

/// So many rows a walk may compare however few there are.
const FEW: f64 = 1000.0;

/// Beyond so many excluded rows a search does not reach further for them.
const EXCLUDED_REACH: usize = 100;

/// A row by its vector costs as much as four to six by their codes, rows scattered and asked for
/// ahead of time (measured with 64 and 128 dimensions). Taken smaller, since where the two cost
/// alike the choosing of leaves comes on top, and brute force is exact.
const ROW_COST: f64 = 3.0;

/// The first budget of a filtered search allows for a share of passing rows about the query that is
/// so much smaller than that of all rows: what chance does to a few leaves.
const THINNER: f64 = 0.7;

/// From so many times what chance would do, passing rows are not spread evenly over leaves.
const UNEVEN: f64 = 2.0;

/// How many times cheaper than brute force the trees must be, as far as known without the query,
/// for its surroundings to be looked at: that costs up to a tenth of the brute force.
const LOOK: usize = 2;

/// The largest `k` that calibrations measure.
const MEASURED: usize = 100;

pub(super) fn plan<'a>(
    index: &Index,
    effort: Effort,
    filter: Option<&'a Filter>,
    k: usize,
    n_excluded: usize,
) -> Plan<'a> {
    let n = index.len();
    if let Some(walk) = walk(index, effort, filter, k, n_excluded) {
        return Plan::Walk(walk);
    }
    match (filter, effort) {
        (Some(filter), effort) if effort.covers(n) => Plan::Listed(filter),
        (None, effort) if effort.covers(n) => Plan::All,
        (None, Effort::Budget(budget)) => Plan::Budget(budget.min(n)),
        (Some(filter), Effort::Budget(budget)) => {
            // As many passing rows as would be evaluated without a filter.
            let share = n as f64 / filter.len().max(1) as f64;
            filtered(filter, (budget.min(n) as f64 * share) as usize, n)
        }
        // What is left out is often what lies nearest (a user's own items), so the search must
        // reach that much further.
        (filter, Effort::Recall(recall)) => {
            let k = k + n_excluded.min(EXCLUDED_REACH);
            // Where codes cannot tell near rows apart, no budget finds enough: islands far smaller than
            // their distances.
            if !index.calibration().reaches(k, recall) {
                return filter.map_or(Plan::All, Plan::Listed);
            }
            match filter {
                None => Plan::Budget(budget(index, k, recall)),
                Some(filter) if filter.len() == n => Plan::Budget(budget(index, k, recall)),
                Some(filter) => local(index, filter, k, recall),
            }
        }
        (Some(filter), Effort::Exact) => Plan::Listed(filter),
        (None, Effort::Exact) => Plan::All,
    }
}

/// How a walk over the graph goes; `None` where there is no graph, more neighbours are asked
/// for than walks were measured for (they may lie on several islands of the graph, where leaves go on
/// to the next), it would compare a share of all rows that a scan compares in less time, or not all rows
/// may be found: of these the leaves tell where they are.
fn walk(
    index: &Index,
    effort: Effort,
    filter: Option<&Filter>,
    k: usize,
    n_excluded: usize,
) -> Option<Walk> {
    let n = index.len();
    let all_pass = filter.is_none_or(|filter| filter.len() == n);
    if !index.has_graph() || !all_pass || effort.covers(n) || k + n_excluded > MEASURED {
        return None;
    }
    let (k, reaches) = (k + n_excluded, index.reaches());
    let walk = match effort {
        Effort::Exact => None,
        Effort::Budget(budget) => reaches.within(k, budget),
        Effort::Recall(recall) => reaches
            .for_recall(k, recall)
            .filter(|walk| walk.compared * WALK_COST <= budget(index, k, recall) as f64),
    };
    // A file says what it likes: no walk keeps more rows than there are. One that would keep too many
    // is left to the leaves, which compare as many rows in less time.
    walk.filter(|walk| walk.compared <= (n as f64).max(FEW) && walk.reach <= MAX_REACH)
        .map(|walk| Walk { reach: walk.reach.min(n.max(k)), ..walk })
}

/// How many rows a search for `k` neighbours, so many rows left out, is likely to look through;
/// `None` where it is brute force.
pub(crate) fn likely_budget(
    index: &Index,
    effort: Effort,
    filter: Option<&Filter>,
    k: usize,
    n_excluded: usize,
) -> Option<usize> {
    plan(index, effort, filter, k.min(index.len()), n_excluded).budget()
}

/// The trees with a budget, or brute force where that is cheaper.
fn filtered(filter: &Filter, budget: usize, n: usize) -> Plan<'_> {
    match filter.len() as f64 * ROW_COST <= budget as f64 {
        true => Plan::Listed(filter),
        false => Plan::Budget(budget.min(n)),
    }
}

/// The k nearest of a random sample of the rows are among the k / share nearest of all rows, and
/// found with the recall with which these are.
fn local<'a>(index: &Index, filter: &'a Filter, k: usize, recall: f64) -> Plan<'a> {
    let n = index.len();
    let share = filter.len() as f64 / n as f64;
    let reach = (k as f64 / (THINNER * share)).min(n as f64) as usize;
    let budget = budget(index, reach, recall);
    match filtered(filter, LOOK * budget, n) {
        Plan::Budget(_) => Plan::Local(Local { filter, k, recall, budget: budget.min(n) }),
        plan => plan,
    }
}

/// The budget that finds the `k` nearest of all rows with a recall.
///
/// Beyond what is measured the calibration lets it grow with k itself, three to six times what
/// photosift needed for 300 and 1,000; but where vectors lie in tight clusters of a hundred or two,
/// more than these hold is found with less recall. Since it is a guess, half as many misses are
/// allowed.
pub(super) fn budget(index: &Index, k: usize, recall: f64) -> usize {
    if k <= MEASURED {
        return index.calibration().budget(k, recall, index.len());
    }
    let guess = index.calibration().budget(k, (1.0 + recall) / 2.0, index.len());
    guess.max(k.saturating_mul(PER_NEIGHBOUR)).min(index.len())
}

/// Rows to look through at least for each of more neighbours than are measured: these may lie in several
/// groups, of which those that are measured say nothing.
const PER_NEIGHBOUR: usize = 16;

/// What a filter lets pass of the leaves nearest to a query.
#[derive(Default)]
struct About {
    rows: usize,
    passing: usize,
    leaves: usize,
    /// The sum of (passing - share x rows)^2 / rows over leaves, expanded: of passing^2 / rows.
    squares: f64,
}

impl About {
    fn add(&mut self, rows: usize, passing: usize) {
        self.rows += rows;
        self.passing += passing;
        self.leaves += 1;
        self.squares += (passing * passing) as f64 / rows.max(1) as f64;
    }

    fn share(&self) -> f64 {
        self.passing as f64 / self.rows.max(1) as f64
    }

    /// Whether the passing rows are spread over the leaves as if drawn at random: Pearson's
    /// chi-squared, which is then about the number of leaves.
    fn is_even(&self) -> bool {
        let share = self.share();
        let deviation = self.squares - share * self.passing as f64;
        deviation <= share * (1.0 - share) * (UNEVEN * self.leaves as f64 + 6.0)
    }
}

impl Engine<'_> {
    /// Settles a plan for a prepared query. A filter may let pass nothing of what surrounds the
    /// query, or all of it: so the leaves that a search would scan are chosen first, and their
    /// passing rows counted.
    ///
    /// Where these are spread evenly, they are a random sample of what is there, and as good as
    /// [`local`] takes them for. Where they are not, the filter goes with the vectors, and ranks
    /// say nothing: then as many passing rows are evaluated as find ten times as many neighbours
    /// without a filter.
    pub(super) fn settle<'p>(
        &self,
        index: &Index,
        plan: Plan<'p>,
        query: &[f32],
        scratch: &mut Scratch,
    ) -> Plan<'p> {
        let Plan::Local(Local { filter, k, recall, budget: first }) = plan else { return plan };
        let (n, mut evaluated) = (index.len(), first);
        // The nearest that pass may lie where the nearest of all thin out.
        let unfiltered = budget(index, k, recall);
        let wanted = budget(index, 10 * k, recall).max(unfiltered + unfiltered / 4);
        loop {
            let about = self.about(query, evaluated, filter, scratch);
            let needed = match about.passing {
                // They may come up anywhere: on average after half of all rows.
                0 => (n / 2).max(4 * evaluated),
                _ if about.is_even() => budget(index, (k as f64 / about.share()) as usize, recall),
                passing if passing >= wanted => evaluated,
                passing => (about.rows as f64 * wanted as f64 / passing as f64) as usize,
            };
            match filtered(filter, needed.max(evaluated), n) {
                // How many pass beyond what was looked at is a guess: on by steps, and not by
                // single leaves.
                Plan::Budget(_) if needed > evaluated && evaluated < n => {
                    evaluated = needed.clamp(evaluated + evaluated / 4 + 1, 4 * evaluated).min(n);
                }
                plan => return plan,
            }
        }
    }

    fn about(&self, query: &[f32], budget: usize, filter: &Filter, scratch: &mut Scratch) -> About {
        let mut about = About::default();
        for leaf in self.choose(query, budget, scratch) {
            about.add(leaf.len(), filter.count(leaf));
        }
        about
    }
}

/// Answers per query that are always made room for, however few rows there are.
const ANSWERS: usize = 1 << 16;

/// Refuses a number of answers per query that cannot come and would take memory all the same: places
/// without an answer are filled.
///
/// # Errors
/// If `k` is above `n`, the number of rows, and above 65,536.
pub fn check_k(k: usize, n: usize) -> Result<(), QueryError> {
    let most = n.max(ANSWERS);
    if k <= most {
        return Ok(());
    }
    Err(QueryError::Parameter {
        name: "k",
        got: k.to_string(),
        expected: format!("at most {most}: no more than {n} can be found"),
    })
}

pub(crate) fn check_effort(k: usize, effort: Effort) -> Result<(), QueryError> {
    let bad = |name, got: String, expected: &str| {
        Err(QueryError::Parameter { name, got, expected: expected.into() })
    };
    match effort {
        _ if k == 0 => bad("k", "0".into(), "at least 1"),
        Effort::Recall(r) if r.is_nan() || r <= 0.0 || r > 1.0 => {
            bad("recall", r.to_string(), "above 0, at most 1")
        }
        Effort::Budget(0) => bad("budget", "0".into(), "at least 1"),
        _ => Ok(()),
    }
}
