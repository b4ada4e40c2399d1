//! Calls that went past cniscope: pure.
//!
//! libcni keeps with every attachment the configuration by which it was added. Where that does not name cniscope, the plugin
//! was called without it. That is as it should be for what was added before the network was wrapped, and for nothing else: a
//! runtime that has not loaded the wrapped list, or somebody who calls plugins by a list of his own, leaves no record.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::cni::entry;
use crate::node::results::Cached;

/// No ADD takes longer: the kubelet gives up a sandbox after twice its `runtimeRequestTimeout` of two minutes.
const LONGEST: Duration = Duration::from_mins(4);
/// A runtime that is told of the change has loaded the list by then.
const LOADED: Duration = Duration::from_secs(5);

/// How an attachment was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By a configuration that names cniscope.
    Through,
    /// By one that does not, and before the network was wrapped, as far as can be told.
    Before,
    /// By one that does not although the network was wrapped.
    Past,
    /// It cannot be told.
    Untold,
}

/// How an attachment was added. `wrapped` is since when its network has been wrapped, if it is.
#[must_use]
pub fn way(attachment: &Cached, wrapped: Option<SystemTime>) -> Way {
    match names_cniscope(&attachment.config) {
        None => Way::Untold,
        Some(true) => Way::Through,
        Some(false) => {
            // It began after its namespace was made, and no longer before its end than the runtime waits.
            let at_the_earliest = attachment.made.max(attachment.ended.checked_sub(LONGEST));
            let is_after =
                |wrapped: SystemTime| at_the_earliest.is_some_and(|began| began > wrapped + LOADED);
            if wrapped.is_some_and(is_after) { Way::Past } else { Way::Before }
        }
    }
}

/// Whether one of a configuration's plugins is cniscope. `None` if it does not tell: further entries of a list may stand in
/// files beside it.
fn names_cniscope(config: &[u8]) -> Option<bool> {
    let config: Value = serde_json::from_slice(config).ok()?;
    let is_cniscope = |entry: &Value| entry["type"] == entry::NAME;
    match &config["plugins"] {
        Value::Array(plugins) if !plugins.is_empty() => Some(plugins.iter().any(is_cniscope)),
        Value::Null if config["type"].is_string() => Some(is_cniscope(&config)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(number: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + number)
    }

    fn attachment(config: &str, ended: u64, made: Option<u64>) -> Cached {
        Cached {
            network: "pods".into(),
            container: "c1".into(),
            interface: "eth0".into(),
            config: config.into(),
            ended: second(ended),
            made: made.map(second),
            is_gone: false,
        }
    }

    const PLAIN: &str = r#"{"name":"pods","plugins":[{"type":"bridge"},{"type":"portmap"}]}"#;

    #[test]
    fn only_what_surely_began_after_the_wrapping_went_past() {
        let table = [
            // Ended, and its namespace made, so many seconds after the network was wrapped.
            (1, None, Way::Before),
            (239, None, Way::Before),
            (245, None, Way::Before),
            (246, None, Way::Past),
            (6, Some(6), Way::Past),
            (6, Some(5), Way::Before),
            (100, Some(1), Way::Before),
            (246, Some(1), Way::Past),
        ];
        for (ended, made, expected) in table {
            let found = way(&attachment(PLAIN, ended, made), Some(second(0)));
            assert_eq!(found, expected, "{ended} {made:?}");
        }
        assert_eq!(way(&attachment(PLAIN, 1000, Some(1000)), None), Way::Before, "it is not wrapped");
    }

    #[test]
    fn what_names_cniscope_went_through_it_and_what_does_not_tell_is_not_judged() {
        let table = [
            (r#"{"plugins":[{"type":"cniscope","cniscope":{"wraps":"bridge"}}]}"#, Way::Through),
            (r#"{"plugins":[{"type":"bridge"},{"type":"cniscope"}]}"#, Way::Through),
            (r#"{"type":"cniscope","cniscope":{"wraps":"bridge"}}"#, Way::Through),
            (r#"{"type":"bridge"}"#, Way::Past),
            (r#"{"name":"pods","plugins":[]}"#, Way::Untold),
            (r#"{"name":"pods"}"#, Way::Untold),
            ("", Way::Untold),
            ("{", Way::Untold),
            ("[1]", Way::Untold),
        ];
        for (config, expected) in table {
            let found = way(&attachment(config, 1000, None), Some(second(0)));
            assert_eq!(found, expected, "{config}");
        }
    }
}
