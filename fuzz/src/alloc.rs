//! Counts what is allocated: libFuzzer looks at single allocations only, and
//! with a sanitizer only.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What one input may take.
pub const LIMIT: usize = 16 << 20;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        more(size);
        IN_USE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(old, layout) }
    }
}

fn more(size: usize) {
    let now = IN_USE.fetch_add(size, Relaxed) + size;
    if now > MOST.load(Relaxed) {
        MOST.store(now, Relaxed);
    }
}

/// Runs something that must not allocate more than the limit at any time.
pub fn bounded<T>(action: impl FnOnce() -> T) -> T {
    let before = IN_USE.load(Relaxed);
    MOST.store(before, Relaxed);
    let result = action();
    let most = MOST.load(Relaxed).saturating_sub(before);
    assert!(most <= LIMIT, "{most} bytes at a time");
    result
}
