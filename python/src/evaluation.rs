//! `nearwood.evaluate`, and the splits.

use std::sync::Arc;

use nearwood::als::Csr;
use nearwood::error::{QueryError, TrainError};
use nearwood::eval::{
    Aligned, Evaluation, ItemKnn, KnnOptions, Options, Popularity, Task, align, align_to, seen_by,
};
use nearwood::{Effort, Error, Ids, Interactions, Recommender};
use numpy::PyReadonlyArray2;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::als::PyAls;
use crate::convert;
use crate::errors::{OrRaise, value_error, warn};
use crate::interactions::{PyInteractions, interactions};
use crate::options::{Counts, Threads, named, threads};
use crate::ranking::Fitted;
use crate::recommender::PyRecommender;
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
    let array = convert::as_array(object, "model")?;
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
        (Ranks::Model(fitted), Some(train)) if has_ids(&fitted.data) && has_ids(&train) => {
            let train = align_to(&train, &fitted.data)?.matrix;
            Ok((train, align_to(test, &fitted.data)?))
        }
        (_, Some(train)) => Ok((train.matrix.clone(), align_to(test, &train)?)),
        (Ranks::Model(fitted), None) if fitted.data.matrix.nnz() > 0 => {
            Ok((fitted.data.matrix.clone(), align_to(test, &fitted.data)?))
        }
        (_, None) => Err(QueryError::Parameter {
            name: "train",
            got: "None".into(),
            expected: "the interactions that the model was trained on, which it does not keep"
                .into(),
        }
        .into()),
    }
}

/// Whether users and items are known by more than their numbers.
fn has_ids(data: &Interactions) -> bool {
    !matches!((&data.users, &data.items), (Ids::Sequential(_), Ids::Sequential(_)))
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
    /// Factors with what they were trained on, in their own numbers.
    Trained(&'a Fitted),
    Lists(&'a [u32], usize),
}

fn measure(
    ready: &Ready<'_>,
    train: &Csr,
    test: &Aligned,
    asked: &Asked,
    watched: &Watched,
) -> Result<(String, Vec<String>), Error> {
    let stop = || watched.stopped();
    let mut task = Task::new(train, &test.matrix, &asked.options)?.interrupt(&stop);
    if let Ready::Trained(fitted) = ready {
        task = task.trained_on(&fitted.data.matrix)?;
    }
    let evaluation = match *ready {
        Ready::Served(recommender) => task.served(recommender, asked.effort)?,
        Ready::Trained(Fitted { model, .. }) => {
            task.factors(&model.user_factors, &model.item_factors, model.factors)?
        }
        Ready::Factors(users, items, factors) => task.factors(users, items, factors)?,
        Ready::Lists(numbers, k) => task.table(numbers, k)?,
    };
    let baselines = if asked.baselines { beside(&task, train, asked, watched)? } else { vec![] };
    let told = match evaluation.why_empty(test) {
        Some(cause) => vec![cause],
        None => evaluation.caveats(test),
    };
    Ok((evaluation.report(test, &baselines).to_string(), told))
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
///     test_entries, entries_seen, entries_not_positive, entries_trained_on, unknown_users,
///     unknown_items, entries_dropped, n_items; with `baselines` dicts popularity and item_knn.
///
/// Warns:
///     UserWarning: If the test leaves nothing to find, so that every figure is 0, or much of it is
///         left out.
///
/// Raises:
///     ValueError: If the model was trained on the test, matrices differ in shape or a k is 0.
///
/// >>> import scipy.sparse as sp, nearwood as nw
/// >>> plays = nw.Interactions.from_matrix(sp.csr_matrix([[1, 1, 0], [1, 1, 1], [0, 1, 1]]))
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
    #[pyo3(from_py_with = named::k)] k: Option<Counts>,
    baselines: bool,
    #[pyo3(from_py_with = named::recall)] recall: Option<f64>,
    exact: bool,
    include_seen: bool,
    #[pyo3(from_py_with = named::seed)] seed: u64,
    n_threads: Option<Threads>,
) -> PyResult<Bound<'py, PyAny>> {
    let ranks = Ranks::new(model)?;
    let train = train.map(|train| interactions(train, "train")).transpose()?;
    let test = interactions(test, "test")?;
    let ks = k.map_or(vec![20], |ks| ks.0);
    let options = Options { ks, seed, include_seen, n_threads: threads(n_threads) };
    let asked = Asked { options, effort: convert::effort(recall, None, exact)?, baselines };
    let (train, test) = matched(&ranks, train, &test).or_raise()?;
    let ready = match &ranks {
        Ranks::Recommender(recommender) => Ready::Served(recommender),
        Ranks::Model(fitted) => Ready::Trained(fitted),
        Ranks::Factors(users, items) => {
            let factors = users.as_array().ncols();
            Ready::Factors(convert::values(users)?, convert::values(items)?, factors)
        }
        Ranks::Lists(numbers, k) => Ready::Lists(numbers, *k),
    };
    let work = |watched: &Watched| measure(&ready, &train, &test, &asked, watched);
    let (report, told) = watch::run(py, work, |_, _| Ok(true))?.or_raise()?;
    told.iter().try_for_each(|text| warn(py, text))?;
    convert::json(py, &report)
}

/// `train, test` of a split, by its method's name.
pub fn split(
    py: Python<'_>,
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
    let parts: Result<_, TrainError> = watch::detach(py, || data.split(split, seed))?;
    let parts = parts.or_raise()?;
    if parts.test.matrix.nnz() == 0 && data.matrix.nnz() > 0 {
        let why = match split {
            Split::Time { .. } => "too many entries have the latest time",
            Split::Random { .. } => "the share is too small for so few entries",
            _ => "no user has more than k entries",
        };
        warn(py, &format!("the split by {method:?} holds out nothing: {why}"))?;
    }
    if parts.known_before > 0 {
        warn(
            py,
            &format!(
                "{} of {} pairs of the test were summed of rows before and after the cut, and are \
                 missing from the training: cut the rows by time first, and make Interactions of \
                 each part",
                parts.known_before,
                parts.test.matrix.nnz()
            ),
        )?;
    }
    let train = PyInteractions::training(parts.train, parts.users_left_whole);
    Ok((train, PyInteractions::new(parts.test)))
}
