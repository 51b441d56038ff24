//! Large pages: 2 MiB where the processor would otherwise look up every 4 KiB.
//!
//! A search reads a few hundred bytes here and there in all of an index: with small pages each read
//! first misses the processor's list of pages. What is asked for here is advice, which a system without
//! large pages refuses and nothing depends on.

#[cfg(unix)]
use memmap2::Advice;
use memmap2::{Mmap, MmapMut};

/// For memory that has not been written to yet, and is no file's: a build within a memory limit reads its
/// files here and there, and would read 2 MiB each time.
pub(super) fn ask_large(map: &MmapMut) {
    #[cfg(target_os = "linux")]
    let _ = map.advise(Advice::HugePage);
    #[cfg(not(target_os = "linux"))]
    let _ = map;
}

/// Reads a file into memory and maps all of it. It comes in large pages where its file system keeps such
/// and the file is not in memory already, or was written in large pieces. Only a map that is read whole
/// asks for them: else each touch of a cold file would read 2 MiB.
pub(super) fn read_all(map: &Mmap) {
    #[cfg(target_os = "linux")]
    {
        let _ = map.advise(Advice::HugePage);
        if map.advise(Advice::PopulateRead).is_ok() {
            return;
        }
    }
    // Where a map cannot be filled at once (before Linux 5.14), its file is read in the background.
    #[cfg(unix)]
    let _ = map.advise(Advice::WillNeed);
    #[cfg(not(unix))]
    let _ = map;
}
