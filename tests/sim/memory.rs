//! Counts the bytes that each thread has allocated, so that a step which takes too many is seen.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

pub struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn add(bytes: isize) {
    // A thread that ends frees what it holds when its counters are gone already.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// Every call is passed on to the system's allocator as it came; counting touches no memory that is given out.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // While the bytes move, both places are taken.
        add(size as isize);
        add(-(layout.size() as isize));
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// The bytes that this thread holds now.
pub fn live() -> isize {
    LIVE.get()
}

/// The answer of `step`, and the most bytes that it held beyond those that were held before.
pub fn measure<T>(step: impl FnOnce() -> T) -> (T, u64) {
    let before = LIVE.get();
    PEAK.set(before);
    let done = step();
    (done, (PEAK.get() - before).max(0) as u64)
}

#[test]
fn what_a_step_held_is_counted() {
    let (kept, most) = measure(|| {
        drop(Vec::<u8>::with_capacity(300_000));
        Vec::<u8>::with_capacity(100_000)
    });
    assert!((300_000..310_000).contains(&most), "{most}");
    let before = live();
    drop(kept);
    assert_eq!(before - live(), 100_000);
}
