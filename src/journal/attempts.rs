//! What came before and after a call for the same Pod.

use std::cmp::Ordering;

use super::head::Head;
use super::named;
use super::read::ReadError;
use super::sources::Sources;
use super::stored::{self, PortionError, Stored};
use crate::node::Node;

/// So many are kept on either side.
const MOST: usize = 5;

/// The nearest other calls for the same Pod, or for the same container where the runtime names no Pod, in the order in which
/// they began.
#[derive(Debug, Default)]
pub struct Attempts {
    /// Before the call.
    pub before: Vec<Stored>,
    /// How many came before these.
    pub earlier: usize,
    /// After the call.
    pub after: Vec<Stored>,
    /// How many came after these.
    pub later: usize,
}

impl Attempts {
    /// Those around a call.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn around(one: &Stored, node: &Node, sources: Sources) -> Result<Attempts, ReadError> {
        let head = one.head();
        let mut attempts = Attempts::default();
        let is_for_the_same = |call: &Head| named::is_for_the_same(&head, call);
        let read = stored::in_portions(node, sources, &is_for_the_same, None, |calls| {
            attempts.add(one, calls);
            Ok(())
        });
        match read {
            Err(PortionError::Read(error)) => Err(error),
            _ => Ok(attempts),
        }
    }

    fn add(&mut self, one: &Stored, calls: Vec<Stored>) {
        for call in calls {
            match call.order().cmp(&one.order()) {
                Ordering::Less => self.before.push(call),
                Ordering::Equal => {}
                Ordering::Greater => self.after.push(call),
            }
        }
        for side in [&mut self.before, &mut self.after] {
            side.sort_by(|one, other| one.order().cmp(&other.order()));
        }
        let surplus = self.before.len().saturating_sub(MOST);
        self.before.drain(..surplus);
        self.earlier += surplus;
        self.later += self.after.len().saturating_sub(MOST);
        self.after.truncate(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: u32) -> Stored {
        let line = format!(r#"{{"event":"end","id":"{number:02}"}}"#);
        Stored::of(&Head::of(line.as_bytes()).unwrap())
    }

    #[test]
    fn the_nearest_ones_are_kept_and_the_others_counted() {
        let mut attempts = Attempts::default();
        for portion in [0..4, 4..30, 30..35] {
            attempts.add(&call(10), portion.map(call).collect());
        }
        let ids =
            |calls: &[Stored]| calls.iter().map(|call| call.id().parse::<u32>().unwrap()).collect::<Vec<_>>();
        assert_eq!((ids(&attempts.before), attempts.earlier), ((5..10).collect(), 5));
        assert_eq!((ids(&attempts.after), attempts.later), ((11..16).collect(), 19));
    }
}
