//! What a model is asked, and its rankings as arrays.

use std::sync::{Arc, OnceLock};

use nearwood::als::{Csr, FoldIn, Model, Ranking};
use nearwood::error::{QueryError, TrainError};
use nearwood::index::check_k;
use nearwood::recommend::{IdColumn, Weighting};
use nearwood::{Ids, Interactions};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::convert::{self, Pair};
use crate::errors::{OrRaise, value_error};
use crate::filter::no_mask_of_numbers;
use crate::ids::{self, Given, Order, is_one};
use crate::interactions::interactions;
use crate::scalar::{Scalar, shown};
use crate::watch;

/// A trained model, what it was trained on, and what is made of it at the first need.
pub struct Fitted {
    pub model: Arc<Model>,
    pub data: Arc<Interactions>,
    /// What early stopping measured.
    pub measured: Vec<f64>,
    fold_in: OnceLock<FoldIn<ItemFactors>>,
}

/// The items' factors of a model that is shared.
pub struct ItemFactors(Arc<Model>);

impl AsRef<[f32]> for ItemFactors {
    fn as_ref(&self) -> &[f32] {
        &self.0.item_factors
    }
}

impl Fitted {
    pub fn new(model: Model, data: Arc<Interactions>, measured: Vec<f64>) -> Fitted {
        Fitted { model: Arc::new(model), data, measured, fold_in: OnceLock::new() }
    }

    /// Folds users in; the items' Gramian is kept.
    pub fn fold_in(&self) -> Result<&FoldIn<ItemFactors>, TrainError> {
        if self.fold_in.get().is_none() {
            let items = ItemFactors(self.model.clone());
            // Another thread may have been faster: either result is the same.
            let _ = self.fold_in.set(FoldIn::new(items, &self.model.params)?);
        }
        self.fold_in.get().ok_or(TrainError::Cancelled)
    }
}

impl Fitted {
    /// Vectors of rows; errors name the rows' ids.
    pub fn folded(&self, rows: &Interactions) -> Result<Vec<f32>, TrainError> {
        let vectors = self.fold_in().and_then(|fold_in| fold_in.fold_in(&rows.matrix));
        vectors.map_err(|error| rows.in_words(error, Weighting::Raw))
    }

    /// Rows whose columns are the model's items: those of `Interactions` are found by id.
    pub fn rows(&self, object: &Bound<'_, PyAny>, what: &str) -> PyResult<Interactions> {
        let rows = interactions(object, what)?;
        let matrix =
            watch::detach(object.py(), || rows.in_columns_of(&self.data.items))?.or_raise()?;
        let (users, items) = (rows.users.clone(), self.data.items.clone());
        Ok(Interactions { users, items, ..Interactions::from_matrix(matrix) })
    }

    /// The vectors of some users: as they are stored, or of the rows that were `given` for them.
    pub fn vectors(
        &self,
        py: Python<'_>,
        users: &[u32],
        given: Option<&Interactions>,
        recalculate: bool,
    ) -> PyResult<Vec<f32>> {
        match (given, recalculate) {
            (Some(rows), true) => watch::detach(py, || self.folded(rows))?.or_raise(),
            (None, true) => Err(value_error("recalculate_user needs user_items")),
            (_, false) => self.model.users(users).or_raise(),
        }
    }

    /// A user's items and weights: of the one row that was `given`, or of the training.
    pub fn row<'a>(
        &'a self,
        user: u32,
        given: Option<&'a Csr>,
    ) -> PyResult<(&'a [u32], &'a [f32])> {
        match given {
            Some(rows) => {
                convert::same_rows("user_items", rows.n_rows(), 1)?;
                Ok(rows.row(0))
            }
            None => {
                self.model.users(&[user]).or_raise()?;
                Ok(self.data.matrix.row(user as usize))
            }
        }
    }
}

/// A question for the best items of some users.
pub struct Question<'a> {
    pub fitted: &'a Fitted,
    pub users: &'a [u32],
    /// The users' rows, if they were given.
    pub given: Option<&'a Csr>,
    /// The users' vectors.
    pub vectors: &'a [f32],
    /// Which items may come up.
    pub mask: Option<&'a [bool]>,
    /// Whether what a user has may not.
    pub without_liked: bool,
    pub n: usize,
}

impl Question<'_> {
    /// The rankings, with the interpreter released.
    pub fn answer(&self, py: Python<'_>) -> PyResult<Vec<Ranking>> {
        watch::detach(py, || self.block(0, self.users.len()))?.or_raise()
    }

    fn block(&self, first: usize, end: usize) -> Result<Vec<Ranking>, QueryError> {
        let d = self.fitted.model.factors;
        let seen = |at: usize| match self.given {
            Some(rows) => rows.row(at).0,
            None => row(&self.fitted.data.matrix, self.users[at]),
        };
        let allowed = |at: usize, item: u32| {
            self.mask.is_none_or(|mask| mask[item as usize])
                && !(self.without_liked && seen(first + at).binary_search(&item).is_ok())
        };
        self.fitted.model.best_items(&self.vectors[first * d..end * d], self.n, &allowed)
    }
}

/// A user's columns; none where there is no such row.
fn row(matrix: &Csr, row: u32) -> &[u32] {
    if (row as usize) < matrix.n_rows() { matrix.row(row as usize).0 } else { &[] }
}

/// Refuses more answers per row than can come: places without an answer are filled.
pub fn at_most(name: &str, asked: usize, n: usize) -> PyResult<()> {
    check_k(asked, n).map_err(|_| {
        let most = n.max(1 << 16);
        let text =
            format!("{name} is {asked}, expected at most {most}: no more than {n} can be found");
        value_error(text)
    })
}

/// Row numbers, and whether there was just one, not in an array.
pub fn numbers(object: &Bound<'_, PyAny>, what: &str) -> PyResult<(Vec<u32>, bool)> {
    match is_one(object) {
        true => Ok((vec![number(object, what)?], true)),
        false => Ok((whole_or_none(object, what)?, false)),
    }
}

/// A row's number.
pub fn number(object: &Bound<'_, PyAny>, what: &str) -> PyResult<u32> {
    match Scalar::of(object)? {
        Scalar::Int(number) => u32::try_from(number).map_err(|_| convert::no_such(what, number)),
        Scalar::Beyond => Err(convert::no_such(what, i64::MAX)),
        _ => {
            let shown = shown(object);
            let text = format!("{what} is {shown}, expected a row number of the matrix, an int");
            Err(PyTypeError::new_err(text))
        }
    }
}

/// Which of `n` rows may come up, by the arguments `items` and `filter_items` where `what` is "item";
/// None: all.
pub fn mask(
    n: usize,
    what: &str,
    only: Option<&Bound<'_, PyAny>>,
    without: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<Vec<bool>>> {
    if without.is_none() && only.is_none() {
        return Ok(None);
    }
    let mut mask = vec![only.is_none(); n];
    for (object, prefix, allowed) in [(only, "", true), (without, "filter_", false)] {
        let Some(object) = object else { continue };
        for number in distinct(object, &format!("{prefix}{what}s"), n)? {
            let unknown = || convert::no_such(what, i64::from(number));
            *mask.get_mut(number as usize).ok_or_else(unknown)? = allowed;
        }
    }
    Ok(Some(mask))
}

/// Whether a row may be an answer to the one of `own`: itself only if that is asked for.
pub fn others<'a>(
    own: &'a [u32],
    include_self: bool,
    mask: Option<&'a [bool]>,
) -> impl Fn(usize, u32) -> bool + Sync + 'a {
    move |at, row| (include_self || own[at] != row) && mask.is_none_or(|mask| mask[row as usize])
}

/// Row numbers, as any column or set of integers has them.
pub fn whole_or_none(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<u32>> {
    rows(ids::plain(row_ids(object, what)?), what)
}

/// Row numbers of which none is meant twice, so that a mask of integers is none: of `n` rows.
pub fn distinct(object: &Bound<'_, PyAny>, what: &str, n: usize) -> PyResult<Vec<u32>> {
    let ids = ids::plain(row_ids(object, what)?);
    no_mask_of_numbers(&ids, n, what, "give the rows that it picks, np.flatnonzero(mask)")?;
    rows(ids, what)
}

fn row_ids(object: &Bound<'_, PyAny>, what: &str) -> PyResult<IdColumn> {
    match ids::given(object, what, Order::Any)? {
        Given::Ids(ids) => Ok(ids),
        Given::Mask(mask) if mask.is_empty() => Ok(IdColumn::Int(Vec::new())),
        Given::Mask(_) => Err(PyTypeError::new_err(format!(
            "{what} holds bools, expected row numbers: give those that a mask picks, \
             np.flatnonzero(mask)"
        ))),
    }
}

fn rows(ids: Ids, what: &str) -> PyResult<Vec<u32>> {
    let Ids::Int(numbers) = ids else {
        return Err(PyTypeError::new_err(format!(
            "{what} holds strings, expected row numbers of the matrix, ints: a Recommender knows users \
             and items by their ids"
        )));
    };
    let row = |number: i64| {
        u32::try_from(number).map_err(|_| {
            value_error(format!("{what} holds {number}, expected 0 to the number of rows"))
        })
    };
    numbers.into_iter().map(row).collect()
}

/// (m, n) ids and scores, or (n,) if `flat`; -1 and -inf where there are no more.
pub fn rankings<'py>(
    py: Python<'py>,
    lists: &[Ranking],
    n: usize,
    flat: bool,
) -> PyResult<Pair<'py>> {
    let hit = |at: usize| lists.get(at / n).and_then(|list| list.get(at % n)).copied();
    let id = |at| hit(at).map_or(-1, |(id, _)| i64::from(id));
    let score = |at| hit(at).map_or(f32::NEG_INFINITY, |(_, score)| score);
    let ids = convert::array(py, convert::collect(lists.len(), n, id)?);
    let scores = convert::array(py, convert::collect(lists.len(), n, score)?);
    if flat { Ok((ids, scores)) } else { convert::fold(ids, scores, n) }
}
