//! Pictures: an index or a recommender as one HTML page, a recall curve as an SVG file.
//!
//! Text in, text out: nothing here opens a file or writes one. A page loads nothing from anywhere,
//! and forbids it to itself by its content security policy; style and script stand in it, as they
//! stand in `page.css` and `page.js` here. Whatever comes from a file (names, ids, metadata) goes
//! through [`escape`] or, for the script's data, `script_json`.
//!
//! Private are charts with their scales, the projection to a plane, and what goes into the page.

mod chart;
mod facts;
mod histogram;
mod items;
mod looks;
mod metrics;
mod page;
mod projection;
mod scale;
mod text;

pub use looks::curve_svg;
pub use metrics::Metrics;
pub use page::{MAX_ITEMS, PageOptions, Subject, page};
pub use text::{bytes, escape, percent, thousands};
