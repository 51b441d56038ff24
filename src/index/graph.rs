//! The neighbour graph of a space: its sections, and walks over it.

use std::ops::Range;

use super::names::view;
use super::reach::Walk;
use super::search::Engine;
use crate::error::OpenError;
use crate::forest;
use crate::format::{Directory, Key, Kind, Layout};
use crate::graph::{self, Graph, Until};
use crate::kernel::bytes;
use crate::kernel::float;
use crate::kernel::scattered::{ByteRows, Measure};
use crate::metric::Metric;
use crate::quant;

/// Places in a row's list. From 24 to 48 a recall takes the same number of comparisons, within 3 per
/// cent, on descriptors and on sentences; more places cost memory, fewer leave 0.99 out of reach.
pub(super) const DEGREE: usize = 32;

/// The most places that a file may have.
const MAX_DEGREE: usize = 1024;

/// The most rows of a graph: walks mark rows in the highest bit.
pub(super) const MAX_ROWS: usize = 1 << 31;

/// Leaves that walks begin at, and members of each.
const LEAVES: usize = 4;
const MEMBERS: usize = 4;

/// Whether a graph serves a metric. By inner product a row's neighbours are not where its products
/// are large: walks over a graph of near rows stop at recalls of 0.48 to 0.94 on factors, where coded
/// leaves reach 0.99 at 80,000 queries a second.
pub(super) fn serves(metric: Metric) -> bool {
    metric != Metric::Dot
}

/// What walks compare rows by. Of vectors of length 1 the product says as much as the distance, for a
/// third of the instructions.
fn measure(metric: Metric) -> Measure {
    match metric {
        Metric::Angular | Metric::Dot => Measure::Products,
        metric => measure_between_rows(metric),
    }
}

/// What a graph is built by.
pub(super) fn measure_between_rows(metric: Metric) -> Measure {
    match metric {
        Metric::Euclidean | Metric::Angular | Metric::Dot => Measure::Squares,
        Metric::Manhattan => Measure::Differences,
        Metric::Hamming => Measure::Bits,
    }
}

/// Bytes of a row: whole halves of lines, so that a row lies on no more lines than it must.
pub(super) fn width(metric: Metric, dim: usize) -> usize {
    let bytes = if metric == Metric::Hamming { bytes::packed_len(dim) } else { dim };
    match bytes {
        0..=16 => 16,
        _ => bytes.next_multiple_of(32),
    }
}

/// Where a graph's sections are.
#[derive(Debug, Clone)]
pub(super) struct GraphRanges {
    scale: Range<usize>,
    codes: Range<usize>,
    lists: Range<usize>,
    width: usize,
    degree: usize,
}

/// A graph and what queries are coded with.
#[derive(Clone, Copy)]
pub(super) struct Linked<'a> {
    graph: Graph<'a>,
    scale: f32,
}

/// Adds what is grown when all other sections are written, so that it stands behind them.
pub(super) fn plan_rows(layout: &mut Layout, space: u16, metric: Metric, n: usize, dim: usize) {
    layout.add(Key::new(Kind::GraphCodes, space), n * width(metric, dim));
    layout.add(Key::new(Kind::GraphLists, space), n * DEGREE);
}

impl GraphRanges {
    /// Finds the sections and checks their lengths; `None` if there is no graph.
    pub fn open(
        d: &Directory,
        space: u16,
        metric: Metric,
        n: usize,
        dim: usize,
    ) -> Result<Option<GraphRanges>, OpenError> {
        let key = |kind| Key::new(kind, space);
        let Some(lists) = d.range(key(Kind::GraphLists)) else { return Ok(None) };
        let width = width(metric, dim);
        let degree = lists.len() / size_of::<u32>() / n;
        let wrong = |what: &str, got: String, expected: String| {
            Err(OpenError::Invalid { what: what.into(), got, expected })
        };
        if degree == 0 || degree > MAX_DEGREE {
            return wrong("the graph's degree", degree.to_string(), format!("1 to {MAX_DEGREE}"));
        }
        if n > MAX_ROWS || !serves(metric) {
            let got = format!("one of {n} rows by {metric}");
            return wrong("the graph", got, format!("at most {MAX_ROWS} rows, no products"));
        }
        let bytes = n.saturating_mul(width);
        Ok(Some(GraphRanges {
            scale: d.sized(key(Kind::GraphScale), 1, "search")?,
            codes: d.sized(key(Kind::GraphCodes), bytes, "search")?,
            lists: d.sized(key(Kind::GraphLists), n * degree, "search")?,
            width,
            degree,
        }))
    }

    pub fn view<'a>(&self, file: &'a [u8], metric: Metric) -> Linked<'a> {
        let scale: &[f32] = view(file, &self.scale);
        Linked {
            graph: Graph {
                rows: ByteRows { bytes: view(file, &self.codes), width: self.width },
                measure: measure(metric),
                lists: view(file, &self.lists),
                degree: self.degree,
            },
            scale: scale[0],
        }
    }
}

/// Memory that walks use again.
#[derive(Default)]
pub(super) struct WalkMemory {
    query: Vec<u8>,
    entries: Vec<u32>,
    walked: graph::Scratch,
    found: Vec<(f32, u32)>,
}

impl WalkMemory {
    /// What the last walk found, (score, row), the nearest first.
    pub fn found(&self) -> &[(f32, u32)] {
        &self.found
    }
}

impl Linked<'_> {
    /// The graph itself.
    pub fn graph(&self) -> Graph<'_> {
        self.graph
    }

    /// What a unit of the bytes is worth.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// Writes what a prepared query is compared as. Returns what a unit of a distance is worth in the
    /// scores that candidates of leaves have, and what is measured for no distance.
    fn encode(&self, query: &[f32], mean: &[f32], out: &mut Vec<u8>) -> (f32, f32) {
        out.clear();
        out.resize(self.graph.rows.width, 0);
        match self.graph.measure {
            Measure::Bits => {
                bytes::pack(query, out);
                (1.0, 0.0)
            }
            Measure::Products => {
                let about = quant::encode_plain(query, bytemuck::cast_slice_mut(out));
                let worth = 2.0 * self.scale * about.scale;
                // |q - x|^2 = 2 - 2 <q, mean> + worth times what is measured.
                let shift = 2.0 - 2.0 * float::dot(query, mean);
                (worth, if worth > 0.0 { -shift / worth } else { 0.0 })
            }
            Measure::Differences => {
                quant::encode_shared(query, mean, self.scale, out);
                (self.scale, 0.0)
            }
            Measure::Squares => {
                quant::encode_shared(query, mean, self.scale, out);
                (self.scale * self.scale, 0.0)
            }
        }
    }
}

impl Engine<'_> {
    /// Walks to a prepared query; of the nearest rows that were met the first `keep` that were not
    /// excluded are then in `memory`. The row `never` is passed by: an excluded one is not, since its
    /// neighbours are the query's. `scratch.begin()` comes first. Returns how many rows were compared.
    pub fn walk(
        &self,
        linked: Linked<'_>,
        query: &[f32],
        never: Option<u32>,
        (walk, keep): (Walk, usize),
        scratch: &mut forest::Scratch,
        memory: &mut WalkMemory,
    ) -> usize {
        let (worth, zero) = linked.encode(query, self.mean, &mut memory.query);
        memory.entries.clear();
        let request = self.request(query, 1);
        forest::enter(&self.trees[0], request, (LEAVES, MEMBERS), scratch, &mut memory.entries);
        let compared = graph::walk(
            linked.graph,
            &memory.query,
            &memory.entries,
            never,
            Until { k: walk.k, slack: walk.slack, reach: walk.reach, zero },
            &mut memory.walked,
        );
        memory.found.clear();
        let found = memory.walked.found().filter(|found| !scratch.is_excluded(found.1));
        memory.found.extend(found.take(keep).map(|(key, row)| (worth * key, row)));
        compared
    }
}
