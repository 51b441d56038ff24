//! Walks over a space's neighbour graph.
//!
//! A walk begins at a few members of the nearest leaves. Where rows are kept in halves it compares high
//! halves, and what it found is then put in order by whole bytes: both read fewer lines of memory than
//! whole bytes all along would.

use super::code_error::Compared;
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

/// Squared steps of whole bytes in a unit of what is measured of high halves: two that differ by 1 are 16
/// steps apart, and measured as 4.
const HALVES_UNIT: f32 = 64.0;

/// Memory that walks use again.
#[derive(Default)]
pub(super) struct WalkMemory {
    query: Vec<u8>,
    entries: Vec<u32>,
    walked: graph::Scratch,
    /// Rows met, by high halves.
    met: Vec<(f32, u32)>,
    found: Vec<(f32, u32)>,
    joined: Joined,
    compared: Compared,
    /// The score from which on rows were not kept.
    limit: f32,
    is_short: bool,
}

/// Rows of whole bytes made of halves.
#[derive(Default)]
struct Joined {
    query: Vec<u8>,
    rows: Vec<u8>,
    keys: Vec<f32>,
}

impl WalkMemory {
    /// What the last walk found, (score, row), the nearest first.
    pub fn found(&self) -> &[(f32, u32)] {
        &self.found
    }

    /// Whether more neighbours than allowed are expected among rows that the last walk met and did not
    /// keep, as far as high halves tell.
    pub fn is_short(&self) -> bool {
        self.is_short
    }

    /// The score from which on the last walk kept no rows, if [`found`](Self::found) are all that it kept.
    pub fn limit(&self) -> f32 {
        self.limit
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

/// How a walk goes, and what is kept of what it meets.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    /// How the walk goes.
    pub walk: Walk,
    /// How many neighbours are wanted.
    pub k: usize,
    /// How many rows are kept at least.
    pub keep: usize,
    /// How many neighbours may be lost on the way from coarse codes to finer ones.
    pub allowed: f64,
}

impl Engine<'_> {
    /// Walks to a prepared query; the nearest rows that were met and not excluded are then in `memory`.
    /// The row `never` is passed by: an excluded one is not, since its neighbours are the query's.
    /// `scratch.begin()` comes first. Returns how many rows were compared.
    pub fn walk(
        &self,
        linked: Linked<'_>,
        query: &[f32],
        never: Option<u32>,
        kept: Kept,
        scratch: &mut forest::Scratch,
        memory: &mut WalkMemory,
    ) -> usize {
        let walk = kept.walk;
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
        let WalkMemory { walked, met, found, .. } = memory;
        let all = walked.found().filter(|met| !scratch.is_excluded(met.1));
        found.clear();
        memory.is_short = false;
        match linked.coded {
            Coded::Whole(_) => {
                found.extend(all.map(|(key, row)| (worth * key, row)));
                memory.limit = worth * walked.limit();
            }
            Coded::Halves(steps, low) => {
                // In the units of whole bytes.
                let unit = HALVES_UNIT * steps.step() * steps.step();
                met.clear();
                met.extend(all.map(|(key, row)| (unit * (key - zero), row)));
                memory.limit = unit * (walked.limit() - zero);
                memory.join(linked.graph.rows, (low, steps), query, kept, unit);
            }
        }
        compared
    }
}

impl WalkMemory {
    /// Scores by whole bytes the nearest of the rows met by high halves, as many as the error of these
    /// makes it take; scores by high halves differ by `unit` if at all.
    fn join(
        &mut self,
        high: ByteRows<'_>,
        (low, steps): (ByteRows<'_>, halves::Steps<'_>),
        query: &[f32],
        kept: Kept,
        unit: f32,
    ) {
        let WalkMemory { met, found, joined, compared, .. } = self;
        joined.begin(steps, query, 2 * high.width);
        compared.clear();
        let mut others = &met[..];
        let mut needed = met.len().min(joined_for(kept.keep));
        while needed > 0 {
            let (first, rest) = others.split_at(needed);
            joined.score(high, low, steps, first, |score, row, coarse| {
                found.push((score, row));
                compared.push(score, coarse);
            });
            others = rest;
            let Some(error) = compared.error(kept.k, 1.0, f64::from(unit)) else { break };
            needed = error.needed(others, kept.allowed);
            self.is_short = compared.expected_misses(error, self.limit) > kept.allowed;
        }
        found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    }
}

impl Joined {
    /// Codes a query.
    fn begin(&mut self, steps: halves::Steps<'_>, query: &[f32], width: usize) {
        self.query.clear();
        self.query.resize(width, 0);
        steps.encode(query, &mut self.query);
    }

    /// Scores rows by their whole bytes: each gets the score, the row and the score it had.
    fn score(
        &mut self,
        high: ByteRows<'_>,
        low: ByteRows<'_>,
        steps: halves::Steps<'_>,
        rows: &[(f32, u32)],
        mut each: impl FnMut(f32, u32, f32),
    ) {
        let width = 2 * high.width;
        rows.iter().for_each(|&(_, row)| prefetch(low.row(row), low.width));
        self.rows.resize(rows.len() * width, 0);
        for (bytes, &(_, row)) in self.rows.chunks_exact_mut(width).zip(rows) {
            halves::join(high.row(row), low.row(row), bytes);
        }
        self.keys.resize(rows.len(), 0.0);
        let bytes = ByteRows { bytes: &self.rows, width };
        scattered::in_order(Measure::Squares, &self.query, bytes, &mut self.keys);
        let worth = steps.step() * steps.step();
        for (key, &(coarse, row)) in self.keys.iter().zip(rows) {
            each(worth * key, row, coarse);
        }
    }
}
