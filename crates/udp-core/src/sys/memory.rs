//! How the kernel backs a buffer with memory. `madvise(2)`, `mallopt(3)`.

/// Bytes of the smallest page of the supported machines; a hint may be given for less than asked.
const PAGE: usize = 4096;

/// Asks that `memory` be backed by small pages, so that touching one byte of a slot costs a page
/// and not 2 MiB. A hint: the kernel may refuse it, and nothing but memory use depends on it.
pub(crate) fn keep_small_pages(memory: &mut [u8]) {
    let skip = memory.as_ptr().align_offset(PAGE);
    let Some(aligned) = memory.get_mut(skip..) else { return };
    let length = aligned.len() / PAGE * PAGE;
    if length > 0 {
        // SAFETY: the range is whole pages inside memory that is borrowed exclusively, and this
        // advice changes neither contents nor validity of any byte.
        let _hint =
            unsafe { libc::madvise(aligned.as_mut_ptr().cast(), length, libc::MADV_NOHUGEPAGE) };
    }
}

/// Has every block of 128 KiB or more mapped by itself, so that it is given back when it is freed. Left alone,
/// the C library takes ever larger blocks from its heap once such a one was freed, and leaves holes there.
#[cfg(all(feature = "web", target_env = "gnu"))]
pub(crate) fn map_large_blocks() {
    // SAFETY: it sets a figure of the allocator, and is called before there are threads.
    let _hint = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10) };
}
