//! Annoy's files, made byte by byte.
#![allow(clippy::unwrap_used)]

use nearwood::io::annoy::{AnnoyLayout, AnnoyMetric};

/// Writes files as Annoy does, with splits drawn at random: readers look at no plane.
pub struct Writer {
    layout: AnnoyLayout,
    dim: usize,
    nodes: Vec<Vec<u8>>,
    n_items: usize,
    state: u64,
    /// What fills the bytes that nobody wrote to.
    pub filler: u8,
    /// Written as the descendants of inner splits, where a writer does not count them.
    pub uncounted: Option<i32>,
}

impl Writer {
    pub fn new(layout: AnnoyLayout, dim: usize) -> Writer {
        Writer { layout, dim, nodes: vec![], n_items: 0, state: 1, filler: 0, uncounted: None }
    }

    /// (bytes before the children, bytes before the vector, bytes of a node).
    pub fn places(&self) -> (usize, usize, usize) {
        let (floats, words) = (4 * self.dim, 8 * self.dim.div_ceil(64));
        match self.layout {
            AnnoyLayout::Angular => (4, 12, 12 + floats),
            AnnoyLayout::Offset => (8, 16, 16 + floats),
            AnnoyLayout::Dot117 => (4, 16, 16 + floats),
            AnnoyLayout::DotMain => (4, 24, 24 + floats),
            AnnoyLayout::Hamming116 => (4, 12, 12 + words),
            AnnoyLayout::Hamming117 => (4, 16, 16 + words),
        }
    }

    fn bucket(&self) -> usize {
        let (children, _, size) = self.places();
        (size - children) / 4
    }

    fn node(&self, descendants: usize, children: &[usize]) -> Vec<u8> {
        let (start, _, size) = self.places();
        let mut node = vec![self.filler; size];
        node[..4].copy_from_slice(&(descendants as i32).to_le_bytes());
        for (at, &child) in children.iter().enumerate() {
            node[start + 4 * at..][..4].copy_from_slice(&(child as i32).to_le_bytes());
        }
        node
    }

    fn item(&self, values: &[f32]) -> Vec<u8> {
        let (_, vector, size) = self.places();
        let mut node = self.node(1, &[0, 0]);
        node[vector..].fill(0);
        let is_bits = matches!(self.layout, AnnoyLayout::Hamming116 | AnnoyLayout::Hamming117);
        for (at, value) in values.iter().enumerate() {
            match is_bits {
                true => node[vector + at / 8] |= u8::from(*value > 0.5) << (at % 8),
                false => node[vector + 4 * at..][..4].copy_from_slice(&value.to_le_bytes()),
            }
        }
        assert_eq!(node.len(), size);
        node
    }

    fn flip(&mut self) -> bool {
        self.state = self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.state >> 63 == 1
    }

    fn tree(&mut self, ids: &[usize], is_root: bool) -> usize {
        if ids.len() == 1 && !is_root {
            return ids[0];
        }
        let fits = ids.len() <= self.bucket();
        let said = if is_root { self.n_items } else { ids.len() };
        if fits && (!is_root || self.n_items <= self.bucket() || ids.len() == 1) {
            self.nodes.push(self.node(said, ids));
            return self.nodes.len() - 1;
        }
        let (mut left, mut right): (Vec<usize>, Vec<usize>) = (vec![], vec![]);
        while left.is_empty() || right.is_empty() {
            (left, right) = ids.iter().partition(|_| self.flip());
        }
        let children = [self.tree(&left, false), self.tree(&right, false)];
        let said = if is_root { said } else { self.uncounted.map_or(said, |n| n as usize) };
        self.nodes.push(self.node(said, &children));
        self.nodes.len() - 1
    }

    /// The bytes of a file; items that are `None` are holes.
    pub fn file(mut self, items: &[Option<Vec<f32>>], n_trees: usize) -> Vec<u8> {
        self.n_items = items.len();
        let size = self.places().2;
        let hole = vec![0; size];
        self.nodes =
            items.iter().map(|i| i.as_ref().map_or(hole.clone(), |v| self.item(v))).collect();
        let present: Vec<usize> = (0..items.len()).filter(|&i| items[i].is_some()).collect();
        let roots: Vec<usize> = (0..n_trees).map(|_| self.tree(&present, true)).collect();
        let copies: Vec<Vec<u8>> = roots.iter().map(|&root| self.nodes[root].clone()).collect();
        [self.nodes, copies].concat().concat()
    }
}

/// A metric that a layout is one of.
pub fn metric_of(layout: AnnoyLayout) -> AnnoyMetric {
    AnnoyMetric::ALL.into_iter().find(|m| m.layouts().contains(&layout)).unwrap()
}

/// Numbers that are halves, and zeros and ones where bits are stored.
pub fn items(layout: AnnoyLayout, dim: usize, n: usize) -> Vec<Option<Vec<f32>>> {
    let bits = metric_of(layout) == AnnoyMetric::Hamming;
    let value = |at: usize| {
        let number = (at * 7919) % 23;
        if bits { (number % 2) as f32 } else { number as f32 / 2.0 - 5.0 }
    };
    let item = |i: usize| (0..dim).map(|c| value(i * dim + c)).collect();
    (0..n).map(|i| (i % 7 != 3 || i + 1 == n).then(|| item(i))).collect()
}
