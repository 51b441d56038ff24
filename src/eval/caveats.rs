//! What the counts of an evaluation say about its figures, in words.

use super::align::Aligned;
use super::task::Evaluation;
use crate::error::quoted;
use crate::index::Id;

impl Evaluation {
    /// Why no user was asked, so that every figure is 0 and means nothing; `None` if one was.
    #[must_use]
    pub fn why_empty(&self, test: &Aligned) -> Option<String> {
        if self.n_users > 0 {
            return None;
        }
        let entries = test.n_entries();
        let cause = if entries == 0 {
            "it has no interactions".to_string()
        } else if test.matrix.nnz() == 0 {
            format!(
                "no interaction of its {entries} is between a user and an item that the model \
                 knows: {}; write ids as in the training",
                unknown(test)
            )
        } else if self.entries_not_positive == entries {
            format!("none of its {entries} interactions has a weight above 0")
        } else if self.entries_seen == entries {
            format!(
                "all of its {entries} interactions are in the training; hold them out of it, or pass \
                 include_seen if people come back to what they have"
            )
        } else {
            format!(
                "of its {entries} interactions {} have unknown ids, {} are in the training and {} \
                 have no weight above 0",
                test.entries_dropped, self.entries_seen, self.entries_not_positive
            )
        };
        Some(format!("the test has nothing to find, so that every figure is 0: {cause}"))
    }

    /// What makes the figures say less than they seem to, each a sentence; none where nothing does.
    #[must_use]
    pub fn caveats(&self, test: &Aligned) -> Vec<String> {
        let mut caveats = Vec::new();
        let trained_on = self.entries_trained_on;
        if trained_on > 0 {
            caveats.push(format!(
                "the model was trained on {trained_on} of the {} test entries to find, which the \
                 training given does not have: train it on the training part alone",
                self.test_entries
            ));
        }
        let seen = self.entries_seen;
        if seen > 0 {
            caveats.push(format!(
                "{seen} of {} test entries are in the training and were left out; if people come \
                 back to what they have, pass include_seen",
                seen + self.test_entries
            ));
        }
        if 2 * test.entries_dropped >= test.n_entries().max(1) {
            caveats.push(format!(
                "{} of {} test entries were left out because the model does not know their ids: {}",
                test.entries_dropped,
                test.n_entries(),
                unknown(test)
            ));
        }
        if self.users_without_history > 0 && 2 * self.users_without_history >= self.n_users {
            caveats.push(format!(
                "{} of the {} users asked have no history in the training: a model of factors has \
                 no list for them, and they count as 0",
                self.users_without_history, self.n_users
            ));
        }
        caveats
    }
}

/// How many users and items are unknown, with one of each.
fn unknown(test: &Aligned) -> String {
    let side = |what: &str, unknown: usize, n: usize, id: Option<String>| match id {
        Some(id) => format!("{unknown} of its {n} {what} are unknown, such as {id}"),
        None => format!("all of its {n} {what} are known"),
    };
    let shown = |id: &Option<Id>| {
        id.as_ref().map(|id| match id {
            Id::Int(id) => id.to_string(),
            Id::Text(text) => quoted(text),
        })
    };
    format!(
        "{}, and {}",
        side("users", test.unknown_users, test.n_users, shown(&test.unknown_user)),
        side("items", test.unknown_items, test.n_items, shown(&test.unknown_item))
    )
}
