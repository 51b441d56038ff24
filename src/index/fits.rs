//! Whether codes are those of their vectors, centres those of their members, and constants theirs.
//!
//! Everything is made once more as a build makes it, and compared with room for the rounding of other
//! versions: a code may be one step off, a constant a thousandth.

use super::space::Space;
use super::verify::{gap, wrong};
use crate::error::OpenError;
use crate::exact::{self, Rows, Stored};
use crate::forest::{Leaf, ProductCodes, Tree, member_width};
use crate::graph::Graph;
use crate::kernel::code::{self, CodeRows};
use crate::kernel::product;
use crate::metric::Metric;
use crate::quant::{self, halves};

use super::graph::Coded;

/// What the rounding of a value may be, as a share of it.
const ROUNDING: f32 = 2e-7;
/// What a constant may differ by, as a share of it.
const CLOSE: f32 = 2e-3;
/// The same for constants in bfloat16.
const CLOSE_BF16: f32 = 2e-2;
/// Squares below this are as good as zero: what float32 has left of them is rounding.
const NOTHING: f32 = f32::MIN_POSITIVE;

/// Whether inverse norms are those of the rows. Around the least length that counts both answers are
/// right.
pub(super) fn inverse_norms(rows: Rows<'_>) -> Result<(), OpenError> {
    for (row, &got) in rows.inverse_norms.iter().enumerate() {
        let own = exact::inverse_norm(&rows.row(row));
        let is_either = got == 0.0 && own > 1e29 || own == 0.0 && got > 1e29 && got.is_finite();
        // Of NaN this is false, too.
        let is_close = (got - own).abs() <= CLOSE * own;
        if !is_either && !is_close {
            return Err(wrong("inverse norms", format!("{got} for row {row}"), &own.to_string()));
        }
    }
    Ok(())
}

/// One vector as it is coded, and how much rounding its size brings.
fn scaled(rows: Rows<'_>, row: usize) -> Vec<f32> {
    let factor = rows.factor(row);
    rows.row(row).iter().map(|x| x * factor).collect()
}

fn rounding(x: &[f32], mean: &[f32]) -> f32 {
    ROUNDING * x.iter().chain(mean).fold(0f32, |most, x| most.max(x.abs()))
}

/// What a code is and should be.
struct Misfit(String, String);

impl Misfit {
    fn number(what: &str, got: f32, own: f32) -> Misfit {
        Misfit(format!("{what} {got}"), own.to_string())
    }

    fn codes(of: &str) -> Misfit {
        Misfit(format!("other {of}"), "those of its vector".into())
    }

    fn at(self, what: String) -> OpenError {
        wrong(&what, self.0, &self.1)
    }
}

/// A vector's codes and scale beside those that the file has.
fn check_codes(x: &[f32], mean: &[f32], codes: &[i8], scale: f32) -> Result<(), Misfit> {
    let mut own = vec![0i8; codes.len()];
    let coded = quant::encode(x, 1.0, mean, &mut own);
    let noise = rounding(x, mean);
    // A centre that is the mean but for rounding may have any codes.
    let step = scale.max(coded.scale);
    let steps = 1.0 + if step > 0.0 { noise / step } else { 0.0 };
    if !is_near(scale, coded.scale, CLOSE * coded.scale + noise) {
        return Err(Misfit::number("scale", scale, coded.scale));
    }
    let is_off = |(a, b): (&i8, &i8)| f32::from(a.abs_diff(*b)) > steps;
    match scale > 0.0 && codes.iter().zip(&own).any(is_off) {
        true => Err(Misfit::codes("codes")),
        false => Ok(()),
    }
}

/// A constant beside the square of a vector about the mean, less `nearer`.
fn check_square(x: &[f32], mean: &[f32], bias: f32, nearer: f32) -> Result<(), Misfit> {
    let squares = x.iter().zip(mean).map(|(x, m)| f64::from(x - m) * f64::from(x - m));
    let square = squares.sum::<f64>() as f32;
    let noise = rounding(x, mean) * (x.len() as f32).sqrt();
    let size = square + nearer.abs();
    let room = CLOSE * size + 8.0 * noise * (size.sqrt() + noise) + NOTHING;
    match is_near(bias, square - nearer, room) {
        true => Ok(()),
        false => Err(Misfit::number("bias", bias, square - nearer)),
    }
}

/// Not so of a NaN.
fn is_near(a: f32, b: f32, room: f32) -> bool {
    (a - b).abs() <= room
}

fn taken(rows: CodeRows<'_>, at: usize, width: usize) -> Vec<i8> {
    let mut codes = vec![0i8; width];
    code::take(rows.tiles, at, &mut codes);
    codes
}

/// What a tree's groups need of its leaves.
struct Centre {
    leaf: u32,
    mean: Vec<f32>,
    /// The mean squared distance of its members.
    spread: f32,
}

/// Checks a tree whose offsets and members are right: codes of members, leaves and groups.
pub(super) fn tree(
    space: &Space,
    file: &[u8],
    tree: &Tree<'_>,
    what: &str,
) -> Result<(), OpenError> {
    let (rows, mean) = (space.rows(file), space.mean(file));
    let mut centres = Vec::new();
    for number in 0..tree.leaves.bias.len() as u32 {
        let leaf = tree.leaf_and_products(number).ok_or_else(|| gap(what, "leaf", number))?;
        let n = leaf.members.iter().filter(|row| **row != u32::MAX).count();
        if n == 0 {
            continue;
        }
        let filled = leaf.members.iter().filter(|row| **row != u32::MAX);
        let vectors: Vec<Vec<f32>> = filled.map(|&row| scaled(rows, row as usize)).collect();
        let all: Vec<&[f32]> = vectors.iter().map(|x| &x[..]).collect();
        let middle = middle(&all);
        let spread = spread_about(&all, &middle);
        let place = (tree.leaves, number);
        check_centre(rows.metric, (&middle, mean), place, (spread, 0.0))
            .map_err(|misfit| misfit.at(format!("{what}, leaf {number}")))?;
        members(what, rows, (mean, space.code_scale(file)), tree, number, &leaf)?;
        centres.push(Centre { leaf: number, mean: middle, spread });
    }
    groups(rows.metric, mean, tree, &centres, what)
}

fn middle(points: &[&[f32]]) -> Vec<f32> {
    let mut sums = vec![0f64; points[0].len()];
    points.iter().for_each(|x| sums.iter_mut().zip(*x).for_each(|(s, &x)| *s += f64::from(x)));
    sums.into_iter().map(|s| (s / points.len() as f64) as f32).collect()
}

fn spread_about(points: &[&[f32]], centre: &[f32]) -> f32 {
    let square = |x: &&[f32]| -> f64 {
        x.iter().zip(centre).map(|(a, b)| f64::from(a - b) * f64::from(a - b)).sum()
    };
    (points.iter().map(square).sum::<f64>() / points.len() as f64) as f32
}

/// Checks the codes of a centre, and its bias: under dot what its best member may have beyond it, else
/// its square less `nearer`.
fn check_centre(
    metric: Metric,
    (centre, mean): (&[f32], &[f32]),
    (rows, at): (CodeRows<'_>, u32),
    (spread, nearer): (f32, f32),
) -> Result<(), Misfit> {
    let (bias, scale) = (rows.bias[at as usize], rows.scale[at as usize]);
    let codes = taken(rows, at as usize, quant::code_len(mean.len()));
    check_codes(centre, mean, &codes, scale)?;
    if metric != Metric::Dot {
        return check_square(centre, mean, bias, nearer);
    }
    let dim = mean.len() as f32;
    let own = -2.0 * (spread / dim).sqrt();
    let room = CLOSE_BF16 * own.abs() + 8.0 * rounding(centre, mean) + 8.0 * NOTHING.sqrt();
    match is_near(bias, own, room) {
        true => Ok(()),
        false => Err(Misfit::number("bias", bias, own)),
    }
}

fn groups(
    metric: Metric,
    mean: &[f32],
    tree: &Tree<'_>,
    centres: &[Centre],
    what: &str,
) -> Result<(), OpenError> {
    let mut rest = centres;
    for group in 0..tree.groups.bias.len() as u32 {
        let (first, leaves) = tree.group(group).ok_or_else(|| gap(what, "group", group))?;
        let end = (first + leaves.bias.len()) as u32;
        let (own, others) = rest.split_at(rest.partition_point(|centre| centre.leaf < end));
        rest = others;
        if own.is_empty() {
            continue;
        }
        let points: Vec<&[f32]> = own.iter().map(|centre| &centre.mean[..]).collect();
        let centre = middle(&points);
        let between = spread_about(&points, &centre);
        let within = own.iter().map(|centre| centre.spread).sum::<f32>() / own.len() as f32;
        let spreads = (between + within, between);
        check_centre(metric, (&centre, mean), (tree.groups, group), spreads)
            .map_err(|misfit| misfit.at(format!("{what}, group {group}")))?;
    }
    Ok(())
}

/// Checks the members of a leaf in each code that the file has.
fn members(
    what: &str,
    rows: Rows<'_>,
    (mean, code_scale): (&[f32], f32),
    tree: &Tree<'_>,
    number: u32,
    leaf: &Leaf<'_>,
) -> Result<(), OpenError> {
    let residuals = tree.product.map(|product| Residuals::new(product, tree, mean, number));
    let filled = leaf.members.iter().enumerate().filter(|(_, row)| **row != u32::MAX);
    for (slot, &row) in filled {
        let member = Member { rows, mean, code_scale, row: row as usize };
        let fits = || {
            member.check_bias(leaf.codes.bias[slot])?;
            if tree.has_codes() {
                let codes = taken(leaf.codes, slot, member_width(rows.metric, rows.dim));
                member.check(&codes, leaf.codes.scale[slot])?;
            }
            match (&residuals, leaf.products) {
                (Some(residuals), Some(products)) => {
                    let x = scaled(rows, member.row);
                    residuals.check(rows.metric, &x, products.tiles, slot)
                }
                _ => Ok(()),
            }
        };
        fits().map_err(|misfit| misfit.at(format!("{what}, row {row}")))?;
    }
    Ok(())
}

struct Member<'a> {
    rows: Rows<'a>,
    mean: &'a [f32],
    code_scale: f32,
    row: usize,
}

impl Member<'_> {
    fn check_bias(&self, bias: f32) -> Result<(), Misfit> {
        match self.rows.metric {
            Metric::Dot | Metric::Manhattan | Metric::Hamming if bias == 0.0 => Ok(()),
            Metric::Dot | Metric::Manhattan | Metric::Hamming => {
                Err(Misfit::number("bias", bias, 0.0))
            }
            metric => {
                // A zero vector under angular is 1 farther.
                let is_zero = metric == Metric::Angular && self.rows.factor(self.row) == 0.0;
                let nearer = if is_zero { -1.0 } else { 0.0 };
                check_square(&scaled(self.rows, self.row), self.mean, bias, nearer)
            }
        }
    }

    fn check(&self, codes: &[i8], scale: f32) -> Result<(), Misfit> {
        match self.rows.metric {
            Metric::Manhattan | Metric::Hamming => {
                let is_bits = self.rows.metric == Metric::Hamming;
                let own = if is_bits { 1.0 } else { self.code_scale };
                if !is_near(scale, own, CLOSE * own) {
                    return Err(Misfit::number("scale", scale, own));
                }
                let bytes: Vec<u8> = codes.iter().map(|&code| code as u8 ^ 0x80).collect();
                check_bytes(self.rows, self.row, (self.mean, self.code_scale), &bytes)
            }
            _ => check_codes(&scaled(self.rows, self.row), self.mean, codes, scale),
        }
    }
}

/// Bytes of one scale, or bits, beside those of the row.
fn check_bytes(
    rows: Rows<'_>,
    row: usize,
    (mean, scale): (&[f32], f32),
    bytes: &[u8],
) -> Result<(), Misfit> {
    if let Stored::Bits(bits) = rows.values.stored(row, rows.dim) {
        let is_same = bytes.get(..bits.len()) == Some(bits);
        return if is_same { Ok(()) } else { Err(Misfit::codes("bits")) };
    }
    let (x, mut own) = (scaled(rows, row), vec![0u8; bytes.len()]);
    quant::encode_shared(&x, mean, scale, &mut own);
    let steps = 1.0 + if scale > 0.0 { rounding(&x, mean) / scale } else { 0.0 };
    match bytes.iter().zip(&own).any(|(a, b)| f32::from(a.abs_diff(*b)) > steps) {
        true => Err(Misfit::codes("bytes")),
        false => Ok(()),
    }
}

/// What the product codes of a leaf's members are checked with.
struct Residuals<'a> {
    product: ProductCodes<'a>,
    half: Vec<f32>,
    mean: &'a [f32],
    centre: Vec<f32>,
}

impl<'a> Residuals<'a> {
    fn new(product: ProductCodes<'a>, tree: &Tree<'_>, mean: &'a [f32], leaf: u32) -> Self {
        let codes = taken(tree.leaves, leaf as usize, quant::code_len(mean.len()));
        let scale = tree.leaves.scale[leaf as usize];
        let centre = mean.iter().zip(codes).map(|(m, c)| scale.mul_add(f32::from(c), *m)).collect();
        Residuals { product, half: product.books.half_squares(), mean, centre }
    }

    /// Checks that each part's entry is the nearest to the residual, and both constants.
    fn check(&self, metric: Metric, x: &[f32], tiles: &[u8], slot: usize) -> Result<(), Misfit> {
        let books = self.product.books;
        let bytes = product::tile_bytes(books.n_parts());
        let tile = &tiles[slot / code::TILE * bytes..][..bytes];
        let (codes, offset, scale) = self.taken(tile, slot % code::TILE);
        let mut residual: Vec<f32> = x.iter().zip(&self.centre).map(|(x, c)| x - c).collect();
        let mut own = vec![0u8; books.n_parts()];
        let coded = books.encode(&self.half, &mut residual, &mut own);
        let noise = rounding(x, self.mean) * (x.len() as f32).sqrt();
        // A residual that is rounding alone has another direction with other rounding.
        if coded.length <= 1e4 * noise {
            return match scale.abs() <= 1e5 * noise && offset.is_finite() {
                true => Ok(()),
                false => Err(Misfit::codes("product codes")),
            };
        }
        let room = 1e-4 + 8.0 * noise / coded.length;
        let is_nearest = (0..own.len()).filter(|&part| codes[part] != own[part]).all(|part| {
            self.far(part, &codes, &residual) <= self.far(part, &own, &residual) + room
        });
        let missed: f32 = residual
            .iter()
            .enumerate()
            .map(|(j, r)| {
                let missed = coded.length * r - coded.scale * books.entry(j, &own);
                (self.centre[j] - self.mean[j]) * missed
            })
            .sum();
        let wanted = if metric == Metric::Dot { 0.0 } else { 2.0 * missed };
        let size: f32 = self.centre.iter().zip(self.mean).map(|(c, m)| (c - m) * (c - m)).sum();
        let room = CLOSE_BF16 * (wanted.abs() + size.sqrt() * coded.length) + noise;
        let is_held = is_near(scale, coded.scale, CLOSE_BF16 * coded.scale.abs())
            && is_near(offset, wanted, room);
        if is_nearest && is_held { Ok(()) } else { Err(Misfit::codes("product codes")) }
    }

    /// The entries of the member at `slot` of a tile, its offset and its scale.
    fn taken(&self, tile: &[u8], slot: usize) -> (Vec<u8>, f32, f32) {
        let code = |part| match product::place(part, slot) {
            (at, true) => tile[at] >> 4,
            (at, false) => tile[at] & 15,
        };
        let codes = (0..self.product.books.n_parts()).map(code).collect();
        let first = tile.len() - 4 * code::TILE + 2 * slot;
        let constant = |at: usize| half::bf16::from_le_bytes([tile[at], tile[at + 1]]).to_f32();
        (codes, constant(first), constant(first + 2 * code::TILE))
    }

    /// The squared distance of a part of a residual from its entry.
    fn far(&self, part: usize, codes: &[u8], residual: &[f32]) -> f32 {
        let (books, first) = (self.product.books, part * self.product.books.width);
        let at = |j: usize| residual.get(j).copied().unwrap_or(0.0) - books.entry(j, codes);
        (first..first + books.width).map(|j| at(j) * at(j)).sum()
    }
}

/// Whether the bytes of a graph's rows are those of the vectors.
pub(super) fn graph(
    space: &Space,
    file: &[u8],
    graph: Graph<'_>,
    coded: Coded<'_>,
) -> Result<(), OpenError> {
    let (rows, mean) = (space.rows(file), space.mean(file));
    let mut joined = Vec::new();
    for row in 0..rows.len() {
        let own = graph.rows.row(row as u32);
        let fits = match coded {
            Coded::Whole(scale) => check_bytes(rows, row, (mean, scale), own),
            Coded::Halves(steps, low) => {
                joined.resize(2 * low.width, 0);
                halves::join(own, low.row(row as u32), &mut joined);
                let (centres, step) = steps.0.split_at(rows.dim);
                check_bytes(rows, row, (centres, step[0]), &joined)
            }
        };
        fits.map_err(|misfit| misfit.at(format!("the graph, row {row}")))?;
    }
    Ok(())
}
