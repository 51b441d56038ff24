//! A training from Python: its parameters, its listeners, its Ctrl-C.

use std::ops::ControlFlow;

use nearwood::als::{Confidence, Epoch, Params, Solver, Trainer};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict};

use crate::convert;
use crate::errors::OrRaise;
use crate::options::Progress;
use crate::watch::{self, Report, Watched};

/// The names of parameters as the crate's values.
pub fn named(params: Params, confidence: &str, solver: &str) -> PyResult<Params> {
    let confidence: Confidence = confidence.parse().or_raise()?;
    let params = Params { confidence, solver: solver.parse::<Solver>().or_raise()?, ..params };
    params.check().or_raise()?;
    Ok(params)
}

/// Parameters by the names of the arguments that take them.
pub fn arguments<'py>(py: Python<'py>, params: &Params) -> PyResult<Bound<'py, PyDict>> {
    let arguments = convert::json(py, &params.to_json())?.cast_into::<PyDict>()?;
    arguments.set_item("random_state", params.seed)?;
    arguments.del_item("seed")?;
    Ok(arguments)
}

/// A trainer that reports to `watched` and stops when it says so.
pub fn attend<'a>(trainer: Trainer<'a>, watched: &'a Watched) -> Trainer<'a> {
    attend_and(trainer, watched, |_| ControlFlow::Continue(()))
}

/// The same, which `after` may end as well.
pub fn attend_and<'a>(
    trainer: Trainer<'a>,
    watched: &'a Watched,
    mut after: impl FnMut(&Epoch<'_>) -> ControlFlow<()> + 'a,
) -> Trainer<'a> {
    trainer.interrupt(|| watched.stopped()).progress(move |epoch| {
        let enough = after(epoch);
        match watched.report(epoch.number, epoch.of, epoch.loss) {
            true => enough,
            false => ControlFlow::Break(()),
        }
    })
}

/// Runs a training whose epochs are told to `progress` and asked of `callback(iteration, loss)`:
/// what it returns ends the training if it is true.
pub fn run<T: Send>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    callback: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&Watched) -> T + Send,
) -> PyResult<T> {
    let progress = Progress::new(progress, "training")?;
    let callback = callback.map(|callback| callback.clone().unbind());
    let listen = move |py: Python<'_>, report: &Report| {
        progress.tell(py, report)?;
        match &callback {
            None => Ok(true),
            Some(call) => Ok(!call.bind(py).call1((report.done, report.loss))?.is_truthy()?),
        }
    };
    watch::run(py, work, listen)
}

/// What `progress` is where nothing was said: true.
pub fn shown<'py>(py: Python<'py>, progress: Option<&Bound<'py, PyAny>>) -> Bound<'py, PyAny> {
    progress.cloned().unwrap_or_else(|| PyBool::new(py, true).to_owned().into_any())
}
