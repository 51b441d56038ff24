//! `nearwood.tune`.

use nearwood::als::{Confidence, Params};
use nearwood::io::Journal;
use nearwood::recommend::Weighting;
use nearwood::tune::{self, Event, LeftOut, Options, Space, Span};
use nearwood::{Error, Interactions};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::convert;
use crate::errors::{OrRaise, warn};
use crate::interactions::interactions;
use crate::options::{Count, Named, Progress, Threads, named, path_named, threads};
use crate::scalar::shown;
use crate::train;
use crate::watch::{self, Watched};

/// Searches parameters for a training, on a part of the interactions that is held out. Give it the
/// training alone: what is chosen by a test says nothing of new data any more.
///
/// A range is a pair (low, high); a number is fixed. `trials` are drawn anywhere, `refine` near the
/// best of those before. The same arguments give the same trials at any number of threads, also if
/// the search was ended and goes on from its journal.
///
/// Args:
///     data: `Interactions` with raw weights, or a sparse matrix.
///     factors: The length of a vector; 64 unless told.
///     unobserved_weight: (0.01, 1) unless told; 1 with "implicit" and "spark".
///     regularization: For a row of middle size, whatever the scaling; (0.1, 100) unless told.
///     regularization_scaling: (0, 1) unless told.
///     alpha: 1 unless told; (1, 50) with "implicit" and "spark".
///     weighting: A name or several; None: all. Those that the weights do not suit are left out with
///         a warning: "bm25" takes no negative ones.
///     confidence: "ials", "implicit" or "spark".
///     iterations: The most epochs of a trial.
///     metric: What is to be high, as in "ndcg@20": see `evaluate`.
///     trials: Trials anywhere.
///     refine: Trials near the best.
///     validation: The share of the entries that is held out.
///     users: The most users who are measured.
///     patience: Epochs without a better figure after which a trial ends.
///     journal: A file that keeps every trial as a line of JSON, and from which the search goes on.
///     random_state: The seed.
///     n_threads: None: all cores.
///     progress: True: a bar on a terminal's standard error; or a callable(done, total).
///
/// Returns:
///     A dict: "params", what `Recommender.fit` takes; "best" and "trials", dicts, the best first;
///     "metric", "n_users", "resumed"; "left_out", why some weightings were.
///
/// Raises:
///     ValueError: If an argument is out of its range or no trial has a figure.
///     FormatError: If the journal is of another search.
///     OSError: If the journal cannot be written; BlockingIOError if another search is writing it.
///     KeyboardInterrupt: On Ctrl-C; the journal has the trials that were done.
#[pyfunction]
#[pyo3(signature = (data, *, factors=None, unobserved_weight=None, regularization=None,
    regularization_scaling=None, alpha=None, weighting=None, confidence="ials", solver="auto",
    iterations=Count(40), metric="ndcg@20", trials=Count(30), refine=Count(15), validation=0.1,
    users=Count(10_000), patience=Count(3), journal=None, random_state=0, n_threads=None,
    progress=None),
    text_signature = "(data, *, factors=None, unobserved_weight=None, regularization=None, regularization_scaling=None, alpha=None, weighting=None, confidence=\"ials\", solver=\"auto\", iterations=40, metric=\"ndcg@20\", trials=30, refine=15, validation=0.1, users=10000, patience=3, journal=None, random_state=0, n_threads=None, progress=True)")]
#[pyo3(name = "tune")]
#[expect(clippy::too_many_arguments, reason = "keyword arguments of one call")]
pub fn tune_py<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    factors: Option<&Bound<'py, PyAny>>,
    unobserved_weight: Option<&Bound<'py, PyAny>>,
    regularization: Option<&Bound<'py, PyAny>>,
    regularization_scaling: Option<&Bound<'py, PyAny>>,
    alpha: Option<&Bound<'py, PyAny>>,
    weighting: Option<&Bound<'py, PyAny>>,
    confidence: &str,
    solver: &str,
    #[pyo3(from_py_with = named::iterations)] iterations: Count,
    metric: &str,
    #[pyo3(from_py_with = named::trials)] trials: Count,
    #[pyo3(from_py_with = named::refine)] refine: Count,
    #[pyo3(from_py_with = named::validation)] validation: f64,
    #[pyo3(from_py_with = named::users)] users: Count,
    #[pyo3(from_py_with = named::patience)] patience: Count,
    journal: Option<&Bound<'py, PyAny>>,
    #[pyo3(from_py_with = named::random_state)] random_state: u64,
    n_threads: Option<Threads>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let data = interactions(data, "data")?;
    let ranges = Ranges {
        factors,
        unobserved_weight,
        regularization,
        regularization_scaling,
        alpha,
        weighting,
    };
    let base = Params {
        iterations: iterations.0,
        seed: random_state,
        n_threads: threads(n_threads),
        ..Params::default()
    };
    let base = train::named(base, confidence, solver)?;
    let options = Options {
        space: ranges.space(base.confidence)?,
        trials: trials.0,
        refine: refine.0,
        target: metric.parse().or_raise()?,
        validation,
        users: users.0,
        patience: patience.0,
        seed: random_state,
        base,
    };
    let journal = match journal {
        Some(path) => Journal::open(path_named(path, "journal")?).or_raise()?,
        None => Journal::in_memory(),
    };
    search(&data, &options, journal, &train::shown(py, progress))
}

/// Searches under a bar, and until Ctrl-C.
fn search<'py>(
    data: &Interactions,
    options: &Options,
    mut journal: Journal,
    progress: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = progress.py();
    let progress = Progress::new(Some(progress), "tuning")?;
    let heard = progress.is_heard();
    let work = |watched: &Watched| {
        let mut on = |event: &Event<'_>| match event {
            Event::Trial { trial, of } => watched.go_on(heard, trial.trial + 1, *of),
            Event::Epoch { .. } => !watched.stopped(),
            _ => true,
        };
        let found = tune::tune(data, options, &mut journal, &|| watched.stopped(), &mut on)?;
        let told =
            |out: &LeftOut| format!("the weighting {} is left out: {}", out.weighting, out.error);
        let told: Vec<String> = found.left_out.iter().map(told).collect();
        Ok::<_, Error>((found.report(options)?, told))
    };
    let found = watch::run(py, work, progress.listener())?;
    let (report, told) = found.or_raise()?;
    told.iter().try_for_each(|text| warn(py, text))?;
    convert::json(py, &report.to_string())
}

/// What is searched, as it was given: numbers, pairs, names.
struct Ranges<'a, 'py> {
    factors: Option<&'a Bound<'py, PyAny>>,
    unobserved_weight: Option<&'a Bound<'py, PyAny>>,
    regularization: Option<&'a Bound<'py, PyAny>>,
    regularization_scaling: Option<&'a Bound<'py, PyAny>>,
    alpha: Option<&'a Bound<'py, PyAny>>,
    weighting: Option<&'a Bound<'py, PyAny>>,
}

impl Ranges<'_, '_> {
    /// What was not given is as suits the convention.
    fn space(&self, confidence: Confidence) -> PyResult<Space> {
        let usual = Space::of(confidence);
        let (scaling, unobserved) = (self.regularization_scaling, self.unobserved_weight);
        Ok(Space {
            factors: span(self.factors, "factors", usual.factors)?,
            unobserved_weight: span(unobserved, "unobserved_weight", usual.unobserved_weight)?,
            regularization: span(self.regularization, "regularization", usual.regularization)?,
            regularization_scaling: span(
                scaling,
                "regularization_scaling",
                usual.regularization_scaling,
            )?,
            alpha: span(self.alpha, "alpha", usual.alpha)?,
            weightings: weightings(self.weighting, usual.weightings)?,
        })
    }
}

/// A number or a pair.
fn span(object: Option<&Bound<'_, PyAny>>, name: &str, usual: Span) -> PyResult<Span> {
    let Some(object) = object else { return Ok(usual) };
    let number = |object: &Bound<'_, PyAny>| <f64 as Named>::named(object, name);
    let read = match number(object) {
        Ok(value) => Ok(Span::fixed(value)),
        Err(_) => {
            let pair = object.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>();
            pair.and_then(|(low, high)| Ok(Span::new(number(&low)?, number(&high)?)))
        }
    };
    read.map_err(|_| {
        PyTypeError::new_err(format!(
            "{name} is {}, expected a number or a pair (low, high)",
            shown(object)
        ))
    })
}

fn weightings(
    object: Option<&Bound<'_, PyAny>>,
    usual: Vec<Weighting>,
) -> PyResult<Vec<Weighting>> {
    let names: Vec<String> = match object {
        None => return Ok(usual),
        Some(one) if one.is_instance_of::<PyString>() => vec![one.extract()?],
        Some(several) => several.extract()?,
    };
    names.iter().map(|name| name.parse().or_raise()).collect()
}
