//! Ranked lists to a file: recommendations and search results.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, Int32Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::error::SaveError;
use crate::index::{IdRef, Ids};
use crate::progress;

use crate::store::{AtomicFile, refused, save_error};

/// Rows held before they are handed to the Parquet writer.
const BATCH: usize = 1 << 16;

/// The type of a column of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    /// int64.
    Int,
    /// UTF-8 strings.
    Text,
}

impl From<&Ids> for IdKind {
    fn from(ids: &Ids) -> IdKind {
        match ids {
            Ids::Sequential(_) | Ids::Int(_) => IdKind::Int,
            Ids::Text(_) => IdKind::Text,
        }
    }
}

impl IdKind {
    fn holds(self, id: IdRef<'_>) -> bool {
        matches!((self, id), (IdKind::Int, IdRef::Int(_)) | (IdKind::Text, IdRef::Text(_)))
    }
}

/// Writes ranked lists as a table of four columns, a list at a time.
///
/// The target's extension chooses the format: `.parquet` (or `.pq`; Snappy), `.csv`, `.tsv` (both
/// with a header), `.jsonl` (or `.ndjson`; an object a line, scores that are not finite as null);
/// `-` is CSV on standard output. In Parquet ids are int64 or strings, ranks int32 and scores
/// float32. The file appears whole when [`finish`](Self::finish) returns; dropped before that, or
/// after an error, nothing is left and an older file stays as it was. Holds at most 65,536 rows,
/// or with Parquet a row group of about a million.
pub struct RankingWriter {
    path: PathBuf,
    /// The names of the four columns.
    names: [&'static str; 4],
    kinds: [IdKind; 2],
    sink: Sink,
    rows: u64,
    /// A row was refused or lost: the file must not appear.
    failed: bool,
}

enum Sink {
    Delimited(Box<csv::Writer<AtomicFile>>),
    JsonLines(AtomicFile),
    Parquet(Box<ParquetSink>),
}

impl RankingWriter {
    /// A table of `user, item, rank, score`.
    ///
    /// # Errors
    /// If the extension is unknown or the system refuses.
    pub fn recommendations(
        path: impl AsRef<Path>,
        users: IdKind,
        items: IdKind,
    ) -> Result<RankingWriter, SaveError> {
        RankingWriter::create(path.as_ref(), ["user", "item", "rank", "score"], [users, items])
    }

    /// A table of `query, id, rank, distance`.
    ///
    /// # Errors
    /// If the extension is unknown or the system refuses.
    pub fn neighbours(
        path: impl AsRef<Path>,
        queries: IdKind,
        ids: IdKind,
    ) -> Result<RankingWriter, SaveError> {
        RankingWriter::create(path.as_ref(), ["query", "id", "rank", "distance"], [queries, ids])
    }

    fn create(
        path: &Path,
        names: [&'static str; 4],
        kinds: [IdKind; 2],
    ) -> Result<RankingWriter, SaveError> {
        let sink = Sink::create(path, names, kinds)?;
        Ok(RankingWriter { path: path.to_path_buf(), names, kinds, sink, rows: 0, failed: false })
    }

    /// Writes one list, best first; ranks count from 1.
    ///
    /// # Errors
    /// If an id is not of its column's type, or the system refuses.
    pub fn push<'a>(
        &mut self,
        key: IdRef<'_>,
        hits: impl IntoIterator<Item = (IdRef<'a>, f32)>,
    ) -> Result<(), SaveError> {
        progress::check();
        let pushed =
            (1..).zip(hits).try_for_each(|(rank, (id, score))| self.push_row(key, id, rank, score));
        self.failed |= pushed.is_err();
        pushed
    }

    fn push_row(
        &mut self,
        key: IdRef<'_>,
        id: IdRef<'_>,
        rank: i32,
        score: f32,
    ) -> Result<(), SaveError> {
        self.check(0, key)?;
        self.check(1, id)?;
        let written = match &mut self.sink {
            Sink::Delimited(writer) => delimited(writer, key, id, rank, score).map_err(bare),
            Sink::JsonLines(file) => json_line(file, self.names, key, id, rank, score),
            Sink::Parquet(sink) => sink.push(key, id, rank, score),
        };
        self.rows += 1;
        written.map_err(|e| save_error(&self.path, e))
    }

    /// Writes what is left and puts the file in its place. The number of rows written.
    ///
    /// # Errors
    /// If the system refuses or an earlier call failed; the target is then as it was.
    pub fn finish(self) -> Result<u64, SaveError> {
        progress::check();
        if self.failed {
            return Err(refused(&self.path, "an earlier row was not written"));
        }
        let file = match self.sink {
            Sink::Delimited(writer) => writer.into_inner().map_err(|e| e.into_error()),
            Sink::JsonLines(file) => Ok(file),
            Sink::Parquet(sink) => sink.finish(),
        };
        file.map_err(|e| save_error(&self.path, e))?.commit()?;
        Ok(self.rows)
    }

    fn check(&self, column: usize, id: IdRef<'_>) -> Result<(), SaveError> {
        let kind = self.kinds[column];
        if kind.holds(id) {
            return Ok(());
        }
        let name = self.names[column];
        Err(refused(&self.path, format!("got {name} {id:?} for a column of {kind:?}")))
    }
}

impl Sink {
    fn create(path: &Path, names: [&str; 4], kinds: [IdKind; 2]) -> Result<Sink, SaveError> {
        let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            _ if path == Path::new("-") => Sink::delimited(path, names, b','),
            Some("csv") => Sink::delimited(path, names, b','),
            Some("tsv") => Sink::delimited(path, names, b'\t'),
            Some("jsonl" | "ndjson") => Ok(Sink::JsonLines(AtomicFile::create(path)?)),
            Some("parquet" | "pq") => {
                let sink = ParquetSink::new(AtomicFile::create(path)?, names, kinds);
                sink.map(|sink| Sink::Parquet(Box::new(sink)))
            }
            other => {
                let other = other.unwrap_or_default();
                let problem =
                    format!("got extension {other:?}, expected parquet, csv, tsv or jsonl");
                Err(refused(path, problem))
            }
        }
    }

    fn delimited(path: &Path, names: [&str; 4], delimiter: u8) -> Result<Sink, SaveError> {
        let file = AtomicFile::create(path)?;
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(file);
        writer.write_record(names).map_err(|e| save_error(path, bare(e)))?;
        Ok(Sink::Delimited(Box::new(writer)))
    }
}

fn delimited(
    writer: &mut csv::Writer<AtomicFile>,
    key: IdRef<'_>,
    id: IdRef<'_>,
    rank: i32,
    score: f32,
) -> csv::Result<()> {
    for id in [key, id] {
        match id {
            IdRef::Int(id) => writer.write_field(id.to_string())?,
            IdRef::Text(id) => writer.write_field(id)?,
        }
    }
    writer.write_field(rank.to_string())?;
    writer.write_field(score.to_string())?;
    writer.write_record(None::<&[u8]>)
}

/// The system's own error, where the csv crate wraps one: its kind tells a closed pipe from a full
/// disk.
fn bare(error: csv::Error) -> std::io::Error {
    match error.is_io_error() {
        true => match error.into_kind() {
            csv::ErrorKind::Io(error) => error,
            other => std::io::Error::other(format!("{other:?}")),
        },
        false => error.into(),
    }
}

/// The same for the parquet crate.
fn bare_parquet(error: ParquetError) -> std::io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<std::io::Error>() {
            Ok(error) => *error,
            Err(other) => std::io::Error::other(other),
        },
        other => std::io::Error::other(other),
    }
}

fn json_line(
    file: &mut AtomicFile,
    names: [&str; 4],
    key: IdRef<'_>,
    id: IdRef<'_>,
    rank: i32,
    score: f32,
) -> std::io::Result<()> {
    let json = |id| match id {
        IdRef::Int(id) => id.to_string(),
        IdRef::Text(id) => serde_json::Value::from(id).to_string(),
    };
    let score = if score.is_finite() { score.to_string() } else { "null".to_string() };
    let [a, b, c, d] = names;
    let (key, id) = (json(key), json(id));
    writeln!(file, "{{\"{a}\":{key},\"{b}\":{id},\"{c}\":{rank},\"{d}\":{score}}}")
}

struct ParquetSink {
    writer: ArrowWriter<AtomicFile>,
    schema: Arc<Schema>,
    ids: [IdBuilder; 2],
    ranks: Int32Builder,
    scores: Float32Builder,
    held: usize,
}

enum IdBuilder {
    Int(Int64Builder),
    Text(StringBuilder),
}

impl ParquetSink {
    fn new(
        file: AtomicFile,
        names: [&str; 4],
        kinds: [IdKind; 2],
    ) -> Result<ParquetSink, SaveError> {
        let path = file.target().to_path_buf();
        let types =
            [kinds[0].data_type(), kinds[1].data_type(), DataType::Int32, DataType::Float32];
        let field = |(name, kind): (&str, DataType)| Field::new(name, kind, false);
        let fields: Vec<Field> = names.into_iter().zip(types).map(field).collect();
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))
            .map_err(|e| save_error(&path, bare_parquet(e)))?;
        let ids = kinds.map(IdBuilder::new);
        let (ranks, scores) = (Int32Builder::new(), Float32Builder::new());
        Ok(ParquetSink { writer, schema, ids, ranks, scores, held: 0 })
    }

    fn push(
        &mut self,
        key: IdRef<'_>,
        id: IdRef<'_>,
        rank: i32,
        score: f32,
    ) -> std::io::Result<()> {
        self.ids[0].push(key);
        self.ids[1].push(id);
        self.ranks.append_value(rank);
        self.scores.append_value(score);
        self.held += 1;
        if self.held == BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let [keys, ids] = &mut self.ids;
        let columns: Vec<ArrayRef> = vec![
            keys.finish(),
            ids.finish(),
            Arc::new(self.ranks.finish()),
            Arc::new(self.scores.finish()),
        ];
        self.held = 0;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        let batch = batch.map_err(std::io::Error::other)?;
        self.writer.write(&batch).map_err(bare_parquet)
    }

    fn finish(mut self) -> std::io::Result<AtomicFile> {
        if self.held > 0 {
            self.flush()?;
        }
        self.writer.into_inner().map_err(bare_parquet)
    }
}

impl IdKind {
    fn data_type(self) -> DataType {
        match self {
            IdKind::Int => DataType::Int64,
            IdKind::Text => DataType::Utf8,
        }
    }
}

impl IdBuilder {
    fn new(kind: IdKind) -> IdBuilder {
        match kind {
            IdKind::Int => IdBuilder::Int(Int64Builder::new()),
            IdKind::Text => IdBuilder::Text(StringBuilder::new()),
        }
    }

    /// The caller has checked that the id is of this column's kind.
    fn push(&mut self, id: IdRef<'_>) {
        match (self, id) {
            (IdBuilder::Int(builder), IdRef::Int(id)) => builder.append_value(id),
            (IdBuilder::Text(builder), IdRef::Text(id)) => builder.append_value(id),
            (IdBuilder::Int(builder), IdRef::Text(_)) => builder.append_null(),
            (IdBuilder::Text(builder), IdRef::Int(id)) => builder.append_value(id.to_string()),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            IdBuilder::Int(builder) => Arc::new(builder.finish()),
            IdBuilder::Text(builder) => Arc::new(builder.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float32Type, Int32Type, Int64Type};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn hits() -> Vec<(IdRef<'static>, f32)> {
        vec![(IdRef::Text("a, \"b\""), 0.5), (IdRef::Text("é"), f32::INFINITY)]
    }

    fn text(name: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let mut writer = RankingWriter::recommendations(&path, IdKind::Int, IdKind::Text).unwrap();
        writer.push(IdRef::Int(7), hits()).unwrap();
        writer.push(IdRef::Int(8), []).unwrap();
        writer.push(IdRef::Int(9), [(IdRef::Text("c"), -1e-9)]).unwrap();
        assert_eq!(writer.finish().unwrap(), 3);
        fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn text_formats_hold_every_row() {
        assert_eq!(
            text("r.csv"),
            "user,item,rank,score\n7,\"a, \"\"b\"\"\",1,0.5\n7,é,2,inf\n9,c,1,-0.000000001\n"
        );
        assert!(
            text("r.TSV").starts_with("user\titem\trank\tscore\n7\t\"a, \"\"b\"\"\"\t1\t0.5\n")
        );
        let lines = text("r.jsonl");
        let parsed: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(parsed.len(), 3);
        assert_eq!(parsed[0]["item"], "a, \"b\"");
        assert_eq!((&parsed[0]["user"], &parsed[0]["rank"]), (&7.into(), &1.into()));
        assert!(parsed[1]["score"].is_null());
    }

    #[test]
    fn parquet_holds_every_row_of_many_batches() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n.parquet");
        let mut writer = RankingWriter::neighbours(&path, IdKind::Text, IdKind::Int).unwrap();
        let n = BATCH as i64 + 10;
        writer.push(IdRef::Text("q"), (0..n).map(|i| (IdRef::Int(i), i as f32))).unwrap();
        assert_eq!(writer.finish().unwrap(), n as u64);
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let names: Vec<_> = reader.schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, ["query", "id", "rank", "distance"]);
        let mut row = 0;
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let (ids, ranks) = (batch.column(1).as_primitive::<Int64Type>(), batch.column(2));
            let distances = batch.column(3).as_primitive::<Float32Type>();
            for at in 0..batch.num_rows() {
                assert_eq!(batch.column(0).as_string::<i32>().value(at), "q");
                assert_eq!((ids.value(at), distances.value(at)), (row, row as f32));
                assert_eq!(i64::from(ranks.as_primitive::<Int32Type>().value(at)), row + 1);
                row += 1;
            }
        }
        assert_eq!(row, n);
    }

    #[test]
    fn nothing_is_left_of_what_was_not_finished() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["r.csv", "r.jsonl", "r.parquet"] {
            let path = dir.path().join(name);
            let mut writer =
                RankingWriter::recommendations(&path, IdKind::Int, IdKind::Text).unwrap();
            writer.push(IdRef::Int(7), hits()).unwrap();
            let error = writer.push(IdRef::Text("x"), hits()).unwrap_err().to_string();
            assert!(error.contains("got user Text(\"x\") for a column of Int"), "{error}");
            if name == "r.jsonl" {
                assert!(writer.finish().is_err());
            }
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let path = dir.path().join("r.xlsx");
        let error = RankingWriter::recommendations(&path, IdKind::Int, IdKind::Int).err().unwrap();
        assert!(error.to_string().contains("expected parquet, csv, tsv or jsonl"), "{error}");
    }
}
