//! Building an index, on one thread and on all.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nearwood::{Index, Metric, Vectors};

mod data;

fn build(c: &mut Criterion) {
    let (n, dim) = (50_000, 64);
    let values = data::clustered(n, dim, 500, 1);
    let mut group = c.benchmark_group("build, vectors");
    group.sample_size(10).throughput(Throughput::Elements(n as u64));
    for metric in Metric::ALL {
        for threads in [Some(1), None] {
            let name = format!("{metric}, {}", if threads.is_some() { "1 thread" } else { "all" });
            let builder = Index::builder(metric).threads(threads);
            let vectors = Vectors::new(&values, dim).expect("generated vectors are finite");
            group.bench_function(name, |b| b.iter(|| builder.build(vectors).expect("builds")));
        }
    }
}

criterion_group!(benches, build);
criterion_main!(benches);
