//! NumPy's `.npy` files: one array, a small text header before its bytes.
//!
//! Format versions 1 to 3 are read; version 1 is written, little-endian and in C order, its data on
//! a multiple of 64 bytes. Gzipped files are read too (feature `tables`), and `-` is standard
//! input or output.

use std::io::{BufRead, Read, Write};
use std::path::Path;

use half::f16;

use crate::error::{OpenError, ReadError, SaveError};

use super::matrix::Matrix;
use super::npy_header::{self, Header, Kind};
use super::source::{Source, format_error, io_error};
use crate::store::{AtomicFile, Bytes, save_error};

/// How many elements are converted at a time.
const CHUNK: usize = 1 << 16;

/// Reads an array of float16, float32, float64, integers of any width or bool as float32.
///
/// Integers beyond 2^24 are rounded, as numpy rounds them. One dimension is a single row. Either byte order and either array order is read. A float64
/// beyond float32's range becomes an infinity, which an index refuses. Holds the result, and twice
/// that for an array in Fortran order.
///
/// # Errors
/// If the file cannot be read, is not such an array, or does not have the bytes its shape asks for.
pub fn read(path: impl AsRef<Path>) -> Result<Matrix, ReadError> {
    let mut array = Array::open(path.as_ref())?;
    let data = match (array.header.kind, array.header.width) {
        (Kind::Float, 2) => array.values(|b| f16::from_le_bytes(b).to_f32()),
        (Kind::Float, 4) => array.values(f32::from_le_bytes),
        (Kind::Float, 8) => array.values(|b| f64::from_le_bytes(b) as f32),
        (Kind::Unsigned, 1) => array.values(|b: [u8; 1]| f32::from(b[0])),
        (Kind::Bool, 1) => array.values(|b: [u8; 1]| f32::from(u8::from(b[0] != 0))),
        (Kind::Signed, 1) => array.values(|b| f32::from(i8::from_le_bytes(b))),
        (Kind::Signed, 2) => array.values(|b| f32::from(i16::from_le_bytes(b))),
        (Kind::Signed, 4) => array.values(|b| i32::from_le_bytes(b) as f32),
        (Kind::Signed, 8) => array.values(|b| i64::from_le_bytes(b) as f32),
        (Kind::Unsigned, 2) => array.values(|b| f32::from(u16::from_le_bytes(b))),
        (Kind::Unsigned, 4) => array.values(|b| u32::from_le_bytes(b) as f32),
        (Kind::Unsigned, 8) => array.values(|b| u64::from_le_bytes(b) as f32),
        _ => Err(array.dtype_error("floats, integers or bool", "float32")),
    }?;
    array.shaped(data)
}

/// Reads an array of uint8 as it is: bits packed by `numpy.packbits`, for instance. One dimension
/// is a single row.
///
/// # Errors
/// If the file cannot be read, is not such an array, or does not have the bytes its shape asks for.
pub fn read_bytes(path: impl AsRef<Path>) -> Result<Matrix<u8>, ReadError> {
    let mut array = Array::open(path.as_ref())?;
    let data = match (array.header.kind, array.header.width) {
        (Kind::Unsigned, 1) => array.values(|[byte]: [u8; 1]| byte),
        _ => Err(array.dtype_error("uint8, as numpy.packbits makes them", "uint8")),
    }?;
    array.shaped(data)
}

/// Maps an array of float32 as it lies in its file: little-endian, in C order. `None` where that
/// cannot be: for another type or order, a gzipped file, or standard input.
///
/// # Errors
/// If the file cannot be read, is not an array, or does not have the bytes its shape asks for.
pub(super) fn map(path: &Path) -> Result<Option<Mapped>, ReadError> {
    if !std::fs::metadata(path).is_ok_and(|meta| meta.is_file()) {
        return Ok(None);
    }
    let array = Array::open(path)?;
    let header = &array.header;
    let as_it_lies = header.kind == Kind::Float && header.width == 4 && !header.big_endian;
    let (Some(available), true) = (array.available, as_it_lies && !header.fortran) else {
        return Ok(None);
    };
    let length = array.rows * array.cols * 4;
    if available != length as u64 {
        return Err(array.length_error(available));
    }
    let bytes = match Bytes::map(path, false) {
        Err(error) if error.is_unmappable() => return Ok(None),
        Err(OpenError::Io { source, .. } | OpenError::Map { source, .. }) => {
            return Err(io_error(path, source));
        }
        Err(other) => return Err(format_error(path, other.to_string())),
        Ok(bytes) => bytes,
    };
    let start = bytes.len().saturating_sub(length);
    // A header of an odd length, which no writer of today leaves.
    if bytemuck::try_cast_slice::<u8, f32>(&bytes[start..]).is_err() {
        return Ok(None);
    }
    Ok(Some(Mapped { bytes, start, rows: array.rows, cols: array.cols }))
}

/// An array in its file.
#[derive(Clone)]
pub(super) struct Mapped {
    bytes: Bytes,
    start: usize,
    pub rows: usize,
    pub cols: usize,
}

impl Mapped {
    pub(super) fn values(&self) -> &[f32] {
        bytemuck::cast_slice(&self.bytes[self.start..])
    }
}

/// Reads an array of any integers, ids for instance, as int64. One dimension is a single row.
///
/// # Errors
/// If the file cannot be read, is not such an array, does not have the bytes its shape asks for, or
/// holds a uint64 above int64's range.
pub fn read_i64(path: impl AsRef<Path>) -> Result<Matrix<i64>, ReadError> {
    let mut array = Array::open(path.as_ref())?;
    let data = match (array.header.kind, array.header.width) {
        (Kind::Signed, 1) => array.values(|b| i64::from(i8::from_le_bytes(b))),
        (Kind::Signed, 2) => array.values(|b| i64::from(i16::from_le_bytes(b))),
        (Kind::Signed, 4) => array.values(|b| i64::from(i32::from_le_bytes(b))),
        (Kind::Signed, 8) => array.values(i64::from_le_bytes),
        (Kind::Unsigned, 1) => array.values(|b: [u8; 1]| i64::from(b[0])),
        (Kind::Unsigned, 2) => array.values(|b| i64::from(u16::from_le_bytes(b))),
        (Kind::Unsigned, 4) => array.values(|b| i64::from(u32::from_le_bytes(b))),
        (Kind::Unsigned, 8) => array.large_unsigned(),
        _ => Err(array.dtype_error("integers of 1, 2, 4 or 8 bytes", "int64")),
    }?;
    array.shaped(data)
}

/// Writes float32 values, `cols` a row, atomically: the target is the old file or the whole new
/// one. `-` is standard output.
///
/// # Errors
/// If the values do not fill whole rows, or the system refuses.
pub fn write(path: impl AsRef<Path>, values: &[f32], cols: usize) -> Result<(), SaveError> {
    write_array(path.as_ref(), "<f4", bytemuck::cast_slice(values), values.len(), cols)
}

/// Writes int64 values, `cols` a row, atomically. `-` is standard output.
///
/// # Errors
/// If the values do not fill whole rows, or the system refuses.
pub fn write_i64(path: impl AsRef<Path>, values: &[i64], cols: usize) -> Result<(), SaveError> {
    write_array(path.as_ref(), "<i8", bytemuck::cast_slice(values), values.len(), cols)
}

fn write_array(
    path: &Path,
    dtype: &str,
    bytes: &[u8],
    len: usize,
    cols: usize,
) -> Result<(), SaveError> {
    let rows = super::whole_rows(path, len, cols)?;
    let mut file = AtomicFile::create(path)?;
    let written =
        file.write_all(&npy_header::encode(dtype, rows, cols)).and_then(|()| file.write_all(bytes));
    written.map_err(|e| save_error(path, e))?;
    file.commit()
}

/// An open file whose header is read.
struct Array<'a> {
    path: &'a Path,
    header: Header,
    rows: usize,
    cols: usize,
    reader: Box<dyn BufRead>,
    /// How many bytes there are after the header, where that is known beforehand.
    available: Option<u64>,
}

impl<'a> Array<'a> {
    fn open(path: &'a Path) -> Result<Array<'a>, ReadError> {
        let source = Source::open(path)?;
        let (header, start) =
            npy_header::decode(source.head()).map_err(|problem| format_error(path, problem))?;
        let (rows, cols) = header.rows_and_cols().map_err(|p| format_error(path, p))?;
        let available = source.len().map(|len| len.saturating_sub(start as u64));
        let mut reader: Box<dyn BufRead> = Box::new(source.into_buffered());
        let mut skipped = vec![0; start];
        reader.read_exact(&mut skipped).map_err(|e| io_error(path, e))?;
        Ok(Array { path, header, rows, cols, reader, available })
    }

    /// Every element through `convert`, which gets little-endian bytes.
    fn values<const N: usize, T>(
        &mut self,
        convert: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, ReadError> {
        // The header has checked that the product of shape and width fits.
        let count = self.rows * self.cols;
        let expected = (count * N) as u64;
        if let Some(got) = self.available.filter(|&got| got != expected) {
            return Err(self.length_error(got));
        }
        // Without a known length a header may promise what never comes.
        let trusted = if self.available.is_some() { count } else { count.min(CHUNK) };
        let mut values = Vec::with_capacity(trusted);
        let mut chunk = vec![0u8; CHUNK.min(count) * N];
        while values.len() < count {
            let wanted = &mut chunk[..CHUNK.min(count - values.len()) * N];
            let got = read_full(&mut self.reader, wanted).map_err(|e| io_error(self.path, e))?;
            if got < wanted.len() {
                return Err(self.length_error((values.len() * N + got) as u64));
            }
            let big = self.header.big_endian;
            values.extend(wanted.as_chunks::<N>().0.iter().map(|&bytes| {
                let mut bytes = bytes;
                if big {
                    bytes.reverse();
                }
                convert(bytes)
            }));
        }
        self.at_end(expected)?;
        Ok(values)
    }

    fn large_unsigned(&mut self) -> Result<Vec<i64>, ReadError> {
        let values = self.values(u64::from_le_bytes)?;
        let fits = |v: u64| {
            i64::try_from(v).map_err(|_| {
                format_error(self.path, format!("got {v}, ids are int64: at most {}", i64::MAX))
            })
        };
        values.into_iter().map(fits).collect()
    }

    fn at_end(&mut self, expected: u64) -> Result<(), ReadError> {
        match self.reader.fill_buf().map_err(|e| io_error(self.path, e))?.len() as u64 {
            0 => Ok(()),
            more => Err(self.length_error(expected + more)),
        }
    }

    fn shaped<T: Copy>(&self, data: Vec<T>) -> Result<Matrix<T>, ReadError> {
        let (rows, cols) = (self.rows, self.cols);
        if self.header.fortran && rows > 1 && cols > 1 {
            return Ok(Matrix::from_columns(&data, rows, cols));
        }
        Ok(Matrix { data, rows, cols })
    }

    fn length_error(&self, got: u64) -> ReadError {
        let expected = (self.rows * self.cols * self.header.width) as u64;
        let cause = if got < expected {
            "the file is cut short: copy or save it again"
        } else {
            "there is more than one array in it: save each to its own file"
        };
        let problem = format!(
            "got {got} bytes of data, expected {expected} for shape {:?} of {}: {cause}",
            self.header.shape, self.header.dtype
        );
        format_error(self.path, problem)
    }

    fn dtype_error(&self, expected: &str, convert: &str) -> ReadError {
        let got = &self.header.dtype;
        let problem =
            format!("got dtype {got:?}, expected {expected}: save array.astype(\"{convert}\")");
        format_error(self.path, problem)
    }
}

/// Fills as much of `buffer` as the input has left.
fn read_full(reader: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn with<T>(bytes: &[u8], read: impl Fn(&Path) -> T) -> T {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    fn floats(dtype: &str, order: &str, shape: &str, data: &[u8]) -> Result<Matrix, ReadError> {
        let header =
            format!("{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        with(&file(&header, data), |p| read(p))
    }

    #[test]
    fn every_dtype_and_order_is_read() {
        let want = Matrix { data: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], rows: 2, cols: 3 };
        let f4: Vec<u8> = (1..7).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let big: Vec<u8> = (1..7).flat_map(|i| (i as f64).to_be_bytes()).collect();
        let f2: Vec<u8> = (1..7).flat_map(|i| f16::from_f32(i as f32).to_le_bytes()).collect();
        assert_eq!(floats("<f4", "False", "(2, 3)", &f4).unwrap(), want);
        assert_eq!(floats(">f8", "False", "(2, 3)", &big).unwrap(), want);
        assert_eq!(floats("<f2", "False", "(2, 3)", &f2).unwrap(), want);
        assert_eq!(floats("|u1", "False", "(2, 3)", &[1, 2, 3, 4, 5, 6]).unwrap(), want);
        assert_eq!(floats("|u1", "True", "(2, 3)", &[1, 4, 2, 5, 3, 6]).unwrap(), want);
        assert_eq!(floats("|b1", "False", "(2,)", &[0, 1]).unwrap().data, [0.0, 1.0]);
        let row = floats("|i1", "False", "(2,)", &[0xff, 2]).unwrap();
        assert_eq!(row, Matrix { data: vec![-1.0, 2.0], rows: 1, cols: 2 });
        assert_eq!(floats("<f4", "False", "(0, 3)", &[]).unwrap().cols, 3);
    }

    #[test]
    fn bytes_are_read_as_they_are() {
        let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2)}";
        let read = with(&file(header, &[1, 255, 3, 4]), |p| read_bytes(p)).unwrap();
        assert_eq!(read, Matrix { data: vec![1, 3, 255, 4], rows: 2, cols: 2 });
        let header = "{'descr': '|i1', 'fortran_order': False, 'shape': (1, 2)}";
        let error = with(&file(header, &[1, 2]), |p| read_bytes(p)).unwrap_err().to_string();
        assert!(error.contains("expected uint8, as numpy.packbits"), "{error}");
    }

    #[test]
    fn integers_are_read_as_int64() {
        let ints = |dtype: &str, data: &[u8]| {
            let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': (1,)}}");
            with(&file(&header, data), |p| read_i64(p)).map(|m| m.data[0])
        };
        assert_eq!(ints("<i8", &i64::MIN.to_le_bytes()).unwrap(), i64::MIN);
        assert_eq!(ints(">i4", &(-5i32).to_be_bytes()).unwrap(), -5);
        assert_eq!(ints("<u4", &u32::MAX.to_le_bytes()).unwrap(), i64::from(u32::MAX));
        assert_eq!(ints("|u1", &[200]).unwrap(), 200);
        assert!(ints("<u8", &u64::MAX.to_le_bytes()).unwrap_err().to_string().contains("int64"));
        let float = ints("<f4", &1f32.to_le_bytes()).unwrap_err().to_string();
        assert!(float.contains("got dtype \"<f4\", expected integers"), "{float}");
    }

    #[test]
    fn what_was_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        let values: Vec<f32> = (0..200_000).map(|i| i as f32 * 0.5).collect();
        write(&path, &values, 4).unwrap();
        assert_eq!(read(&path).unwrap(), Matrix { data: values, rows: 50_000, cols: 4 });
        write_i64(&path, &[7, -1, i64::MAX], 1).unwrap();
        let ids = read_i64(&path).unwrap();
        assert_eq!(ids, Matrix { data: vec![7, -1, i64::MAX], rows: 3, cols: 1 });
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((bytes.len() - 3 * 8) % 64, 0);
        assert!(write(&path, &[1.0, 2.0, 3.0], 2).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn data_of_another_length_is_named() {
        let short = floats("<f4", "False", "(2, 3)", &[0; 20]).unwrap_err().to_string();
        assert!(
            short.contains("got 20 bytes of data, expected 24 for shape [2, 3] of <f4"),
            "{short}"
        );
        let long = floats("<f4", "False", "(1, 3)", &[0; 20]).unwrap_err().to_string();
        assert!(long.contains("got 20 bytes") && long.contains("more than one"), "{long}");
        let huge = floats("<f4", "False", "(1000000000000,)", &[0; 4]).unwrap_err().to_string();
        assert!(huge.contains("cut short"), "{huge}");
    }

    #[cfg(feature = "tables")]
    #[test]
    fn a_promise_in_a_gzipped_file_allocates_nothing() {
        let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}";
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&file(header, &[0; 8])).unwrap();
        let bytes = gz.finish().unwrap();
        let error = with(&bytes, |p| read(p)).unwrap_err().to_string();
        assert!(error.contains("got 8 bytes of data"), "{error}");
    }
}
