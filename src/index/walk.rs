//! Walks over a space's neighbour graph.
//!
//! A walk begins at a few members of the nearest leaves. Where rows are kept in halves it compares high
//! halves, and what it found is then put in order by whole bytes: both read fewer lines of memory than
//! whole bytes all along would.

use super::graph::{Coded, Linked};
use super::reach::Walk;
use super::search::Engine;
use crate::forest;
use crate::graph::{self, Until};
use crate::kernel::bytes;
use crate::kernel::code::prefetch;
use crate::kernel::float;
use crate::kernel::scattered::{self, ByteRows, Measure};
use crate::quant::{self, halves};

/// Leaves that walks begin at, and members of each.
const LEAVES: usize = 4;
const MEMBERS: usize = 4;

/// How many rows are put in order by whole bytes where `keep` are kept. Of twice as many the recall is
/// no higher in the third digit; of no more than are kept it is 0.001 lower.
fn joined_for(keep: usize) -> usize {
    keep.saturating_add(keep / 2)
}

/// Memory that walks use again.
#[derive(Default)]
pub(super) struct WalkMemory {
    query: Vec<u8>,
    entries: Vec<u32>,
    walked: graph::Scratch,
    found: Vec<(f32, u32)>,
    joined: Joined,
}

/// Rows of whole bytes made of halves.
#[derive(Default)]
struct Joined {
    query: Vec<u8>,
    rows: Vec<u8>,
    ids: Vec<u32>,
    keys: Vec<f32>,
}

impl WalkMemory {
    /// What the last walk found, (score, row), the nearest first.
    pub fn found(&self) -> &[(f32, u32)] {
        &self.found
    }
}

impl Linked<'_> {
    /// Writes what a prepared query is walked with. Returns what a unit of a distance is worth in the
    /// scores that candidates of leaves have, and what is measured for no distance.
    fn encode(&self, query: &[f32], mean: &[f32], out: &mut Vec<u8>) -> (f32, f32) {
        out.clear();
        out.resize(self.graph.measure.query_len(self.graph.rows.width), 0);
        let scale = match self.coded {
            // Scores come from whole bytes.
            Coded::Halves(steps, _) => return (1.0, steps.encode_query(query, out)),
            Coded::Whole(scale) => scale,
        };
        match self.graph.measure {
            Measure::Bits => {
                bytes::pack(query, out);
                (1.0, 0.0)
            }
            Measure::Products => {
                let about = quant::encode_plain(query, bytemuck::cast_slice_mut(out));
                let worth = 2.0 * scale * about.scale;
                // |q - x|^2 = 2 - 2 <q, mean> + worth times what is measured.
                let shift = 2.0 - 2.0 * float::dot(query, mean);
                (worth, if worth > 0.0 { -shift / worth } else { 0.0 })
            }
            Measure::Differences => {
                quant::encode_shared(query, mean, scale, out);
                (scale, 0.0)
            }
            // Halves have their own way, above.
            Measure::Squares | Measure::Halves => {
                quant::encode_shared(query, mean, scale, out);
                (scale * scale, 0.0)
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
        let WalkMemory { walked, found, joined, .. } = memory;
        let met = walked.found().filter(|met| !scratch.is_excluded(met.1));
        found.clear();
        match linked.coded {
            Coded::Whole(_) => found.extend(met.take(keep).map(|(key, row)| (worth * key, row))),
            Coded::Halves(steps, low) => {
                let few = met.take(joined_for(keep)).map(|met| met.1);
                joined.score(linked.graph.rows, low, steps, query, few, found);
                found.truncate(keep);
            }
        }
        compared
    }
}

impl Joined {
    /// Writes (score, row) of rows by their whole bytes, sorted.
    fn score(
        &mut self,
        high: ByteRows<'_>,
        low: ByteRows<'_>,
        steps: halves::Steps<'_>,
        query: &[f32],
        rows: impl Iterator<Item = u32>,
        out: &mut Vec<(f32, u32)>,
    ) {
        let width = 2 * high.width;
        self.ids.clear();
        self.ids.extend(rows.inspect(|&row| prefetch(low.row(row), low.width)));
        self.query.resize(width, 0);
        steps.encode(query, &mut self.query);
        self.rows.resize(self.ids.len() * width, 0);
        for (bytes, &row) in self.rows.chunks_exact_mut(width).zip(&self.ids) {
            halves::join(high.row(row), low.row(row), bytes);
        }
        self.keys.resize(self.ids.len(), 0.0);
        let rows = ByteRows { bytes: &self.rows, width };
        scattered::in_order(Measure::Squares, &self.query, rows, &mut self.keys);
        let worth = steps.step() * steps.step();
        out.extend(self.keys.iter().zip(&self.ids).map(|(key, &row)| (worth * key, row)));
        out.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    }
}
