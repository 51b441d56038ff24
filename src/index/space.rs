//! One searchable space of a file: vectors, their codes and trees, for one metric.
//!
//! A plain index is space 0. A recommender's file holds the same vectors a second time as space 1,
//! by cosine, with trees and codes of its own.

use std::ops::Range;

use super::graph::{GraphRanges, Linked};
use super::names::view;
use super::stored::{VectorRanges, first_beyond};
use crate::error::{BuildError, OpenError};
use crate::exact::{self, Rows, Storage, Values};
use crate::forest::{
    CodedRows, ProductCodes, Tree, TreeData, TreeParams, Workspace, build_tree, has_products,
    member_width,
};
use crate::format::{Directory, Image, Key, Kind, Layout};
use crate::kernel::bytes;
use crate::kernel::code::{CodeRows, MAX_DIM, TILE};
use crate::kernel::product;
use crate::metric::Metric;
use crate::progress::Work;
use crate::quant::{self, Books};
use crate::store::Buffer;

/// The most rows of an index: a row number is 32 bits, and a tree's padded leaves need some too.
pub(crate) const MAX_ROWS: usize = 3_000_000_000;

/// The most trees of a space: their numbers are 16 bits in the file.
pub(crate) const MAX_TREES: usize = 1000;

/// Values from here on are refused: squared distances of 65,536 of them, up to 4 x 65,536 x 1e32,
/// stay below float32's 3.4e38, so that no row is infinitely far away.
const LARGEST: f32 = 1e16;

/// What building a space yields, before it is laid out.
pub(crate) struct SpaceData {
    pub metric: Metric,
    pub trees: Vec<TreeData>,
    /// Whether a graph is to be grown from the first tree.
    pub graph: bool,
    /// Whether members stand in no 8-bit codes where they stand in product codes: beside a graph, whose
    /// rows are in such.
    pub bare: bool,
    coded: CodedRows,
    inverse_norms: Vec<f32>,
}

/// The first tree's members in 8-bit codes, where the file does not have them.
pub(super) struct MemberTiles {
    pub tiles: Buffer,
    pub scale: Vec<f32>,
}

/// Vectors whose largest value is below this are refused: squares and products of such values are lost
/// among float32's smallest numbers, and all distances would be 0. By angle vectors are brought to
/// length 1 first, by manhattan distance nothing is squared, and of bits nothing is small.
fn least(metric: Metric) -> f32 {
    match metric {
        Metric::Euclidean | Metric::Dot => 1e-18,
        Metric::Angular | Metric::Manhattan => 1e-30,
        Metric::Hamming => 0.0,
    }
}

/// float16 has fewer digits for values below this, and none below 6e-8.
const LEAST_HALF: f32 = 6.2e-5;

/// Refuses vectors that are all too small for their distances to be told from 0.
pub(super) fn check_size(
    values: &[f32],
    metric: Metric,
    storage: Storage,
) -> Result<(), BuildError> {
    let by_metric = (least(metric), format!("by {metric} distance in float32"));
    let (least, what) = match storage {
        Storage::Float16 if metric != Metric::Hamming => (LEAST_HALF, "stored as float16".into()),
        _ => by_metric,
    };
    match largest_below(values, least) {
        Some(largest) => Err(BuildError::TooSmall { largest, least, what }),
        None => Ok(()),
    }
}

/// The largest size of a value, if it is below `least` and not 0.
fn largest_below(values: &[f32], least: f32) -> Option<f32> {
    // As a rule the first value is large enough.
    if values.iter().any(|x| x.abs() >= least) {
        return None;
    }
    let largest = values.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    (largest > 0.0).then_some(largest)
}

/// Refuses packed bits that cannot be indexed.
pub(crate) fn check_bits(bits: &[u8], dim: usize) -> Result<(), BuildError> {
    check_shape(bits.len(), dim, bytes::packed_len(dim))?;
    match first_beyond(bits, dim) {
        Some(row) => Err(BuildError::BitBeyond { row, dim }),
        None => Ok(()),
    }
}

/// Refuses vectors that cannot be indexed.
pub(crate) fn check_vectors(values: &[f32], dim: usize) -> Result<(), BuildError> {
    check_shape(values.len(), dim, dim)?;
    match first_unusable(values) {
        Some(at) => {
            Err(BuildError::NonFinite { row: at / dim, column: at % dim, value: values[at] })
        }
        None => Ok(()),
    }
}

/// Whether `len` elements are rows of `width` for a dimension that is served.
fn check_shape(len: usize, dim: usize, width: usize) -> Result<(), BuildError> {
    // Products with the codes of an encoded row are exact up to this dimension.
    if dim == 0 || dim > MAX_DIM {
        return Err(BuildError::Dimension { got: dim, max: MAX_DIM });
    }
    if !len.is_multiple_of(width) {
        return Err(BuildError::Shape { len, dim: width });
    }
    if len == 0 {
        return Err(BuildError::Empty);
    }
    if len / width > MAX_ROWS {
        return Err(BuildError::TooManyRows { got: len / width, max: MAX_ROWS });
    }
    Ok(())
}

/// Where a value stands that is not finite, or whose square would overflow float32 sums.
pub(crate) fn first_unusable(values: &[f32]) -> Option<usize> {
    const BLOCK: usize = 64;
    let is_unusable = |x: f32| x.is_nan() | (x.abs() >= LARGEST);
    // A block at a time, without a branch for each value.
    let has_any = |block: &[f32]| block.iter().fold(false, |any, &x| any | is_unusable(x));
    let start = BLOCK * values.chunks(BLOCK).position(has_any)?;
    values[start..].iter().position(|&x| is_unusable(x)).map(|at| start + at)
}

impl SpaceData {
    /// Builds a tree for each seed; an error once `work` is stopped.
    pub fn build(
        values: Values<'_>,
        dim: usize,
        metric: Metric,
        seeds: &[u64],
        params: TreeParams,
        workspace: &Workspace,
        work: &Work<'_>,
    ) -> Result<SpaceData, BuildError> {
        let norm = |row| exact::inverse_norm(&values.row(row, dim));
        let inverse_norms = match metric {
            Metric::Angular => (0..values.n_rows(dim)).map(norm).collect(),
            _ => Vec::new(),
        };
        let rows = Rows { metric, dim, values, inverse_norms: &inverse_norms };
        let coded = CodedRows::new(rows, workspace).map_err(BuildError::Room)?;
        let mut trees = Vec::with_capacity(seeds.len());
        for &seed in seeds {
            trees.push(build_tree(rows, &coded, seed, params, work));
            if work.is_stopped() {
                return Err(BuildError::Cancelled);
            }
        }
        Ok(SpaceData { metric, trees, graph: false, bare: false, coded, inverse_norms })
    }

    /// The rows in the order of the first tree's leaves: what a leaf's re-ranking reads lies
    /// together.
    pub fn order(&self) -> Vec<u32> {
        self.trees[0].members.iter().copied().filter(|&m| m != u32::MAX).collect()
    }

    /// Whether the file has members in 8-bit codes.
    fn has_codes(&self) -> bool {
        !self.bare || !has_products(self.metric)
    }

    /// Adds this space's sections.
    pub fn plan(&self, layout: &mut Layout, space: u16) {
        let width = member_width(self.metric, self.coded.mean.len());
        if self.metric == Metric::Manhattan {
            layout.add(Key::new(Kind::CodeScale, space), 1);
        }
        if !self.inverse_norms.is_empty() {
            layout.add(Key::new(Kind::InverseNorms, space), self.inverse_norms.len());
        }
        layout.add(Key::new(Kind::Mean, space), self.coded.mean.len());
        for (tree, data) in self.trees.iter().enumerate() {
            let key = |kind| Key { kind, space, tree: tree as u16 };
            for (kind, len) in [
                (Kind::GroupOffsets, data.group_offsets.len()),
                (Kind::GroupTiles, data.group_codes().0.len()),
                (Kind::GroupBias, data.group_codes().1.len()),
                (Kind::GroupScale, data.group_codes().2.len()),
                (Kind::LeafOffsets, data.leaf_offsets.len()),
                (Kind::LeafTiles, data.leaf_codes().0.len()),
                (Kind::LeafBias, data.leaf_codes().1.len()),
                (Kind::LeafScale, data.leaf_codes().2.len()),
                (Kind::Members, data.members.len()),
                (Kind::MemberTiles, self.has_codes() as usize * data.members.len() * width),
                (Kind::MemberBias, data.members.len()),
                (Kind::MemberScale, self.has_codes() as usize * data.members.len()),
            ] {
                if len > 0 {
                    layout.add(key(kind), len);
                }
            }
            if has_products(self.metric) {
                let bytes = product_bytes(data.members.len(), self.coded.mean.len());
                layout.add(key(Kind::ProductBooks), data.books.len());
                layout.add(key(Kind::ProductTiles), bytes);
            }
        }
    }

    /// Writes this space's sections, but for the graph's; `row_of` maps a position to the row it was
    /// given. Returns what the file lacks and growing a graph takes.
    pub(super) fn fill(
        &self,
        image: &mut Image,
        space: u16,
        values: Values<'_>,
        row_of: &[u32],
    ) -> Option<MemberTiles> {
        let dim = self.coded.mean.len();
        if !self.inverse_norms.is_empty() {
            let out = image.section(Key::new(Kind::InverseNorms, space));
            for (&row, &norm) in row_of.iter().zip(&self.inverse_norms) {
                out[row as usize] = norm;
            }
        }
        image.fill(Key::new(Kind::Mean, space), &self.coded.mean);
        if self.metric == Metric::Manhattan {
            image.fill(Key::new(Kind::CodeScale, space), &[self.coded.scale]);
        }
        let rows = Rows { metric: self.metric, dim, values, inverse_norms: &self.inverse_norms };
        let mut first = None;
        for (tree, data) in self.trees.iter().enumerate() {
            let key = |kind| Key { kind, space, tree: tree as u16 };
            let tiles = self.fill_tree(image, rows, data, row_of, key);
            first = first.or(tiles);
        }
        first
    }

    fn fill_tree(
        &self,
        image: &mut Image,
        rows: Rows<'_>,
        data: &TreeData,
        row_of: &[u32],
        key: impl Fn(Kind) -> Key,
    ) -> Option<MemberTiles> {
        image.fill(key(Kind::GroupOffsets), &data.group_offsets);
        image.fill(key(Kind::LeafOffsets), &data.leaf_offsets);
        let kinds = [Kind::GroupTiles, Kind::GroupBias, Kind::GroupScale];
        fill_codes(image, data.group_codes(), kinds.map(&key));
        let kinds = [Kind::LeafTiles, Kind::LeafBias, Kind::LeafScale];
        fill_codes(image, data.leaf_codes(), kinds.map(&key));
        let members: &mut [u32] = image.section(key(Kind::Members));
        for (out, &member) in members.iter_mut().zip(&data.members) {
            *out = row_of.get(member as usize).copied().unwrap_or(u32::MAX);
        }
        if has_products(self.metric) {
            image.fill(key(Kind::ProductBooks), &data.books);
            let tiles = image.section(key(Kind::ProductTiles));
            data.encode_members(rows, &self.coded, tiles);
        }
        let keys = [Kind::MemberTiles, Kind::MemberBias, Kind::MemberScale].map(&key);
        if self.has_codes() {
            let (tiles, bias, scale) = image.sections(keys);
            self.coded.pack(rows, &data.members, tiles, bias, scale);
            return None;
        }
        let width = member_width(self.metric, self.coded.mean.len());
        let mut tiles = Buffer::in_memory(data.members.len() * width);
        let mut scale = crate::memory::zeroed(data.members.len());
        let bias = image.section(keys[1]);
        self.coded.pack(rows, &data.members, tiles.as_mut(), bias, &mut scale);
        Some(MemberTiles { tiles, scale })
    }
}

/// Bytes of the product codes of so many member slots.
fn product_bytes(slots: usize, dim: usize) -> usize {
    slots / TILE * product::tile_bytes(quant::n_parts(dim, quant::part_width(dim)))
}

fn fill_codes(image: &mut Image, (tiles, bias, scale): (&[u8], &[f32], &[f32]), keys: [Key; 3]) {
    image.fill(keys[0], tiles);
    image.fill(keys[1], bias);
    image.fill(keys[2], scale);
}

/// Where a space's sections are in a file.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    /// Of the file.
    pub number: u16,
    pub metric: Metric,
    pub dim: usize,
    pub n_rows: usize,
    vectors: VectorRanges,
    code_scale: Option<Range<usize>>,
    inverse_norms: Range<usize>,
    mean: Range<usize>,
    trees: Vec<TreeRanges>,
    graph: Option<GraphRanges>,
}

#[derive(Debug, Clone)]
struct TreeRanges {
    group_offsets: Range<usize>,
    groups: [Range<usize>; 3],
    leaf_offsets: Range<usize>,
    leaves: [Range<usize>; 3],
    members: Range<usize>,
    codes: [Range<usize>; 3],
    /// Codebooks and tiles of the product codes.
    product: Option<[Range<usize>; 2]>,
}

impl Space {
    /// Finds a space's sections and checks that their lengths fit together.
    pub fn open(d: &Directory, space: u16, metric: Metric) -> Result<Space, OpenError> {
        let (n_rows, dim) = (d.header.rows as usize, d.header.dim as usize);
        // What a build refuses, a search would divide by or overflow with.
        within("the header's number of rows", d.header.rows, MAX_ROWS)?;
        within("the header's dimension", u64::from(d.header.dim), MAX_DIM)?;
        n_rows.checked_mul(dim).ok_or_else(|| invalid_size(n_rows, dim))?;
        let norms = if metric == Metric::Angular { n_rows } else { 0 };
        let inverse_norms = match norms {
            0 => 0..0,
            n => d.sized(Key::new(Kind::InverseNorms, space), n, "angular search")?,
        };
        let mut trees = Vec::new();
        while d.range(Key { kind: Kind::Members, space, tree: trees.len() as u16 }).is_some() {
            within("the number of trees", trees.len() as u64 + 1, MAX_TREES)?;
            trees.push(TreeRanges::open(d, space, trees.len() as u16, dim, metric)?);
        }
        if trees.is_empty() {
            let section = Kind::Members.name();
            return Err(OpenError::MissingSection { section, purpose: "search" });
        }
        let vectors = VectorRanges::open(d, metric, n_rows, dim)?;
        let code_scale = match metric {
            Metric::Manhattan => Some(d.sized(Key::new(Kind::CodeScale, space), 1, "search")?),
            _ => None,
        };
        let mean = d.sized(Key::new(Kind::Mean, space), dim, "search")?;
        let graph = GraphRanges::open(d, space, metric, n_rows, dim)?;
        let number = space;
        Ok(Space {
            number,
            metric,
            dim,
            n_rows,
            vectors,
            code_scale,
            inverse_norms,
            mean,
            trees,
            graph,
        })
    }

    pub(super) fn graph<'a>(&self, file: &'a [u8]) -> Option<Linked<'a>> {
        self.graph.as_ref().map(|graph| graph.view(file, self.metric))
    }

    pub fn has_graph(&self) -> bool {
        self.graph.is_some()
    }

    pub fn n_trees(&self) -> usize {
        self.trees.len()
    }

    /// What the vectors are stored as, for people.
    pub fn storage(&self) -> &'static str {
        self.vectors.name()
    }

    pub fn rows<'a>(&self, file: &'a [u8]) -> Rows<'a> {
        Rows {
            metric: self.metric,
            dim: self.dim,
            values: self.vectors.view(file),
            inverse_norms: view(file, &self.inverse_norms),
        }
    }

    pub fn mean<'a>(&self, file: &'a [u8]) -> &'a [f32] {
        view(file, &self.mean)
    }

    /// What a unit of a member's byte is worth for L1; else 0.
    pub fn code_scale(&self, file: &[u8]) -> f32 {
        let values: &[f32] = self.code_scale.as_ref().map_or(&[], |range| view(file, range));
        values.first().copied().unwrap_or(0.0)
    }

    pub fn trees<'a>(&self, file: &'a [u8]) -> Vec<Tree<'a>> {
        self.trees.iter().map(|t| t.view(file, self.dim, self.metric)).collect()
    }
}

fn within(what: &str, got: u64, most: usize) -> Result<(), OpenError> {
    match (1..=most as u64).contains(&got) {
        true => Ok(()),
        false => Err(OpenError::Invalid {
            what: what.into(),
            got: got.to_string(),
            expected: format!("1 to {most}"),
        }),
    }
}

fn invalid_size(rows: usize, dim: usize) -> OpenError {
    OpenError::Invalid {
        what: "rows times dimension".into(),
        got: format!("{rows} x {dim}"),
        expected: "a number of values that fits in memory".into(),
    }
}

impl TreeRanges {
    fn open(
        d: &Directory,
        space: u16,
        tree: u16,
        dim: usize,
        metric: Metric,
    ) -> Result<TreeRanges, OpenError> {
        let width = quant::code_len(dim);
        let codes =
            |kinds: [Kind; 3], width| codes(d, kinds.map(|kind| Key { kind, space, tree }), width);
        let groups = codes([Kind::GroupTiles, Kind::GroupBias, Kind::GroupScale], width)?;
        let leaves = codes([Kind::LeafTiles, Kind::LeafBias, Kind::LeafScale], width)?;
        let width = member_width(metric, dim);
        let tiles = Key { kind: Kind::MemberTiles, space, tree };
        let is_bare = d.range(tiles).is_none() && has_products(metric);
        let codes = match is_bare {
            true => bare(d, Key { kind: Kind::MemberBias, ..tiles })?,
            false => codes([Kind::MemberTiles, Kind::MemberBias, Kind::MemberScale], width)?,
        };
        let offsets = |kind, bias: &Range<usize>| {
            d.sized(Key { kind, space, tree }, bias.len() / 4 + 1, "search")
        };
        let members =
            d.sized(Key { kind: Kind::Members, space, tree }, codes[1].len() / 4, "search")?;
        let product = match d.range(Key { kind: Kind::ProductTiles, space, tree }) {
            found if is_bare || (found.is_some() && has_products(metric)) => {
                let slots = codes[1].len() / 4;
                let sized = |kind, len| d.sized(Key { kind, space, tree }, len, "search");
                Some([
                    sized(Kind::ProductBooks, Books::len_for(dim, quant::part_width(dim)))?,
                    sized(Kind::ProductTiles, product_bytes(slots, dim))?,
                ])
            }
            _ => None,
        };
        Ok(TreeRanges {
            product,
            group_offsets: offsets(Kind::GroupOffsets, &groups[1])?,
            leaf_offsets: offsets(Kind::LeafOffsets, &leaves[1])?,
            groups,
            leaves,
            members,
            codes,
        })
    }

    fn view<'a>(&self, file: &'a [u8], dim: usize, metric: Metric) -> Tree<'a> {
        let codes = |[tiles, bias, scale]: &[Range<usize>; 3]| CodeRows {
            tiles: view(file, tiles),
            bias: view(file, bias),
            scale: view(file, scale),
        };
        Tree {
            group_offsets: view(file, &self.group_offsets),
            groups: codes(&self.groups),
            leaf_offsets: view(file, &self.leaf_offsets),
            leaves: codes(&self.leaves),
            members: view(file, &self.members),
            codes: codes(&self.codes),
            width: quant::code_len(dim),
            member_width: member_width(metric, dim),
            product: self.product.as_ref().map(|[books, tiles]| ProductCodes {
                books: Books { values: view(file, books), dim, width: quant::part_width(dim) },
                tiles: view(file, tiles),
            }),
        }
    }
}

/// Tiles, bias and scale of coded rows: whole tiles, all of one length.
fn codes(
    d: &Directory,
    [tiles, bias, scale]: [Key; 3],
    width: usize,
) -> Result<[Range<usize>; 3], OpenError> {
    let [_, own, _] = bare(d, bias)?;
    let slots = own.len() / 4;
    let bytes = slots.checked_mul(width).ok_or_else(|| invalid_size(slots, width))?;
    Ok([d.sized(tiles, bytes, "search")?, own, d.sized(scale, slots, "search")?])
}

/// The bias of rows without codes: whole tiles.
fn bare(d: &Directory, bias: Key) -> Result<[Range<usize>; 3], OpenError> {
    let missing = || OpenError::MissingSection { section: bias.kind.name(), purpose: "search" };
    let range = d.range(bias).ok_or_else(missing)?;
    let slots = range.len() / 4;
    if !slots.is_multiple_of(TILE) {
        return Err(OpenError::Invalid {
            what: format!("the length of section {}", bias.kind.name()),
            got: slots.to_string(),
            expected: "a multiple of 16".into(),
        });
    }
    Ok([0..0, range, 0..0])
}
