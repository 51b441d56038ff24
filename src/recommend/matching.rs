//! Ids of one set of interactions found in another.

use std::collections::HashMap;

use super::Interactions;
use crate::als::{Csr, Model};
use crate::error::TrainError;
use crate::index::{Id, IdRef, Ids, canonical_int};

/// The numbers of ids, by what finds one. An id that is not found is looked for in its other
/// spelling, since a file whose ids all are integers may be part of a set whose ids are not.
pub(crate) fn numbers(ids: &Ids, find: impl Fn(&Id) -> Option<u32>) -> Vec<Option<u32>> {
    let number = |id: Id| find(&id).or_else(|| find(&other_spelling(&id)?));
    (0..ids.len()).map(|row| number(ids.get(row))).collect()
}

/// The numbers of ids among others.
pub(crate) fn numbers_among(ids: &Ids, others: &Ids) -> Vec<Option<u32>> {
    let table: HashMap<IdRef<'_>, u32> =
        (0..others.len()).map(|row| (others.get_ref(row), row as u32)).collect();
    numbers(ids, |id| table.get(&id.as_ref()).copied())
}

fn other_spelling(id: &Id) -> Option<Id> {
    match id {
        Id::Int(id) => Some(Id::Text(id.to_string())),
        Id::Text(id) => canonical_int(id).map(Id::Int),
    }
}

/// The items' vectors of a model for a training on other data.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Continued {
    /// The start, items x factors: the model's vectors, and zeros for new items, which the first
    /// epoch solves as it would from any start.
    pub items: Vec<f32>,
    /// Items that the model does not have.
    pub new: usize,
    /// Items of the model that the data does not have.
    pub gone: usize,
}

impl Interactions {
    /// The items' vectors of `model`, which was trained on `before`, in the order of these
    /// interactions: found by id. Where neither has ids, items are numbers, and new ones follow the
    /// model's.
    ///
    /// # Errors
    /// If one side has ids and the other none, no item is in both, or without ids there are fewer
    /// items than the model has.
    pub fn continue_from(
        &self,
        model: &Model,
        before: &Interactions,
    ) -> Result<Continued, TrainError> {
        if let (Ids::Sequential(_), Ids::Sequential(n)) = (&before.items, &self.items) {
            let items = model.items_to_continue(*n)?;
            return Ok(Continued { items, new: n - model.n_items, gone: 0 });
        }
        same_kind("warm_start", &self.items, &before.items)?;
        let d = model.factors;
        let mut items = vec![0f32; self.items.len() * d];
        let mut kept = 0;
        for (to, from) in items.chunks_exact_mut(d).zip(numbers_among(&self.items, &before.items)) {
            if let Some(from) = from.filter(|&from| (from as usize) < model.n_items) {
                to.copy_from_slice(model.item(from as usize));
                kept += 1;
            }
        }
        if kept == 0 {
            return Err(TrainError::Parameter {
                name: "warm_start",
                got: format!("true, and none of the {} items is the model's", self.items.len()),
                expected: "items of the model among those of the data: train without warm_start"
                    .into(),
            });
        }
        Ok(Continued { items, new: self.items.len() - kept, gone: model.n_items - kept })
    }

    /// The matrix with the columns of `items`, found by id: what a model trained on those items
    /// takes. A matrix without ids stays as it is: its columns are the model's by number.
    ///
    /// # Errors
    /// If these interactions have ids and `items` are numbers alone, or an entry's item is not
    /// among them.
    pub fn in_columns_of(&self, items: &Ids) -> Result<Csr, TrainError> {
        if matches!(self.items, Ids::Sequential(_)) || self.items == *items {
            return Ok(self.matrix.clone());
        }
        same_kind("the rows", &self.items, items)?;
        let numbers = numbers_among(&self.items, items);
        let column = |&at: &u32| {
            numbers[at as usize].ok_or_else(|| TrainError::Matrix {
                what: "an item of the rows".into(),
                got: self.items.get(at as usize).to_string(),
                expected: "one that the model was trained on: leave it out, or train again".into(),
            })
        };
        let columns: Result<Vec<u32>, TrainError> =
            self.matrix.indices().iter().map(column).collect();
        let (indptr, values) = (self.matrix.indptr().to_vec(), self.matrix.values().to_vec());
        Csr::from_parts(items.len(), indptr, columns?, values)
    }
}

/// That both sides have ids: a model of a matrix, or one read from a file, has numbers alone.
fn same_kind(what: &str, ours: &Ids, models: &Ids) -> Result<(), TrainError> {
    let words = |ids: &Ids| match ids {
        Ids::Sequential(_) => "no ids",
        _ => "ids",
    };
    if words(ours) == words(models) {
        return Ok(());
    }
    Err(TrainError::Matrix {
        what: format!("the data for {what}"),
        got: format!("interactions with {} for a model with {}", words(ours), words(models)),
        expected: "ids on both sides, or a matrix (to_scipy()) whose columns are in the model's \
                   order: a model that was trained on a matrix or read from a file has no ids"
            .into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::als::{Params, Trainer};
    use crate::recommend::IdColumn;

    fn data(users: &[i64], items: &[&str]) -> Interactions {
        let items = IdColumn::Text(items.iter().map(|i| i.to_string()).collect());
        Interactions::from_columns(IdColumn::Int(users.to_vec()), items, None, None).unwrap()
    }

    fn model(data: &Interactions) -> Model {
        let params = Params { factors: 3, iterations: 3, ..Params::default() };
        Trainer::new(params).fit(&data.matrix).unwrap()
    }

    #[test]
    fn a_training_continues_from_the_same_items_in_any_order() {
        let before = data(&[1, 1, 2, 3], &["a", "b", "b", "c"]);
        let model = model(&before);
        let after = data(&[3, 1, 2, 9], &["c", "new", "b", "b"]);
        let start = after.continue_from(&model, &before).unwrap();
        assert_eq!((start.new, start.gone), (1, 1));
        assert_eq!(&start.items[..3], model.item(2), "c");
        assert_eq!(start.items[3..6], [0.0; 3], "new");
        assert_eq!(&start.items[6..], model.item(1), "b");
        let other = data(&[1], &["z"]).continue_from(&model, &before).unwrap_err().to_string();
        assert!(other.starts_with("warm_start is true, and none of the 1 items"), "{other}");
        let matrix = Interactions::from_matrix(before.matrix.clone());
        for (ours, theirs) in [(&after, &matrix), (&matrix, &before)] {
            let text = ours.continue_from(&model, theirs).unwrap_err().to_string();
            assert!(text.contains("expected ids on both sides, or a matrix"), "{text}");
        }
        assert_eq!(matrix.continue_from(&model, &matrix).unwrap().items, model.item_factors);
    }

    #[test]
    fn rows_take_the_columns_of_the_model() {
        let before = data(&[1, 1, 2, 3], &["a", "b", "b", "c"]);
        let rows = data(&[7, 8], &["c", "a"]).in_columns_of(&before.items).unwrap();
        assert_eq!((rows.n_cols(), rows.row(0).0, rows.row(1).0), (3, &[2][..], &[0][..]));
        let error = data(&[7], &["z"]).in_columns_of(&before.items).unwrap_err().to_string();
        assert!(error.starts_with("an item of the rows is z, expected one that"), "{error}");
        let matrix = Interactions::from_matrix(before.matrix.clone());
        assert_eq!(matrix.in_columns_of(&before.items).unwrap(), before.matrix);
        assert!(before.in_columns_of(&matrix.items).is_err());
    }
}
