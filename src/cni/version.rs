//! Versions of the CNI specification.

use serde_json::json;

/// Every version of the specification, oldest first. VERSION carries no configuration, so the delegate that would
/// have to answer is not known: cniscope itself forwards any of them.
pub const SUPPORTED: [&str; 7] = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// The answer to VERSION ([SPEC.md, "VERSION"](https://www.cni.dev/docs/spec/#version-probe-plugin-version-support)).
#[must_use]
pub fn answer() -> String {
    json!({ "cniVersion": SUPPORTED[SUPPORTED.len() - 1], "supportedVersions": SUPPORTED }).to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_answer_names_the_newest_and_all() {
        assert_eq!(
            super::answer(),
            r#"{"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}"#
        );
    }
}
