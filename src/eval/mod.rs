//! What a recommender is measured on: for now listening data made up from a seed, whose genres say
//! which recommendations are good ones.

mod listening;
mod names;

pub use listening::{Listening, ListeningOptions};
