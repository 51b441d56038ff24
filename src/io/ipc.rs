//! Interactions from an Arrow IPC file (Feather), a batch of rows at a time.
//!
//! The crate's own reader of files allocates what the file says, so that a damaged one could end the
//! process. Here every length is compared with the file's before its bytes are read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::{Block, MetadataVersion, root_as_footer, root_as_message};
use arrow_schema::Schema;

use crate::error::ReadError;

use super::ReadOptions;
use super::arrow::ArrowRows;
use super::parquet::{guarded, seekable};
use super::source::{Source, format_error, io_error};
use super::wanted::Wanted;

const MAGIC: &[u8] = b"ARROW1\0\0";
/// The last bytes: the footer's length and the magic again.
const TAIL: u64 = 10;
/// No compression makes columns smaller than by this factor, but for a few bytes.
const MOST_PACKED: u64 = 1 << 14;

/// Whether a file begins as Arrow IPC files do.
pub(super) fn is_arrow(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Adds the rows of a file; `partitions` are columns with one value for all of them.
pub(super) fn read_into(
    source: Source,
    options: &ReadOptions,
    partitions: &[(String, String)],
    rows: &mut ArrowRows,
) -> Result<(), ReadError> {
    let path = source.path().to_path_buf();
    let mut file = ArrowFile::open(seekable(source)?, &path)?;
    let wanted = Wanted::find(&file.schema, options, partitions, &path)?;
    let decoder = FileDecoder::new(file.schema.clone(), file.version);
    let mut decoder = decoder.with_projection(wanted.roots());
    for block in std::mem::take(&mut file.dictionaries) {
        let bytes = file.block(&block)?;
        guarded(&path, || decoder.read_dictionary(&block, &bytes))?;
    }
    for block in std::mem::take(&mut file.batches) {
        let bytes = file.block(&block)?;
        let batch: Option<RecordBatch> =
            guarded(&path, || decoder.read_record_batch(&block, &bytes))?;
        if let Some(batch) = batch {
            wanted.push(&batch, rows)?;
        }
    }
    Ok(())
}

/// A file and what its footer says.
struct ArrowFile<'a> {
    file: File,
    path: &'a Path,
    len: u64,
    schema: Arc<Schema>,
    version: MetadataVersion,
    dictionaries: Vec<Block>,
    batches: Vec<Block>,
}

impl<'a> ArrowFile<'a> {
    fn open(mut file: File, path: &'a Path) -> Result<ArrowFile<'a>, ReadError> {
        let len = file.seek(SeekFrom::End(0)).map_err(|e| io_error(path, e))?;
        let cut = || format_error(path, "the Arrow file is cut short: copy it again");
        let from = len.checked_sub(TAIL).ok_or_else(cut)?;
        let tail = read_at(&mut file, from, TAIL, path)?;
        let tail = tail.first_chunk::<10>().copied().ok_or_else(cut)?;
        let footer_len = guarded(path, || read_footer_length(tail))? as u64;
        let from = from.checked_sub(footer_len).ok_or_else(cut)?;
        let bytes = read_at(&mut file, from, footer_len, path)?;
        guarded(path, || {
            let footer = root_as_footer(&bytes).map_err(|e| e.to_string())?;
            let schema = footer.schema().ok_or("the file has no schema")?;
            Ok::<_, String>(ArrowFile {
                schema: Arc::new(fb_to_schema(schema)),
                version: footer.version(),
                dictionaries: footer.dictionaries().iter().flatten().copied().collect(),
                batches: footer.recordBatches().iter().flatten().copied().collect(),
                file,
                path,
                len,
            })
        })
    }
    /// The bytes of a block: a message, then what it describes.
    fn block(&mut self, block: &Block) -> Result<Buffer, ReadError> {
        let damaged = |what: &str| {
            format_error(
                self.path,
                format!("the Arrow data are damaged: {what}; copy the file again"),
            )
        };
        let number = |value: i64| u64::try_from(value).ok().filter(|&value| value <= self.len);
        let (head, body) = (number(block.metaDataLength().into()), number(block.bodyLength()));
        let (Some(from), Some(head), Some(body)) = (number(block.offset()), head, body) else {
            return Err(damaged("a block lies outside the file"));
        };
        if from + head + body > self.len {
            return Err(damaged("a block lies outside the file"));
        }
        let bytes = read_at(&mut self.file, from, head + body, self.path)?;
        let checked = guarded(self.path, || check_packed(&bytes, head as usize))?;
        if !checked {
            return Err(damaged("a column would be unpacked to more than it can hold"));
        }
        Ok(Buffer::from(bytes))
    }
}

/// Whether no compressed column of a block says that it is impossibly long: the decoder allocates
/// what it says.
fn check_packed(bytes: &[u8], head: usize) -> Result<bool, String> {
    let marked = bytes.starts_with(b"\xff\xff\xff\xff");
    let message = bytes.get(if marked { 8 } else { 4 }..head).ok_or("a message is cut short")?;
    let message = root_as_message(message).map_err(|e| e.to_string())?;
    let dictionary = message.header_as_dictionary_batch().and_then(|batch| batch.data());
    let Some(batch) = message.header_as_record_batch().or(dictionary) else { return Ok(true) };
    if batch.compression().is_none() {
        return Ok(true);
    }
    let fits = |buffer: &arrow_ipc::Buffer| {
        let at = head.checked_add(usize::try_from(buffer.offset()).ok()?)?;
        let packed = u64::try_from(buffer.length()).ok()?;
        if packed == 0 {
            return Some(());
        }
        let says = i64::from_le_bytes(*bytes.get(at..)?.first_chunk::<8>()?);
        // -1 says that it is not compressed.
        (says <= 0 || says as u64 <= packed.checked_mul(MOST_PACKED)?).then_some(())
    };
    Ok(batch.buffers().iter().flatten().all(|buffer| fits(buffer).is_some()))
}

fn read_at(file: &mut File, from: u64, len: u64, path: &Path) -> Result<Vec<u8>, ReadError> {
    let mut bytes = vec![0; len as usize];
    file.seek(SeekFrom::Start(from))
        .and_then(|_| file.read_exact(&mut bytes))
        .map_err(|e| io_error(path, e))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use arrow_array::{
        ArrayRef, DictionaryArray, Float64Array, Int32Array, StringArray, types::Int32Type,
    };
    use arrow_ipc::CompressionType;
    use arrow_ipc::writer::{FileWriter, IpcWriteOptions};

    use super::super::interactions::read_interactions;
    use super::*;
    use crate::index::Ids;

    fn options() -> ReadOptions {
        let [user, item, weight] = ["u", "i", "w"].map(|name| Some(name.to_string()));
        ReadOptions { user, item, weight, ..ReadOptions::default() }
    }

    fn file(compression: Option<CompressionType>) -> Vec<u8> {
        let notes: DictionaryArray<Int32Type> = ["x", "y", "x"].into_iter().collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("note", Arc::new(notes)),
            ("i", Arc::new(StringArray::from(vec!["a", "b", "a"]))),
            ("w", Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0]))),
            ("u", Arc::new(Int32Array::from(vec![5, 5, 6]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
        let mut bytes = Vec::new();
        let mut writer =
            FileWriter::try_new_with_options(&mut bytes, &batch.schema(), options).unwrap();
        (0..2).for_each(|_| writer.write(&batch).unwrap());
        writer.finish().unwrap();
        drop(writer);
        bytes
    }

    #[test]
    fn feather_is_read_with_every_compression() {
        let dir = tempfile::tempdir().unwrap();
        for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
            let path = dir.path().join("t.feather");
            std::fs::write(&path, file(compression)).unwrap();
            let data = read_interactions(&path, &options()).unwrap();
            assert_eq!(data.users, Ids::Int(vec![5, 6]));
            assert_eq!(data.matrix.values(), [2.0, 4.0, 6.0], "{compression:?}");
        }
    }

    #[test]
    fn damage_anywhere_is_an_error_or_other_values() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.feather");
        for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
            let good = file(compression);
            for at in 8..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 0xff;
                std::fs::write(&path, &bad).unwrap();
                let _ = read_interactions(&path, &options());
            }
            for len in (8..good.len()).step_by(7) {
                std::fs::write(&path, &good[..len]).unwrap();
                assert!(read_interactions(&path, &options()).is_err());
            }
        }
    }
}
