//! Implicit-feedback alternating least squares.
//!
//! A [`Trainer`] turns a [`Csr`] of users x items into a [`Model`]: a vector for each user and each
//! item. [`FoldIn`] gives a vector to a user who came later and says why an item suits one;
//! [`EarlyStopping`] ends a training by a measure; [`ModelFile`] is a model in a file. What is
//! minimised is written in `docs/objective.md`.
//!
//! Private is how rows are solved. `train` alternates the sides. `half_step` solves all rows of one
//! against the fixed factors of the other, in blocks that threads take in `turns`, each row in the way that `solve` finds for it
//! by the rules of `method`: in as many equations as it has unknowns, in as many as it has entries
//! (short ones side by side, `shorts`), or by bringing its vector nearer. What all rows share is made
//! once: `gramian` sums it, `whitening` turns it by `tridiagonal` into a form that any ridge can be
//! added to. A row whose matrix loses its digits on the way goes to `repair`.

mod csr;
mod early;
mod edit;
mod explain;
mod fold_in;
mod gramian;
mod half_step;
mod incremental;
mod loss;
mod method;
mod model;
mod objective;
mod params;
mod rank;
mod repair;
mod shorts;
mod solve;
mod start;
mod stored;
mod train;
mod tridiagonal;
mod turns;
mod whitening;

pub use csr::Csr;
pub use early::EarlyStopping;
pub use explain::Explanation;
pub use fold_in::FoldIn;
pub use model::Model;
pub use params::{Confidence, Params, Solver};
pub use rank::{Allowed, Ranking};
pub use solve::Scratch;
pub use start::Start;
pub use stored::ModelFile;
pub use train::{Epoch, Trainer};
