//! What trees look like, for whoever draws them.

use super::Index;
use crate::forest::Tree;

/// The parts that a tree cuts the rows into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeShape {
    /// Groups of leaves, which a search ranks first where there are several.
    pub n_groups: usize,
    /// The members of each leaf that has any, in the order of the file.
    pub leaves: Vec<usize>,
}

impl Index {
    /// The shape of each tree. Reads every tree's offsets and, of each leaf, its last members.
    #[must_use]
    pub fn tree_shapes(&self) -> Vec<TreeShape> {
        self.space().trees(self.file()).iter().map(shape).collect()
    }
}

fn shape(tree: &Tree<'_>) -> TreeShape {
    let leaves = tree.leaf_lens().filter(|&n| n > 0).collect();
    let n_groups = tree.group_offsets.windows(2).filter(|w| w[0] < w[1]).count();
    TreeShape { n_groups, leaves }
}

#[cfg(test)]
mod tests {
    use crate::index::{Index, Vectors};
    use crate::metric::Metric;
    use crate::random::Random;

    #[test]
    fn every_row_is_in_one_leaf_of_each_tree() {
        let mut random = Random::new(3, 0);
        let values: Vec<f32> = (0..900 * 8).map(|_| random.normal() as f32).collect();
        let index = Index::builder(Metric::Euclidean).trees(2).leaf_size(50);
        let index = index.build(Vectors::new(&values, 8).unwrap()).unwrap();
        let shapes = index.tree_shapes();
        assert_eq!(shapes.len(), 2);
        for shape in &shapes {
            assert_eq!(shape.leaves.iter().sum::<usize>(), 900);
            assert_eq!(shape.n_groups, 1);
        }
        assert_eq!(shapes.iter().map(|s| s.leaves.len()).sum::<usize>(), index.n_leaves());
    }
}
