//! The memory of the program: dlmalloc behind a lock of std's.
//!
//! musl's own asks the kernel for pages and gives them back all the time: some sixty system calls a call. And dlmalloc's own lock
//! is one of the C library's, which costs more than what it guards: an eighth of the instructions of a call's helper.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dlmalloc::Dlmalloc;

/// Threads wait for each other.
pub struct Allocator(Mutex<Dlmalloc>);

impl Allocator {
    /// Nothing is taken from the kernel yet.
    pub const fn new() -> Allocator {
        Allocator(Mutex::new(Dlmalloc::new()))
    }

    fn lock(&self) -> MutexGuard<'_, Dlmalloc> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[allow(unsafe_code, reason = "every allocator's functions are unsafe to call")]
// SAFETY: dlmalloc keeps the promises of `GlobalAlloc`, as its own `GlobalDlmalloc` says; with the lock held, no two calls are in it
// at once. Neither it nor the lock allocates or panics.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        unsafe { self.lock().malloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { self.lock().free(memory, layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        unsafe { self.lock().calloc(layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's.
        unsafe { self.lock().realloc(memory, layout.size(), layout.align(), size) }
    }
}
