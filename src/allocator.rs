//! The memory of the program: dlmalloc behind a lock of its own.
//!
//! musl's own asks the kernel for pages and gives them back all the time: some sixty system calls a call. And dlmalloc's own lock
//! is one of the C library's, which costs more than what it guards: an eighth of the instructions of a call's helper. std's, which
//! looks at each end whether a panic is under way, takes a twentieth.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};

use dlmalloc::Dlmalloc;

/// Threads wait for each other.
pub struct Allocator {
    is_taken: AtomicBool,
    memory: UnsafeCell<Dlmalloc>,
}

#[allow(unsafe_code, reason = "the lock is its own")]
// SAFETY: `memory` is used by none but who has set `is_taken`.
unsafe impl Sync for Allocator {}

impl Allocator {
    /// Nothing is taken from the kernel yet.
    pub const fn new() -> Allocator {
        Allocator { is_taken: AtomicBool::new(false), memory: UnsafeCell::new(Dlmalloc::new()) }
    }

    /// What is done is short: who comes meanwhile lets others go first.
    #[allow(unsafe_code, reason = "the lock is its own")]
    fn alone<T>(&self, act: impl FnOnce(&mut Dlmalloc) -> T) -> T {
        while self.is_taken.swap(true, Ordering::Acquire) {
            std::thread::yield_now();
        }
        // SAFETY: it is set, and was not before: nobody else is here until it is cleared.
        let done = act(unsafe { &mut *self.memory.get() });
        self.is_taken.store(false, Ordering::Release);
        done
    }
}

#[allow(unsafe_code, reason = "every allocator's functions are unsafe to call")]
// SAFETY: dlmalloc keeps the promises of `GlobalAlloc`, as its own `GlobalDlmalloc` says; with the lock held, no two calls are in it
// at once. Neither it nor the lock allocates or panics.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        self.alone(|held| unsafe { held.malloc(layout.size(), layout.align()) })
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        self.alone(|held| unsafe { held.free(memory, layout.size(), layout.align()) });
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        self.alone(|held| unsafe { held.calloc(layout.size(), layout.align()) })
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's.
        self.alone(|held| unsafe { held.realloc(memory, layout.size(), layout.align(), size) })
    }
}
