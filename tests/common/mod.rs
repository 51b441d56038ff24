//! What the tests share: generated data, small files, and a reader of the container that follows
//! `docs/format.md` and none of the crate's own code.
// Each test binary uses a part of this.
#![allow(dead_code)]

pub mod allocator;
pub mod annoy;
pub mod exercise;
pub mod file;
pub mod fuzz;
#[cfg(feature = "cli")]
pub mod place;
pub mod sane;

use std::fs;
use std::path::Path;

use nearwood::als::{Csr, Model, ModelFile, Params};
use nearwood::recommend::{FitOptions, Weighting};
use nearwood::{Ids, Index, Interactions, Metric, Recommender, Storage, Vectors};

/// The names of what is in a folder, sorted.
pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A generator of the tests' own: the crate's is private.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Numbers {
        let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (0..4).for_each(|_| numbers.0 = numbers.word());
        numbers
    }

    pub fn word(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 ^ (self.0 >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 32)
    }

    pub fn uniform(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.uniform() * n as f64) as usize
    }

    /// Nearly normal: the sum of twelve uniforms.
    pub fn normal(&mut self) -> f32 {
        ((0..12).map(|_| self.uniform()).sum::<f64>() - 6.0) as f32
    }

    pub fn normals(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.normal()).collect()
    }
}

/// `n` vectors about `clusters` centres.
pub fn clustered(n: usize, dim: usize, clusters: usize, numbers: &mut Numbers) -> Vec<f32> {
    let centres = numbers.normals(clusters * dim);
    let mut values = Vec::with_capacity(n * dim);
    for _ in 0..n {
        let centre = &centres[numbers.below(clusters) * dim..][..dim];
        values.extend(centre.iter().map(|c| 2.0 * c + numbers.normal()));
    }
    values
}

/// How the rows of a small index are named.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Naming {
    Sequential,
    Ints,
    TextsAndLabels,
}

pub const DIM: usize = 5;

/// Vectors of the small indexes.
pub fn small_values(n: usize) -> Vec<f32> {
    clustered(n, DIM, 4, &mut Numbers::new(n as u64))
}

/// The file of a model of 3 users and 4 items whose factors no training decides.
pub fn small_model(storage: Storage) -> Vec<u8> {
    let mut numbers = Numbers::new(5);
    let (users, items) = (numbers.normals(3 * DIM), numbers.normals(4 * DIM));
    let params = Params { factors: DIM, ..Params::default() };
    let model = Model::from_factors(users, items, params).unwrap();
    let plays = Csr::from_triplets(3, 4, &[0, 0, 2], &[1, 3, 0], &[1.0, 2.0, 3.0]).unwrap();
    ModelFile::to_bytes(&model, Some(&plays), storage).unwrap().as_ref().to_vec()
}

/// An index of `n` rows and two trees in a few kilobytes.
pub fn small_index(metric: Metric, n: usize, naming: Naming) -> Index {
    let values = small_values(n);
    let builder = Index::builder(metric).trees(2).leaf_size(8).seed(3);
    let builder = match naming {
        Naming::Sequential => builder,
        Naming::Ints => builder.ids(Ids::Int((0..n as i64).map(|i| i * 37 - 40).collect())),
        Naming::TextsAndLabels => builder
            .ids(Ids::Text((0..n).map(|i| format!("row-{i}")).collect()))
            .labels((0..n).map(|i| format!("label {}", i / 2)).collect()),
    };
    builder.build(Vectors::new(&values, DIM).unwrap()).unwrap()
}

/// An index with a graph.
pub fn small_graph(metric: Metric, n: usize) -> Index {
    let builder = Index::builder(metric).leaf_size(8).seed(3).graph(Some(true));
    let builder = builder.ids(Ids::Int((0..n as i64).map(|i| i * 37 - 40).collect()));
    builder.build(Vectors::new(&small_values(n), DIM).unwrap()).unwrap()
}

/// An index of a storage, or of bits.
pub fn small_stored(metric: Metric, storage: Storage) -> Index {
    let builder = Index::builder(metric).leaf_size(8).seed(3).storage(storage);
    builder.build(Vectors::new(&small_values(24), DIM).unwrap()).unwrap()
}

/// Users x items: everyone has about `per_user` items, mostly of a taste, the last user none.
pub fn plays(users: usize, items: usize, per_user: usize) -> Csr {
    let mut numbers = Numbers::new((users * items) as u64);
    let mut entries = std::collections::BTreeMap::new();
    for user in 0..users - 1 {
        for _ in 0..1 + numbers.below(2 * per_user) {
            let item = match numbers.below(4) {
                0 => numbers.below(items),
                _ => numbers.below(items.div_ceil(4)) * 4 + user % 4,
            };
            let weight = 1.0 + (9.0 * numbers.uniform()).floor() as f32;
            entries.insert((user as u32, item.min(items - 1) as u32), weight);
        }
    }
    let (keys, weights): (Vec<_>, Vec<f32>) = entries.into_iter().unzip();
    let (rows, columns): (Vec<u32>, Vec<u32>) = keys.into_iter().unzip();
    Csr::from_triplets(users, items, &rows, &columns, &weights).unwrap()
}

pub fn fit_options(factors: usize, weighting: Weighting) -> FitOptions {
    let params =
        Params { factors, iterations: 4, regularization: 0.1, seed: 5, ..Params::default() };
    FitOptions { params, weighting, labels: None }
}

/// A recommender with string users and integer items.
pub fn small_recommender(users: usize, items: usize, weighting: Weighting) -> Recommender {
    let data = Interactions {
        users: Ids::Text((0..users).map(|u| format!("user-{u}")).collect()),
        items: Ids::Int((0..items as i64).map(|i| 1000 + 3 * i).collect()),
        ..Interactions::from_matrix(plays(users, items, 4))
    };
    let mut options = fit_options(4, weighting);
    options.labels = Some((0..items).map(|i| format!("song {}", i / 2)).collect());
    Recommender::fit(&data, &options).unwrap()
}
