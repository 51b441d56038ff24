//! The front door for vectors.

use std::path::Path;

use crate::error::{ReadError, SaveError};

use super::matrix::Matrix;
use super::source::{Source, extension, format_error};
use super::{fvecs, magic, npy, numbers};

/// Reads vectors as float32, one a row: `.npy`, `.fvecs`, `.bvecs`, numbers as text (`.csv`, `.tsv`,
/// `.txt`), or Parquet with one column of lists of floats, each also compressed (`.gz`, `.zst`,
/// `.bz2`); `-` is an `.npy` array on standard input.
///
/// A one-dimensional array is a single row. Holds the result; see [`npy`], [`fvecs`] and the text
/// rules: a tab, comma, semicolon or spaces between numbers, with or without a header.
///
/// # Errors
/// If the extension is none of these, or the file is not what it says.
pub fn read_vectors(path: impl AsRef<Path>) -> Result<Matrix, ReadError> {
    let path = path.as_ref();
    match extension(path).as_str() {
        "npy" => npy::read(path),
        "fvecs" | "bvecs" => fvecs::read(path),
        "csv" | "tsv" | "txt" => numbers::read(path),
        #[cfg(feature = "tables")]
        "parquet" | "pq" => super::parquet_vectors::read(Source::open(path)?),
        "" if path == Path::new("-") => npy::read(path),
        other => Err(unknown(path, other)),
    }
}

/// What to say of a file with another extension.
fn unknown(path: &Path, extension: &str) -> ReadError {
    let source = match Source::open(path) {
        Ok(source) => source,
        Err(error) => return error,
    };
    let expected = "expected npy, fvecs, bvecs, csv, tsv, txt or parquet";
    let what =
        magic::named(source.head()).map(|(what, remedy)| format!("; it is {what}: {remedy}"));
    format_error(
        path,
        format!("got extension {extension:?}, {expected}{}", what.unwrap_or_default()),
    )
}

/// Vectors, in the file that they were saved in or in memory.
pub struct VectorFile(Values);

enum Values {
    Mapped(npy::Mapped),
    Read(Matrix),
}

impl VectorFile {
    /// All values, row after row.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        match &self.0 {
            Values::Mapped(array) => array.values(),
            Values::Read(matrix) => &matrix.data,
        }
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        match &self.0 {
            Values::Mapped(array) => array.rows,
            Values::Read(matrix) => matrix.rows,
        }
    }

    /// Values a row.
    #[must_use]
    pub fn cols(&self) -> usize {
        match &self.0 {
            Values::Mapped(array) => array.cols,
            Values::Read(matrix) => matrix.cols,
        }
    }

    /// Whether the values are read from the file as they are used, rather than held in memory.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        matches!(self.0, Values::Mapped(_))
    }
}

/// Vectors from any file that [`read_vectors`] reads. A plain float32 `.npy` in C order, as
/// `numpy.save` writes, is mapped, so that vectors may be more than memory; all else is read.
///
/// A mapped file must stay as it is meanwhile: truncating it ends the process.
///
/// # Errors
/// As [`read_vectors`].
pub fn map_vectors(path: impl AsRef<Path>) -> Result<VectorFile, ReadError> {
    let path = path.as_ref();
    let mapped = if extension(path) == "npy" { npy::map(path)? } else { None };
    Ok(VectorFile(match mapped {
        Some(array) => Values::Mapped(array),
        None => Values::Read(read_vectors(path)?),
    }))
}

/// Writes a matrix as a float32 `.npy` file, atomically; `-` is standard output.
///
/// # Errors
/// If the extension is another, the matrix contradicts itself, or the system refuses.
pub fn write_matrix(path: impl AsRef<Path>, matrix: &Matrix) -> Result<(), SaveError> {
    let path = path.as_ref();
    if path != Path::new("-") && extension(path) != "npy" {
        let got = extension(path);
        return Err(crate::store::refused(path, format!("got extension {got:?}, expected npy")));
    }
    if matrix.rows.checked_mul(matrix.cols) != Some(matrix.data.len()) {
        let (len, rows, cols) = (matrix.data.len(), matrix.rows, matrix.cols);
        return Err(crate::store::refused(
            path,
            format!("{len} values are not {rows} rows of {cols}"),
        ));
    }
    npy::write(path, &matrix.data, matrix.cols)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_chooses_the_reader() {
        let dir = tempfile::tempdir().unwrap();
        let matrix = Matrix { data: vec![1.0, 2.0], rows: 2, cols: 1 };
        let path = dir.path().join("v.npy");
        write_matrix(&path, &matrix).unwrap();
        assert_eq!(read_vectors(&path).unwrap(), matrix);
        let text = dir.path().join("v.tsv");
        std::fs::write(&text, "1\n2\n").unwrap();
        assert_eq!(read_vectors(&text).unwrap(), matrix);
        let vecs = dir.path().join("v.bvecs");
        std::fs::write(&vecs, [1, 0, 0, 0, 1, 1, 0, 0, 0, 2]).unwrap();
        assert_eq!(read_vectors(&vecs).unwrap(), matrix);
        let other = dir.path().join("v.npz");
        std::fs::write(&other, b"PK\x03\x04\0\0\0\0data.npy").unwrap();
        let error = read_vectors(&other).unwrap_err().to_string();
        assert!(error.contains("got extension \"npz\", expected npy"), "{error}");
        assert!(error.contains("it is NumPy arrays (.npz): load it"), "{error}");
        let missing = read_vectors(dir.path().join("v.pt")).unwrap_err();
        assert!(matches!(missing, ReadError::Io { .. }), "{missing}");
    }

    #[test]
    fn only_what_lies_as_it_is_used_is_mapped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("v.npy");
        let matrix = Matrix { data: (0..12).map(|i| i as f32).collect(), rows: 4, cols: 3 };
        write_matrix(&path, &matrix).unwrap();
        let mapped = map_vectors(&path).unwrap();
        assert!(mapped.is_mapped() && mapped.values() == matrix.data);
        assert_eq!((mapped.rows(), mapped.cols()), (4, 3));
        let bytes = std::fs::read(&path).unwrap();
        for (from, to) in [("<f4", ">f4"), ("False", "True ")] {
            let text: Vec<u8> =
                String::from_utf8_lossy(&bytes[10..128]).replace(from, to).into_bytes();
            std::fs::write(&path, [&bytes[..10], &text[..118], &bytes[128..]].concat()).unwrap();
            assert!(!map_vectors(&path).unwrap().is_mapped(), "{to}");
        }
        std::fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
        let cut = map_vectors(&path).err().unwrap().to_string();
        assert!(cut.contains("got 44 bytes of data, expected 48"), "{cut}");
        let text = dir.path().join("v.tsv");
        std::fs::write(&text, "1\n2\n").unwrap();
        assert!(!map_vectors(&text).unwrap().is_mapped());
        assert!(map_vectors(dir.path().join("none.npy")).is_err());
    }

    #[test]
    fn what_contradicts_itself_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("v.npy");
        let wrong = Matrix { data: vec![1.0, 2.0], rows: 1, cols: 1 };
        assert!(write_matrix(&path, &wrong).is_err());
        assert!(write_matrix(dir.path().join("v.csv"), &Matrix::default()).is_err());
        assert!(!path.exists());
    }
}
