//! Why a token may not be accepted any more: what its kubeconfig tells of its age.

use std::time::{Duration, SystemTime};

use crate::checks::credentials::{self, TOKEN_LIFE, Validity, spoken};
use crate::checks::kubeconfig::{Kubeconfig, pairs};
use crate::node::Node;

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// The token says that it has expired, this long ago.
    Expired(Duration),
    /// The token does not tell how long it is valid, and was written this long ago: longer than those of calico-node are valid.
    Written(Duration),
}

impl Stale {
    /// Of the token, if it stands in the kubeconfig itself.
    pub fn of(node: &Node, kubeconfig: Kubeconfig) -> Option<Stale> {
        if pairs(kubeconfig.text).any(|(key, _)| key == "tokenFile") {
            return None;
        }
        let written = node.metadata(kubeconfig.path).ok()?.modified().ok();
        let age = written.and_then(|written| written.elapsed().ok());
        stale(credentials::parse(kubeconfig.text).token?, age, SystemTime::now())
    }

    /// What stands behind the server's answer.
    pub fn told(self) -> String {
        match self {
            Stale::Expired(since) => format!("the token expired {} ago", spoken(since)),
            Stale::Written(since) => format!("the file was written {} ago", spoken(since)),
        }
    }
}

fn stale(token: Validity, age: Option<Duration>, now: SystemTime) -> Option<Stale> {
    match token.until {
        Some(until) => now.duration_since(until).ok().map(Stale::Expired),
        None => age.filter(|age| *age > TOKEN_LIFE).map(Stale::Written),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_stale_when_it_has_expired_or_nobody_renews_it() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(1000);
        let ends = |hours| Validity {
            until: Some(SystemTime::UNIX_EPOCH + Duration::from_hours(hours)),
            from: None,
        };
        let endless = || Validity { until: None, from: None };
        let hours = |hours| Some(Duration::from_hours(hours));
        let table = [
            (ends(997), hours(27), Some("the token expired 3 h ago")),
            (ends(997), None, Some("the token expired 3 h ago")),
            (ends(1001), hours(27), None),
            (endless(), hours(27), Some("the file was written 27 h ago")),
            (endless(), hours(24), None),
            (endless(), None, None),
        ];
        for (token, age, told) in table {
            assert_eq!(stale(token, age, now).map(Stale::told).as_deref(), told);
        }
    }
}
