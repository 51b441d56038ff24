//! Half precision, bytes and packed bits: what is stored is what is searched, to the bit.

use crate::common::{Numbers, clustered};
use nearwood::error::BuildError;
use nearwood::index::Builder;
use nearwood::{BatchOptions, Effort, Index, Metric, Storage, Vectors};

const DIM: usize = 21;
const METRICS: [Metric; 4] = [Metric::Euclidean, Metric::Angular, Metric::Dot, Metric::Manhattan];

fn builder(metric: Metric, storage: Storage) -> Builder {
    Index::builder(metric).leaf_size(50).seed(4).storage(storage)
}

fn build(metric: Metric, storage: Storage, values: &[f32]) -> Index {
    let index = builder(metric, storage).build(Vectors::new(values, DIM).unwrap()).unwrap();
    index.verify().unwrap();
    index
}

fn stored(index: &Index) -> Vec<f32> {
    (0..index.len() as u32).flat_map(|at| index.vector(at).unwrap().into_owned()).collect()
}

#[test]
fn an_index_answers_as_one_of_float32_over_what_it_stores() {
    let values = clustered(1500, DIM, 20, &mut Numbers::new(1));
    let queries = clustered(40, DIM, 20, &mut Numbers::new(1));
    for metric in METRICS {
        for storage in [Storage::Float16, Storage::Int8] {
            let index = build(metric, storage, &values);
            assert_eq!(index.storage(), storage.name());
            let plain = build(metric, Storage::Float32, &stored(&index));
            for effort in [Effort::Exact, Effort::Budget(300), Effort::Recall(0.9)] {
                for n_threads in [Some(1), Some(2)] {
                    let options = BatchOptions { k: 7, effort, filter: None, n_threads };
                    let ask = |index: &Index| index.search_batch(&queries, options).unwrap();
                    assert_eq!(ask(&index), ask(&plain), "{metric}, {storage}, {effort:?}");
                }
                let one = |index: &Index| {
                    index.searcher().effort(effort).search(&queries[..DIM]).unwrap().to_vec()
                };
                assert_eq!(one(&index), one(&plain), "{metric}, {storage}, {effort:?}");
            }
            assert!(index.as_bytes().len() < plain.as_bytes().len());
        }
    }
}

#[test]
fn values_come_back_as_near_as_promised() {
    let values = clustered(400, DIM, 9, &mut Numbers::new(2));
    let half = stored(&build(Metric::Euclidean, Storage::Float16, &values));
    assert!(values.iter().zip(&half).all(|(a, b)| (a - b).abs() <= a.abs() / 2048.0));
    let bytes = stored(&build(Metric::Euclidean, Storage::Int8, &values));
    let mean = |j: usize| values.iter().skip(j).step_by(DIM).sum::<f32>() / 400.0;
    let mean: Vec<f32> = (0..DIM).map(mean).collect();
    for (row, back) in values.chunks_exact(DIM).zip(bytes.chunks_exact(DIM)) {
        let most = row.iter().zip(&mean).map(|(x, m)| (x - m).abs()).fold(0.0, f32::max);
        let far = row.iter().zip(back).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        assert!(far <= most / 254.0 * 1.01, "{far} {most}");
    }
}

#[test]
fn integers_of_a_byte_are_stored_without_loss() {
    let mut numbers = Numbers::new(3);
    for least in [0.0, -128.0] {
        let values: Vec<f32> = (0..500 * DIM).map(|_| numbers.below(256) as f32 + least).collect();
        for metric in METRICS {
            let index = build(metric, Storage::Int8, &values);
            assert_eq!(stored(&index), values, "{metric}, from {least}");
            let options = BatchOptions { effort: Effort::Exact, ..BatchOptions::default() };
            let plain = build(metric, Storage::Float32, &values);
            let ask = |index: &Index| index.search_batch(&values[..9 * DIM], options).unwrap();
            assert_eq!(ask(&index), ask(&plain), "{metric}, from {least}");
        }
    }
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let mut values = clustered(30, DIM, 3, &mut Numbers::new(5));
    values[DIM + 2] = 70_000.0;
    let build =
        |metric, storage| builder(metric, storage).build(Vectors::new(&values, DIM).unwrap()).err();
    let error = build(Metric::Dot, Storage::Float16).unwrap();
    assert!(matches!(error, BuildError::BeyondHalf { row: 1, column: 2, .. }), "{error}");
    assert!(error.to_string().contains("row 1, column 2 is 70000: float16 holds up to 65504"));
    assert!(build(Metric::Dot, Storage::Int8).is_none());
    for storage in [Storage::Float16, Storage::Int8] {
        let error = build(Metric::Hamming, storage).unwrap();
        assert!(matches!(error, BuildError::Parameter { name: "storage", .. }), "{error}");
    }
    assert!("float64".parse::<Storage>().unwrap_err().to_string().contains("\"int8\""));
    assert!(Storage::ALL.iter().all(|s| s.name().parse::<Storage>().unwrap() == *s));
}

/// Bits as `numpy.packbits` packs them, written out here.
fn pack(rows: &[Vec<bool>]) -> Vec<u8> {
    let byte = |eight: &[bool]| {
        eight.iter().enumerate().map(|(at, &bit)| u8::from(bit) << (7 - at)).sum::<u8>()
    };
    rows.iter().flat_map(|row| row.chunks(8).map(byte)).collect()
}

#[test]
fn packed_bits_are_the_same_index_as_zeros_and_ones() {
    let mut numbers = Numbers::new(6);
    for dim in [1, 7, 8, 13, 64, 100] {
        let mut bits = |n: usize| -> Vec<Vec<bool>> {
            (0..n).map(|_| (0..dim).map(|_| numbers.below(3) == 0).collect()).collect()
        };
        let (rows, queries) = (bits(300), bits(5));
        let floats = |rows: &[Vec<bool>]| -> Vec<f32> {
            rows.iter().flatten().map(|&bit| f32::from(u8::from(bit))).collect()
        };
        let values = floats(&rows);
        let packed = pack(&rows);
        let build = |vectors| builder(Metric::Hamming, Storage::Float32).build(vectors).unwrap();
        let index = build(Vectors::packed(&packed, dim).unwrap());
        assert!(index.as_bytes() == build(Vectors::new(&values, dim).unwrap()).as_bytes());
        assert_eq!((index.storage(), index.dim(), index.len()), ("bits", dim, 300));
        assert_eq!(index.unpack(&pack(&queries)).unwrap(), floats(&queries));
    }
}

#[test]
fn packed_bits_that_make_no_rows_are_refused() {
    let shape = Vectors::packed(&[0; 5], 12).unwrap_err();
    assert!(matches!(shape, BuildError::Shape { len: 5, dim: 2 }), "{shape}");
    assert!(matches!(Vectors::packed(&[], 12), Err(BuildError::Empty)));
    assert!(matches!(Vectors::packed(&[1], 0), Err(BuildError::Dimension { .. })));
    let beyond = Vectors::packed(&[0, 0, 0xff, 0x08], 12).unwrap_err();
    assert!(matches!(beyond, BuildError::BitBeyond { row: 1, dim: 12 }), "{beyond}");
    let vectors = Vectors::packed(&[0xff, 0xf0], 12).unwrap();
    assert_eq!((vectors.len(), vectors.to_values()), (1, vec![1.0; 12]));
    let error = Index::builder(Metric::Dot).build(vectors).err().unwrap();
    assert!(matches!(error, BuildError::Parameter { name: "metric", .. }), "{error}");
    let index = Index::builder(Metric::Hamming).build(vectors).unwrap();
    assert!(index.unpack(&[0; 3]).is_err() && index.unpack(&[0, 1]).is_err());
    assert!(index.unpack(&[]).unwrap().is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn zeros_of_a_file_take_no_memory_before_they_are_written_to() {
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        4096 * pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap()
    };
    let before = resident();
    let zeros = nearwood::store::Buffer::in_memory(1 << 30);
    let taken = resident().saturating_sub(before);
    assert!(taken < 1 << 29, "{taken} bytes");
    assert!(zeros.as_ref()[12_345..].iter().step_by(1 << 24).all(|&byte| byte == 0));
}
