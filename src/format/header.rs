//! The first 128 bytes.

use crate::error::OpenError;

/// The first eight bytes of every file.
pub const MAGIC: [u8; 8] = *b"NEARWOOD";
/// The format's major and minor version.
pub const VERSION: (u16, u16) = (1, 3);
/// The oldest major version that is read: files of version 0 had sections of the same names and
/// other shapes.
const OLDEST: u16 = 1;
/// Bytes of the header.
pub const HEADER_SIZE: usize = 128;

const AT_MAJOR: usize = 8;
const AT_MINOR: usize = AT_MAJOR + 2;
const AT_HEADER_SIZE: usize = AT_MINOR + 2;
const AT_FILE_LENGTH: usize = AT_HEADER_SIZE + 4;
const AT_TABLE_OFFSET: usize = AT_FILE_LENGTH + 8;
const AT_SECTIONS: usize = AT_TABLE_OFFSET + 8;
const AT_CONTENT: usize = AT_SECTIONS + 4;
const AT_ROWS: usize = AT_CONTENT + 4;
const AT_DIM: usize = AT_ROWS + 8;
const AT_METRIC: usize = AT_DIM + 4;
const AT_USERS: usize = AT_METRIC + 4;
const AT_RESERVED: usize = AT_USERS + 8;
const AT_TABLE_CRC: usize = HEADER_SIZE - 8;
const AT_HEADER_CRC: usize = HEADER_SIZE - 4;
const _: () = assert!(AT_RESERVED <= AT_TABLE_CRC);

/// What a file was written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Vectors and the structures to search them.
    Index,
    /// An index over item factors, with user factors and who has seen what.
    Recommender,
    /// A trained model's factors alone.
    Model,
}

impl Content {
    const ALL: [Content; 3] = [Content::Index, Content::Recommender, Content::Model];

    /// The name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Content::Index => "index",
            Content::Recommender => "recommender",
            Content::Model => "model",
        }
    }

    fn code(self) -> u32 {
        match self {
            Content::Index => 1,
            Content::Recommender => 2,
            Content::Model => 3,
        }
    }

    fn from_code(code: u32) -> Option<Content> {
        Content::ALL.into_iter().find(|c| c.code() == code)
    }
}

/// The header's fields, those that writing computes excepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the file was written as.
    pub content: Content,
    /// The number of vectors.
    pub rows: u64,
    /// Values a vector.
    pub dim: u32,
    /// `Metric::code` of the main index.
    pub metric: u32,
    /// The number of users; 0 in an index.
    pub users: u64,
}

/// A header as it was read: the fields, and where the rest is.
pub(super) struct Placed {
    pub header: Header,
    pub version: (u16, u16),
    pub table_offset: u64,
    pub sections: u32,
    pub table_crc: u32,
}

impl Header {
    pub(super) fn write(&self, out: &mut [u8], file_length: u64, sections: u32, table_crc: u32) {
        out[..HEADER_SIZE].fill(0);
        out[..8].copy_from_slice(&MAGIC);
        put(out, AT_MAJOR, &VERSION.0.to_le_bytes());
        put(out, AT_MINOR, &VERSION.1.to_le_bytes());
        put(out, AT_HEADER_SIZE, &(HEADER_SIZE as u32).to_le_bytes());
        put(out, AT_FILE_LENGTH, &file_length.to_le_bytes());
        put(out, AT_TABLE_OFFSET, &(HEADER_SIZE as u64).to_le_bytes());
        put(out, AT_SECTIONS, &sections.to_le_bytes());
        put(out, AT_CONTENT, &self.content.code().to_le_bytes());
        put(out, AT_ROWS, &self.rows.to_le_bytes());
        put(out, AT_DIM, &self.dim.to_le_bytes());
        put(out, AT_METRIC, &self.metric.to_le_bytes());
        put(out, AT_USERS, &self.users.to_le_bytes());
        put(out, AT_TABLE_CRC, &table_crc.to_le_bytes());
        let crc = crc32fast::hash(&out[..AT_HEADER_CRC]);
        put(out, AT_HEADER_CRC, &crc.to_le_bytes());
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Placed, OpenError> {
        if bytes.len() >= 8 && bytes[..8] != MAGIC {
            return Err(OpenError::Magic { got: array(bytes, 0), expected: MAGIC });
        }
        if bytes.len() < HEADER_SIZE {
            let (got, expected) = (bytes.len() as u64, HEADER_SIZE as u64);
            return Err(OpenError::TooShort { got, expected });
        }
        // A newer major version may place its checksum elsewhere, so the version is read first: a
        // damaged version field then reads as another, which refuses the file just as well.
        let version = (u16::from_le_bytes(array(bytes, AT_MAJOR)), u16_at(bytes, AT_MINOR));
        if version.0 > VERSION.0 {
            return Err(OpenError::Version { got: version.0, supported: VERSION.0 });
        }
        if version.0 < OLDEST {
            return Err(OpenError::Unsettled { got: version.0, supported: OLDEST });
        }
        let (got, expected) =
            (crc32fast::hash(&bytes[..AT_HEADER_CRC]), u32_at(bytes, AT_HEADER_CRC));
        if got != expected {
            return Err(OpenError::Checksum { what: "the header".into(), got, expected });
        }
        if u64_at(bytes, AT_FILE_LENGTH) != bytes.len() as u64 {
            let expected = u64_at(bytes, AT_FILE_LENGTH);
            return Err(OpenError::Length { got: bytes.len() as u64, expected });
        }
        let header_size = u32_at(bytes, AT_HEADER_SIZE);
        if header_size as usize != HEADER_SIZE {
            return Err(OpenError::Invalid {
                what: "the header's own size".into(),
                got: header_size.to_string(),
                expected: HEADER_SIZE.to_string(),
            });
        }
        Ok(Placed {
            header: fields(bytes)?,
            version,
            table_offset: u64_at(bytes, AT_TABLE_OFFSET),
            sections: u32_at(bytes, AT_SECTIONS),
            table_crc: u32_at(bytes, AT_TABLE_CRC),
        })
    }
}

fn fields(bytes: &[u8]) -> Result<Header, OpenError> {
    let content = u32_at(bytes, AT_CONTENT);
    let content = Content::from_code(content).ok_or_else(|| OpenError::Invalid {
        what: "the header's content code".into(),
        got: content.to_string(),
        expected: "1 (index), 2 (recommender) or 3 (model)".into(),
    })?;
    Ok(Header {
        content,
        rows: u64_at(bytes, AT_ROWS),
        dim: u32_at(bytes, AT_DIM),
        metric: u32_at(bytes, AT_METRIC),
        users: u64_at(bytes, AT_USERS),
    })
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    out[at..at + bytes.len()].copy_from_slice(bytes);
}

/// The `N` bytes at `at`; the caller has checked that they are there.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}
