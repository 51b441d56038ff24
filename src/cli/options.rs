//! Options that several subcommands share.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Once;

use crate::als::{Confidence, ModelFile, Params, Solver};
use crate::error::{OpenError, QueryError, quoted};
use crate::format::{Content, Directory};
use crate::recommend::FitOptions;
use crate::store::Bytes;
use crate::{Effort, Ids, Index, Recommender};

use super::columns::{ColumnArgs, NamesArgs};
use super::failure::Failure;
use super::progress::note;

/// A whole number, at least 1.
pub(super) fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("expected at least 1".to_string()),
        Ok(n) => Ok(n),
        Err(_) => Err("expected a whole number, at least 1".to_string()),
    }
}

/// A number of threads: at least 1, or -1 for all cores.
pub(super) fn threads(text: &str) -> Result<usize, String> {
    match text.parse::<i128>() {
        Ok(-1) => Ok(std::thread::available_parallelism().map_or(1, |n| n.get())),
        // The crate has a limit of its own.
        Ok(n) if n > 0 => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
        _ => Err("expected at least 1, or -1 for all cores".to_string()),
    }
}

/// A number of bytes: 1500000, 500kB, 500MB, 2GB, or in powers of two KiB, MiB, GiB.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "kib" => 1024.0,
        "mib" => 1_048_576.0,
        "gib" => 1_073_741_824.0,
        _ => return Err("expected bytes, or a number with kB, MB, GB, KiB, MiB or GiB".into()),
    };
    match number.parse::<f64>() {
        Ok(number) if number > 0.0 && number * factor < 1e18 => Ok((number * factor) as usize),
        _ => Err("expected a size such as 500MB".into()),
    }
}

/// How hard a search tries.
#[derive(clap::Args)]
#[group(multiple = false)]
pub(super) struct EffortArgs {
    /// The share of the true answers to find, from the calibration in the file [default: 0.95]
    #[arg(long, value_name = "SHARE")]
    recall: Option<f64>,
    /// How many vectors may be evaluated, in place of a recall; over a graph, how many are on average
    #[arg(long, value_name = "N", value_parser = positive)]
    budget: Option<usize>,
    /// Look at every vector
    #[arg(long)]
    exact: bool,
}

impl EffortArgs {
    pub fn effort(&self) -> Effort {
        match (self.exact, self.budget, self.recall) {
            (true, ..) => Effort::Exact,
            (_, Some(budget), _) => Effort::Budget(budget),
            (.., Some(recall)) => Effort::Recall(recall),
            _ => Effort::default(),
        }
    }
}

/// A recommender's, which are not the bare trainer's.
pub(super) fn defaults() -> Params {
    FitOptions::default().params
}

/// The parameters of a training.
#[derive(clap::Args)]
pub(super) struct ParamArgs {
    /// The length of each vector
    #[arg(long, default_value_t = defaults().factors)]
    factors: usize,
    /// How strongly vectors are kept short
    #[arg(long, default_value_t = defaults().regularization)]
    regularization: f32,
    /// The weight of one unit of an interaction
    #[arg(long, default_value_t = defaults().alpha)]
    alpha: f32,
    /// Epochs
    #[arg(long, default_value_t = defaults().iterations)]
    iterations: usize,
    /// What a weight means: ials, implicit or spark
    #[arg(long, default_value_t = defaults().confidence)]
    confidence: Confidence,
    /// The weight of every pair, seen or not [default: 0.2; 1, which implicit and spark fix]
    #[arg(long, value_name = "WEIGHT")]
    unobserved_weight: Option<f32>,
    /// How far regularization grows with the interactions of a user or item, 0 to 1
    #[arg(long, value_name = "POWER", default_value_t = defaults().regularization_scaling)]
    regularization_scaling: f32,
    /// How a user or item is solved: auto, cholesky, cg or block
    #[arg(long, default_value_t = defaults().solver)]
    solver: Solver,
    /// Steps of conjugate gradients, of the solver cg
    #[arg(long, value_name = "N", value_parser = positive, default_value_t = defaults().cg_steps)]
    cg_steps: usize,
    /// The same seed gives the same file, at any number of threads
    #[arg(long, default_value_t = defaults().seed)]
    seed: u64,
}

impl ParamArgs {
    pub fn params(&self, n_threads: Option<usize>) -> Params {
        Params {
            factors: self.factors,
            regularization: self.regularization,
            alpha: self.alpha,
            iterations: self.iterations,
            confidence: self.confidence,
            unobserved_weight: self.unobserved_weight.unwrap_or(match self.confidence {
                Confidence::Ials => defaults().unobserved_weight,
                _ => Params::default().unobserved_weight,
            }),
            regularization_scaling: self.regularization_scaling,
            solver: self.solver,
            cg_steps: self.cg_steps,
            seed: self.seed,
            n_threads,
        }
    }
}

/// Opens an index, or the items of a recommender.
pub(super) fn open_index(path: &Path) -> Result<Index, Failure> {
    Index::from_shared(bytes_of(path)?).map_err(|error| Failure::about(path, &error))
}

/// Maps a file, or reads it, with a note, where its file system does not map files.
fn bytes_of(path: &Path) -> Result<Bytes, Failure> {
    match Bytes::map(path, false) {
        Err(error) if error.is_unmappable() => {
            // Commands open their file several times.
            static TOLD: Once = Once::new();
            let file = path.display();
            TOLD.call_once(|| {
                note(&format!(
                    "{file}: its file system does not map files: it is read into memory"
                ));
            });
            Bytes::read(path)
        }
        done => done,
    }
    .map_err(|error| Failure::about(path, &error))
}

/// The directory and the model of a file that holds a model; `None` for other files.
pub(super) fn open_model(path: &Path) -> Result<Option<(Directory, ModelFile)>, Failure> {
    let about = |error: OpenError| Failure::about(path, &error);
    let bytes = bytes_of(path)?;
    let directory = Directory::parse(&bytes).map_err(about)?;
    if directory.header.content != Content::Model {
        return Ok(None);
    }
    let file = ModelFile::from_shared(&bytes).map_err(about)?;
    Ok(Some((directory, file)))
}

/// Opens a recommender.
pub(super) fn open_recommender(path: &Path) -> Result<Recommender, Failure> {
    if !is_recommender(&open_index(path)?) {
        return Err(Failure::new(format!(
            "{}: got an index, expected a recommender, as `nearwood train` writes",
            path.display()
        )));
    }
    Recommender::from_shared(bytes_of(path)?).map_err(|error| Failure::about(path, &error))
}

/// Whether a file is a recommender's.
pub(super) fn is_recommender(index: &Index) -> bool {
    index.content() == Content::Recommender
}

/// The position of the item that a person calls `name`; an error has near spellings.
pub(super) fn find_item(index: &Index, name: &str) -> Result<u32, Failure> {
    index.find(name).map_err(|error| match error {
        QueryError::UnknownId { what, id, hint } => {
            let near = index.suggest(name, 5);
            let near: Vec<String> = near.iter().map(|name| quoted(name)).collect();
            let hint = match near.is_empty() {
                true => hint,
                false => format!("did you mean {}?", near.join(", ")),
            };
            QueryError::UnknownId { what, id, hint }.into()
        }
        other => other.into(),
    })
}

/// A label for each id, if there is a file of names. An id without a name is its own label.
pub(super) fn labels_of(
    ids: &Ids,
    names: &NamesArgs,
    columns: &ColumnArgs,
) -> Result<Option<Vec<String>>, Failure> {
    let Some(file) = &names.names else { return Ok(None) };
    let names: HashMap<String, String> = names.read(file, columns)?.into_iter().collect();
    let mut missing = 0;
    let mut label = |id: String| match names.get(&id) {
        Some(name) => name.clone(),
        None => {
            missing += 1;
            id
        }
    };
    let labels: Vec<String> = (0..ids.len()).map(|at| label(ids.get(at).to_string())).collect();
    let (n, file) = (labels.len(), file.display());
    match missing {
        0 => Ok(Some(labels)),
        _ if missing == n => Err(Failure::new(format!(
            "{file} names none of the {n} items: its first field (or --names-id) must be the id as \
             it is written in the data, such as {}",
            ids.get(0)
        ))),
        _ => {
            note(&format!("{file} has no name for {missing} of {n} items; their ids stand in"));
            Ok(Some(labels))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("7", 7), ("1.5kB", 1500), ("500MB", 500_000_000), ("2 GiB", 1 << 31)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "0", "MB", "1.2.3kB", "5 apples", "-3", "1e9", "99999999999GB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
