//! A file being composed, in bytes that the caller holds: memory, or a mapped file.

use bytemuck::Pod;

use super::header::{HEADER_SIZE, Header};
use super::section::{ALIGNMENT, Directory, ENTRY_SIZE, Entry, Key, checksum};

/// Which sections a file will have, and how long each is.
#[derive(Default)]
pub struct Layout {
    sections: Vec<(Key, usize)>,
}

impl Layout {
    /// Adds a section of `len` elements.
    pub fn add(&mut self, key: Key, len: usize) {
        self.sections.push((key, len * key.kind.element().size()));
    }

    /// How many bytes the file will have.
    #[must_use]
    pub fn size(&self) -> usize {
        let end = self.entries().last().map_or(self.table_end(), |entry| entry.range.end);
        end.next_multiple_of(ALIGNMENT)
    }

    /// Places every section in `bytes`, which are zeros.
    ///
    /// # Panics
    /// If there are not [`size`](Self::size) of them.
    #[must_use]
    pub fn image<'a>(&self, bytes: &'a mut [u8]) -> Image<'a> {
        assert_eq!(bytes.len(), self.size(), "bytes of the file");
        Image { bytes, entries: self.entries().collect() }
    }

    fn table_end(&self) -> usize {
        HEADER_SIZE + ENTRY_SIZE * self.sections.len()
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        self.sections.iter().scan(self.table_end(), |end, &(key, bytes)| {
            let start = end.next_multiple_of(ALIGNMENT);
            *end = start + bytes;
            Some(Entry { key, range: start..*end, crc: 0 })
        })
    }
}

/// A file whose sections are being filled.
pub struct Image<'a> {
    bytes: &'a mut [u8],
    entries: Vec<Entry>,
}

impl Image<'_> {
    /// The values of a section, to be filled.
    ///
    /// # Panics
    /// If the layout has no such section, or `T` is not as large as its elements.
    pub fn section<T: Pod>(&mut self, key: Key) -> &mut [T] {
        let range = self.range::<T>(key);
        bytemuck::cast_slice_mut(&mut self.bytes[range])
    }

    /// The bytes of a section, to be filled.
    ///
    /// # Panics
    /// If the layout has no such section.
    pub fn section_bytes(&mut self, key: Key) -> &mut [u8] {
        let range = self.place(key);
        &mut self.bytes[range]
    }

    /// The values of three sections at once.
    ///
    /// # Panics
    /// As [`section`](Self::section), and if two of them are one.
    pub fn sections<A: Pod, B: Pod, C: Pod>(
        &mut self,
        [a, b, c]: [Key; 3],
    ) -> (&mut [A], &mut [B], &mut [C]) {
        let ranges = [self.range::<A>(a), self.range::<B>(b), self.range::<C>(c)];
        #[allow(clippy::expect_used)]
        let [a, b, c] = self.bytes.get_disjoint_mut(ranges).expect("three sections");
        (bytemuck::cast_slice_mut(a), bytemuck::cast_slice_mut(b), bytemuck::cast_slice_mut(c))
    }

    /// The bytes of the last two sections, to be filled, and all bytes before them.
    ///
    /// # Panics
    /// If these are not the last two, in this order.
    pub fn last_two(&mut self, keys: [Key; 2]) -> (&[u8], [&mut [u8]; 2]) {
        let last = self.entries.len().saturating_sub(2);
        let named = self.entries[last..].iter().map(|entry| entry.key);
        assert!(named.eq(keys), "the last two sections are others than {keys:?}");
        let [first, second] = keys.map(|key| self.place(key));
        let (head, tail) = self.bytes.split_at_mut(first.start);
        let (a, b) = tail.split_at_mut(second.start - first.start);
        (head, [&mut a[..first.len()], &mut b[..second.len()]])
    }

    fn range<T: Pod>(&self, key: Key) -> std::ops::Range<usize> {
        assert_eq!(size_of::<T>(), key.kind.element().size(), "element of {key:?}");
        self.place(key)
    }

    fn place(&self, key: Key) -> std::ops::Range<usize> {
        let entry = self.entries.iter().find(|e| e.key == key);
        #[allow(clippy::expect_used)]
        entry.expect("the section is in the layout").range.clone()
    }

    /// Fills a section with `values`.
    ///
    /// # Panics
    /// As [`section`](Self::section), and if the lengths differ.
    pub fn fill<T: Pod>(&mut self, key: Key, values: &[T]) {
        self.section(key).copy_from_slice(values);
    }

    /// The directory that this image will have once finished, to read what is filled already.
    #[must_use]
    pub fn directory(&self, header: Header) -> Directory {
        Directory::of(header, self.entries.clone())
    }

    /// The bytes so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// Computes the checksums and writes table and header: the bytes are then a finished file.
    pub fn finish(mut self, header: &Header) {
        let bytes = self.bytes;
        for (i, entry) in self.entries.iter_mut().enumerate() {
            entry.crc = checksum(&bytes[entry.range.clone()]);
            let at = HEADER_SIZE + i * ENTRY_SIZE;
            entry.write(&mut bytes[at..at + ENTRY_SIZE]);
        }
        let table = HEADER_SIZE..HEADER_SIZE + ENTRY_SIZE * self.entries.len();
        let crc = crc32fast::hash(&bytes[table]);
        let length = bytes.len() as u64;
        header.write(bytes, length, self.entries.len() as u32, crc);
    }
}
