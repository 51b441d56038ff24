//! The recall/speed curve: what each amount of work finds, and how long it takes.

use std::time::Instant;

use serde_json::{Value, json};

use super::recall::share;
use super::sample::{Sample, Source};
use super::{BatchOptions, Effort, Hit, Index, Searcher};
use crate::error::QueryError;
use crate::memory;

/// The recalls that are asked for by their name.
const ASKED: [f64; 3] = [0.9, 0.95, 0.99];
/// Times that each step answers every query: what is told is the median.
const PASSES: usize = 3;
/// Queries that brute force is timed with.
const TIMED: usize = 50;
/// Of the queries drawn: another than a build's, so that a curve is not measured with the queries
/// that the file was calibrated with.
const SEED: u64 = 0x6c6f_6f6b;
/// Budgets where the file has no curve to take them from: this, and its multiples by two.
const LEAST: usize = 64;

/// What a curve is measured with.
#[derive(Clone, Copy)]
pub struct CurveOptions<'a> {
    /// Neighbours a query.
    pub k: usize,
    /// The budgets, each at least 1; `None`: those of the calibration in the file.
    pub budgets: Option<&'a [usize]>,
    /// Threads of the brute force that tells the truth; all cores for `None`. Searches are timed
    /// on one.
    pub n_threads: Option<usize>,
    /// Asked between steps; once it says true the curve ends there, for its caller to throw away.
    pub interrupt: &'a (dyn Fn() -> bool + Sync),
}

impl Default for CurveOptions<'_> {
    fn default() -> Self {
        CurveOptions { k: 10, budgets: None, n_threads: None, interrupt: &|| false }
    }
}

/// Where the queries of a curve came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// The caller.
    Given,
    /// Stored vectors drawn at random, each left out of its own answer.
    Stored,
    /// Users made up from stored vectors, as a calibration by inner product makes them.
    MadeUp,
    /// Users of a recommender; what they have may be found.
    Users,
}

impl Probe {
    /// The name in JSON: `given`, `stored`, `made-up` or `users`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Probe::Given => "given",
            Probe::Stored => "stored",
            Probe::MadeUp => "made-up",
            Probe::Users => "users",
        }
    }

    /// Words for people that stand after a number of queries.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Probe::Given => "queries",
            Probe::Stored => "stored vectors, each left out of its own answer",
            Probe::MadeUp => "users made up from stored vectors",
            Probe::Users => "users of the recommender",
        }
    }
}

/// One effort and what it was worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurveStep {
    /// How hard each search tried.
    pub effort: Effort,
    /// The share of the true neighbours found, the mean over the queries.
    pub recall: f64,
    /// Microseconds a query, one after another on one thread.
    pub micros: f64,
}

impl CurveStep {
    /// Queries a second on one thread.
    #[must_use]
    pub fn queries_per_second(&self) -> f64 {
        1e6 / self.micros
    }

    fn to_json(self) -> Value {
        let mut value = json!({
            "recall": self.recall,
            "microseconds": self.micros,
            "queries_per_second": self.queries_per_second(),
        });
        match self.effort {
            Effort::Budget(budget) => value["budget"] = budget.into(),
            Effort::Recall(recall) => value["asked"] = recall.into(),
            Effort::Exact => {}
        }
        value
    }
}

/// What an index finds and how fast, by the work it may do.
#[derive(Debug, Clone, PartialEq)]
pub struct RecallCurve {
    /// Neighbours a query.
    pub k: usize,
    /// Queries that every step answered.
    pub n_queries: usize,
    /// Where they came from.
    pub probe: Probe,
    /// By budget, ascending.
    pub steps: Vec<CurveStep>,
    /// What `recall=0.9`, `0.95` and `0.99` give, as the calibration in the file maps them.
    pub asked: Vec<CurveStep>,
    /// Brute force.
    pub exact: CurveStep,
}

impl RecallCurve {
    /// For programs: {"k", "n_queries", "queries", "steps", "asked", "exact"}. A step has "recall",
    /// "microseconds" and "queries_per_second", and "budget" or, where a recall was asked for,
    /// "asked".
    #[must_use]
    pub fn to_json(&self) -> Value {
        let list =
            |steps: &[CurveStep]| steps.iter().copied().map(CurveStep::to_json).collect::<Value>();
        json!({
            "k": self.k,
            "n_queries": self.n_queries,
            "queries": self.probe.name(),
            "steps": list(&self.steps),
            "asked": list(&self.asked),
            "exact": self.exact.to_json(),
        })
    }
}

/// Queries to measure with.
pub(crate) struct Probes<'a> {
    /// Row-major.
    pub queries: &'a [f32],
    /// The position that each query may not find; shorter where the others may find any.
    pub own: &'a [Option<u32>],
    /// Where they came from.
    pub probe: Probe,
}

impl Probes<'_> {
    fn own(&self, at: usize) -> &[u32] {
        self.own.get(at).map_or(&[], Option::as_slice)
    }
}

impl Index {
    /// Measures recall and time against brute force, one query after another on one thread, with
    /// `queries` (row-major) or, without any, with 200 to 600 drawn as a calibration draws them:
    /// stored vectors, each left out of its own answer, or by inner product users made up from
    /// them. Every query is answered three times at each budget, and once by brute force.
    ///
    /// # Errors
    /// If there is no query, the queries have another dimension or are not finite, or a budget or
    /// `k` is 0.
    pub fn recall_curve(
        &self,
        queries: Option<&[f32]>,
        options: CurveOptions<'_>,
    ) -> Result<RecallCurve, QueryError> {
        memory::attempt(|| {
            if let Some(queries) = queries {
                return self.curve_of(&Probes { queries, own: &[], probe: Probe::Given }, options);
            }
            let sample = Sample::draw(self.space(), self.file(), Source::Rows, self.row_of(), SEED);
            let position = |row: &Option<u32>| self.positions().get((*row)? as usize).copied();
            let own: Vec<Option<u32>> = sample.own_rows.iter().map(position).collect();
            let probe = if own.iter().any(Option::is_some) { Probe::Stored } else { Probe::MadeUp };
            self.curve_of(&Probes { queries: &sample.queries, own: &own, probe }, options)
        })
    }

    pub(crate) fn curve_of(
        &self,
        probes: &Probes<'_>,
        options: CurveOptions<'_>,
    ) -> Result<RecallCurve, QueryError> {
        let n = probes.queries.len() / self.dim();
        if probes.queries.is_empty() {
            let expected = "at least one row".to_string();
            return Err(QueryError::Parameter { name: "queries", got: "no row".into(), expected });
        }
        let budgets = self.budgets_of(options.budgets);
        let budgets = budgets.into_iter().map(Effort::Budget);
        let efforts: Vec<Effort> = budgets.chain(ASKED.map(Effort::Recall)).collect();
        let truth = self.truth(probes, options)?;
        let mut steps: Vec<CurveStep> = Vec::new();
        let mut times = vec![Vec::with_capacity(PASSES); efforts.len()];
        // Pass by pass, so that whatever else the machine does meanwhile falls on every step.
        for pass in 0..PASSES {
            for (times, &effort) in times.iter_mut().zip(&efforts) {
                if (options.interrupt)() {
                    break;
                }
                let (recall, micros) = self.pass(probes, &truth, options.k, effort)?;
                times.push(micros);
                if pass == 0 {
                    steps.push(CurveStep { effort, recall, micros });
                }
            }
        }
        for (step, times) in steps.iter_mut().zip(&mut times) {
            times.sort_by(f64::total_cmp);
            step.micros = times.get(times.len() / 2).copied().unwrap_or(f64::INFINITY);
        }
        let asked = steps.split_off(steps.len().saturating_sub(ASKED.len()));
        let exact = self.exact_step(probes, options.k)?;
        Ok(RecallCurve { k: options.k, n_queries: n, probe: probes.probe, steps, asked, exact })
    }

    /// Ascending, none twice.
    fn budgets_of(&self, given: Option<&[usize]>) -> Vec<usize> {
        let stored = match self.has_graph() {
            true => self.walk_curve(),
            false => self.calibration().curve().to_vec(),
        };
        let mut budgets: Vec<usize> = match given {
            Some(budgets) => budgets.to_vec(),
            None => stored.iter().map(|&(budget, _)| budget.round() as usize).collect(),
        };
        if budgets.is_empty() {
            let doubled = |&budget: &usize| budget.checked_mul(2);
            let all = std::iter::successors(Some(LEAST.min(self.len())), doubled);
            budgets = all.take_while(|&budget| budget <= self.len()).collect();
        }
        budgets.sort_unstable();
        budgets.dedup();
        budgets
    }

    /// The true neighbours of each query.
    fn truth(
        &self,
        probes: &Probes<'_>,
        options: CurveOptions<'_>,
    ) -> Result<Vec<Vec<Hit>>, QueryError> {
        let batch = BatchOptions {
            k: options.k,
            effort: Effort::Exact,
            filter: None,
            n_threads: options.n_threads,
        };
        let answers = super::batch::search_batch(self, probes.queries, batch, |at| probes.own(at))?;
        Ok((0..answers.exact.len()).map(|at| answers.hits(at)).collect())
    }

    /// Mean recall and microseconds of every query, one after another.
    fn pass(
        &self,
        probes: &Probes<'_>,
        truth: &[Vec<Hit>],
        k: usize,
        effort: Effort,
    ) -> Result<(f64, f64), QueryError> {
        let larger = self.metric().larger_is_nearer();
        let mut sum = 0.0;
        let seconds = self.answers(probes, truth.len(), k, effort, |at, hits| {
            sum += share(hits, &truth[at], larger);
        })?;
        Ok((sum / truth.len() as f64, seconds * 1e6 / truth.len() as f64))
    }

    fn exact_step(&self, probes: &Probes<'_>, k: usize) -> Result<CurveStep, QueryError> {
        let n = (probes.queries.len() / self.dim()).min(TIMED);
        let seconds = self.answers(probes, n, k, Effort::Exact, |_, _| {})?;
        Ok(CurveStep { effort: Effort::Exact, recall: 1.0, micros: seconds * 1e6 / n as f64 })
    }

    /// Answers the first `n` queries; the seconds that the searches took, `told` apart.
    fn answers(
        &self,
        probes: &Probes<'_>,
        n: usize,
        k: usize,
        effort: Effort,
        mut told: impl FnMut(usize, &[Hit]),
    ) -> Result<f64, QueryError> {
        let mut searcher: Searcher<'_> = self.searcher();
        searcher.k(k).effort(effort);
        let mut seconds = 0.0;
        for (at, query) in probes.queries.chunks_exact(self.dim()).take(n).enumerate() {
            let begun = Instant::now();
            let hits = searcher.exclude(probes.own(at)).search(query)?;
            seconds += begun.elapsed().as_secs_f64();
            told(at, hits);
        }
        Ok(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Vectors;
    use crate::metric::Metric;
    use crate::random::Random;

    fn index(metric: Metric, graph: bool) -> Index {
        let mut random = Random::new(5, 0);
        let values: Vec<f32> = (0..3000 * 16).map(|_| random.normal() as f32).collect();
        let builder = Index::builder(metric).leaf_size(40).graph(Some(graph));
        builder.build(Vectors::new(&values, 16).unwrap()).unwrap()
    }

    fn efforts(steps: &[CurveStep]) -> Vec<Effort> {
        steps.iter().map(|step| step.effort).collect()
    }

    #[test]
    fn more_work_finds_more_of_the_truth() {
        for metric in Metric::ALL {
            for graph in [false, metric != Metric::Dot] {
                let index = index(metric, graph);
                let curve = index.recall_curve(None, CurveOptions::default()).unwrap();
                let (first, last) = (curve.steps[0], curve.steps[curve.steps.len() - 1]);
                // Sixteen bits have so many ties that little work finds all.
                let is_easy = metric == Metric::Hamming && first.recall == 1.0;
                assert!(first.recall < last.recall || is_easy, "{metric}: {curve:?}");
                assert!(last.recall > 0.9, "{metric}: {curve:?}");
                let probe = if metric == Metric::Dot { Probe::MadeUp } else { Probe::Stored };
                assert_eq!(curve.probe, probe);
                assert!((200..=600).contains(&curve.n_queries), "{}", curve.n_queries);
                assert!(curve.steps.iter().chain(&curve.asked).all(|step| step.micros > 0.0));
                assert_eq!(efforts(&curve.asked), ASKED.map(Effort::Recall));
                assert_eq!((curve.exact.recall, curve.exact.effort), (1.0, Effort::Exact));
            }
        }
    }

    #[test]
    fn recalls_are_those_of_single_searches_measured_one_by_one() {
        let index = index(Metric::Euclidean, false);
        let queries: Vec<f32> =
            (0..40u32).flat_map(|p| index.vector(p * 7).unwrap().into_owned()).collect();
        let options = CurveOptions { k: 5, budgets: Some(&[400, 60, 400]), ..Default::default() };
        let curve = index.recall_curve(Some(&queries), options).unwrap();
        assert_eq!((curve.probe, curve.n_queries), (Probe::Given, 40));
        assert_eq!(efforts(&curve.steps), [60, 400].map(Effort::Budget));
        for step in curve.steps.iter().chain(&curve.asked) {
            let mut found = 0;
            for query in queries.chunks_exact(16) {
                let hits = |effort| {
                    let mut searcher = index.searcher();
                    let hits = searcher.k(5).effort(effort).search(query).unwrap();
                    hits.iter().map(|hit| hit.position).collect::<Vec<u32>>()
                };
                let truth = hits(Effort::Exact);
                found += hits(step.effort).iter().filter(|&p| truth.contains(p)).count();
            }
            assert!((step.recall - found as f64 / 200.0).abs() < 1e-9, "{step:?}: {found}");
        }
    }

    #[test]
    fn a_stored_vector_is_not_its_own_answer() {
        // Pairs of the same vector, far from each other: with itself left out, the twin is found.
        let values: Vec<f32> = (0..120).map(|at| (at / 2) as f32).collect();
        let index = Index::builder(Metric::Euclidean).build(Vectors::new(&values, 1).unwrap());
        let index = index.unwrap();
        let options = CurveOptions { k: 1, ..Default::default() };
        let curve = index.recall_curve(None, options).unwrap();
        assert_eq!((curve.probe, curve.n_queries), (Probe::Stored, 60), "one of each pair");
        assert_eq!(curve.asked[2].recall, 1.0);
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let index = index(Metric::Euclidean, false);
        let refused = |queries: &[f32], options| {
            index.recall_curve(Some(queries), options).unwrap_err().to_string()
        };
        let text = refused(&[], CurveOptions::default());
        assert_eq!(text, "queries is no row, expected at least one row");
        let text = refused(&[1.0; 17], CurveOptions::default());
        assert_eq!(text, "the query has 1 values, the index holds vectors of 16");
        let zero = CurveOptions { budgets: Some(&[10, 0]), ..Default::default() };
        assert!(refused(&[1.0; 16], zero).contains("budget is 0"));
        let none = CurveOptions { k: 0, ..Default::default() };
        assert!(refused(&[1.0; 16], none).contains("k is 0"));
    }

    #[test]
    fn an_interrupt_ends_it() {
        let index = index(Metric::Euclidean, false);
        let options = CurveOptions { interrupt: &|| true, ..Default::default() };
        assert!(index.recall_curve(None, options).unwrap().steps.is_empty());
    }
}
