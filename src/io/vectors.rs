//! The front door for vectors.

use std::path::Path;

use crate::error::{ReadError, SaveError};

use super::matrix::Matrix;
use super::source::{extension, format_error};
use super::{fvecs, npy, numbers};

/// Reads vectors as float32, one a row: `.npy`, `.fvecs`, `.bvecs`, or numbers as text (`.csv`,
/// `.tsv`, `.txt`), each also gzipped with `.gz` behind; `-` is an `.npy` array on standard input.
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
        "" if path == Path::new("-") => npy::read(path),
        other => Err(format_error(
            path,
            format!("got extension {other:?}, expected npy, fvecs, bvecs, csv, tsv or txt"),
        )),
    }
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
        let error = read_vectors(dir.path().join("v.pt")).unwrap_err().to_string();
        assert!(error.contains("got extension \"pt\", expected npy"), "{error}");
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
