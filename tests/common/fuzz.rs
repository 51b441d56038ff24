//! What the fuzz targets of `fuzz/` do with an input: here, so that `tests/stored/fuzz_finds.rs` does the
//! same with the inputs that once did harm. Answers and errors are all right, a panic is not.

use std::sync::LazyLock;

use nearwood::recommend::Weighting;
use nearwood::{Metric, Storage};

use super::exercise::{as_index, as_model, as_recommender};
use super::file::{ENTRY_SIZE, HEADER_SIZE, entry_field, get, n_sections, reseal, sections};
use super::{Naming, small_graph, small_index, small_recommender, small_stored};

/// Opens bytes as they are, and with the checksums made right; whether the latter opened.
pub fn open(bytes: &[u8]) -> bool {
    as_index(bytes);
    as_recommender(bytes);
    as_model(bytes);
    let mut sealed = bytes.to_vec();
    seal(&mut sealed);
    as_index(&sealed) | as_recommender(&sealed) | as_model(&sealed)
}

/// Makes every checksum right as far as table and sections lie within the bytes.
fn seal(bytes: &mut [u8]) {
    if bytes.len() < HEADER_SIZE {
        return;
    }
    let room = (bytes.len() - HEADER_SIZE) / ENTRY_SIZE;
    for number in 0..n_sections(bytes).min(room) {
        let field = |name| get(bytes, entry_field(number, name));
        let (start, len) = (field("offset") as usize, field("length") as usize);
        let content = start.checked_add(len).and_then(|end| bytes.get(start..end));
        if let Some(crc) = content.map(crc32fast::hash) {
            bytes[entry_field(number, "crc")].copy_from_slice(&crc.to_le_bytes());
        }
    }
    reseal(bytes);
}

/// Small whole files: an index for every metric and storage, with a graph and without, and a
/// recommender. A model's payload is read whole when it is opened: the other target does that.
pub fn small_files() -> &'static [Vec<u8>] {
    &SMALL
}

static SMALL: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let naming = [Naming::Sequential, Naming::Ints, Naming::TextsAndLabels];
    let indexes = Metric::ALL.into_iter().zip(naming.into_iter().cycle());
    let mut files: Vec<Vec<u8>> =
        indexes.map(|(m, naming)| small_index(m, 24, naming).as_bytes().to_vec()).collect();
    let walked = Metric::ALL.into_iter().filter(|metric| *metric != Metric::Dot);
    files.extend(walked.map(|metric| small_graph(metric, 40).as_bytes().to_vec()));
    for storage in [Storage::Float16, Storage::Int8] {
        files.push(small_stored(Metric::Euclidean, storage).as_bytes().to_vec());
    }
    files.push(small_recommender(12, 20, Weighting::Bm25).as_bytes().to_vec());
    files
});

/// Files large enough for time and memory to show what is read again and again: leaves in groups, names
/// and seen items by the thousand.
static LARGE: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let indexes = [
        small_index(Metric::Euclidean, 3000, Naming::TextsAndLabels),
        small_graph(Metric::Angular, 3000),
    ];
    let mut files: Vec<Vec<u8>> = indexes.iter().map(|index| index.as_bytes().to_vec()).collect();
    files.push(small_recommender(1500, 300, Weighting::Raw).as_bytes().to_vec());
    files
});

/// Alternates the least and the largest of a section's elements: offsets then go to and fro.
pub fn swing(bytes: &mut [u8], size: usize) {
    let key = |slot: &&[u8]| slot.iter().rev().copied().collect::<Vec<u8>>();
    let Some(largest) = bytes.chunks_exact(size).max_by_key(key).map(<[u8]>::to_vec) else {
        return;
    };
    for (at, slot) in bytes.chunks_exact_mut(size).enumerate() {
        if at % 2 == 0 { slot.fill(0) } else { slot.copy_from_slice(&largest) }
    }
}

/// Damages the payload of a whole file, makes its checksums right and asks everything; whether it
/// opened. The first byte says which file, every eight after it where and what: so the fuzzer need
/// not find its way through header and table.
pub fn payload(bytes: &[u8]) -> bool {
    let Some((&which, damage)) = bytes.split_first() else { return false };
    let which = usize::from(which) % (SMALL.len() + LARGE.len());
    let mut file = SMALL.iter().chain(&*LARGE).nth(which).cloned().unwrap_or_default();
    let parts = sections(&file);
    let first = parts[0].bytes.start;
    for part in damage.as_chunks::<8>().0 {
        let [a, b, c, how, value @ ..] = *part;
        let at = u32::from_le_bytes([a, b, c, 0]) as usize;
        // Half of the damages are of words, the other half of whole sections.
        if how & 2 == 2 {
            let section = parts[at % parts.len()].bytes.clone();
            damage_section(&mut file[section], how, value);
            continue;
        }
        let mut at = first + at % (file.len() - first - 4);
        if how & 1 == 1 {
            at -= at % 4;
        }
        let repeat = 1 + usize::from(how >> 4);
        for word in file[at..].as_chunks_mut::<4>().0.iter_mut().take(repeat) {
            *word = value;
        }
    }
    seal(&mut file);
    as_index(&file) | as_recommender(&file)
}

fn damage_section(section: &mut [u8], how: u8, value: [u8; 4]) {
    let size = if how & 1 == 1 { 8 } else { 4 };
    match how >> 2 & 3 {
        0 => swing(section, size),
        1 => section.chunks_exact_mut(4).for_each(|word| word.copy_from_slice(&value)),
        2 => section.reverse(),
        _ => {
            let by = usize::from(value[0]) % section.len().max(1);
            section.rotate_left(by);
        }
    }
}

/// Feeds bytes to a reader of files, which the first byte names.
#[cfg(feature = "tables")]
pub fn readers(bytes: &[u8]) {
    use nearwood::io::{
        Delimiter, Format, NamesOptions, Quote, ReadOptions, fvecs, npy, read_ids,
        read_interactions, read_names, read_names_with, read_vectors,
    };
    let Some((&which, content)) = bytes.split_first() else { return };
    let extensions = ["csv", "parquet", "npy", "fvecs", "bvecs", "txt", "tsv", "ivecs"];
    let suffix = format!(".{}", extensions[which as usize % 8]);
    let file = tempfile::Builder::new().suffix(&suffix).tempfile().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let path = file.path();
    let column = |name: &str| Some(name.to_string());
    let options = match which / 8 % 4 {
        0 => ReadOptions::default(),
        1 => ReadOptions {
            user: column("0"),
            item: column("1"),
            // The uppermost bit, so that inputs found before mean what they meant.
            skip_bad_rows: which >= 128,
            ..ReadOptions::default()
        },
        2 => ReadOptions { format: Some(Format::Lists), ..ReadOptions::default() },
        _ => ReadOptions { delimiter: Some(Delimiter::DoubleColon), ..ReadOptions::default() },
    };
    // Quoting, header and encoding from bits of which earlier inputs made no use.
    let dialect = match which / 32 % 4 {
        0 => ReadOptions::default(),
        1 => ReadOptions { quote: Some(Quote::Byte(b'"')), ..ReadOptions::default() },
        2 => ReadOptions { quote: Some(Quote::None), header: Some(true), ..ReadOptions::default() },
        _ => ReadOptions { encoding: "utf-16".parse().ok(), ..ReadOptions::default() },
    };
    let options = ReadOptions {
        quote: dialect.quote,
        header: dialect.header,
        encoding: dialect.encoding,
        ..options
    };
    if let Ok(data) = read_interactions(path, &options) {
        assert_eq!(data.users.len(), data.matrix.n_rows());
        assert_eq!(data.items.len(), data.matrix.n_cols());
        line_ends_do_not_matter(path, content, &options);
    }
    if let Ok(matrix) = read_vectors(path) {
        assert_eq!(matrix.data.len(), matrix.rows * matrix.cols);
    }
    let names = NamesOptions { skip_bad_rows: true, quote: dialect.quote, ..Default::default() };
    let _ = (read_names(path), read_names_with(path, &names), read_ids(path));
    let _ = (npy::read_i64(path), fvecs::read_ivecs(path));
}

/// A text without quotes gives the same interactions with LF, CRLF and CR.
#[cfg(feature = "tables")]
fn line_ends_do_not_matter(
    path: &std::path::Path,
    content: &[u8],
    options: &nearwood::io::ReadOptions,
) {
    let is_plain = |b: &u8| *b == b'\n' || (b' '..0x7f).contains(b);
    if !content.iter().all(is_plain) || content.contains(&b'"') || options.encoding.is_some() {
        return;
    }
    let data = nearwood::io::read_interactions(path, options).unwrap();
    for end in ["\r", "\r\n"] {
        let text = String::from_utf8_lossy(content).replace('\n', end);
        std::fs::write(path, text).unwrap();
        assert_eq!(nearwood::io::read_interactions(path, options).unwrap(), data, "{end:?}");
    }
    std::fs::write(path, content).unwrap();
}

/// Feeds bytes to the reader of Annoy's files; the first two name metric, layout and dimension.
/// Whether they are one.
#[cfg(feature = "tables")]
pub fn annoy(bytes: &[u8]) -> bool {
    use nearwood::io::annoy::{AnnoyFile, AnnoyMetric};
    let [which, dim, content @ ..] = bytes else { return false };
    let metric = AnnoyMetric::ALL[usize::from(*which) % AnnoyMetric::ALL.len()];
    let layouts = metric.layouts();
    let layout = match usize::from(*which) / AnnoyMetric::ALL.len() % (layouts.len() + 1) {
        0 => None,
        at => Some(layouts[at - 1]),
    };
    let shared = nearwood::store::Bytes::copy(content);
    let file = AnnoyFile::from_shared(shared, "fuzz", metric, usize::from(*dim) + 1, layout);
    let Ok(file) = file else { return false };
    assert_eq!(file.ids().len(), file.len());
    if let Ok(matrix) = file.vectors() {
        assert_eq!((matrix.rows, matrix.cols), (file.len(), file.dim()));
    }
    true
}
