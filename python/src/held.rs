//! The model that a Python object holds: replaced as a whole, never changed where others read it.

use std::sync::{Arc, Mutex, MutexGuard, RwLock, TryLockError};
use std::thread;
use std::time::Duration;

use nearwood::Interactions;
use nearwood::als::Model;
use nearwood::error::TrainError;
use nearwood::progress;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::errors::OrRaise;
use crate::ranking::Fitted;
use crate::watch;

/// A place for a trained model.
pub struct Held {
    fitted: RwLock<Option<Arc<Fitted>>>,
    /// Held by who replaces the model by one made of it.
    editing: Mutex<()>,
}

impl Held {
    /// With a model, or none yet.
    pub fn new(fitted: Option<Arc<Fitted>>) -> Held {
        Held { fitted: RwLock::new(fitted), editing: Mutex::new(()) }
    }

    fn current(&self) -> Option<Arc<Fitted>> {
        self.fitted.read().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// The model; `RuntimeError` without one.
    pub fn fitted(&self) -> PyResult<Arc<Fitted>> {
        let untrained = || PyRuntimeError::new_err("the model is not trained yet: call fit first");
        self.current().ok_or_else(untrained)
    }

    /// Puts another model in its place.
    pub fn store(&self, fitted: Fitted) {
        *self.fitted.write().unwrap_or_else(|e| e.into_inner()) = Some(Arc::new(fitted));
    }

    /// Waits for other edits to end, and can be interrupted meanwhile.
    fn alone(&self) -> MutexGuard<'_, ()> {
        loop {
            match self.editing.try_lock() {
                Ok(alone) => return alone,
                Err(TryLockError::Poisoned(alone)) => return alone.into_inner(),
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(5)),
            }
            progress::check();
        }
    }

    /// Replaces model and data by what `change` makes of a copy of them; as they were on an error.
    pub fn edit(
        &self,
        py: Python<'_>,
        change: impl FnOnce(&mut Model, &Interactions) -> Result<Interactions, TrainError> + Send,
    ) -> PyResult<()> {
        self.fitted()?;
        watch::detach(py, || {
            let _alone = self.alone();
            let Some(fitted) = self.current() else { return Ok(()) };
            let mut model = (*fitted.model).clone();
            let data = change(&mut model, &fitted.data)?;
            // From here on nothing looks for an interruption: it is replaced, or it is not.
            progress::check();
            self.store(Fitted::new(model, Arc::new(data), fitted.measured.clone()));
            Ok::<_, TrainError>(())
        })?
        .or_raise()
    }
}
