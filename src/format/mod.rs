//! The container: a header, a table of sections, aligned sections. No file system here.
//!
//! `docs/format.md` is the specification; [`Directory::parse`] checks everything that opening
//! promises, [`Directory::verify`] the checksums and the padding. What the payload names (a row, an
//! offset) is checked where it is used.

mod header;
mod image;
mod section;

pub use header::{Content, HEADER_SIZE, Header, MAGIC, VERSION};
pub use image::{Image, Layout};
pub use section::{ALIGNMENT, Directory, ENTRY_SIZE, Element, Entry, Key, Kind};
