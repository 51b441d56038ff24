//! The search for parameters, on a part of the training that is held out; no test is ever seen.
//!
//! [`tune`] trains on the rest, looks at the validation figure after every epoch, and keeps each
//! trial as a line of a journal, from which it goes on if it was ended. Which parameters a trial
//! has depends on the seed, the trial's number and the figures before it alone: see [`Options`].

mod search;
mod space;
mod trial;

pub use search::{Event, LeftOut, Options, Outcome, tune};
pub use space::{Candidate, Space, Span};
pub use trial::Trial;
