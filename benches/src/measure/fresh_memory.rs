//! The same memory for everybody who begins.
//!
//! A virtual machine may report free memory to its host, which takes it away after seconds. Whoever touches
//! it next waits until the host has found some again: 3.8 ms for two megabytes on such a machine, of which
//! 0.2 ms are for clearing them. And an allocator may keep what the store before it gave back, or may not.
//! Neither says anything of a store.

/// Gives back what the allocator keeps, and has the host find so much memory that is free here.
pub fn even_out(bytes: usize) {
    super::trim();
    touch(bytes.div_ceil(HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES);
}

const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Huge pages are asked for: small ones would come from places where others were just now. To fail is no
/// error: then less is evened out.
#[cfg(target_os = "linux")]
fn touch(bytes: usize) {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a mapping of its own, wherever there is room, that nobody else knows of.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, kind, -1, 0) };
    if start == libc::MAP_FAILED {
        return;
    }
    // SAFETY: the mapping above, which nobody reads; it goes before this function returns.
    unsafe {
        libc::madvise(start, bytes, libc::MADV_HUGEPAGE);
        libc::madvise(start, bytes, libc::MADV_POPULATE_WRITE);
        libc::munmap(start, bytes);
    }
}

#[cfg(not(target_os = "linux"))]
fn touch(_bytes: usize) {}
