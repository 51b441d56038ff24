//! What was built from items, or opened: Annoy's file or ours.

use std::borrow::Cow;
use std::path::Path;

use serde_json::json;

use super::distance::{distance, is_one};
use super::items::Items;
use crate::error::{BuildError, Error, OpenError, QueryError, SaveError};
use crate::format::MAGIC;
use crate::index::{Builder, Effort, Id, Ids, Index, Vectors};
use crate::io::annoy::{AnnoyFile, AnnoyMetric};
use crate::progress::Report;
use crate::random::Random;
use crate::store::Bytes;

/// The recall that a search reaches where `search_k` asks for less, and the vectors evaluated for
/// each that `search_k` names. Annoy picks its candidates from many small leaves, we from few large
/// ones, where each costs a small part and tells a little less: as many as Annoy's find less at
/// some settings, twice as many found at least as much at all of `docs/from-annoy.md`. Of short
/// bit strings Annoy's splits, a bit each, find nearly all at once, so hamming takes more.
const FLOOR: (f64, usize) = (0.95, 2);
const FLOOR_OF_BITS: (f64, usize) = (0.99, 4);
/// The largest recall that is asked of a walk: 1 would be brute force.
const MOST_WALKED: f64 = 0.999;
/// Up to so many vectors brute force is as quick as anything else, and exact.
const FEW: usize = 1000;
/// The stream of random numbers that directions come from; trees have those from 0 on.
const DIRECTIONS: u64 = u64::MAX - 1;
/// As many as a calibration takes.
const N_DIRECTIONS: usize = 256;
/// Where the file keeps what Annoy's users ask for and an index does not have.
const NOTE: &str = "annoy";

/// How to build.
#[derive(Debug, Clone, Copy, Default)]
pub struct BuildOptions {
    /// The trees asked for, which `search_k` counts with; the index has its own. `None`: those
    /// that the index has.
    pub n_trees: Option<usize>,
    /// Threads; `None`: all cores.
    pub n_threads: Option<usize>,
    /// The same seed gives the same bytes at any number of threads.
    pub seed: u64,
}

/// An item and its distance, in Annoy's terms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// The item's number.
    pub item: u32,
    /// Its distance, or product.
    pub distance: f32,
}

/// Items that can be searched. `Send + Sync`.
pub struct Forest {
    metric: AnnoyMetric,
    index: Index,
    n_items: usize,
    n_trees: usize,
}

impl Forest {
    /// Builds an index over `items`, which are borrowed. Memory: that of the index, and a copy of
    /// the vectors if the items did not come in ascending order.
    ///
    /// # Errors
    /// If there are no items, this crate does not serve the metric, or `progress` stops the build.
    pub fn build(
        items: &Items,
        options: BuildOptions,
        progress: Report<'_>,
    ) -> Result<Forest, Error> {
        let (ids, values) = items.ascending();
        let n_items = match &ids {
            Ids::Int(numbers) => numbers.last().map_or(0, |&last| last as usize + 1),
            ids => ids.len(),
        };
        let builder = builder(items.metric(), items.dim(), n_items, options)?.ids(ids);
        let index = builder.build_with(Vectors::new(&values, items.dim())?, progress)?;
        Forest::of_index(index, items.metric())
    }

    /// Opens a file of Annoy's or of ours, which its first bytes tell. Ours is mapped in
    /// microseconds; from Annoy's the vectors are read and an index is built in memory.
    ///
    /// # Errors
    /// If the file cannot be read, is neither, or holds another metric or dimension than these.
    pub fn open(
        path: impl AsRef<Path>,
        metric: AnnoyMetric,
        dim: usize,
        prefault: bool,
        progress: Report<'_>,
    ) -> Result<Forest, Error> {
        let path = path.as_ref();
        let bytes = match Bytes::map(path, prefault) {
            // Annoy has no other way to open a file, so that there is no choice to offer.
            Err(error) if error.is_unmappable() => Bytes::read(path)?,
            done => done?,
        };
        if bytes.starts_with(&MAGIC) {
            let index = Index::from_shared(bytes)?;
            check_same(&index, metric, dim)?;
            return Forest::of_index(index, metric);
        }
        let file = AnnoyFile::from_shared(bytes, path, metric, dim, None)?;
        Forest::of_file(&file, BuildOptions::default(), progress)
    }

    /// Builds an index over the vectors of a file of Annoy's.
    ///
    /// # Errors
    /// If a vector cannot be searched with, there are none, this crate does not serve the metric,
    /// or `progress` stops the build.
    pub fn of_file(
        file: &AnnoyFile,
        options: BuildOptions,
        progress: Report<'_>,
    ) -> Result<Forest, Error> {
        let n_trees = options.n_trees.or(Some(file.n_trees()));
        let options = BuildOptions { n_trees, ..options };
        let builder = builder(file.metric(), file.dim(), file.n_items(), options)?;
        Forest::of_index(file.build(builder, progress)?, file.metric())
    }

    fn of_index(index: Index, metric: AnnoyMetric) -> Result<Forest, Error> {
        let note = &index.metadata()["notes"][NOTE];
        let count = |key: &str| note[key].as_u64().and_then(|n| usize::try_from(n).ok());
        let n_trees = count("n_trees").unwrap_or(index.n_trees());
        let n_items = match count("n_items").filter(|n| *n <= i32::MAX as usize + 1) {
            Some(n_items) => n_items,
            None => count_items(&index)?,
        };
        Ok(Forest { metric, index, n_items, n_trees })
    }

    /// Writes our file: beside its target, then renamed over it.
    ///
    /// # Errors
    /// If the system refuses; what stood at `path` is then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        self.index.save(path)
    }

    /// The index beneath.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// How near two vectors are.
    #[must_use]
    pub fn metric(&self) -> AnnoyMetric {
        self.metric
    }

    /// The largest item number plus one.
    #[must_use]
    pub fn n_items(&self) -> usize {
        self.n_items
    }

    /// The trees that were asked for.
    #[must_use]
    pub fn n_trees(&self) -> usize {
        self.n_trees
    }

    /// The vector of an item; `None` for a hole.
    #[must_use]
    pub fn vector(&self, item: u32) -> Option<Cow<'_, [f32]>> {
        let position = self.index.position(&Id::Int(item.into()))?;
        self.index.vector(position)
    }

    /// The `n` items nearest to `query`, the nearest first, equal ones by number.
    ///
    /// `search_k` of `None` is `n` times the trees. A search evaluates twice as many vectors
    /// as it says (of hamming four times), and never finds less than a recall of 0.95 (0.99) by the
    /// calibration; at the number of items times that of trees, where Annoy too has seen all, it is
    /// exact. Over a neighbour graph, which compares few vectors for a recall, what `search_k` says is
    /// mostly below that floor, and the floor what is asked for.
    ///
    /// # Errors
    /// If the query has another dimension or is not finite.
    pub fn search(
        &self,
        query: &[f32],
        n: usize,
        search_k: Option<usize>,
    ) -> Result<Vec<Neighbour>, QueryError> {
        if n == 0 {
            return Ok(Vec::new());
        }
        let bits: Vec<f32>;
        let query = match self.metric {
            AnnoyMetric::Hamming => {
                bits = query.iter().map(|&x| f32::from(is_one(x))).collect();
                &bits
            }
            _ => query,
        };
        let effort = self.effort(n, search_k);
        self.index.with_searcher(|searcher| {
            let hits = searcher.k(n).effort(effort).search(query)?;
            let hits = hits.iter().map(|hit| self.neighbour(query, hit.position, hit.distance));
            let mut found: Vec<Neighbour> = hits.collect();
            if self.metric == AnnoyMetric::Angular {
                found.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.item.cmp(&b.item)));
            }
            Ok(found)
        })
    }

    fn effort(&self, n: usize, search_k: Option<usize>) -> Effort {
        let (len, n_trees) = (self.index.len(), self.n_trees.max(1));
        let nodes = search_k.unwrap_or_else(|| n.saturating_mul(n_trees));
        if len <= FEW || nodes >= len.saturating_mul(n_trees) {
            return Effort::Exact;
        }
        let (recall, per_node) = match self.metric {
            AnnoyMetric::Hamming => FLOOR_OF_BITS,
            _ => FLOOR,
        };
        let least = self.index.calibration().budget(n, recall, len);
        let asked = nodes.saturating_mul(per_node);
        if self.index.has_graph() && asked < least {
            // Walks compare far fewer for the same recall, which holds over the trees as well.
            return Effort::Recall(recall.max(self.walked(n, asked)));
        }
        match asked.max(least) {
            // Scanning all codes costs no ranking of leaves, and misses none that ranks wrongly.
            budget if budget >= len / 2 => Effort::Budget(len),
            budget => Effort::Budget(budget),
        }
    }

    /// What a walk finds of `n` neighbours that compares so many vectors, below 1.
    fn walked(&self, n: usize, compared: usize) -> f64 {
        let compared = compared as f64 / (n as f64 / 10.0).max(1.0);
        let curve = self.index.walk_curve();
        let steps = curve.iter().take_while(|step| step.0 <= compared);
        steps.map(|step| step.1.min(MOST_WALKED)).fold(0.0, f64::max)
    }

    /// The angular distance is computed anew: the root of what float32 holds of 1 - cos is wrong
    /// in the fourth digit for close vectors.
    fn neighbour(&self, query: &[f32], position: u32, found: f32) -> Neighbour {
        let item = self.index.int_id(position).unwrap_or_default() as u32;
        let distance = match (self.metric, self.vector(item)) {
            (AnnoyMetric::Angular, Some(vector)) => distance(self.metric, query, &vector),
            _ => found,
        };
        Neighbour { item, distance }
    }

    /// The items again, to add more to them.
    ///
    /// # Errors
    /// If the file was damaged since it was opened.
    pub fn items(&self) -> Result<Items, BuildError> {
        let mut items = Items::new(self.metric, self.index.dim())?;
        for position in 0..self.index.len() as u32 {
            let item = self.index.int_id(position).and_then(|id| u32::try_from(id).ok());
            if let Some((item, vector)) = item.and_then(|item| Some((item, self.vector(item)?))) {
                items.set(item, &vector)?;
            }
        }
        Ok(items)
    }
}

fn builder(
    metric: AnnoyMetric,
    dim: usize,
    n_items: usize,
    options: BuildOptions,
) -> Result<Builder, BuildError> {
    let mut builder =
        Index::builder(metric.metric()?).seed(options.seed).threads(options.n_threads);
    if metric == AnnoyMetric::Dot {
        builder = builder.calibration_queries(directions(dim, options.seed));
    }
    let mut note = json!({ "n_items": n_items });
    if let Some(n_trees) = options.n_trees {
        note["n_trees"] = n_trees.into();
    }
    Ok(builder.note(NOTE, note))
}

/// Queries to calibrate dot with. Who searches by product asks with users, not with items, whose
/// best product is often their own: calibrated with rows, item factors of gowalla were found with
/// a recall of 0.66 where 0.95 was promised. Of users we know nothing, so every direction is as
/// likely: that asks for somewhat more work than users take (0.99).
fn directions(dim: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed, DIRECTIONS);
    (0..N_DIRECTIONS * dim).map(|_| random.normal() as f32).collect()
}

fn check_same(index: &Index, metric: AnnoyMetric, dim: usize) -> Result<(), Error> {
    let (got, expected) = (index.metric().name(), metric.name());
    if got != expected || index.dim() != dim {
        return Err(Error::Open(OpenError::Invalid {
            what: "the index in the file".into(),
            got: format!("{got} with vectors of {}", index.dim()),
            expected: format!("{expected} with vectors of {dim}, as AnnoyIndex was made"),
        }));
    }
    Ok(())
}

/// The largest id plus one, of an index whose ids can be item numbers.
fn count_items(index: &Index) -> Result<usize, OpenError> {
    let wrong = |got: String| OpenError::Invalid {
        what: "an id in the file".into(),
        got,
        expected: "an item number, 0 to 2147483647; open the file with nearwood.Index".into(),
    };
    let numbers = match index.ids() {
        Ids::Sequential(n) => return Ok(n),
        Ids::Int(numbers) => numbers,
        Ids::Text(_) => return Err(wrong("a string".into())),
    };
    match numbers.iter().find(|&&id| i32::try_from(id).is_err() || id < 0) {
        Some(id) => Err(wrong(id.to_string())),
        None => Ok(numbers.into_iter().max().map_or(0, |id| id as usize + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Metric;

    fn items(metric: AnnoyMetric, n: u32) -> Items {
        let mut items = Items::new(metric, 4).unwrap();
        for item in (0..n).rev() {
            let x = (item as f32 * 0.37).sin();
            items.set(3 * item, &[x, x * x - 0.5, (item % 13) as f32 / 13.0, 0.25]).unwrap();
        }
        items
    }

    fn forest(metric: AnnoyMetric, n: u32) -> Forest {
        let options = BuildOptions { n_trees: Some(12), ..BuildOptions::default() };
        Forest::build(&items(metric, n), options, &|_, _| true).unwrap()
    }

    #[test]
    fn counts_and_items_survive_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.nw");
        let built = forest(AnnoyMetric::Euclidean, 50);
        built.save(&path).unwrap();
        let opened = Forest::open(&path, AnnoyMetric::Euclidean, 4, false, &|_, _| true).unwrap();
        for forest in [&built, &opened] {
            assert_eq!((forest.n_items(), forest.n_trees()), (148, 12));
            assert_eq!(forest.vector(2), None);
        }
        let (before, after) = (items(AnnoyMetric::Euclidean, 50), opened.items().unwrap());
        assert!((0..148).all(|item| before.get(item) == after.get(item)));
        let wrong = |metric, dim| {
            Forest::open(&path, metric, dim, false, &|_, _| true).err().unwrap().to_string()
        };
        assert!(wrong(AnnoyMetric::Angular, 4).contains("euclidean with vectors of 4, expected"));
        assert!(wrong(AnnoyMetric::Euclidean, 5).contains("with vectors of 5"));
    }

    #[test]
    fn indexes_built_elsewhere_are_opened_if_their_ids_can_be_items() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.nw");
        let values: Vec<f32> = (0..20).map(|x| x as f32).collect();
        let open = |ids| {
            let builder = Index::builder(Metric::Euclidean).ids(ids);
            builder.build(Vectors::new(&values, 4).unwrap()).unwrap().save(&path).unwrap();
            Forest::open(&path, AnnoyMetric::Euclidean, 4, false, &|_, _| true)
        };
        assert_eq!(open(Ids::Sequential(5)).unwrap().n_items(), 5);
        assert_eq!(open(Ids::Int(vec![9, 3, 4, 70, 5])).unwrap().n_items(), 71);
        for ids in [Ids::Int(vec![1, 2, 3, 4, -2]), Ids::Int(vec![1, 2, 3, 4, 1 << 31])] {
            assert!(open(ids).err().unwrap().to_string().contains("open the file with"));
        }
        assert!(open(Ids::Text("abcde".chars().map(String::from).collect())).is_err());
    }

    #[test]
    fn search_k_never_lowers_and_everything_is_exact() {
        let forest = forest(AnnoyMetric::Euclidean, 3000);
        let least = forest.index.calibration().budget(10, FLOOR.0, 3000);
        assert_eq!(forest.effort(10, Some(1)), Effort::Budget(least.max(2)));
        assert_eq!(forest.effort(10, Some(700)), Effort::Budget(least.max(1400)));
        assert_eq!(forest.effort(10, Some(750)), Effort::Budget(3000));
        assert_eq!(forest.effort(10, None), forest.effort(10, Some(120)));
        assert_eq!(forest.effort(10, Some(36_000)), Effort::Exact);
        assert_eq!(forest.effort(10, Some(usize::MAX)), Effort::Exact);
        let query = forest.vector(300).unwrap().to_vec();
        let found = forest.search(&query, 5, Some(0)).unwrap();
        assert_eq!((found[0].item, found[0].distance), (300, 0.0));
        assert!(forest.search(&query, 0, None).unwrap().is_empty());
        assert!(forest.search(&query[1..], 1, None).is_err());
    }

    #[test]
    fn over_a_graph_search_k_never_lowers_either() {
        let forest = forest(AnnoyMetric::Euclidean, 10_000);
        assert!(forest.index.has_graph());
        let least = forest.index.calibration().budget(10, FLOOR.0, 10_000);
        assert_eq!(forest.effort(10, Some(1)), Effort::Recall(FLOOR.0));
        assert_eq!(forest.effort(10, Some(least)), Effort::Budget(2 * least));
        let recall = |k: usize| match forest.effort(10, Some(k)) {
            Effort::Recall(recall) => recall,
            effort => panic!("{effort:?} for {k}, the least budget being {least}"),
        };
        let found: Vec<f64> = (0..least.div_ceil(2)).map(recall).collect();
        assert!(found.is_sorted() && found.iter().all(|&r| (FLOOR.0..1.0).contains(&r)));
        let query = forest.vector(300).unwrap().to_vec();
        assert_eq!(forest.search(&query, 5, Some(0)).unwrap()[0].item, 300);
    }
}
