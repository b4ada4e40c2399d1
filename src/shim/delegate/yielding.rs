//! Lets the delegate work: this process has something to do whenever the delegate prints, closes a pipe or ends, and would be
//! put in its place each time.

use libc::{SCHED_BATCH, SCHED_OTHER, sched_param};

/// From now on this process does not interrupt another one when it is woken (sched(7), `SCHED_BATCH`): what the delegate does
/// at its end is then seen at once, with one change of processes and not four. Its share of the processor stays the same. What
/// was given another policy by whoever started it keeps that.
#[allow(unsafe_code, reason = "nix does not know scheduling policies")]
pub(super) fn yield_to_others() {
    let parameter = sched_param { sched_priority: 0 };
    // SAFETY: both look at this process alone, and the parameter outlives the call.
    unsafe {
        if libc::sched_getscheduler(0) == SCHED_OTHER {
            libc::sched_setscheduler(0, SCHED_BATCH, &raw const parameter);
        }
    }
}
