//! What panicked on this thread. A run of the operator that panics is caught by it and repeated, as it should be;
//! it is a defect all the same.

use std::cell::RefCell;
use std::panic;

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// From now on panics are written down instead of printed.
pub fn record() {
    panic::set_hook(Box::new(|panic| {
        PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
    }));
}

/// What panicked on this thread, which is forgotten.
#[must_use]
pub fn take() -> Vec<String> {
    PANICS.take()
}
