//! Tests that keep the whole machine busy, and those that this would disturb: under such a load a helper is late, and a
//! record that a test looks for is not there yet.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

struct Machine {
    /// How many places there are.
    places: usize,
    /// One of them is to be the only one.
    is_taken: bool,
}

static MACHINE: Mutex<Machine> = Mutex::new(Machine { places: 0, is_taken: false });
static LEFT: Condvar = Condvar::new();

/// A place's share of the machine.
#[derive(Debug)]
pub(super) struct Share(());

impl Share {
    /// Together with others. A test may have several: whoever waits to be alone does not hold them up.
    pub(super) fn with_others() -> Share {
        Share::once(|machine| !machine.is_taken, false)
    }

    /// All of it.
    pub(super) fn alone() -> Share {
        Share::once(|machine| machine.places == 0, true)
    }

    fn once(is_free: impl Fn(&Machine) -> bool, is_taken: bool) -> Share {
        let mut machine =
            LEFT.wait_while(machine(), |machine| !is_free(machine)).unwrap_or_else(PoisonError::into_inner);
        *machine = Machine { places: machine.places + 1, is_taken };
        Share(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut machine = machine();
        *machine = Machine { places: machine.places - 1, is_taken: false };
        LEFT.notify_all();
    }
}

/// A test that fails in between has changed nothing here.
fn machine() -> MutexGuard<'static, Machine> {
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}
