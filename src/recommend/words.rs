//! Errors of a training in the words of whoever gave the interactions: ids in place of rows and
//! columns, and weights as they were before the weighting.

use super::{Interactions, Weighting};
use crate::error::{Entry, TrainError, quoted};
use crate::index::{IdRef, Ids};

impl Interactions {
    /// An error about the weighted matrix of these interactions, told by their ids and weights.
    /// Interactions of a matrix keep its rows and columns; other errors stay as they are.
    #[must_use]
    pub fn in_words(&self, error: TrainError, weighting: Weighting) -> TrainError {
        match error {
            TrainError::Weight { entry: Entry::Place { row, column }, value, expected, .. } => {
                self.weight_in_words(row, column, value, expected, weighting)
            }
            TrainError::NonFinite { row, column, value } if self.given(row, column).is_some() => {
                let expected = "a finite number: drop or repair the entry".to_string();
                self.weight_in_words(row, column, value, expected, weighting)
            }
            TrainError::Singular { side, row, id: None, regularization } => {
                let ids = if side == "user" { &self.users } else { &self.items };
                TrainError::Singular { side, row, id: shown(ids, row), regularization }
            }
            other => other,
        }
    }

    fn weight_in_words(
        &self,
        row: usize,
        column: usize,
        value: f32,
        expected: String,
        weighting: Weighting,
    ) -> TrainError {
        let given = self.given(row, column).unwrap_or(value);
        let entry = match (shown(&self.users, row), shown(&self.items, column)) {
            (Some(user), Some(item)) if !self.is_matrix() => Entry::Pair { user, item },
            _ => Entry::Place { row, column },
        };
        let changed = given.to_bits() != value.to_bits();
        let weighted = changed.then(|| (weighting.to_string(), value));
        TrainError::Weight { entry, value: given, weighted, expected }
    }

    /// Whether rows and columns are all the ids that there are.
    fn is_matrix(&self) -> bool {
        matches!((&self.users, &self.items), (Ids::Sequential(_), Ids::Sequential(_)))
    }

    /// The weight of a pair, if it has one.
    fn given(&self, row: usize, column: usize) -> Option<f32> {
        if row >= self.matrix.n_rows() {
            return None;
        }
        let (items, weights) = self.matrix.row(row);
        let at = items.binary_search(&u32::try_from(column).ok()?).ok()?;
        Some(weights[at])
    }
}

/// An id for a message, a string in quotes; `None` if there is no such row.
fn shown(ids: &Ids, row: usize) -> Option<String> {
    (row < ids.len()).then(|| match ids.get_ref(row) {
        IdRef::Int(id) => id.to_string(),
        IdRef::Text(id) => quoted(id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::als::{Params, Trainer};
    use crate::recommend::IdColumn;

    #[test]
    fn errors_name_ids_and_the_weights_given() {
        let users = IdColumn::Int(vec![9, 9, 4]);
        let items = IdColumn::Text(["b", "a", "a"].map(String::from).to_vec());
        let data =
            Interactions::from_columns(users, items, Some(vec![1.0, 2.0, -1.0]), None).unwrap();
        let log = data.clone().weighted(Weighting::Log1p).unwrap();
        let params = Params { unobserved_weight: 0.2, ..Params::default() };
        let error = Trainer::new(params).fit(&log.matrix).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("the weight of row 1, column 1 is -0.6931472, exp"), "{text}");
        let text = data.in_words(error, Weighting::Log1p).to_string();
        let start = "the weight of user 4, item \"a\" is -1, which log1p makes -0.6931472, expected \
                     above -0.2";
        assert!(text.starts_with(start), "{text}");
        let singular = TrainError::Singular { side: "item", row: 0, id: None, regularization: 0.0 };
        let text = data.in_words(singular, Weighting::Raw).to_string();
        assert!(text.starts_with("the equations of item \"b\" have"), "{text}");
        let matrix = Interactions::from_matrix(data.matrix.clone());
        let text = matrix.weighted(Weighting::Bm25).unwrap_err().to_string();
        assert!(text.starts_with("the weight of row 1, column 1 is -1, expected 0"), "{text}");
    }
}
