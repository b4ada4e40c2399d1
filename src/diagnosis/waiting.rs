//! What a delegate that hangs is waiting for.

use crate::node::stall::{Snapshot, Stalled};

/// What it is waiting for, as far as the snapshot tells: a phrase that fits behind "it was waiting for".
///
/// The last process of the tree is asked first: who has children waits for them.
#[must_use]
pub fn waiting_for(snapshot: &Snapshot) -> Option<String> {
    snapshot.processes.iter().rev().find_map(of_process)
}

fn of_process(process: &Stalled) -> Option<String> {
    if let Some(lock) = &process.waits_for_lock {
        return Some(format!("the lock on {}", lock.path));
    }
    let in_state = |state: &str| process.connections.iter().find(|connection| connection.state == state);
    if let Some(connection) = in_state("connecting") {
        return Some(format!("a connection to {}", connection.peer));
    }
    if let Some(connection) = in_state("established") {
        return Some(format!("an answer from {}", connection.peer));
    }
    (process.state == "D").then(|| "the kernel: it is in uninterruptible sleep".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::stall::{Connection, LockWait};

    fn connected(state: &str) -> Stalled {
        Stalled {
            connections: vec![Connection { peer: "10.96.0.1:443".into(), state: state.into() }],
            ..Stalled::default()
        }
    }

    #[test]
    fn the_deepest_process_that_waits_for_something_tells() {
        let lock =
            LockWait { path: "/run/xtables.lock".into(), holder_pid: 7, holder_name: "kube-proxy".into() };
        let locked = Stalled { waits_for_lock: Some(lock), ..Stalled::default() };
        let disk = Stalled { state: "D".into(), ..Stalled::default() };
        let idle = Stalled { state: "S".into(), ..Stalled::default() };
        let table = [
            (vec![], None),
            (vec![idle.clone()], None),
            (vec![idle.clone(), locked.clone()], Some("the lock on /run/xtables.lock")),
            (vec![connected("connecting"), idle.clone()], Some("a connection to 10.96.0.1:443")),
            (vec![connected("established"), locked], Some("the lock on /run/xtables.lock")),
            (vec![connected("established")], Some("an answer from 10.96.0.1:443")),
            (vec![disk], Some("the kernel: it is in uninterruptible sleep")),
        ];
        for (processes, expected) in table {
            assert_eq!(waiting_for(&Snapshot { processes }).as_deref(), expected);
        }
    }
}
