//! One query at a time, and batches, at fixed recalls.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nearwood::{BatchOptions, Effort, Index, Metric, Vectors};

mod data;

const DIM: usize = 64;

fn search(c: &mut Criterion) {
    // Queries from the same clusters, not in the base.
    let all = data::clustered(51_000, DIM, 500, 1);
    let (base, queries) = all.split_at(50_000 * DIM);
    for metric in Metric::ALL {
        let vectors = Vectors::new(base, DIM).expect("generated vectors are finite");
        let index = Index::builder(metric).build(vectors).expect("builds");
        let mut group = c.benchmark_group(format!("search {metric}, queries"));
        for effort in
            [Effort::Recall(0.9), Effort::Recall(0.95), Effort::Recall(0.99), Effort::Exact]
        {
            let mut searcher = index.searcher();
            searcher.k(10).effort(effort);
            let mut next = queries.chunks_exact(DIM).cycle();
            group.throughput(Throughput::Elements(1));
            group.bench_function(format!("{effort:?}, one by one"), |b| {
                b.iter(|| {
                    let query = next.next().expect("a cycle has no end");
                    searcher.search(query).expect("searches").len()
                })
            });
        }
        group.sample_size(10).throughput(Throughput::Elements(1000));
        for effort in [Effort::Recall(0.95), Effort::Budget(50_000)] {
            let options = BatchOptions { effort, n_threads: Some(1), ..BatchOptions::default() };
            group.bench_function(format!("{effort:?}, a batch of 1,000 on one thread"), |b| {
                b.iter(|| index.search_batch(queries, options).expect("searches"))
            });
            let mut searcher = index.searcher();
            searcher.k(10).effort(effort);
            group.bench_function(format!("{effort:?}, the same 1,000 one by one"), |b| {
                b.iter(|| {
                    let ask = |query| searcher.search(query).expect("searches").len();
                    queries.chunks_exact(DIM).map(ask).sum::<usize>()
                })
            });
        }
        group.bench_function("Recall(0.95), a batch of 1,000 on all threads", |b| {
            b.iter(|| index.search_batch(queries, BatchOptions::default()).expect("searches"))
        });
    }
}

criterion_group!(benches, search);
criterion_main!(benches);
