//! A graph grown from the first tree of a space whose other sections are written.

use rayon::prelude::*;

use super::graph::{DEGREE, in_halves, kinds, measure_between_rows, width};
use super::search::Engine;
use super::space::{MemberTiles, Space};
use crate::exact::{Rows, Stored};
use crate::forest::{Ask, Block, BlockScratch, search_block};
use crate::format::{Image, Key};
use crate::graph::{self, Links, NONE};
use crate::kernel::scattered::{ByteRows, Measure};
use crate::progress::Work;
use crate::quant::{self, halves};
use crate::threads;

/// How many rows are looked through for the neighbours of one, before neighbours of neighbours are: of
/// the most, 0.90 of the ten nearest are then on a list on 200,000 SIFT descriptors, and 0.93 after. Of
/// fewer rows fewer are, for the same recall of walks.
fn budget(n_rows: usize) -> usize {
    (n_rows / 20).clamp(2500, 4000)
}

/// Of how many neighbours how many neighbours are tried.
const NEAR: usize = 10;

/// See [`Links::slack`], of squared distances; of others its root.
const SLACK: f32 = 1.2;

/// Rows no further than this from each other are not told apart by what walks compare: of halves a
/// quarter of a step in every dimension, of whole bytes half of one.
fn alike(measure: Measure, dim: usize) -> f32 {
    match measure {
        Measure::Squares => 16.0 * dim as f32,
        Measure::Differences => 0.5 * dim as f32,
        _ => 0.0,
    }
}

/// Rows whose neighbours are looked for together.
const BLOCK: usize = 1024;

/// The units of work that growing counts.
pub(super) fn work(n_rows: usize) -> u64 {
    8 * n_rows as u64
}

/// Writes how rows are coded, whole codes, and lists, these being of the nearest rows, for [`link`];
/// codes and lists are the last sections of the file. `tiles` are the first tree's members in 8-bit codes, if the file
/// does not have them.
pub(super) fn gather(
    image: &mut Image,
    space: &Space,
    number: u16,
    row_of: &[u32],
    tiles: Option<&MemberTiles>,
    work: &Work<'_>,
) {
    let [steps, codes, lists] = kinds(in_halves(space.metric)).map(|kind| Key::new(kind, number));
    let trained = steps_of(&Engine::of_head(space, image.bytes()), row_of);
    image.fill(steps, &trained);
    let (file, [codes, lists]) = image.last_two([codes, lists]);
    let lists: &mut [u32] = bytemuck::cast_slice_mut(lists);
    let engine = Engine::of_head(space, file);
    encode(&engine, &trained, codes);
    nearest_rows(&engine.with_tiles(tiles), lists, work);
}

/// Makes a graph of the lists of nearest rows, and halves of the codes. Allocates as much as the lists
/// take, and then as half of the codes do.
pub(super) fn link(image: &mut Image, space: &Space, number: u16, work: &Work<'_>) {
    let [_, codes, lists] = kinds(in_halves(space.metric)).map(|kind| Key::new(kind, number));
    let (_, [codes, lists]) = image.last_two([codes, lists]);
    let lists: &mut [u32] = bytemuck::cast_slice_mut(lists);
    let measure = measure_between_rows(space.metric);
    let width = width(space.metric, space.dim);
    let rows = ByteRows { bytes: codes, width };
    let mut better = crate::memory::filled(NONE, lists.len());
    if work.is_stopped() {
        return;
    }
    let slack = match measure {
        Measure::Squares => SLACK,
        _ => SLACK.sqrt(),
    };
    let links = Links { rows, measure, degree: DEGREE, slack };
    graph::link(links, lists, NEAR, &mut better, work);
    drop(better);
    graph::chain(rows, measure, alike(measure, space.dim), lists, DEGREE);
    if in_halves(space.metric) {
        halves::split(codes, width);
    }
}

/// Writes a row's values at the length that the metric has them.
fn read(rows: Rows<'_>, row: usize, out: &mut [f32]) {
    let factor = rows.factor(row);
    out.iter_mut().zip(rows.row(row).iter()).for_each(|(out, x)| *out = x * factor);
}

/// How rows are coded, from rows drawn by position, so that it does not depend on the tree.
fn steps_of(engine: &Engine<'_>, row_of: &[u32]) -> Vec<f32> {
    let rows = engine.rows;
    let position = |at: usize, out: &mut [f32]| read(rows, row_of[at] as usize, out);
    match in_halves(rows.metric) {
        true => halves::train(rows.len(), rows.dim, position),
        false => vec![quant::shared_scale(rows.len(), engine.mean, position)],
    }
}

fn encode(engine: &Engine<'_>, steps: &[f32], codes: &mut [u8]) {
    let rows = engine.rows;
    let each = codes.par_chunks_exact_mut(width(rows.metric, rows.dim)).enumerate();
    threads::for_each_init(
        each,
        || vec![0f32; rows.dim],
        |values, (row, out)| match rows.values.stored(row, rows.dim) {
            Stored::Bits(bits) => out[..bits.len()].copy_from_slice(bits),
            Stored::Floats(_) => {
                read(rows, row, values);
                match in_halves(rows.metric) {
                    true => halves::Steps(steps).encode(values, out),
                    false => quant::encode_shared(values, engine.mean, steps[0], out),
                }
            }
        },
    );
}

/// For each row the nearest others that a search with a budget finds, the nearest first.
fn nearest_rows(engine: &Engine<'_>, lists: &mut [u32], work: &Work<'_>) {
    let rows = engine.rows;
    let blocks = lists.par_chunks_mut(BLOCK * DEGREE).enumerate();
    threads::for_each_init(blocks, BlockScratch::default, |scratch, (block, lists)| {
        if work.is_stopped() {
            return;
        }
        let own: Vec<u32> =
            (block * BLOCK..).take(lists.len() / DEGREE).map(|r| r as u32).collect();
        let queries = prepared(rows, &own);
        let ask = |row| Ask { budget: budget(rows.len()), excluded: std::slice::from_ref(row) };
        let block = Block {
            tree: engine.trees[0],
            queries: &queries,
            asks: &own.iter().map(ask).collect::<Vec<Ask<'_>>>(),
            metric: rows.metric,
            mean: engine.mean,
            code_scale: engine.code_scale,
            keep: DEGREE,
            allowed: None,
            n_rows: rows.len(),
        };
        search_block(block, scratch);
        lists.fill(NONE);
        for (at, list) in lists.chunks_exact_mut(DEGREE).enumerate() {
            let found = scratch.candidates(at);
            list.iter_mut().zip(found).for_each(|(place, found)| *place = found.1);
        }
        work.advance(4 * own.len() as u64);
    });
}

fn prepared(rows: Rows<'_>, which: &[u32]) -> Vec<f32> {
    let mut queries = Vec::with_capacity(which.len() * rows.dim);
    which.iter().for_each(|&row| queries.extend_from_slice(&rows.row(row as usize)));
    queries.chunks_exact_mut(rows.dim).for_each(|query| rows.prepare(query));
    queries
}
