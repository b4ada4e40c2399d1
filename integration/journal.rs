//! The journal of calls that a runtime makes. A call does not wait for long for its record to be written, so on a busy
//! machine the record may come after the call.

use serde_json::Value;

use crate::support::{Place, eventually};

/// The records, once there are this many, in the order of their calls.
pub fn records(place: &Place, count: usize) -> Vec<Value> {
    let mut records = eventually(|| Some(place.records()).filter(|records| records.len() >= count));
    assert_eq!(records.len(), count, "{records:#?}");
    // The ids sort by time.
    records.sort_by_key(|record| record["id"].to_string());
    records
}

/// The end of the one call that did not succeed.
pub fn failed(place: &Place) -> Value {
    let has_failed = |record: &Value| record["event"] == "end" && record["outcome"] != "ok";
    let mut failed = eventually(|| {
        let failed: Vec<Value> = place.records().into_iter().filter(has_failed).collect();
        (!failed.is_empty()).then_some(failed)
    });
    assert_eq!(failed.len(), 1, "{failed:#?}");
    failed.remove(0)
}

/// The end of the first call of this plugin.
pub fn end_of(place: &Place, plugin: &str) -> Value {
    let is_wanted = |record: &Value| record["event"] == "end" && record["plugin"] == plugin;
    eventually(|| place.records().into_iter().find(is_wanted))
}
