//! `nearwood.evaluate` and `nearwood.tune`.

use std::sync::Arc;

use nearwood::als::{Csr, Params};
use nearwood::error::{QueryError, TrainError};
use nearwood::eval::{
    Aligned, Evaluation, ItemKnn, KnnOptions, Options, Popularity, Task, align, align_to, seen_by,
};
use nearwood::io::Journal;
use nearwood::recommend::Weighting;
use nearwood::tune::{self, Event, Space, Span};
use nearwood::{Effort, Error, Interactions, Recommender};
use numpy::PyReadonlyArray2;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::als::PyAls;
use crate::convert;
use crate::errors::{OrRaise, value_error};
use crate::interactions::{PyInteractions, interactions};
use crate::options::{Count, Progress, optional, path_of};
use crate::ranking::Fitted;
use crate::recommender::PyRecommender;
use crate::train;
use crate::watch::{self, Watched};

/// What ranks.
enum Ranks<'py> {
    Model(Arc<Fitted>),
    Recommender(Arc<Recommender>),
    Factors(PyReadonlyArray2<'py, f32>, PyReadonlyArray2<'py, f32>),
    Lists(Vec<u32>, usize),
}

impl<'py> Ranks<'py> {
    fn new(model: &Bound<'py, PyAny>) -> PyResult<Ranks<'py>> {
        if let Ok(model) = model.cast::<PyAls>() {
            return Ok(Ranks::Model(model.get().fitted()?));
        }
        if let Ok(recommender) = model.cast::<PyRecommender>() {
            return Ok(Ranks::Recommender(recommender.get().shared()));
        }
        let py = model.py();
        let (users, items) = (intern!(py, "user_factors"), intern!(py, "item_factors"));
        if model.hasattr(users)? && model.hasattr(items)? {
            let factors = |name| convert::matrix(&model.getattr(name)?, "factors");
            return Ok(Ranks::Factors(factors(users)?, factors(items)?));
        }
        lists(model)
    }
}

/// An array of item numbers, (n_users, k); what is negative is nothing.
fn lists<'py>(object: &Bound<'py, PyAny>) -> PyResult<Ranks<'py>> {
    let array = convert::as_array(object)?;
    let whole = array.call_method1("astype", (numpy::dtype::<i64>(object.py()),));
    let read = whole.ok().and_then(|w| w.extract::<PyReadonlyArray2<'_, i64>>().ok());
    match read.filter(|_| matches!(convert::kind(&array), b'i' | b'u')) {
        Some(rows) => {
            let rows = rows.as_array();
            let number = |&item: &i64| u32::try_from(item).unwrap_or(u32::MAX);
            Ok(Ranks::Lists(rows.iter().map(number).collect(), rows.ncols()))
        }
        None => Err(PyTypeError::new_err(format!(
            "model is a {}, expected a trained model, a Recommender, something with user_factors \
             and item_factors, or an integer array (n_users, k) of item numbers",
            object.get_type().name()?
        ))),
    }
}

/// The training, and the test in its numbers.
fn matched(
    ranks: &Ranks<'_>,
    train: Option<Arc<Interactions>>,
    test: &Interactions,
) -> Result<(Csr, Aligned), Error> {
    match (ranks, train) {
        (Ranks::Recommender(rec), train) => {
            let shape = (rec.n_users(), rec.items().len());
            let position = |id: &nearwood::Id| rec.items().position(id);
            let ours = |data: &Interactions| align(data, shape, |id| rec.user(id), position);
            let train = match train {
                Some(train) => ours(&train)?.matrix,
                None => seen_by(rec)?,
            };
            Ok((train, ours(test)?))
        }
        (_, Some(train)) => Ok((train.matrix.clone(), align_to(test, &train)?)),
        (Ranks::Model(fitted), None) => {
            Ok((fitted.data.matrix.clone(), align_to(test, &fitted.data)?))
        }
        (_, None) => Err(QueryError::Parameter {
            name: "train",
            got: "None".into(),
            expected: "the interactions that the model was trained on".into(),
        }
        .into()),
    }
}

/// What is asked beside the matrices.
struct Asked {
    options: Options,
    effort: Effort,
    baselines: bool,
}

/// Users and items, and so what is read, as slices.
enum Ready<'a> {
    Served(&'a Recommender),
    Factors(&'a [f32], &'a [f32], usize),
    Lists(&'a [u32], usize),
}

fn measure(
    ready: &Ready<'_>,
    train: &Csr,
    test: &Aligned,
    asked: &Asked,
    watched: &Watched,
) -> Result<String, Error> {
    let stop = || watched.stopped();
    let task = Task::new(train, &test.matrix, &asked.options)?.interrupt(&stop);
    let evaluation = match *ready {
        Ready::Served(recommender) => task.served(recommender, asked.effort)?,
        Ready::Factors(users, items, factors) => task.factors(users, items, factors)?,
        Ready::Lists(numbers, k) => task.table(numbers, k)?,
    };
    let baselines = if asked.baselines { beside(&task, train, asked, watched)? } else { vec![] };
    Ok(evaluation.report(test, &baselines).to_string())
}

fn beside(
    task: &Task<'_>,
    train: &Csr,
    asked: &Asked,
    watched: &Watched,
) -> Result<Vec<(&'static str, Evaluation)>, Error> {
    let knn = KnnOptions { n_threads: asked.options.n_threads, ..KnnOptions::default() };
    let neighbours = ItemKnn::fit_with(train, &knn, &|_, _| !watched.stopped())?;
    Ok(vec![
        ("popularity", task.popularity(&Popularity::fit(train))),
        ("item_knn", task.item_knn(&neighbours)),
    ])
}

/// Ranks the whole catalogue for every user of a test and measures the lists.
///
/// Args:
///     model: A trained `AlternatingLeastSquares`; a `Recommender`; anything with `user_factors` and
///         `item_factors`; or lists of one's own, an integer array (n_users, k) of item numbers, -1
///         for none.
///     train: What the model was trained on, `Interactions` or a sparse matrix: these items are left
///         out of the lists. None: what the model was fitted on, or the recommender knows.
///     test: The held-out part, `Interactions` (matched by id) or a matrix of the same shape.
///         Entries with a weight above 0 are wanted.
///     k: Where lists are cut, or several such numbers.
///     baselines: Measure popularity and neighbours of items, too.
///     recall: What a recommender's lists are searched with; 0.95 unless told.
///     exact: A recommender's lists by all its factors.
///     include_seen: Items of the training may be recommended, and are wanted if the test has them.
///     seed: Of the order of items with equal scores.
///     n_threads: None: all cores.
///
/// Returns:
///     A dict: recall@k (over the user's test items), capped_recall@k (over min(k, test items)),
///     precision@k, ndcg@k, map@k, mrr@k, hit_rate@k, coverage@k for each k; n_users, whom the
///     means are over, and users_without_test, who were left out; users_without_history,
///     test_entries, entries_seen, entries_not_positive, unknown_users, unknown_items,
///     entries_dropped, n_items; with `baselines` dicts popularity and item_knn.
///
/// Raises:
///     ValueError: If matrices differ in shape or a k is 0.
///
/// >>> import scipy.sparse as sp, nearwood as nw
/// >>> plays = nw.Interactions.from_matrix(sp.csr_matrix([[1, 1, 0], [0, 1, 1], [1, 0, 1]]))
/// >>> train, test = plays.split(method="leave_k_out", k=1)
/// >>> model = nw.AlternatingLeastSquares(factors=2).fit(train, progress=False)
/// >>> found = nw.evaluate(model, train, test, k=2)
/// >>> found["n_users"], found["recall@2"]
/// (3, 1.0)
#[pyfunction]
#[pyo3(signature = (model, train, test, k=None, *, baselines=false, recall=None, exact=false,
    include_seen=false, seed=0, n_threads=None),
    text_signature = "(model, train, test, k=20, *, baselines=False, recall=None, exact=False, include_seen=False, seed=0, n_threads=None)")]
#[expect(clippy::too_many_arguments, reason = "keyword arguments of one call")]
pub fn evaluate<'py>(
    py: Python<'py>,
    model: &Bound<'py, PyAny>,
    train: Option<&Bound<'py, PyAny>>,
    test: &Bound<'py, PyAny>,
    k: Option<&Bound<'py, PyAny>>,
    baselines: bool,
    recall: Option<f64>,
    exact: bool,
    include_seen: bool,
    seed: u64,
    n_threads: Option<Count>,
) -> PyResult<Bound<'py, PyAny>> {
    let ranks = Ranks::new(model)?;
    let train = train.map(|train| interactions(train, "train")).transpose()?;
    let test = interactions(test, "test")?;
    let ks = lengths(k)?;
    let options = Options { ks, seed, include_seen, n_threads: optional(n_threads) };
    let asked = Asked { options, effort: convert::effort(recall, None, exact)?, baselines };
    let (train, test) = matched(&ranks, train, &test).or_raise()?;
    let ready = match &ranks {
        Ranks::Recommender(recommender) => Ready::Served(recommender),
        Ranks::Model(fitted) => {
            let model = &fitted.model;
            Ready::Factors(&model.user_factors, &model.item_factors, model.factors)
        }
        Ranks::Factors(users, items) => {
            let factors = users.as_array().ncols();
            Ready::Factors(convert::values(users)?, convert::values(items)?, factors)
        }
        Ranks::Lists(numbers, k) => Ready::Lists(numbers, *k),
    };
    let work = |watched: &Watched| measure(&ready, &train, &test, &asked, watched);
    convert::json(py, &watch::run(py, work, |_, _| Ok(true))?.or_raise()?)
}

/// One number, or several.
fn lengths(k: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<usize>> {
    let Some(k) = k else { return Ok(vec![20]) };
    match k.extract::<Count>() {
        Ok(one) => Ok(vec![one.0]),
        Err(_) => Ok(k.extract::<Vec<Count>>()?.into_iter().map(|k| k.0).collect()),
    }
}

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
///     weighting: A name or several; None: all.
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
///     "metric", "n_users", "resumed".
///
/// Raises:
///     ValueError: If an argument is out of its range or no trial has a figure.
///     FormatError: If the journal is of another search.
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
    iterations: Count,
    metric: &str,
    trials: Count,
    refine: Count,
    validation: f64,
    users: Count,
    patience: Count,
    journal: Option<&Bound<'py, PyAny>>,
    random_state: u64,
    n_threads: Option<Count>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let data = interactions(data, "data")?;
    let usual = Space::of(confidence.parse().or_raise()?);
    let space = Space {
        factors: span(factors, "factors", usual.factors)?,
        unobserved_weight: span(unobserved_weight, "unobserved_weight", usual.unobserved_weight)?,
        regularization: span(regularization, "regularization", usual.regularization)?,
        regularization_scaling: span(
            regularization_scaling,
            "regularization_scaling",
            usual.regularization_scaling,
        )?,
        alpha: span(alpha, "alpha", usual.alpha)?,
        weightings: weightings(weighting, usual.weightings)?,
    };
    let base = Params {
        iterations: iterations.0,
        seed: random_state,
        n_threads: optional(n_threads),
        ..Params::default()
    };
    let options = tune::Options {
        space,
        trials: trials.0,
        refine: refine.0,
        target: metric.parse().or_raise()?,
        validation,
        users: users.0,
        patience: patience.0,
        seed: random_state,
        base: train::named(base, confidence, solver)?,
    };
    let mut journal = match journal {
        Some(path) => Journal::open(path_of(path)?).or_raise()?,
        None => Journal::in_memory(),
    };
    let progress = Progress::new(Some(&train::shown(py, progress)), "tuning")?;
    let heard = progress.is_heard();
    let work = |watched: &Watched| {
        let mut on = |event: &Event<'_>| match event {
            Event::Trial { trial, of } => watched.go_on(heard, trial.trial + 1, *of),
            Event::Epoch { .. } => !watched.stopped(),
            _ => true,
        };
        let found = tune::tune(&data, &options, &mut journal, &|| watched.stopped(), &mut on)?;
        Ok::<_, Error>(found.report(&options)?)
    };
    let found = watch::run(py, work, |py, report| progress.tell(py, report).map(|()| true))?;
    convert::json(py, &found.or_raise()?.to_string())
}

/// A number or a pair.
fn span(object: Option<&Bound<'_, PyAny>>, name: &str, usual: Span) -> PyResult<Span> {
    let Some(object) = object else { return Ok(usual) };
    let read = match object.extract::<f64>() {
        Ok(value) => Ok(Span::fixed(value)),
        Err(_) => object.extract::<(f64, f64)>().map(|(low, high)| Span::new(low, high)),
    };
    read.map_err(|_| PyTypeError::new_err(format!("{name} is neither a number nor a pair of them")))
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

/// `train, test` of a split, by its method's name.
pub fn split(
    data: &Interactions,
    method: &str,
    share: f64,
    k: usize,
    seed: u64,
) -> PyResult<(PyInteractions, PyInteractions)> {
    use nearwood::eval::Split;
    let split = match method {
        "random" => Split::Random { share },
        "leave_k_out" => Split::LeaveKOut { k },
        "user_time" => Split::UserTime { k },
        "time" => Split::Time { share },
        _ => {
            return Err(value_error(format!(
                "method is {method:?}, expected \"random\", \"leave_k_out\", \"user_time\" or \
                 \"time\""
            )));
        }
    };
    let parts: Result<_, TrainError> = data.split(split, seed);
    let parts = parts.or_raise()?;
    let train = PyInteractions::training(parts.train, parts.users_left_whole);
    Ok((train, PyInteractions::new(parts.test)))
}
