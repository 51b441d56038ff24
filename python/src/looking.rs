//! `nearwood.report`, and what `Index.recall_curve` calls.

use std::path::Path;
use std::sync::Arc;

use nearwood::error::OpenError;
use nearwood::eval::Options;
use nearwood::format::Content;
use nearwood::index::{CurveOptions, RecallCurve};
use nearwood::report::{Metrics, PageOptions, Subject, page};
use nearwood::store::{Bytes, write_atomic};
use nearwood::{Effort, Error, Index, Interactions, Recommender};
use pyo3::prelude::*;

use crate::convert::{self, Queries};
use crate::errors::{OrRaise, value_error, warn};
use crate::index::PyIndex;
use crate::input;
use crate::interactions::interactions;
use crate::options::{Count, Counts, Threads, named, path_named, threads};
use crate::recommender::PyRecommender;
use crate::watch::{self, Watched};

/// Measures a curve, and turns it into what Python makes of JSON.
pub fn recall_curve<'py>(
    py: Python<'py>,
    index: &Index,
    queries: Option<&Bound<'py, PyAny>>,
    k: usize,
    budgets: Option<&[usize]>,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let queries = queries.map(|queries| rows(queries, index)).transpose()?;
    let queries = queries.as_ref().map(convert::values).transpose()?;
    let work = |watched: &Watched| {
        let interrupt = || watched.stopped();
        let options = CurveOptions { k, budgets, n_threads, interrupt: &interrupt };
        index.recall_curve(queries, options)
    };
    let curve = watch::run(py, work, |_, _| Ok(true))?.or_raise()?;
    convert::json(py, &curve.to_json().to_string())
}

fn rows<'py>(
    queries: &Bound<'py, PyAny>,
    index: &Index,
) -> PyResult<numpy::PyReadonlyArray2<'py, f32>> {
    match input::queries(queries, index)? {
        Queries::Many(queries) => Ok(queries),
        Queries::One(_) => Err(value_error("queries have 1 dimensions, expected 2, (m, d)")),
    }
}

/// What a page is about.
enum Shown {
    Index(Arc<Index>),
    Recommender(Arc<Recommender>),
}

impl Shown {
    /// The object, and what to call it if nobody says: a file's name.
    fn of(source: &Bound<'_, PyAny>) -> PyResult<(Shown, Option<String>)> {
        if let Ok(index) = source.cast::<PyIndex>() {
            return Ok((Shown::Index(index.get().index.clone()), None));
        }
        if let Ok(recommender) = source.cast::<PyRecommender>() {
            return Ok((Shown::Recommender(recommender.get().shared()), None));
        }
        let path = path_named(source, "source")?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok((watch::detach(source.py(), || Shown::open(&path))?.or_raise()?, name))
    }

    fn open(path: &Path) -> Result<Shown, OpenError> {
        let bytes = Bytes::map_or_read(path)?;
        let index = Index::from_shared(bytes.clone())?;
        Ok(match index.content() {
            Content::Recommender => Shown::Recommender(Arc::new(Recommender::from_shared(bytes)?)),
            _ => Shown::Index(Arc::new(index)),
        })
    }

    fn items(&self) -> &Index {
        match self {
            Shown::Index(index) => index,
            Shown::Recommender(recommender) => recommender.items(),
        }
    }

    fn subject(&self) -> Subject<'_> {
        match self {
            Shown::Index(index) => Subject::Index(index),
            Shown::Recommender(recommender) => Subject::Recommender(recommender),
        }
    }
}

/// What is measured for a page.
struct Asked<'a> {
    speed: bool,
    queries: Option<&'a [f32]>,
    test: Option<&'a Interactions>,
    ks: Vec<usize>,
    page: PageOptions<'a>,
}

impl Asked<'_> {
    fn curve(&self, shown: &Shown, watched: &Watched) -> Result<Option<RecallCurve>, Error> {
        if !self.speed {
            return Ok(None);
        }
        let interrupt = || watched.stopped();
        let n_threads = self.page.n_threads;
        let options = CurveOptions { n_threads, interrupt: &interrupt, ..CurveOptions::default() };
        Ok(Some(match shown {
            Shown::Index(index) => index.recall_curve(self.queries, options)?,
            Shown::Recommender(recommender) => recommender.recall_curve(self.queries, options)?,
        }))
    }

    fn metrics(&self, shown: &Shown, watched: &Watched) -> Result<Option<Metrics>, Error> {
        let (Some(test), Shown::Recommender(recommender)) = (self.test, shown) else {
            return Ok(None);
        };
        let (seed, n_threads) = (self.page.seed, self.page.n_threads);
        let options = Options { ks: self.ks.clone(), seed, n_threads, ..Options::default() };
        let stop = || watched.stopped();
        Metrics::measure(recommender, test, &options, Effort::default(), &stop).map(Some)
    }

    /// The page's text with whatever is measured for it, and why its metrics mean nothing.
    fn html(&self, shown: &Shown, watched: &Watched) -> Result<(String, Option<String>), Error> {
        let (curve, metrics) = (self.curve(shown, watched)?, self.metrics(shown, watched)?);
        let options = PageOptions { curve: curve.as_ref(), metrics: metrics.as_ref(), ..self.page };
        let told = metrics.as_ref().and_then(Metrics::why_empty);
        Ok((page(shown.subject(), &options)?, told))
    }
}

/// Draws an index or a recommender as one HTML page that needs nothing else.
///
/// The page has the recall, the work and the speed of searches, leaf sizes, norms, a map of the items
/// with their names and a search for what is near them, and of a recommender the losses of its
/// training. It loads nothing from anywhere. An item takes at most 4.6 kB of it, usually 0.2 kB.
///
/// Args:
///     source: A file, an `Index` or a `Recommender`.
///     out: The file to write, whole or not at all.
///     queries: (m, d) vectors to measure the speed with; None: those of
///         :meth:`Index.recall_curve`, and of a recommender 500 of its users.
///     speed: False leaves the speed out: nothing is measured, and the same file and arguments give
///         the same page.
///     test: Of a recommender, `Interactions` that were held out: the page has the metrics of
///         :func:`evaluate`, beside those of popularity.
///     k: Where lists are cut for `test`, or several such numbers.
///     items: How many items the map shows, 1 to 5000: a recommender's most popular, an index's
///         drawn at random.
///     title: The heading; None: the file's name.
///     seed: Of what is drawn at random, and of equal scores.
///     n_threads: None: all cores.
///
/// Raises:
///     ValueError: If `items` is out of its range, `test` is given for an index, or `queries` without
///         `speed`.
///     OSError: If a file cannot be read or written.
///
/// >>> import tempfile, pathlib, numpy as np, nearwood as nw
/// >>> index = nw.Index.build(np.random.default_rng(0).normal(size=(200, 8)))
/// >>> out = pathlib.Path(tempfile.mkdtemp()) / "report.html"
/// >>> nw.report(index, out, title="Random vectors")
/// >>> "<title>Random vectors" in out.read_text(encoding="utf-8")
/// True
#[pyfunction]
#[pyo3(signature = (source, out, *, queries=None, speed=true, test=None, k=None,
    items=Count(2000), title=None, seed=0, n_threads=None),
    text_signature = "(source, out, *, queries=None, speed=True, test=None, k=20, items=2000, title=None, seed=0, n_threads=None)")]
#[expect(clippy::too_many_arguments, reason = "keyword arguments of one call")]
pub fn report<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
    out: &Bound<'py, PyAny>,
    queries: Option<&Bound<'py, PyAny>>,
    speed: bool,
    test: Option<&Bound<'py, PyAny>>,
    #[pyo3(from_py_with = named::k)] k: Option<Counts>,
    #[pyo3(from_py_with = named::items)] items: Count,
    title: Option<&str>,
    #[pyo3(from_py_with = named::seed)] seed: u64,
    n_threads: Option<Threads>,
) -> PyResult<()> {
    let (shown, name) = Shown::of(source)?;
    let out = path_named(out, "out")?;
    if test.is_some() && matches!(shown, Shown::Index(_)) {
        return Err(value_error("test measures a recommender's lists, and source is an index"));
    }
    if queries.is_some() && !speed {
        return Err(value_error("queries are to measure the speed with, and speed is False"));
    }
    let queries = queries.map(|queries| rows(queries, shown.items())).transpose()?;
    let test = test.map(|test| interactions(test, "test")).transpose()?;
    let n_threads = threads(n_threads);
    let title = title.or(name.as_deref()).unwrap_or(PageOptions::default().title);
    let asked = Asked {
        speed,
        queries: queries.as_ref().map(convert::values).transpose()?,
        test: test.as_deref(),
        ks: k.map_or(vec![20], |ks| ks.0),
        page: PageOptions { title, items: items.0, seed, n_threads, ..PageOptions::default() },
    };
    let work = |watched: &Watched| asked.html(&shown, watched);
    let (html, told) = watch::run(py, work, |_, _| Ok(true))?.or_raise()?;
    told.iter().try_for_each(|text| warn(py, text))?;
    watch::detach(py, || write_atomic(&out, html.as_bytes()))?.or_raise()
}
