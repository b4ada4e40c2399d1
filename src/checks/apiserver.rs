//! `apiserver`: whether the API server that the plugin's kubeconfig names can be reached from this node.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::Depth;
use super::subject::Subject;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::Node;

/// How long all addresses together may take. The kernel repeats what was lost after a second, which is more than the evidence of
/// a call may take.
const LIMIT: Duration = Duration::from_millis(700);
/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;

/// Where the server of a kubeconfig is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    /// A name or an address.
    host: String,
    port: u16,
}

/// What came of looking for it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reached {
    /// One of its addresses accepts.
    Yes(SocketAddr),
    /// None does; with what the last one said.
    No(ErrorKind),
    /// The name is not in /etc/hosts, and no resolver is asked.
    NoAddress,
}

/// Whether the plugin has a kubeconfig.
#[must_use]
pub fn fits(subject: &Subject) -> bool {
    kubeconfig(&subject.config).is_some()
}

/// Where known plugins have it: Calico and whereabouts below `kubernetes`, Multus and others at the top.
fn kubeconfig(config: &Value) -> Option<PathBuf> {
    let places = [
        &config["kubernetes"]["kubeconfig"],
        &config["kubeconfig"],
        &config["ipam"]["kubernetes"]["kubeconfig"],
        &config["ipam"]["kubeconfig"],
    ];
    let path = places.into_iter().find_map(|place| place.as_str().filter(|path| path.starts_with('/')))?;
    Some(PathBuf::from(path))
}

/// Connects to the server.
#[must_use]
pub fn look(node: &Node, subject: &Subject, _: Depth) -> Finding {
    let Some(path) = kubeconfig(&subject.config) else {
        return Finding::skipped("the configuration names no kubeconfig");
    };
    let shown = path.display().to_string();
    let content = match node.read_text(&path) {
        Ok(content) => content,
        Err(error) if error.is_missing() => {
            return Finding::fail(Cause::KubeconfigMissing, format!("{shown} does not exist"))
                .fix("restart the add-on's Pod on this node: it writes the file again")
                .with("kubeconfig", shown);
        }
        Err(error) => return Finding::skipped(error.to_string()),
    };
    let Some(server) = server(&content) else {
        return Finding::skipped(format!("{shown} names no server")).with("kubeconfig", shown);
    };
    let reached = reach(node, &server);
    judge(&shown, &server, &reached).with("kubeconfig", shown)
}

/// `server: https://10.96.0.1:443` of the first cluster. A kubeconfig is YAML of a fixed form, or JSON, which has quotes.
fn server(kubeconfig: &str) -> Option<Server> {
    let lines = kubeconfig.lines().map(|line| line.trim().trim_start_matches("- "));
    let url =
        lines.filter_map(|line| line.trim_start_matches('"').strip_prefix("server")).find_map(|rest| {
            let rest = rest.trim_start_matches('"').trim_start().strip_prefix(':')?;
            Some(rest.trim().trim_end_matches(',').trim_matches(['"', '\'']))
        })?;
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let default = if scheme == "http" { 80 } else { 443 };
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = port.map_or(Some(default), |port| port.parse().ok())?;
    (!host.is_empty()).then(|| Server { host: host.to_owned(), port })
}

fn reach(node: &Node, server: &Server) -> Reached {
    let addresses = match server.host.parse() {
        Ok(address) => vec![address],
        Err(_) => in_hosts(&node.read_text(Path::new("/etc/hosts")).unwrap_or_default(), &server.host),
    };
    let each = LIMIT / u32::try_from(addresses.len().clamp(1, MAX_ADDRESSES)).unwrap_or(1);
    let mut reached = Reached::NoAddress;
    for address in addresses.into_iter().take(MAX_ADDRESSES) {
        let address = SocketAddr::new(address, server.port);
        match node.reach(address, each) {
            Ok(()) => return Reached::Yes(address),
            Err(error) => reached = Reached::No(error.kind()),
        }
    }
    reached
}

/// The addresses of a name in `/etc/hosts` (hosts(5)).
fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let lines = hosts.lines().filter_map(|line| line.split('#').next());
    lines
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|alias| alias.eq_ignore_ascii_case(name)).then_some(address)
        })
        .collect()
}

fn judge(kubeconfig: &str, server: &Server, reached: &Reached) -> Finding {
    let Server { host, port } = server;
    let at = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    // The server's address stands in no text that a tenant has written or got.
    let of = format!("the API server that {kubeconfig} names");
    let unreachable = |what: &str| {
        Finding::fail(Cause::ApiserverUnreachable, format!("{of} {what}"))
            .fix("see whether kube-proxy, or what stands for it, runs on this node, and whether the API server is up")
            .fix(format!("ask it from this node: curl -k https://{at}/readyz"))
    };
    let finding = match reached {
        Reached::Yes(_) => Finding::ok(format!("{of} accepts connections")),
        Reached::NoAddress => {
            Finding::skipped(format!("the server's name in {kubeconfig} is not in /etc/hosts"))
        }
        Reached::No(ErrorKind::ConnectionRefused) => unreachable("refuses connections"),
        Reached::No(ErrorKind::TimedOut) => {
            unreachable(&format!("does not answer within {} ms", LIMIT.as_millis()))
        }
        Reached::No(ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable) => {
            unreachable("has an address to which this node has no route")
        }
        Reached::No(other) => Finding::skipped(format!("{of} cannot be asked: {other}")),
    };
    finding.with("server", at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::finding::Status;
    use serde_json::json;
    use std::net::TcpListener;

    #[test]
    fn the_server_is_read() {
        let table = [
            ("clusters:\n- cluster:\n    server: https://10.96.0.1:443\n", Some(("10.96.0.1", 443))),
            ("    server: https://[fd00:10:96::1]:6443\n", Some(("fd00:10:96::1", 6443))),
            ("- server: \"https://api.example.org\"\n", Some(("api.example.org", 443))),
            ("  \"server\": \"http://127.0.0.1/path\",\n", Some(("127.0.0.1", 80))),
            ("certificate-authority-data: server\n", None),
            ("server: 10.96.0.1\n", None),
            ("server: https://a:b\n", None),
            ("server: https://:443\n", None),
            ("", None),
        ];
        for (kubeconfig, expected) in table {
            let found = server(kubeconfig);
            let found = found.as_ref().map(|server| (server.host.as_str(), server.port));
            assert_eq!(found, expected, "{kubeconfig}");
        }
    }

    #[test]
    fn names_are_looked_up_in_the_hosts_file() {
        let hosts =
            "127.0.0.1 localhost\n10.0.0.5\tapi API.example.org # the balancer\n# 10.0.0.6 api\njunk api\n";
        assert_eq!(in_hosts(hosts, "api.example.org"), ["10.0.0.5".parse::<IpAddr>().unwrap()]);
        assert_eq!(in_hosts(hosts, "api").len(), 1);
        assert!(in_hosts(hosts, "the").is_empty());
    }

    #[test]
    fn states_of_the_server() {
        let server = Server { host: "10.96.0.1".into(), port: 443 };
        let fail = Some(Cause::ApiserverUnreachable);
        let no = Reached::No;
        let table = [
            (Reached::Yes("10.96.0.1:443".parse().unwrap()), Status::Ok, None, "accepts connections"),
            (no(ErrorKind::ConnectionRefused), Status::Fail, fail, "refuses connections"),
            (no(ErrorKind::TimedOut), Status::Fail, fail, "does not answer within 700 ms"),
            (
                no(ErrorKind::NetworkUnreachable),
                Status::Fail,
                fail,
                "has an address to which this node has no route",
            ),
            (no(ErrorKind::AddrInUse), Status::Skipped, None, "cannot be asked: address in use"),
        ];
        for (reached, status, cause, what) in table {
            let finding = judge("/k", &server, &reached);
            let summary = format!("the API server that /k names {what}");
            assert_eq!((finding.status, finding.cause, finding.summary), (status, cause, summary));
            assert_eq!(finding.evidence["server"], "10.96.0.1:443");
        }
        let finding = judge("/k", &server, &Reached::NoAddress);
        assert_eq!(
            (finding.status, finding.summary.as_str()),
            (Status::Skipped, "the server's name in /k is not in /etc/hosts")
        );
    }

    fn looked(config: Value, kubeconfig: Option<&str>) -> Finding {
        let root = tempfile::tempdir().unwrap();
        if let Some(content) = kubeconfig {
            std::fs::write(root.path().join("k"), content).unwrap();
        }
        let subject = Subject { config, ..Subject::default() };
        assert!(fits(&subject));
        look(&Node::at(root.path()), &subject, Depth::Full)
    }

    #[test]
    fn a_server_is_really_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let kubeconfig = format!("    server: https://{}\n", listener.local_addr().unwrap());
        let calico = json!({"kubernetes": {"kubeconfig": "/k"}});
        assert_eq!(looked(calico.clone(), Some(&kubeconfig)).status, Status::Ok);
        drop(listener);
        let finding = looked(calico, Some(&kubeconfig));
        assert_eq!(finding.summary, "the API server that /k names refuses connections");
    }

    #[test]
    fn what_is_missing_or_absurd_is_said() {
        let multus = json!({"kubeconfig": "/k"});
        let finding = looked(multus.clone(), None);
        assert_eq!(
            (finding.cause, finding.summary.as_str()),
            (Some(Cause::KubeconfigMissing), "/k does not exist")
        );
        let finding = looked(multus.clone(), Some("\u{0}\u{1}"));
        assert_eq!((finding.status, finding.summary.as_str()), (Status::Skipped, "/k names no server"));
        let finding = looked(multus, Some(&"x".repeat(2 << 20)));
        assert_eq!(finding.summary, "/k: is larger than 1048576 bytes");
        let none = |config| fits(&Subject { config, ..Subject::default() });
        assert!(!none(json!({})) && !none(json!({"kubeconfig": "__KUBECONFIG_FILEPATH__"})));
    }
}
