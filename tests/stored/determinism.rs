//! One seed, one file: at any number of threads, on every instruction set.

use std::process::Command;

use crate::common::{Numbers, clustered, fit_options, plays};
use nearwood::kernel::Isa;
use nearwood::recommend::{FitOptions, Weighting};
use nearwood::{Ids, Index, Interactions, Metric, Recommender, Storage, Vectors};

const DIM: usize = 19;

fn index(metric: Metric, seed: u64, n_threads: Option<usize>) -> Vec<u8> {
    // Enough rows that splits, Lloyd rounds and the mean all run in parallel.
    let values = clustered(12_000, DIM, 40, &mut Numbers::new(21));
    let builder = Index::builder(metric).trees(2).leaf_size(100).seed(seed).threads(n_threads);
    let ids = Ids::Text((0..12_000).map(|i| format!("id {i}")).collect());
    let index = builder.ids(ids).build(Vectors::new(&values, DIM).unwrap()).unwrap();
    index.as_bytes().to_vec()
}

/// Stored as bytes or in half precision.
fn stored(storage: Storage, n_threads: Option<usize>) -> Vec<u8> {
    let values = clustered(5000, DIM, 40, &mut Numbers::new(23));
    let builder = Index::builder(Metric::Manhattan).storage(storage).threads(n_threads);
    builder.build(Vectors::new(&values, DIM).unwrap()).unwrap().as_bytes().to_vec()
}

/// Small leaves and no graph, so that they stand in groups.
fn grouped(n_threads: Option<usize>) -> Vec<u8> {
    let values = clustered(26_000, 3, 200, &mut Numbers::new(22));
    let builder = Index::builder(Metric::Euclidean).leaf_size(8).graph(Some(false));
    let builder = builder.threads(n_threads);
    builder.build(Vectors::new(&values, 3).unwrap()).unwrap().as_bytes().to_vec()
}

fn recommender(seed: u64, n_threads: Option<usize>) -> Vec<u8> {
    let data = Interactions::from_matrix(plays(400, 900, 20));
    let mut options: FitOptions = fit_options(17, Weighting::Bm25);
    (options.params.seed, options.params.n_threads) = (seed, n_threads);
    Recommender::fit(&data, &options).unwrap().as_bytes().to_vec()
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let several = || [2, 3, 5].map(Some).into_iter().chain([None]);
    for metric in Metric::ALL {
        let one = index(metric, 1, Some(1));
        for n in several() {
            assert!(index(metric, 1, n) == one, "{metric}, {n:?} threads");
        }
    }
    for storage in Storage::ALL {
        let one = stored(storage, Some(1));
        for n in several() {
            assert!(stored(storage, n) == one, "{storage}, {n:?} threads");
        }
    }
    let (one_recommender, one_grouped) = (recommender(1, Some(1)), grouped(Some(1)));
    for n in several() {
        assert!(recommender(1, n) == one_recommender, "{n:?} threads");
        assert!(grouped(n) == one_grouped, "groups, {n:?} threads");
    }
}

#[test]
fn another_seed_gives_another_file() {
    for metric in Metric::ALL {
        assert!(index(metric, 1, None) != index(metric, 2, None), "{metric}");
    }
    assert!(recommender(1, None) != recommender(2, None));
}

/// The instruction set in force, and a checksum of each file built under it.
fn report() -> String {
    let crcs: Vec<String> = Metric::ALL
        .into_iter()
        .map(|metric| index(metric, 1, None))
        .chain(Storage::ALL.map(|storage| stored(storage, None)))
        .chain([recommender(1, None), grouped(None)])
        .map(|bytes| format!("{:08x}", crc32fast::hash(&bytes)))
        .collect();
    format!("REPORT {} {} END", Isa::active(), crcs.join(" "))
}

#[test]
fn every_instruction_set_gives_the_same_bytes() {
    // The children are this test again, each under another instruction set.
    if std::env::var_os("NEARWOOD_TEST_REPORT").is_some() {
        println!("{}", report());
        return;
    }
    let available = Isa::available();
    println!("instruction sets compared: {available:?}");
    let expect_avx2 =
        cfg!(target_arch = "x86_64") && std::env::var_os("NEARWOOD_OLD_CPU").is_none();
    assert!(!expect_avx2 || available.contains(&Isa::Avx2), "no AVX2: set NEARWOOD_OLD_CPU=1");
    let reports: Vec<(String, String)> = available.iter().map(|isa| run_under(*isa)).collect();
    for ((in_force, files), isa) in reports.iter().zip(&available) {
        assert_eq!(in_force, isa.name(), "the child was to run under {isa}");
        assert_eq!(files, &reports[0].1, "{isa} and {}", available[0]);
    }
}

fn run_under(isa: Isa) -> (String, String) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["determinism::every_instruction_set_gives_the_same_bytes", "--exact", "--nocapture"])
        .env("NEARWOOD_TEST_REPORT", "1")
        .env("NEARWOOD_ISA", isa.name())
        .output()
        .unwrap();
    let text = String::from_utf8(child.stdout).unwrap();
    let report = text.split_once("REPORT ").and_then(|(_, rest)| rest.split_once(" END"));
    let (in_force, files) = report.expect(&text).0.split_once(' ').unwrap();
    println!("{in_force}: {files}");
    (in_force.to_string(), files.to_string())
}
