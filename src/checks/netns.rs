//! `netns`: the sandbox's network namespace exists and is one.

use super::Depth;
use super::subject::Subject;
use crate::cni::go::errno_text;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;
use crate::node::netns::Netns;

/// Looks at `CNI_NETNS`.
#[must_use]
pub fn look(node: &Node, subject: &Subject, _: Depth) -> Finding {
    let path = subject.netns.display().to_string();
    if path.is_empty() {
        return Finding::fail(Cause::NetnsGone, "CNI_NETNS is empty").with("path", "");
    }
    judge(node.netns(&subject.netns), &path, subject.netns_override).with("path", path)
}

fn judge(found: Netns, path: &str, may_be_own: bool) -> Finding {
    let gone = |what: &str| Finding::fail(Cause::NetnsGone, format!("{path} {what}"));
    match found {
        Netns::Present { own: true } if !may_be_own => {
            Finding::warn(format!("{path} is the plugin's own network namespace"))
        }
        Netns::Present { .. } => Finding::ok(format!("{path} is a network namespace")),
        Netns::Missing => gone("does not exist"),
        Netns::NotOne => gone("is no network namespace: what was mounted there is gone"),
        Netns::Unreadable(errno) => Finding::skipped(format!("{path}: {}", errno_text(errno))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::finding::Status;
    use nix::errno::Errno;

    #[test]
    fn states_of_a_namespace() {
        let gone = Some(Cause::NetnsGone);
        let table = [
            (Netns::Present { own: false }, false, Status::Ok, None, "/n is a network namespace"),
            (Netns::Present { own: true }, true, Status::Ok, None, "/n is a network namespace"),
            (
                Netns::Present { own: true },
                false,
                Status::Warn,
                None,
                "/n is the plugin's own network namespace",
            ),
            (Netns::Missing, false, Status::Fail, gone, "/n does not exist"),
            (
                Netns::NotOne,
                false,
                Status::Fail,
                gone,
                "/n is no network namespace: what was mounted there is gone",
            ),
            (Netns::Unreadable(Errno::EACCES), false, Status::Skipped, None, "/n: permission denied"),
        ];
        for (found, may_be_own, status, cause, summary) in table {
            let finding = judge(found, "/n", may_be_own);
            assert_eq!((finding.status, finding.cause, finding.summary.as_str()), (status, cause, summary));
        }
    }

    #[test]
    fn an_empty_variable_is_named() {
        let finding = look(&Node::this(), &Subject::default(), Depth::Quick);
        assert_eq!((finding.cause, finding.summary.as_str()), (Some(Cause::NetnsGone), "CNI_NETNS is empty"));
    }
}
