//! TEXMEX files: before each vector its dimension as a little-endian int32.

use std::io::{BufRead, Read};
use std::path::Path;

use crate::error::ReadError;

use super::matrix::Matrix;
use super::source::{Source, extension, format_error, io_error};

/// The largest dimension that is taken for one.
const MAX_DIM: i32 = 1 << 20;

/// Reads vectors of float32 (`.fvecs`) or uint8 (`.bvecs`) as float32.
///
/// # Errors
/// If the file cannot be read, has another extension, its vectors differ in dimension, or the last
/// is cut short.
pub fn read(path: impl AsRef<Path>) -> Result<Matrix, ReadError> {
    let path = path.as_ref();
    match extension(path).as_str() {
        "fvecs" => read_as(path, f32::from_le_bytes),
        "bvecs" => read_as(path, |b: [u8; 1]| f32::from(b[0])),
        other => Err(format_error(path, format!("got .{other}, expected .fvecs or .bvecs"))),
    }
}

/// Reads rows of int32 (`.ivecs`), true neighbours for instance, as int64.
///
/// # Errors
/// If the file cannot be read, its rows differ in length, or the last is cut short.
pub fn read_ivecs(path: impl AsRef<Path>) -> Result<Matrix<i64>, ReadError> {
    read_as(path.as_ref(), |b| i64::from(i32::from_le_bytes(b)))
}

fn read_as<const N: usize, T>(
    path: &Path,
    convert: impl Fn([u8; N]) -> T,
) -> Result<Matrix<T>, ReadError> {
    let source = Source::open(path)?;
    let len = source.len();
    let mut reader = source.into_buffered();
    let mut matrix = Matrix { data: Vec::new(), rows: 0, cols: 0 };
    let mut bytes = Vec::new();
    while !reader.fill_buf().map_err(|e| io_error(path, e))?.is_empty() {
        let cut = |e| row_error(path, matrix.rows, e);
        let mut dim = [0; 4];
        reader.read_exact(&mut dim).map_err(cut)?;
        let cols = check_dim(path, &matrix, i32::from_le_bytes(dim))?;
        if matrix.rows == 0 {
            matrix.cols = cols;
            let rows = len.map_or(0, |len| len as usize / (4 + cols * N));
            matrix.data.reserve_exact(rows * cols);
            bytes.resize(cols * N, 0);
        }
        reader.read_exact(&mut bytes).map_err(cut)?;
        matrix.data.extend(bytes.as_chunks::<N>().0.iter().map(|&b| convert(b)));
        matrix.rows += 1;
    }
    Ok(matrix)
}

fn check_dim<T>(path: &Path, matrix: &Matrix<T>, dim: i32) -> Result<usize, ReadError> {
    let row = matrix.rows;
    if !(1..=MAX_DIM).contains(&dim) {
        let problem = format!("vector {row} says dimension {dim}, expected 1 to {MAX_DIM}");
        return Err(format_error(path, problem));
    }
    let cols = dim as usize;
    if row > 0 && cols != matrix.cols {
        let problem = format!("vector {row} has dimension {cols}, those before {}", matrix.cols);
        return Err(format_error(path, problem));
    }
    Ok(cols)
}

fn row_error(path: &Path, row: usize, error: std::io::Error) -> ReadError {
    if error.kind() != std::io::ErrorKind::UnexpectedEof {
        return io_error(path, error);
    }
    format_error(path, format!("vector {row} is cut short: copy the file again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(name: &str, bytes: &[u8], read: impl Fn(&Path) -> T) -> T {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    fn rows<const N: usize>(rows: &[&[[u8; N]]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for row in rows {
            bytes.extend((row.len() as i32).to_le_bytes());
            bytes.extend(row.iter().flatten());
        }
        bytes
    }

    #[test]
    fn each_kind_is_read() {
        let f = rows(&[&[1f32, 2.0].map(f32::to_le_bytes), &[3f32, -4.5].map(f32::to_le_bytes)]);
        let got = with("a.fvecs", &f, |p| read(p)).unwrap();
        assert_eq!(got, Matrix { data: vec![1.0, 2.0, 3.0, -4.5], rows: 2, cols: 2 });
        let b = rows(&[&[[1], [255], [3]]]);
        let got = with("a.BVECS", &b, |p| read(p)).unwrap();
        assert_eq!(got, Matrix { data: vec![1.0, 255.0, 3.0], rows: 1, cols: 3 });
        let i = rows(&[&[(-7i32).to_le_bytes()], &[9i32.to_le_bytes()]]);
        let got = with("a.ivecs", &i, |p| read_ivecs(p)).unwrap();
        assert_eq!(got, Matrix { data: vec![-7, 9], rows: 2, cols: 1 });
        assert_eq!(with("a.fvecs", &[], |p| read(p)).unwrap(), Matrix::default());
    }

    #[test]
    fn faults_are_named() {
        let fault = |bytes: &[u8]| with("a.bvecs", bytes, |p| read(p)).unwrap_err().to_string();
        let ragged = rows(&[&[[1], [2]], &[[3]]]);
        assert!(fault(&ragged).contains("vector 1 has dimension 1, those before 2"));
        assert!(fault(&[2, 0, 0, 0, 1]).contains("vector 0 is cut short"));
        assert!(fault(&[1, 0, 0, 0, 1, 1, 0]).contains("vector 1 is cut short"));
        assert!(fault(&[0xff; 8]).contains("dimension -1, expected 1 to"));
        assert!(fault(&[0, 0, 0, 0]).contains("dimension 0"));
        assert!(with("a.vec", &[], |p| read(p)).is_err());
    }
}
