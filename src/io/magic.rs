//! Names of file formats by their first bytes, for files that no reader here takes.

/// (first bytes, what the file is, what to do with it).
const KNOWN: [(&[u8], &str, &str); 30] = [
    (b"PAR1", "a Parquet file", "give it where a table of interactions or vectors is read"),
    (b"PARE", "an encrypted Parquet file", "write it again without encryption"),
    (b"ARROW1\0", "an Arrow IPC (Feather) file", "give it where a table of interactions is read"),
    (b"FEA1\0", "a Feather file of version 1", "write it again as Parquet"),
    (b"Obj\x01", "an Avro file", "write it again as Parquet"),
    (b"\xfd7zXZ\0", "an xz archive", "unpack it first (xz -d)"),
    (b"\x5d\0\0", "an lzma archive", "unpack it first (xz -d)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first (7z x)"),
    (b"Rar!\x1a\x07", "a rar archive", "unpack it first (unrar x)"),
    (b"\x04\x22\x4d\x18", "an lz4 archive", "unpack it first (lz4 -d)"),
    (b"\xff\x06\0\0sNaPpY", "a snappy archive", "unpack it first"),
    (b"LZIP\x01", "an lzip archive", "unpack it first (lzip -d)"),
    (b"\x1f\x9d", "a compress archive", "unpack it first (uncompress)"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Office file", "save the sheet as CSV"),
    (b"SQLite format 3\0", "an SQLite database", "export the table as CSV or Parquet"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "write the table again as Parquet or .npy"),
    (b"\x93NUMPY", "a NumPy array (.npy)", "give it where vectors or ids are read"),
    (b"\x80\x02", "a Python pickle", "open it in Python and write it again as Parquet"),
    (b"\x80\x03", "a Python pickle", "open it in Python and write it again as Parquet"),
    (b"\x80\x04", "a Python pickle", "open it in Python and write it again as Parquet"),
    (b"\x80\x05", "a Python pickle", "open it in Python and write it again as Parquet"),
    (b"RDX3", "an R workspace", "write the table again as CSV or Parquet"),
    (b"MATLAB 5.0", "a MATLAB file", "write the matrix again as .npy or CSV"),
    (b"%PDF-", "a PDF document", "export the table as CSV"),
    (b"\x89PNG", "a picture", "give a table"),
    (b"%%MatrixMarket", "a MatrixMarket file", "read it in Python with scipy.io.mmread"),
    (b"version https://git-lfs", "a Git LFS pointer", "fetch the file itself (git lfs pull)"),
    (b"<!DOCTYPE", "an HTML page", "download the file itself"),
    (b"<html", "an HTML page", "download the file itself"),
    (b"<?xml", "an XML file", "convert it to CSV or Parquet"),
];

/// How many bytes are searched for control characters.
const SAMPLE: usize = 1 << 12;

/// Names a file that no reader of text takes, and says what to do with it.
pub(super) fn not_text(head: &[u8]) -> Option<String> {
    let (what, remedy) = named(head).or_else(|| is_binary(head).then_some(BINARY))?;
    Some(format!("got {what}, expected text: {remedy}"))
}

const BINARY: (&str, &str) = ("binary data", "write the table as CSV or Parquet");

/// Names a file and says what to do with it, if its first bytes show what it is.
pub(super) fn named(head: &[u8]) -> Option<(&'static str, &'static str)> {
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Some(zip(head));
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some(("a tar archive", "unpack it first (tar -xf)"));
    }
    // Words begin with these three letters too, but do not go on with such a byte.
    if head.starts_with(b"ORC") && head.get(3).is_some_and(|b| *b < 0x20 || *b >= 0x7f) {
        return Some(("an ORC file", "write it again as Parquet"));
    }
    // A message's mark, then the length of its metadata.
    if head.starts_with(b"\xff\xff\xff\xff") && head.get(7) == Some(&0) {
        return Some((
            "an Arrow IPC stream",
            "write it again as an Arrow file (Feather) or Parquet",
        ));
    }
    if head.get(8..12) == Some(b"DUCK") {
        return Some(("a DuckDB database", "export the table as Parquet"));
    }
    if head.starts_with(&crate::format::MAGIC) {
        return Some(("a file of nearwood", "give it where an index or a recommender is opened"));
    }
    if is_json(head) {
        return Some((
            "JSON",
            "read it with pandas or polars, or write it again as CSV or Parquet",
        ));
    }
    KNOWN.iter().find(|(magic, ..)| head.starts_with(magic)).map(|(_, what, to_do)| (*what, *to_do))
}

fn zip(head: &[u8]) -> (&'static str, &'static str) {
    let names = |part: &[u8]| head.windows(part.len()).any(|window| window == part);
    if names(b"xl/") || names(b"[Content_Types].xml") {
        ("an Excel workbook (.xlsx)", "save the sheet as CSV")
    } else if names(b".npy") {
        ("NumPy arrays (.npz)", "load it in Python (numpy.load, scipy.sparse.load_npz)")
    } else if names(b"opendocument") {
        ("a spreadsheet (.ods)", "save the sheet as CSV")
    } else {
        ("a zip archive", "unpack it first (unzip)")
    }
}

/// An object with a key, or a list of objects or lists.
fn is_json(head: &[u8]) -> bool {
    let mut bytes = head.iter().filter(|b| !b.is_ascii_whitespace());
    match (bytes.next(), bytes.next()) {
        (Some(b'{'), next) => matches!(next, Some(b'"')),
        (Some(b'['), next) => matches!(next, Some(b'{' | b'[')),
        _ => false,
    }
}

/// Whether more than a few of the first bytes are control characters that no text has.
fn is_binary(head: &[u8]) -> bool {
    let sample = &head[..head.len().min(SAMPLE)];
    let odd = |b: &&u8| **b < 0x20 && !b"\t\n\r\x0b\x0c\x1b\x01\x02".contains(b);
    let count = sample.iter().filter(odd).count();
    count > 8 && count * 20 > sample.len()
}

/// The kind of UTF-16 that a text without a byte order mark is in, if nearly all of it is ASCII.
#[cfg(feature = "tables")]
pub(super) fn utf16_without_mark(head: &[u8]) -> Option<&'static str> {
    let pairs = head[..head.len().min(SAMPLE)].as_chunks::<2>().0;
    let share = |at: usize| pairs.iter().filter(|pair| pair[at] == 0 && pair[1 - at] != 0).count();
    if pairs.len() < 4 {
        return None;
    }
    let most = pairs.len() * 7 / 10;
    match (share(1) > most, share(0) > most) {
        (true, _) => Some("utf-16le"),
        (_, true) => Some("utf-16be"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_named_with_what_to_do() {
        let tar = [&[b'a'; 257][..], b"ustar\x0000"].concat();
        let xlsx = b"PK\x03\x04\x14\0\0\0[Content_Types].xml xl/workbook.xml";
        let npz = b"PK\x03\x04\x14\0\0\0\0\0indices.npy";
        for (head, what) in [
            (&tar[..], "a tar archive"),
            (xlsx, "an Excel workbook"),
            (npz, ".npz"),
            (b"PK\x03\x04ratings.csv", "a zip archive"),
            (b"ORC\x0a\x0b", "an ORC file"),
            (b"SQLite format 3\0\x10", "an SQLite database"),
            (b"\xfd7zXZ\0\0\x04", "an xz archive"),
            (b"{\"user\": 1}\n", "JSON"),
            (b"[{\"user\": 1}]", "JSON"),
            (b"<!DOCTYPE html>", "an HTML page"),
            (&[7; 100], "binary data"),
        ] {
            let said = not_text(head).unwrap_or_default();
            assert!(said.starts_with("got ") && said.contains(what), "{said}");
        }
    }

    #[test]
    fn text_is_left_alone() {
        for head in [
            &b""[..],
            b"u,i\n1,2\n",
            b"[a],b\n",
            b"{a},b\n",
            b"a\0b,c\n",
            b"\xff\xfe",
            b"ORCHID,1\n",
        ] {
            assert_eq!(not_text(head), None, "{head:?}");
        }
    }

    #[cfg(feature = "tables")]
    #[test]
    fn utf16_is_known_by_its_zeros() {
        assert_eq!(utf16_without_mark(b"u\0,\0i\0\n\0a\0"), Some("utf-16le"));
        assert_eq!(utf16_without_mark(b"\0u\0,\0i\0\n\0a"), Some("utf-16be"));
        assert_eq!(utf16_without_mark(b"user,item\n"), None);
    }
}
