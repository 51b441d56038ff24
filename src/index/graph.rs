//! The sections of a space's neighbour graph.

use std::ops::Range;

use super::names::view;
use crate::error::OpenError;
use crate::format::{Directory, Key, Kind, Layout};
use crate::graph::Graph;
use crate::kernel::bytes;
use crate::kernel::scattered::{ByteRows, Measure};
use crate::metric::Metric;
use crate::quant::halves::Steps;

/// Places in a row's list. From 24 to 48 a recall takes the same number of comparisons, within 3 per
/// cent, on descriptors and on sentences; more places cost memory, fewer leave 0.99 out of reach.
pub(super) const DEGREE: usize = 32;

/// The most places that a file may have.
const MAX_DEGREE: usize = 1024;

/// The most rows of a graph: walks mark rows in the highest bit.
pub(super) const MAX_ROWS: usize = 1 << 31;

/// Whether a graph serves a metric. By inner product a row's neighbours are not where its products
/// are large: walks over a graph of near rows stop at recalls of 0.48 to 0.94 on factors, where coded
/// leaves reach 0.99 at 80,000 queries a second.
pub(super) fn serves(metric: Metric) -> bool {
    metric != Metric::Dot
}

/// What a graph is built by.
pub(super) fn measure_between_rows(metric: Metric) -> Measure {
    match metric {
        Metric::Euclidean | Metric::Angular | Metric::Dot => Measure::Squares,
        Metric::Manhattan => Measure::Differences,
        Metric::Hamming => Measure::Bits,
    }
}

/// Whether rows are kept in halves, of which walks read the high ones. Sums of differences by 4-bit codes
/// tell less, and bits have no halves.
pub(super) fn in_halves(metric: Metric) -> bool {
    measure_between_rows(metric) == Measure::Squares
}

/// What walks compare whole rows by: of vectors of length 1 the product says as much as the distance, for
/// a third of the instructions.
fn measure(metric: Metric) -> Measure {
    match metric {
        Metric::Angular | Metric::Dot => Measure::Products,
        metric => measure_between_rows(metric),
    }
}

/// Bytes of a row: whole halves of lines, so that a row, or half of one that is kept in halves, lies on
/// no more lines than it must.
pub(super) fn width(metric: Metric, dim: usize) -> usize {
    match in_halves(metric) {
        true => 2 * padded(dim.div_ceil(2)),
        false => whole_width(metric, dim),
    }
}

fn whole_width(metric: Metric, dim: usize) -> usize {
    padded(if metric == Metric::Hamming { bytes::packed_len(dim) } else { dim })
}

fn padded(bytes: usize) -> usize {
    match bytes {
        0..=16 => 16,
        _ => bytes.next_multiple_of(32),
    }
}

/// The sections of what rows are coded with, of their codes and of their lists. Files from before version
/// 1.2 have all rows whole.
pub(super) fn kinds(in_halves: bool) -> [Kind; 3] {
    match in_halves {
        true => [Kind::GraphSteps, Kind::GraphHalves, Kind::GraphLinks],
        false => [Kind::GraphScale, Kind::GraphCodes, Kind::GraphLists],
    }
}

/// Where a graph's sections are.
#[derive(Debug, Clone)]
pub(super) struct GraphRanges {
    steps: Range<usize>,
    codes: Range<usize>,
    lists: Range<usize>,
    in_halves: bool,
    width: usize,
    degree: usize,
}

/// A graph and what queries are coded with.
#[derive(Clone, Copy)]
pub(super) struct Linked<'a> {
    pub(super) graph: Graph<'a>,
    pub(super) coded: Coded<'a>,
}

/// How rows are kept, and what a query is coded with.
#[derive(Clone, Copy)]
pub(super) enum Coded<'a> {
    /// In whole bytes: what a unit of them is worth.
    Whole(f32),
    /// In halves, the low ones apart from the graph's.
    Halves(Steps<'a>, ByteRows<'a>),
}

/// Adds what is to be written before the graph is grown.
pub(super) fn plan_steps(layout: &mut Layout, space: u16, metric: Metric, dim: usize) {
    let in_halves = in_halves(metric);
    let len = if in_halves { Steps::len_for(dim) } else { 1 };
    layout.add(Key::new(kinds(in_halves)[0], space), len);
}

/// Adds what is grown when all other sections are written, so that it stands behind them.
pub(super) fn plan_rows(layout: &mut Layout, space: u16, metric: Metric, n: usize, dim: usize) {
    let [_, codes, lists] = kinds(in_halves(metric));
    layout.add(Key::new(codes, space), n * width(metric, dim));
    layout.add(Key::new(lists, space), n * DEGREE);
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
        let in_halves = d.range(key(Kind::GraphLinks)).is_some();
        let [steps, codes, lists] = kinds(in_halves).map(key);
        let Some(list_range) = d.range(lists) else { return Ok(None) };
        let (width, n_steps) = match in_halves {
            true => (2 * padded(dim.div_ceil(2)), Steps::len_for(dim)),
            false => (whole_width(metric, dim), 1),
        };
        let degree = list_range.len() / size_of::<u32>() / n;
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
        if in_halves && !self::in_halves(metric) {
            let got = format!("rows in halves by {metric}");
            return wrong("the graph", got, "rows in whole bytes".into());
        }
        let bytes = n.saturating_mul(width);
        Ok(Some(GraphRanges {
            steps: d.sized(steps, n_steps, "search")?,
            codes: d.sized(codes, bytes, "search")?,
            lists: d.sized(lists, n * degree, "search")?,
            in_halves,
            width,
            degree,
        }))
    }

    pub fn view<'a>(&self, file: &'a [u8], metric: Metric) -> Linked<'a> {
        let (steps, codes): (&[f32], &[u8]) = (view(file, &self.steps), view(file, &self.codes));
        let lists = view(file, &self.lists);
        let graph = |rows, measure| Graph { rows, measure, lists, degree: self.degree };
        if !self.in_halves {
            let rows = ByteRows { bytes: codes, width: self.width };
            return Linked { graph: graph(rows, measure(metric)), coded: Coded::Whole(steps[0]) };
        }
        let (high, low) = codes.split_at(codes.len() / 2);
        let [high, low] = [high, low].map(|bytes| ByteRows { bytes, width: self.width / 2 });
        Linked { graph: graph(high, Measure::Halves), coded: Coded::Halves(Steps(steps), low) }
    }
}
