//! Whatever bytes a reader is fed, it answers or refuses, without a panic. Damaged files are made
//! from good ones, so that the damage reaches every depth of a reader.
#![cfg(feature = "tables")]
// Helpers of tests are tests too.

use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;

use nearwood::index::IdRef;
use nearwood::io::{
    Delimiter, Format, IdKind, NamesOptions, Quote, RankingWriter, ReadOptions, fvecs, npy,
    read_ids, read_interactions, read_names, read_names_with, read_vectors,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// A table, gzipped.
static GZIPPED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    (0..200).for_each(|i| writeln!(gz, "{},{},{i}", i % 7, i * 31 % 101).unwrap());
    gz.finish().unwrap()
});

/// Names a file of these bytes for as long as `read` runs.
fn with(name: &str, bytes: &[u8], read: impl Fn(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read(&path);
}

/// A good file with a few bytes replaced, perhaps cut short or with a piece repeated.
fn damaged(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let len = good.len();
    let changes = vec((0..len, any::<u8>()), 0..8);
    (changes, 0..=len, 0..=len, 0..4u8).prop_map(move |(changes, a, b, what)| {
        let mut bytes = good.clone();
        changes.iter().for_each(|&(at, byte)| bytes[at] = byte);
        match what {
            0 => bytes.truncate(a),
            1 => bytes.extend_from_within(a.min(b)..a.max(b)),
            _ => {}
        }
        bytes
    })
}

fn any_or_damaged(good: &[u8]) -> impl Strategy<Value = Vec<u8>> + use<> {
    prop_oneof![1 => vec(any::<u8>(), 0..300), 3 => damaged(good.to_vec())]
}

/// Text made of what readers look for.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(&b"\n"[..]),
        Just(&b"\r\n"[..]),
        Just(&b"\r"[..]),
        Just(&b";"[..]),
        Just(&b"|"[..]),
        Just(&b"\\\""[..]),
        Just(&b"\"\""[..]),
        Just(&b"NULL"[..]),
        Just(&b"sep=;\n"[..]),
        Just(&b","[..]),
        Just(&b"\t"[..]),
        Just(&b"::"[..]),
        Just(&b"\""[..]),
        Just(&b" "[..]),
        Just(&b"-1"[..]),
        Just(&b"12"[..]),
        Just(&b"0.5"[..]),
        Just(&b"user"[..]),
        Just(&b"item"[..]),
        Just(&b"\xff"[..]),
        Just(&b"nan"[..]),
        Just(&b"\xef\xbb\xbf"[..]),
        Just(&b"1e999"[..]),
        Just("é".as_bytes()),
        Just(&b"\0"[..]),
    ];
    vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// An index into every way of asking for columns.
fn options() -> impl Strategy<Value = ReadOptions> {
    let name = || prop_oneof![Just(None), Just(Some("0")), Just(Some("1")), Just(Some("user"))];
    let delimiter = prop_oneof![
        Just(None),
        Just(Some(Delimiter::DoubleColon)),
        (0..127u8).prop_map(|b| Some(Delimiter::Byte(b)))
    ];
    let format = prop_oneof![
        Just(None),
        Just(Some(Format::Table)),
        Just(Some(Format::Lists)),
        Just(Some(Format::Parquet)),
        Just(Some(Format::Arrow))
    ];
    let quote = prop_oneof![
        2 => Just(None),
        1 => Just(Some(Quote::None)),
        1 => (33..127u8).prop_map(|b| Some(Quote::Byte(b)))
    ];
    let encoding = prop_oneof![
        6 => Just(None),
        1 => Just(Some("latin-1")),
        1 => Just(Some("utf-16")),
        1 => Just(Some("shift_jis"))
    ];
    let encoding = encoding.prop_map(|name| name.map(|name| name.parse().unwrap()));
    let flags = (any::<Option<bool>>(), any::<bool>(), any::<bool>(), quote, encoding);
    (name(), name(), name(), name(), format, delimiter, flags).prop_map(
        |(user, item, weight, time, format, delimiter, flags)| {
            let columns = [user, item, weight, time].map(|n| n.map(String::from));
            let [user, item, weight, time] = columns;
            let (header, skip_bad_rows, keep_null_ids, quote, encoding) = flags;
            ReadOptions {
                user,
                item,
                weight,
                time,
                format,
                delimiter,
                quote,
                header,
                encoding,
                skip_bad_rows,
                keep_null_ids,
            }
        },
    )
}

/// A Parquet file of several pages, with strings and integers.
static PARQUET: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("good.parquet");
    let mut writer = RankingWriter::recommendations(&path, IdKind::Text, IdKind::Int).unwrap();
    for user in 0..20 {
        let name = format!("user-{user}");
        writer.push(IdRef::Text(&name), (0..9).map(|i| (IdRef::Int(i), i as f32))).unwrap();
    }
    writer.finish().unwrap();
    std::fs::read(&path).unwrap()
});

/// Arrays of integers and of floats, whose headers differ only in the type.
static NPY: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("good.npy");
    npy::write_i64(&path, &[1, 2, 3, 4, 5, 6], 3).unwrap();
    let integers = std::fs::read(&path).unwrap();
    npy::write(&path, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2).unwrap();
    [integers, std::fs::read(&path).unwrap()]
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn interactions(bytes in prop_oneof![text(), vec(any::<u8>(), 0..300), damaged(GZIPPED.clone())], options in options()) {
        with("t.csv", &bytes, |path| {
            if let Ok(data) = read_interactions(path, &options) {
                assert_eq!(data.users.len(), data.matrix.n_rows());
                assert_eq!(data.items.len(), data.matrix.n_cols());
                data.users.check(data.users.len()).unwrap();
                data.items.check(data.items.len()).unwrap();
            }
        });
    }

    #[test]
    fn parquet(bytes in damaged(PARQUET.clone())) {
        let columns = ["user", "item", "score"].map(|name| Some(name.to_string()));
        let [user, item, weight] = columns;
        let format = Some(Format::Parquet);
        let options = ReadOptions { user, item, weight, format, ..ReadOptions::default() };
        with("t.parquet", &bytes, |path| {
            let _ = read_interactions(path, &options);
        });
    }

    #[test]
    fn arrays(bytes in prop_oneof![any_or_damaged(&NPY[0]), any_or_damaged(&NPY[1])]) {
        with("t.npy", &bytes, |path| {
            if let Ok(matrix) = read_vectors(path) {
                assert_eq!(matrix.data.len(), matrix.rows * matrix.cols);
            }
            if let Ok(matrix) = npy::read_i64(path) {
                assert_eq!(matrix.data.len(), matrix.rows * matrix.cols);
            }
            let _ = read_ids(path);
        });
    }

    #[test]
    fn texmex(bytes in any_or_damaged(&[2, 0, 0, 0, 9, 8, 7, 6, 5, 4, 3, 2])) {
        for name in ["t.fvecs", "t.bvecs"] {
            with(name, &bytes, |path| {
                if let Ok(matrix) = read_vectors(path) {
                    assert_eq!(matrix.data.len(), matrix.rows * matrix.cols);
                }
                let _ = fvecs::read_ivecs(path);
            });
        }
    }

    #[test]
    fn names_ids_and_numbers(bytes in prop_oneof![text(), vec(any::<u8>(), 0..300)]) {
        with("t.txt", &bytes, |path| {
            let _ = read_names(path);
            let skip = NamesOptions { skip_bad_rows: true, ..NamesOptions::default() };
            let _ = read_names_with(path, &skip);
            if let Ok(ids) = read_ids(path) {
                ids.check(ids.len()).unwrap();
            }
            if let Ok(matrix) = read_vectors(path) {
                assert_eq!(matrix.data.len(), matrix.rows * matrix.cols);
            }
        });
    }
}
