//! A warm searcher asks the system for no memory.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::allocator::{Counting, count};
use common::{Numbers, clustered};
use nearwood::{Effort, Filter, Index, Metric, Vectors};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const DIM: usize = 20;
const N: usize = 6000;
const EFFORTS: [Effort; 4] =
    [Effort::Recall(0.9), Effort::Budget(500), Effort::Budget(N), Effort::Exact];

fn index(metric: Metric, trees: usize, graph: bool) -> Index {
    let values = clustered(N, DIM, 30, &mut Numbers::new(31));
    let builder = Index::builder(metric).trees(trees).leaf_size(40).graph(Some(graph));
    builder.build(Vectors::new(&values, DIM).unwrap()).unwrap()
}

#[test]
fn the_counter_counts() {
    let before = count();
    let vector = std::hint::black_box(vec![1u8; 100]);
    assert_eq!((count() - before, vector.len()), (1, 100));
}

#[test]
fn a_warm_search_allocates_nothing() {
    let queries = clustered(50, DIM, 30, &mut Numbers::new(32));
    let excluded: Vec<u32> = (0..200).collect();
    for metric in Metric::ALL {
        for (trees, graph) in [(1, false), (3, false), (1, metric != Metric::Dot)] {
            let index = index(metric, trees, graph);
            let half = Filter::from_positions(&index, (0..N as u32).step_by(2));
            let few = Filter::from_positions(&index, (0..N as u32).step_by(500));
            for effort in EFFORTS {
                let mut searcher = index.searcher();
                searcher.k(10).effort(effort);
                let mut ask_all = || {
                    let mut found = 0;
                    for filter in [None, Some(&half), Some(&few)] {
                        for excluded in [&[][..], &excluded] {
                            searcher.filter(filter).exclude(excluded);
                            for query in queries.chunks_exact(DIM) {
                                found += searcher.search(query).unwrap().len();
                            }
                        }
                    }
                    found
                };
                let cold = ask_all();
                let before = count();
                let warm = ask_all();
                assert_eq!(
                    count() - before,
                    0,
                    "{metric}, {trees} trees, graph {graph}, {effort:?}"
                );
                assert_eq!(warm, cold);
            }
        }
    }
}
