//! `nearwood search`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ArgGroup;
use serde_json::json;

use crate::io::{IdKind, Matrix, RankingWriter, npy};
use crate::{Answers, BatchOptions, Hit, IdRef, Ids, Index, RadiusOptions, Within};

use super::failure::Failure;
use super::hits::{HitTable, hits_of, json_hits};
use super::options::{EffortArgs, find_item, open_index, positive};
use super::output::Report;
use super::progress::Progress;
use super::queries::read_queries;

/// How many queries are shown without -o.
const SHOWN: usize = 10;

/// Find the vectors nearest to others
///
/// -o q.npy writes int64 ids, a row a query, -1 where fewer than k were found; .parquet, .csv,
/// .tsv and .jsonl hold query, id, rank and distance. --json prints a line per query: {"query",
/// "exact", "far", "neighbours": [{"rank", "id", "label", "distance"}]}; "far" says whether the query
/// lies farther from its neighbours than 99.5% of those that the recall was measured with.
#[derive(clap::Args)]
#[command(group(ArgGroup::new("what").required(true).args(["queries", "id"])))]
pub(super) struct Args {
    /// An index, or a recommender, whose items are then searched by inner product
    file: PathBuf,
    /// The queries: .npy, .fvecs, .bvecs, .csv, .tsv or .txt; - is .npy on standard input
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// The queries are packed bits, a uint8 .npy array as numpy.packbits makes it
    #[arg(long, requires = "queries")]
    packed: bool,
    /// The id or label of a vector in the index, whose neighbours to find
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    id: Option<String>,
    /// How many neighbours a query
    #[arg(short, default_value_t = 10, value_parser = positive)]
    k: usize,
    /// In place of -k: all neighbours within this distance, or with at least this product
    #[arg(long, value_name = "R", conflicts_with = "k", allow_hyphen_values = true)]
    radius: Option<f64>,
    #[command(flatten)]
    effort: EffortArgs,
    /// Threads; -1: all cores, which is the default
    #[arg(long, value_name = "N", value_parser = super::options::threads, allow_negative_numbers = true)]
    threads: Option<usize>,
    /// The file to write: .npy, .parquet, .csv, .tsv or .jsonl; - is CSV on standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The distances as a float32 .npy file, beside the ids of -o
    #[arg(long, value_name = "FILE", requires = "output", conflicts_with = "radius")]
    distances: Option<PathBuf>,
    /// Print JSON, a line a query
    #[arg(long, conflicts_with = "output")]
    pub(super) json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let index = open_index(&args.file)?;
    if let Some(output) = &args.output {
        check_output(&index, output, args.radius.is_some())?;
    }
    let search = Search::new(&index, args)?;
    match &args.output {
        Some(output) => write(&search, args, output, out),
        None if args.json => print_json(&search, out),
        None => print_table(&search, out),
    }
}

/// Said before the work, not after it.
fn check_output(index: &Index, output: &Path, is_radius: bool) -> Result<(), Failure> {
    let problem = match is_npy(output) {
        true if is_radius => {
            "an .npy file holds as many ids for every query and a radius finds now more, now fewer"
        }
        true if index.has_text_ids() => {
            "an .npy file holds integer ids and those of this index are strings"
        }
        _ => return Ok(()),
    };
    let output = output.display();
    Err(Failure::new(format!("{output}: {problem}: write .parquet, .csv, .tsv or .jsonl")))
}

fn is_npy(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy"))
}

/// What was asked.
struct Search<'a> {
    index: &'a Index,
    options: BatchOptions<'a>,
    /// As many as were asked for, more than there are vectors perhaps.
    k: usize,
    /// In place of k.
    radius: Option<f64>,
    what: What,
}

enum What {
    Queries(Matrix),
    Item(u32),
}

impl<'a> Search<'a> {
    fn new(index: &'a Index, args: &Args) -> Result<Search<'a>, Failure> {
        let what = match (&args.id, &args.queries) {
            (Some(id), _) => What::Item(find_item(index, id)?),
            (None, queries) => {
                let file = queries.as_deref().unwrap_or(Path::new("-"));
                What::Queries(read_queries(file, args.packed, index)?)
            }
        };
        let options = BatchOptions {
            k: args.k.min(index.len()),
            effort: args.effort.effort(),
            filter: None,
            n_threads: args.threads,
        };
        Ok(Search { index, options, k: args.k, radius: args.radius, what })
    }

    fn len(&self) -> usize {
        match &self.what {
            What::Queries(queries) => queries.rows,
            What::Item(_) => 1,
        }
    }

    /// What stands for a query in results: its number, or the id that was asked for.
    fn keys(&self) -> Ids {
        match &self.what {
            What::Queries(queries) => Ids::Sequential(queries.rows),
            What::Item(position) => match self.index.id(*position) {
                crate::Id::Int(id) => Ids::Int(vec![id]),
                crate::Id::Text(id) => Ids::Text(vec![id]),
            },
        }
    }

    /// The answers to the first `n` queries.
    fn answer(&self, n: usize) -> Result<Answers, Failure> {
        let progress = Progress::spinner("searching");
        progress.message(format!("{n} queries"));
        Ok(match &self.what {
            What::Queries(queries) => {
                self.index.search_batch(&queries.data[..n * queries.cols], self.options)?
            }
            What::Item(position) => {
                self.index.search_positions(&[*position], self.options, false)?
            }
        })
    }
}

impl Search<'_> {
    /// Whether a query lies far from all its neighbours; `None` where that was not measured.
    fn is_far(&self, query: usize, hits: &[Hit]) -> Option<bool> {
        let What::Queries(queries) = &self.what else { return None };
        let last = hits.last().filter(|_| self.radius.is_none())?;
        let values = &queries.data[query * queries.cols..][..queries.cols];
        self.index.is_far(values, hits.len(), last.distance)
    }

    /// The neighbours of each of the first `n` queries.
    fn lists(&self, n: usize) -> Result<Vec<Within>, Failure> {
        let Some(radius) = self.radius else {
            let answers = self.answer(n)?;
            return Ok(as_lists(&answers));
        };
        let progress = Progress::spinner("searching");
        progress.message(format!("{n} queries"));
        let BatchOptions { effort, filter, n_threads, .. } = self.options;
        Ok(match &self.what {
            What::Queries(queries) => {
                let options = RadiusOptions { effort, filter, n_threads };
                let values = &queries.data[..n * queries.cols];
                self.index.radius(values, radius, options)?
            }
            What::Item(position) => {
                let query = self.index.vector(*position).unwrap_or_default();
                let mut searcher = self.index.searcher();
                searcher.effort(effort).exclude(&[*position]);
                let hits = searcher.radius(&query, radius)?.to_vec();
                vec![Within { hits, exact: searcher.was_exact() }]
            }
        })
    }
}

fn as_lists(answers: &Answers) -> Vec<Within> {
    let list = |(query, &exact)| Within { hits: hits_of(answers, query), exact };
    answers.exact.iter().enumerate().map(list).collect()
}

fn print_table(search: &Search<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let shown = search.len().min(SHOWN);
    let (lists, keys) = (search.lists(shown)?, search.keys());
    let mut table = HitTable::new(search.index, Some("query"), "distance");
    for (query, list) in lists.iter().enumerate() {
        table.push(Some(&keys.get(query).to_string()), &list.hits);
    }
    table.into_table().write(out)?;
    let is_far = |&(query, list): &(usize, &Within)| search.is_far(query, &list.hits) == Some(true);
    let far = lists.iter().enumerate().filter(is_far).count();
    if far > 0 {
        let whole = "see nearwood build --calibration-queries, or search with --recall 1";
        writeln!(
            out,
            "{far} of these {shown} queries are far from everything and may find less: {whole}"
        )?;
    }
    if search.len() > shown {
        writeln!(out, "and {} more queries: -o FILE writes them all", search.len() - shown)?;
    }
    Ok(())
}

fn print_json(search: &Search<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let (lists, keys) = (search.lists(search.len())?, search.keys());
    for (query, Within { hits, exact }) in lists.iter().enumerate() {
        let neighbours = json_hits(search.index, hits, "distance");
        let key = super::hits::json_id(&keys.get(query));
        let far = search.is_far(query, hits);
        let line = json!({ "query": key, "exact": exact, "far": far, "neighbours": neighbours });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn write(
    search: &Search<'_>,
    args: &Args,
    output: &Path,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let start = std::time::Instant::now();
    if is_npy(output) || args.distances.is_some() {
        let answers = search.answer(search.len())?;
        write_arrays(search, &answers, args, output)?;
    } else {
        write_table(search, &search.lists(search.len())?, output)?;
    }
    let mut report = Report::default();
    report.count("queries", search.len());
    match search.radius {
        Some(radius) => report.add("radius", radius, radius.to_string()),
        None => report.count("k", search.k),
    }
    report.time("seconds", start.elapsed());
    report.add("file", output.to_string_lossy(), output.display().to_string());
    report.print(output, false, out)
}

fn write_arrays(
    search: &Search<'_>,
    answers: &Answers,
    args: &Args,
    output: &Path,
) -> Result<(), Failure> {
    match is_npy(output) {
        true => write_ids(search, answers, output)?,
        false => write_table(search, &as_lists(answers), output)?,
    }
    if let Some(file) = &args.distances {
        let missing = search.index.metric().missing();
        npy::write(file, &widened(search, &answers.distances, missing)?, search.k)?;
    }
    Ok(())
}

fn write_ids(search: &Search<'_>, answers: &Answers, output: &Path) -> Result<(), Failure> {
    let ids: Vec<i64> =
        answers.positions.iter().map(|&p| search.index.int_id(p).unwrap_or(-1)).collect();
    Ok(npy::write_i64(output, &widened(search, &ids, -1)?, search.k)?)
}

/// Rows of as many values as were asked for, where the index has fewer vectors.
fn widened<T: Copy>(search: &Search<'_>, values: &[T], missing: T) -> Result<Vec<T>, Failure> {
    let mut wide = Vec::new();
    let len = search.len().checked_mul(search.k);
    if len.is_none_or(|len| wide.try_reserve_exact(len).is_err()) {
        return Err(Failure::new(format!(
            "k is {}, which for {} queries does not fit in memory: the index has {} vectors, more \
             cannot be found",
            search.k,
            search.len(),
            search.index.len()
        )));
    }
    for row in values.chunks_exact(search.options.k) {
        wide.extend_from_slice(row);
        wide.extend(std::iter::repeat_n(missing, search.k - row.len()));
    }
    Ok(wide)
}

fn write_table(search: &Search<'_>, lists: &[Within], output: &Path) -> Result<(), Failure> {
    let (keys, ids) = (search.keys(), search.index.ids());
    let mut writer = RankingWriter::neighbours(output, IdKind::from(&keys), IdKind::from(&ids))?;
    for (query, list) in lists.iter().enumerate() {
        let known = list.hits.iter().filter(|hit| (hit.position as usize) < ids.len());
        let named = known
            .map(|hit| -> (IdRef<'_>, f32) { (ids.get_ref(hit.position as usize), hit.distance) });
        writer.push(keys.get_ref(query), named)?;
    }
    writer.finish()?;
    Ok(())
}
