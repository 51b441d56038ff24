//! What a build found, laid out as a file.

use rayon::prelude::*;

use super::Ids;
use super::calibration::{self, Calibration, Truth};
use super::far::{self, Far};
use super::graph;
use super::grow;
use super::names::{fill_ids, fill_labels, plan_ids, plan_labels};
use super::reach::{self, Reaches};
use super::sample::{Sample, Source};
use super::search::Engine;
use super::space::{MemberTiles, Space, SpaceData};
use super::stored::{fill_vectors, plan_vectors};
use crate::exact::Values;
use crate::format::{Content, Header, Image, Key, Kind, Layout};
use crate::metric::Metric;
use crate::progress;
use crate::progress::Work;

/// Everything that a file is made of.
pub(crate) struct Composition<'a> {
    pub content: Content,
    pub values: Values<'a>,
    pub dim: usize,
    pub spaces: Vec<SpaceData>,
    /// For each space, what looks like its queries.
    pub calibrate_with: Vec<Source<'a>>,
    pub seed: u64,
    pub ids: &'a Ids,
    pub labels: Option<&'a [String]>,
    pub users: u64,
    pub metadata: serde_json::Value,
    /// See [`Workspace::window`].
    pub window: usize,
    /// Adds further sections.
    pub plan: &'a (dyn Fn(&mut Layout) + Sync),
    /// Writes them.
    pub fill: &'a (dyn Fn(&mut Image) + Sync),
    /// Who is told, and may stop it.
    pub work: &'a Work<'a>,
}

/// Lays out a file, asks for room of its size and fills it. Once `work` is stopped, what comes back
/// is of no use.
pub(crate) fn compose<S: AsMut<[u8]>, E>(
    mut c: Composition<'_>,
    room: impl FnOnce(usize) -> Result<S, E>,
) -> Result<S, E> {
    let order = c.spaces[0].order();
    let mut row_of = crate::memory::zeroed(order.len());
    order.iter().enumerate().for_each(|(row, &position)| row_of[position as usize] = row as u32);
    let metadata = c.metadata.to_string();
    let layout = plan(&c, &metadata);
    let mut file = room(layout.size())?;
    let mut image = layout.image(file.as_mut());
    image.fill(Key::new(Kind::Metadata, 0), metadata.as_bytes());
    match c.values {
        Values::F32(values) => {
            let out: &mut [f32] = image.section(Key::new(Kind::Vectors, 0));
            copy_rows(out, values, &order, c.dim, c.window, c.work);
        }
        values => fill_vectors(&mut image, values, c.dim, &order),
    }
    image.fill(Key::new(Kind::Positions, 0), &order);
    drop(order);
    image.fill(Key::new(Kind::Rows, 0), &row_of);
    fill_ids(&mut image, c.ids, 0);
    if let Some(labels) = c.labels {
        fill_labels(&mut image, labels, 0);
    }
    // Dropped one after the other: the calibration needs memory of its own.
    let spaces = std::mem::take(&mut c.spaces);
    let metrics: Vec<Metric> = spaces.iter().map(|space| space.metric).collect();
    let tiles: Vec<Option<MemberTiles>> = (0..)
        .zip(spaces)
        .map(|(space, data)| data.fill(&mut image, space, c.values, &row_of))
        .collect();
    (c.fill)(&mut image);
    let header = Header {
        content: c.content,
        rows: row_of.len() as u64,
        dim: c.dim as u32,
        metric: metrics[0].code(),
        users: c.users,
    };
    let directory = image.directory(header);
    let spaces = (0..).zip(metrics.into_iter().zip(tiles)).zip(c.calibrate_with);
    for ((number, (metric, tiles)), source) in spaces {
        // The sections were laid out just before, so they are there.
        let Ok(space) = Space::open(&directory, number, metric) else { continue };
        let sample = |file: &[u8]| Sample::draw(&space, file, source, &row_of, c.seed);
        grow_and_calibrate(&mut image, &space, number, sample, &row_of, tiles, c.work);
    }
    if !c.work.is_stopped() {
        image.finish(&header);
    }
    Ok(file)
}

/// Grows the graph of a space that is to have one, and measures what its searches find.
fn grow_and_calibrate(
    image: &mut Image,
    space: &Space,
    number: u16,
    sample: impl Fn(&[u8]) -> Sample,
    row_of: &[u32],
    tiles: Option<MemberTiles>,
    work: &Work<'_>,
) {
    if space.has_graph() {
        grow::gather(image, space, number, row_of, tiles.as_ref(), work);
    }
    let sample = sample(image.bytes());
    let truth = calibrate(image, space, number, &sample, tiles.as_ref(), work);
    // Linking takes as much memory again.
    drop(tiles);
    if space.has_graph() && !work.is_stopped() {
        grow::link(image, space, number, work);
        calibrate_walks(image, space, number, &sample, &truth, work);
    }
}

/// Copies rows in the order of their positions. Where they are more than a window, each window of
/// the copy is filled by one pass over the vectors in their own order.
fn copy_rows(
    out: &mut [f32],
    values: &[f32],
    order: &[u32],
    dim: usize,
    window: usize,
    work: &Work<'_>,
) {
    let mut copy = |row: usize, position: u32| {
        out[row * dim..][..dim].copy_from_slice(&values[position as usize * dim..][..dim]);
    };
    if window >= order.len() {
        let all = progress::checked(order.iter(), 1 << 12).enumerate();
        return all.for_each(|(row, &position)| copy(row, position));
    }
    for (number, part) in order.chunks(window.max(1)).enumerate() {
        let mut places: Vec<(u32, usize)> = part.iter().copied().zip(number * window..).collect();
        places.par_sort_unstable();
        let places = progress::checked(places.into_iter(), 1 << 12);
        places.for_each(|(position, row)| copy(row, position));
        if work.is_stopped() {
            return;
        }
    }
}

fn plan(c: &Composition<'_>, metadata: &str) -> Layout {
    let n = c.values.n_rows(c.dim);
    let mut layout = Layout::default();
    layout.add(Key::new(Kind::Metadata, 0), metadata.len());
    plan_vectors(&mut layout, c.values);
    layout.add(Key::new(Kind::Positions, 0), n);
    layout.add(Key::new(Kind::Rows, 0), n);
    plan_ids(&mut layout, c.ids, 0);
    if let Some(labels) = c.labels {
        plan_labels(&mut layout, labels, 0);
    }
    for (space, data) in (0..).zip(&c.spaces) {
        data.plan(&mut layout, space);
        layout.add(Key::new(Kind::Calibration, space), calibration::LEN);
        layout.add(Key::new(Kind::Distances, space), far::LEN);
        if data.graph {
            graph::plan_steps(&mut layout, space, data.metric, c.dim);
            layout.add(Key::new(Kind::GraphSlack, space), reach::LEN);
        }
    }
    (c.plan)(&mut layout);
    for (space, data) in (0..).zip(&c.spaces).filter(|(_, data)| data.graph) {
        graph::plan_rows(&mut layout, space, data.metric, n, c.dim);
    }
    layout
}

/// Measures the recall of a filled image's trees and writes its section. `tiles` as for
/// [`grow::gather`].
pub(super) fn calibrate(
    image: &mut Image,
    space: &Space,
    number: u16,
    sample: &Sample,
    tiles: Option<&MemberTiles>,
    work: &Work<'_>,
) -> Truth {
    let engine = Engine::of_head(space, image.bytes()).with_tiles(tiles);
    let truth = Truth::find(&engine, sample, work);
    let truth = if tiles.is_some() { truth.without_codes() } else { truth };
    let measured = Calibration::measure(&engine, sample, &truth, work);
    let mut distances = [0f32; far::LEN];
    Far::measure(&engine, sample, &truth, &mut distances);
    measured.write(image.section(Key::new(Kind::Calibration, number)));
    image.fill(Key::new(Kind::Distances, number), &distances);
    truth
}

/// Measures the recall of walks over the graph and writes its section.
pub(super) fn calibrate_walks(
    image: &mut Image,
    space: &Space,
    number: u16,
    sample: &Sample,
    truth: &Truth,
    work: &Work<'_>,
) {
    let engine = Engine::new(space, image.bytes());
    let reaches = Reaches::measure(&engine, sample, truth, work);
    reaches.write(image.section(Key::new(Kind::GraphSlack, number)));
}
