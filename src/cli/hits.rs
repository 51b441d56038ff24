//! Ranked items, as a table and as JSON.

use serde_json::{Value, json};

use crate::{Answers, Hit, Id, Index};

use super::output::{Align, Table, json_number};
use super::terminal::cell;

/// An id as JSON: a number or a string.
pub(super) fn json_id(id: &Id) -> Value {
    match id {
        Id::Int(id) => Value::from(*id),
        Id::Text(id) => Value::from(id.as_str()),
    }
}

/// An item's id, and its label where the index has labels.
pub(super) fn describe(index: &Index, position: u32) -> String {
    let id = cell(&index.id(position).to_string());
    match index.label(position) {
        Some(label) => format!("{} (id {id})", cell(&label)),
        None => id,
    }
}

/// The same as JSON.
pub(super) fn json_item(index: &Index, position: u32) -> Value {
    let mut item = json!({ "id": json_id(&index.id(position)) });
    if let Some(label) = index.label(position) {
        item["label"] = label.into();
    }
    item
}

/// Hits as JSON, best first; `value` is what their distance is called.
pub(super) fn json_hits(index: &Index, hits: &[Hit], value: &str) -> Value {
    let hit = |(rank, hit): (usize, &Hit)| {
        let mut item = json_item(index, hit.position);
        item["rank"] = (rank + 1).into();
        item[value] = json_number(hit.distance);
        item
    };
    hits.iter().enumerate().map(hit).collect()
}

/// A table of hits: rank, id, label if there are labels, value.
pub(super) struct HitTable<'a> {
    index: &'a Index,
    labelled: bool,
    table: Table,
}

impl<'a> HitTable<'a> {
    /// `query`: the head of a first column that says what was asked, if there is one.
    pub fn new(index: &'a Index, query: Option<&'a str>, value: &'a str) -> HitTable<'a> {
        let labelled = index.label(0).is_some();
        let id = if index.has_text_ids() { Align::Left } else { Align::Right };
        let mut columns: Vec<(&str, Align)> = Vec::new();
        columns.extend(query.map(|query| (query, Align::Right)));
        columns.extend([("rank", Align::Right), ("id", id)]);
        columns.extend(labelled.then_some(("label", Align::Left)));
        columns.push((value, Align::Right));
        HitTable { index, labelled, table: Table::new(columns) }
    }

    pub fn push(&mut self, query: Option<&str>, hits: &[Hit]) {
        for (rank, hit) in (1..).zip(hits) {
            let mut cells: Vec<String> = query.map(str::to_string).into_iter().collect();
            cells.extend([format!("{rank}"), self.index.id(hit.position).to_string()]);
            if self.labelled {
                cells.push(self.index.label(hit.position).unwrap_or_default());
            }
            cells.push(format!("{:.4}", hit.distance));
            self.table.row(cells);
        }
    }

    pub fn into_table(self) -> Table {
        self.table
    }
}

/// The answers to one query of a batch, those that are missing left out.
pub(super) fn hits_of(answers: &Answers, query: usize) -> Vec<Hit> {
    let span = query * answers.k..(query + 1) * answers.k;
    let pairs = answers.positions[span.clone()].iter().zip(&answers.distances[span]);
    pairs
        .filter(|&(&position, _)| position != u32::MAX)
        .map(|(&position, &distance)| Hit { position, distance })
        .collect()
}
