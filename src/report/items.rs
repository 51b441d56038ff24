//! The items of a page's map: which, where they stand, and what is near each.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::page::{PageOptions, Subject};
use super::projection::{Projection, project};
use super::text::short;
use crate::error::QueryError;
use crate::index::{BatchOptions, Index};
use crate::metric::Metric;
use crate::random::Random;

/// Neighbours told of each item.
const NEAR: usize = 10;
/// Places go from minus this to this.
const EDGE: f64 = 1000.0;

/// What a page says about items.
pub(super) struct Items {
    /// For the page's script.
    pub data: Value,
    pub n: usize,
    /// What share of the spread the map shows.
    pub share: f64,
}

/// Items drawn, or those that most users have, with their neighbours among all there are.
pub(super) fn items(subject: Subject<'_>, options: &PageOptions<'_>) -> Result<Items, QueryError> {
    let index = subject.by_likeness();
    let (picked, counts) = pick(subject, options);
    let Projection { places, share } = map(index, &picked, options.seed);
    let mut names = Names::new(index, &picked);
    let batch = BatchOptions {
        k: NEAR.min(index.len()),
        n_threads: options.n_threads,
        ..Default::default()
    };
    let answers = index.search_positions(&picked, batch, false)?;
    // Nothing is near an item that a recommender knows nothing about.
    let is_known = |position: u32| match subject {
        Subject::Recommender(_) => {
            index.vector(position).is_some_and(|vector| vector.iter().any(|&x| x != 0.0))
        }
        Subject::Index(_) => true,
    };
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for (at, &position) in picked.iter().enumerate() {
        let mut hits = answers.hits(at);
        hits.retain(|hit| is_known(position) && is_known(hit.position));
        near.push(hits.iter().map(|hit| names.number(hit.position)).collect::<Vec<usize>>());
        far.push(hits.iter().map(|hit| decimal(hit.distance)).collect::<Vec<Value>>());
    }
    let data = json!({
        "n": picked.len(),
        "names": names.names,
        "ids": index.label(0).map(|_| ids(index, &picked)),
        "places": scaled(&places),
        "near": near,
        "far": far,
        "counts": counts,
        "value": if index.metric() == Metric::Dot { "product" } else { "distance" },
    });
    Ok(Items { data, n: picked.len(), share })
}

/// Positions, and how many users have each: the most popular of a recommender; else drawn.
fn pick(subject: Subject<'_>, options: &PageOptions<'_>) -> (Vec<u32>, Option<Vec<usize>>) {
    let n = subject.items().len();
    let Subject::Recommender(recommender) = subject else {
        let mut random = Random::new(options.seed, 0);
        let mut picked = random.sample(n, options.items);
        picked.sort_unstable();
        return (picked.into_iter().map(|at| at as u32).collect(), None);
    };
    let mut counts = vec![0usize; n];
    for user in 0..recommender.n_users() as u32 {
        for &item in recommender.seen(user) {
            // A damaged file may name any.
            counts.get_mut(item as usize).into_iter().for_each(|count| *count += 1);
        }
    }
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.sort_by_key(|&at| (std::cmp::Reverse(counts[at as usize]), at));
    order.truncate(options.items);
    let counts = order.iter().map(|&at| counts[at as usize]).collect();
    (order, Some(counts))
}

/// Vectors are compared by direction where the metric is: the map shows what the search sees.
fn map(index: &Index, picked: &[u32], seed: u64) -> Projection {
    let by_direction = matches!(index.metric(), Metric::Angular | Metric::Dot);
    let mut rows: Vec<f32> = Vec::with_capacity(picked.len() * index.dim());
    for (at, &position) in picked.iter().enumerate() {
        let row = index.vector(position).unwrap_or_default();
        let length = match by_direction {
            true => row.iter().map(|x| x * x).sum::<f32>().sqrt(),
            false => 1.0,
        };
        let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
        rows.extend(row.iter().map(|x| x * scale));
        // A damaged file may name rows that are not there.
        rows.resize((at + 1) * index.dim(), 0.0);
    }
    project(&rows, index.dim(), seed)
}

/// Whole numbers from -[`EDGE`] to [`EDGE`], x and y in turn, on one scale.
fn scaled(places: &[[f64; 2]]) -> Vec<i32> {
    let largest = places.iter().flatten().fold(0.0, |a: f64, x| a.max(x.abs()));
    let scale = if largest > 0.0 { EDGE / largest } else { 0.0 };
    places.iter().flatten().map(|x| (x * scale).round() as i32).collect()
}

/// A distance to four digits; null where it is not finite.
fn decimal(x: f32) -> Value {
    format!("{x:.3e}")
        .parse::<f64>()
        .ok()
        .filter(|x| x.is_finite())
        .map_or(Value::Null, Value::from)
}

fn ids(index: &Index, picked: &[u32]) -> Vec<String> {
    picked.iter().map(|&position| short(&index.id(position).to_string())).collect()
}

/// The names on a page, the picked items' first, each once.
struct Names<'a> {
    index: &'a Index,
    names: Vec<String>,
    numbers: HashMap<u32, usize>,
}

impl<'a> Names<'a> {
    fn new(index: &'a Index, picked: &[u32]) -> Names<'a> {
        let mut names = Names { index, names: Vec::new(), numbers: HashMap::new() };
        for &position in picked {
            names.number(position);
        }
        names
    }

    fn number(&mut self, position: u32) -> usize {
        let next = self.names.len();
        let number = *self.numbers.entry(position).or_insert(next);
        if number == next {
            let label = self.index.label(position).filter(|label| !label.is_empty());
            self.names.push(short(&label.unwrap_or_else(|| self.index.id(position).to_string())));
        }
        number
    }
}
