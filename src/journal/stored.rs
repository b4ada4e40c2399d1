//! Calls as their records are stored: what a list needs, without the rest of a record being looked at.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;
use std::mem;
use std::ops::ControlFlow;

use serde_json::Value;

use super::head::Head;
use super::read::{self, Call, Filter, Passed, ReadError};
use super::sources::Sources;
use crate::node::Node;

/// How much is kept to be put in order before some of it is handed on.
const MAX_BYTES: usize = 12 << 20;

/// A call with the line of its record.
#[derive(Debug, Clone)]
pub struct Stored {
    line: Box<[u8]>,
    /// `time` and `id`, by which calls are in order.
    order: (Box<str>, Box<str>),
    outcome: Box<str>,
    stalls: Vec<Value>,
}

impl Stored {
    /// The call with this head.
    #[must_use]
    pub fn of(head: &Head) -> Stored {
        Stored {
            line: head.line.into(),
            order: (head.time.as_ref().into(), head.id.as_ref().into()),
            outcome: head.outcome.as_ref().into(),
            stalls: Vec::new(),
        }
    }

    /// The same with what was seen while its delegate hung.
    #[must_use]
    pub fn with(self, stalls: Vec<Value>) -> Stored {
        Stored { stalls, ..self }
    }

    /// The same of a call that a test has made up.
    #[cfg(test)]
    pub(crate) fn of_call(call: &Call) -> Stored {
        let line = serde_json::to_vec(&call.record).unwrap();
        let head = Head { outcome: Cow::Borrowed(&call.outcome), ..Head::of(&line).unwrap() };
        Stored::of(&head)
    }

    /// The head of its record, with what became of the call.
    #[must_use]
    pub fn head(&self) -> Head<'_> {
        let head = Head::of(&self.line).unwrap_or_default();
        Head { outcome: Cow::Borrowed(&self.outcome), ..head }
    }

    /// When it began, and its id: by these, calls are in order.
    #[must_use]
    pub fn order(&self) -> (&str, &str) {
        (&self.order.0, &self.order.1)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.order.1
    }

    /// The call with its whole record; `Null` where that cannot be read.
    #[must_use]
    pub fn call(&self) -> Call {
        let record = serde_json::from_slice(&self.line).unwrap_or_default();
        Call { record, outcome: self.outcome.to_string(), stalls: self.stalls.clone() }
    }

    /// The record in JSON: as it is stored, with what became of a call that has not ended, and with what was seen while
    /// its delegate hung.
    #[must_use]
    pub fn json(&self) -> String {
        let stored = String::from_utf8_lossy(&self.line);
        let Some(members) = stored.strip_suffix('}') else { return stored.into_owned() };
        let mut json = members.to_owned();
        if Head::of(&self.line).is_some_and(|head| head.event != "end") {
            let _ = write!(json, ",\"outcome\":{}", Value::from(&*self.outcome));
        }
        if !self.stalls.is_empty() {
            let _ = write!(json, ",\"stalls\":{}", Value::from(self.stalls.clone()));
        }
        json.push('}');
        json
    }
}

/// Hands on the calls for which `filter` holds, or the `last` ones of them, in the order in which they began. Where they are
/// more than fit into little memory, each portion is in order, and the portions follow the files.
///
/// # Errors
/// If the journal cannot be read, or `take` fails.
pub fn in_portions(
    node: &Node,
    sources: Sources,
    filter: &impl Filter,
    last: Option<usize>,
    mut take: impl FnMut(Vec<Stored>) -> io::Result<()>,
) -> Result<Passed, PortionError> {
    let mut portion = Portion { last, calls: Vec::new(), bytes: 0 };
    let mut taken = Ok(());
    let passed = read::map_each(
        node,
        sources,
        filter,
        |head| Some(Stored::of(head)),
        |call, stalls| {
            if let Some(full) = portion.add(call.with(stalls)) {
                taken = take(full);
            }
            if taken.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        },
    )?;
    taken.and_then(|()| take(portion.rest())).map_err(PortionError::Take)?;
    Ok(passed)
}

/// Why there are no more portions.
#[derive(Debug, thiserror::Error)]
pub enum PortionError {
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Who takes them failed.
    #[error(transparent)]
    Take(io::Error),
}

/// Calls that are kept to be put in order.
struct Portion {
    last: Option<usize>,
    calls: Vec<Stored>,
    bytes: usize,
}

impl Portion {
    /// Adds a call, and gives those that are to be handed on.
    fn add(&mut self, call: Stored) -> Option<Vec<Stored>> {
        self.bytes += call.line.len() + mem::size_of::<Stored>();
        self.calls.push(call);
        match self.last {
            Some(last) if self.calls.len() > 2 * last + 1000 => {
                self.calls = self.rest();
                None
            }
            None if self.bytes > MAX_BYTES => Some(self.rest()),
            _ => None,
        }
    }

    /// What is kept, in order.
    fn rest(&mut self) -> Vec<Stored> {
        self.bytes = 0;
        let mut calls = mem::take(&mut self.calls);
        calls.sort_by(|one, other| one.order.cmp(&other.order));
        let first = self.last.map_or(0, |last| calls.len().saturating_sub(last));
        calls.drain(..first);
        calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: u32) -> Stored {
        let line = format!(r#"{{"event":"end","id":"{number}","time":"{number:06}","outcome":"ok"}}"#);
        Stored::of(&Head::of(line.as_bytes()).unwrap())
    }

    fn numbers(calls: &[Stored]) -> Vec<u32> {
        calls.iter().map(|call| call.id().parse().unwrap()).collect()
    }

    #[test]
    fn the_last_calls_are_kept_however_many_come() {
        let mut portion = Portion { last: Some(3), calls: Vec::new(), bytes: 0 };
        // In an order in which they did not begin.
        for number in 0..5000 {
            assert!(portion.add(call(number ^ 1023)).is_none());
        }
        assert!(portion.calls.len() <= 1006);
        assert_eq!(numbers(&portion.rest()), [5117, 5118, 5119]);
    }

    #[test]
    fn portions_are_in_order_and_lose_nothing() {
        let mut portion = Portion { last: None, calls: Vec::new(), bytes: 0 };
        let mut all = Vec::new();
        let count = 200_000;
        for number in (0..count).rev() {
            if let Some(full) = portion.add(call(number)) {
                assert!(numbers(&full).is_sorted());
                all.extend(full);
            }
        }
        assert!(!all.is_empty());
        all.extend(portion.rest());
        let mut numbers = numbers(&all);
        numbers.sort_unstable();
        assert_eq!(numbers, (0..count).collect::<Vec<_>>());
    }

    #[test]
    fn the_record_is_as_it_is_stored() {
        let line = br#"{ "event":"end", "outcome":"ok","id":"a","x":1.50 }"#;
        let mut stored = Stored::of(&Head::of(line).unwrap());
        assert_eq!(stored.json(), str::from_utf8(line).unwrap());
        stored.stalls = vec![serde_json::json!({"after_ms": 5})];
        assert_eq!(
            stored.json(),
            r#"{ "event":"end", "outcome":"ok","id":"a","x":1.50 ,"stalls":[{"after_ms":5}]}"#
        );
        let begin = Head { outcome: "killed".into(), ..Head::of(br#"{"event":"begin","id":"a"}"#).unwrap() };
        assert_eq!(Stored::of(&begin).json(), r#"{"event":"begin","id":"a","outcome":"killed"}"#);
    }
}
