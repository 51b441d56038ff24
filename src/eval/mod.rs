//! What a recommender is measured on, and how: ranking metrics over the whole catalogue with stated
//! denominators, splits, baselines to stand beside a model, and listening data made up from a seed,
//! whose genres say which recommendations are good ones.
//!
//! A [`Task`] is a training and a test matrix; it measures whatever ranks. `docs/evaluating.md` has
//! the definitions. Private are a user's figures, and how ties are drawn.

mod align;
mod baselines;
mod caveats;
mod held_out;
mod listening;
mod measure;
mod names;
mod report;
mod served;
mod split;
mod task;
mod ties;

pub use align::{Aligned, align, align_to};
pub use baselines::{ItemKnn, KnnOptions, Popularity};
pub use held_out::HeldOut;
pub use listening::{Listening, ListeningOptions};
pub use measure::{AtK, Measure, Target};
pub use served::seen_by;
pub(crate) use split::kept;
pub use split::{Parts, Split};
pub use task::{Evaluation, Options, Task};
pub use ties::Ties;
