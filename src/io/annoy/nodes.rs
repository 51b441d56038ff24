//! The nodes of a file, and whether they can be what a layout takes them for.
//!
//! Everything is one pass over the nodes in their order: a split's children lie before it, so that
//! no walk is needed to know that there is no loop, and a file of any content costs time in
//! proportion to its bytes.

use std::collections::HashSet;

use super::layout::{AnnoyLayout, Shape};

/// A file's bytes as nodes of one shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nodes<'a> {
    bytes: &'a [u8],
    shape: Shape,
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// The largest item number plus one.
    pub n_items: usize,
    /// The items that are there.
    pub n_present: usize,
    /// The trees.
    pub n_trees: usize,
}

impl<'a> Nodes<'a> {
    /// `bytes` are whole nodes.
    pub fn new(bytes: &'a [u8], shape: Shape) -> Nodes<'a> {
        Nodes { bytes, shape }
    }

    fn len(self) -> usize {
        self.bytes.len() / self.shape.size
    }

    fn node(self, at: usize) -> &'a [u8] {
        &self.bytes[at * self.shape.size..][..self.shape.size]
    }

    fn descendants(self, at: usize) -> i32 {
        int32(self.node(at))
    }

    /// The vector's bytes of an item.
    pub fn vector(self, item: usize) -> &'a [u8] {
        &self.node(item)[self.shape.vector..]
    }

    /// Whether an item is there, rather than a hole.
    pub fn is_present(self, item: usize) -> bool {
        self.descendants(item) == 1
    }

    /// The first `count` children of a split, or items of a bucket.
    fn children(self, at: usize, count: usize) -> impl Iterator<Item = i32> {
        self.node(at)[self.shape.children..].chunks_exact(4).take(count).map(int32)
    }
}

fn int32(bytes: &[u8]) -> i32 {
    bytes.first_chunk().map_or(-1, |&bytes| i32::from_le_bytes(bytes))
}

/// Whether `bytes` can have been written in `layout`; else why not.
pub(super) fn check(bytes: &[u8], layout: AnnoyLayout, dim: usize) -> Result<Found, String> {
    let shape = layout.shape(dim);
    let len = bytes.len();
    if len == 0 || !len.is_multiple_of(shape.size) {
        return Err(format!("{len} bytes are not one or more nodes of {}", shape.size));
    }
    let nodes = Nodes::new(bytes, shape);
    let n_items = item_count(nodes)?;
    let n_present = check_items(nodes, n_items)?;
    if let AnnoyLayout::Hamming116 | AnnoyLayout::Hamming117 = layout {
        check_bits(nodes, n_items, dim)?;
    }
    for at in n_items..nodes.len() {
        check_node(nodes, at, n_items, n_present)?;
    }
    Ok(Found { n_items, n_present, n_trees: count_trees(nodes, n_items) })
}

/// The last node is a copy of a root, whose number of descendants is that of the items, holes
/// counted.
fn item_count(nodes: Nodes<'_>) -> Result<usize, String> {
    let (last, most) = (nodes.descendants(nodes.len() - 1), nodes.len() - 1);
    match usize::try_from(last) {
        Ok(n) if n <= most => Ok(n),
        _ => Err(format!("its last node says {last} items, expected 0 to {most}")),
    }
}

fn check_items(nodes: Nodes<'_>, n_items: usize) -> Result<usize, String> {
    let mut present = 0;
    for item in 0..n_items {
        match nodes.descendants(item) {
            0 => {}
            1 => present += 1,
            n => return Err(format!("item {item} has {n} descendants, expected 0 or 1")),
        }
    }
    Ok(present)
}

/// Bits beyond the dimension are never set: they would tell that the dimension is another.
fn check_bits(nodes: Nodes<'_>, n_items: usize, dim: usize) -> Result<(), String> {
    let beyond = match dim % 64 {
        0 => 0,
        used => u64::MAX << used,
    };
    let stray = |&item: &usize| {
        let last = nodes.vector(item).last_chunk().map_or(0, |&word| u64::from_le_bytes(word));
        nodes.is_present(item) && last & beyond != 0
    };
    match (0..n_items).find(stray) {
        Some(item) => Err(format!("item {item} has bits set beyond dimension {dim}")),
        None => Ok(()),
    }
}

/// A bucket names items; a split names nodes before it. Descendants of inner splits may say
/// anything above a bucket's most: some writers put the largest int32 there.
fn check_node(nodes: Nodes<'_>, at: usize, n_items: usize, n_present: usize) -> Result<(), String> {
    let n = nodes.descendants(at);
    let count = usize::try_from(n).map_err(|_| format!("node {at} has {n} descendants"))?;
    let is_bucket = count <= nodes.shape.bucket();
    // A root counts holes as well, but names only items that are there; what follows them in the
    // node is left over from earlier.
    let named = match (is_bucket, count == n_items) {
        (true, true) => n_present,
        (true, false) => count,
        (false, true) => n_present.min(2),
        (false, false) => 2,
    };
    let limit = if is_bucket { n_items } else { at };
    match nodes.children(at, named).find(|&child| !below(child, limit)) {
        Some(child) => Err(format!("node {at} names {child}, expected 0 to below {limit}")),
        None => Ok(()),
    }
}

fn below(id: i32, limit: usize) -> bool {
    usize::try_from(id).is_ok_and(|id| id < limit)
}

/// The file ends with a copy of every root. Roots that happen to be the last nodes of their trees
/// stand before the copies and look like them, so copies are told apart by their bytes. Trees of
/// one node are all alike; where there are only those, half of them are copies.
fn count_trees(nodes: Nodes<'_>, n_items: usize) -> usize {
    let is_root = |&at: &usize| nodes.descendants(at) as usize == n_items;
    let roots = (n_items..nodes.len()).rev().take_while(is_root).count();
    if roots == nodes.len() - n_items {
        return roots.div_ceil(2);
    }
    let distinct: HashSet<&[u8]> =
        (nodes.len() - roots..nodes.len()).map(|at| nodes.node(at)).collect();
    distinct.len()
}
