//! `apiserver`: whether the API server that the plugin's kubeconfig names can be found, reached, trusted and asked from this node.

#[cfg(test)]
mod served;
mod stale;
#[cfg(test)]
mod tests;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use rustls::CertificateError;
use rustls::pki_types::{ServerName, UnixTime};
use serde_json::Value;

use super::Depth;
use super::credentials::spoken;
use super::kubeconfig::{Kubeconfig, Server};
use super::subject::Subject;
use crate::diagnosis::catalogue::Cause;
use crate::diagnosis::finding::Finding;
use crate::node::https::{Failure, Question, Stage};
use crate::node::names::Lookup;
use crate::node::{Node, clock};
use stale::Stale;

/// How long it may take after a call that failed. The kernel repeats what was lost after a second, which is more than the
/// evidence of a call may take.
const LIMIT: Duration = Duration::from_millis(700);
/// How long it may take where somebody waits for it.
const PATIENCE: Duration = Duration::from_secs(3);
/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;
/// What every client may ask, and what is answered at once.
const PATH: &str = "/version";
const TOKEN: &str = "token";
const RESTART: &str = "restart the add-on's Pod on this node: it writes the kubeconfig again";

/// What came of looking for the server.
#[derive(Debug, Clone, PartialEq)]
enum Reached {
    /// Its name has no address.
    Unresolved(Lookup),
    /// None of its addresses accepts; with what the last one said.
    No(ErrorKind),
    /// One of its addresses accepts, and is asked nothing, for this reason.
    Accepts(SocketAddr, &'static str),
    /// It answers with this status.
    Answers(SocketAddr, u16),
    /// It accepts, and there is no answer.
    Fails(SocketAddr, Failure),
}

#[derive(Debug)]
struct Facts<'a> {
    kubeconfig: &'a str,
    server: &'a Server,
    /// What of the kubeconfig was shown to it, in words.
    shown: Option<&'static str>,
    stale: Option<Stale>,
    limit: Duration,
    reached: Reached,
}

/// Whether the plugin has a kubeconfig.
#[must_use]
pub fn fits(subject: &Subject) -> bool {
    path_of(&subject.config).is_some()
}

/// Where known plugins have it: Calico and whereabouts below `kubernetes`, Multus and others at the top.
fn path_of(config: &Value) -> Option<PathBuf> {
    let places = [
        &config["kubernetes"]["kubeconfig"],
        &config["kubeconfig"],
        &config["ipam"]["kubernetes"]["kubeconfig"],
        &config["ipam"]["kubeconfig"],
    ];
    let path = places.into_iter().find_map(|place| place.as_str().filter(|path| path.starts_with('/')))?;
    Some(PathBuf::from(path))
}

/// Asks the server.
#[must_use]
pub fn look(node: &Node, subject: &Subject, _: Depth) -> Finding {
    let Some(path) = path_of(&subject.config) else {
        return Finding::skipped("the configuration names no kubeconfig");
    };
    let shown = path.display().to_string();
    let text = match node.read_text(&path) {
        Ok(text) => text,
        Err(error) if error.is_missing() => {
            return Finding::fail(Cause::KubeconfigMissing, format!("{shown} does not exist"))
                .fix("restart the add-on's Pod on this node: it writes the file again")
                .with("kubeconfig", shown);
        }
        Err(error) => return Finding::skipped(error.to_string()),
    };
    let limit = if subject.is_call() { LIMIT } else { PATIENCE };
    of_kubeconfig(node, Kubeconfig { path: &path, text: &text }, limit).with("kubeconfig", shown)
}

fn of_kubeconfig(node: &Node, kubeconfig: Kubeconfig, limit: Duration) -> Finding {
    let path = kubeconfig.path.display().to_string();
    let Some(server) = kubeconfig.server() else {
        return Finding::skipped(format!("{path} names no server"));
    };
    if kubeconfig.has_proxy() {
        return Finding::skipped(format!(
            "{path} names a proxy on the way to its server, which is not asked"
        ));
    }
    let (shown, reached) = reach(node, kubeconfig, &server, limit);
    let stale = Stale::of(node, kubeconfig).filter(|_| shown == Some(TOKEN));
    judge(&Facts { kubeconfig: &path, server: &server, shown, stale, limit, reached })
}

fn reach(
    node: &Node,
    kubeconfig: Kubeconfig,
    server: &Server,
    limit: Duration,
) -> (Option<&'static str>, Reached) {
    let until = Instant::now() + limit;
    let addresses = match server.host.parse() {
        Ok(address) => vec![address],
        // What finds the server late leaves the time to ask it.
        Err(_) => match node.addresses(&server.host, limit / 2) {
            Lookup::Found(addresses) => addresses,
            other => return (None, Reached::Unresolved(other)),
        },
    };
    let left = || until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let each = left() / u32::try_from(addresses.len().clamp(1, MAX_ADDRESSES)).unwrap_or(1);
    let mut refusal = ErrorKind::TimedOut;
    for address in addresses.into_iter().take(MAX_ADDRESSES) {
        let at = SocketAddr::new(address, server.port);
        match node.reach(at, each) {
            Ok(()) => return ask(node, kubeconfig, server, at, left()),
            Err(error) => refusal = error.kind(),
        }
    }
    (None, Reached::No(refusal))
}

/// Asks over TLS, as whom the kubeconfig says. Nothing of it is shown to a server that cannot be verified.
fn ask(
    node: &Node,
    kubeconfig: Kubeconfig,
    server: &Server,
    at: SocketAddr,
    left: Duration,
) -> (Option<&'static str>, Reached) {
    let (shown, question) = match question(node, kubeconfig, server, PATH) {
        Ok(question) => question,
        Err(why) => return (None, Reached::Accepts(at, why)),
    };
    let reached = match node.get(at, question, left) {
        Ok(status) => Reached::Answers(at, status),
        Err(failure) => Reached::Fails(at, failure),
    };
    (shown, reached)
}

/// What is asked of the server below its own path, and what of the kubeconfig is shown to it, in words.
///
/// # Errors
/// Why nothing is to be asked.
fn question(
    node: &Node,
    kubeconfig: Kubeconfig,
    server: &Server,
    path: &str,
) -> Result<(Option<&'static str>, Question), &'static str> {
    if !server.has_tls || kubeconfig.is_insecure() {
        return Err("the kubeconfig does not ask for its certificate");
    }
    if kubeconfig.is_ambiguous() {
        return Err("the kubeconfig has several clusters or users");
    }
    let authorities = kubeconfig.authorities(node);
    if authorities.is_empty() {
        return Err("no certificate of its authority can be read");
    }
    let name = kubeconfig.tls_name().unwrap_or(&server.host).trim_end_matches('.').to_owned();
    let Ok(name) = ServerName::try_from(name) else {
        return Err("its name cannot stand in a certificate");
    };
    let (identity, token) = (kubeconfig.identity(node), kubeconfig.token(node));
    let shown = match (&token, &identity) {
        (Some(_), _) => Some(TOKEN),
        (None, Some(_)) => Some("client certificate"),
        (None, None) => None,
    };
    let path = format!("{}{path}", server.path);
    let question = Question { name, host: server.authority(), path, authorities, identity, token };
    Ok((shown, question))
}

/// What the server of a kubeconfig answers to a GET of `path`, at most `most` bytes of it, within some seconds.
///
/// # Errors
/// Why it does not, in words.
pub fn fetch(node: &Node, kubeconfig: Kubeconfig, path: &str, most: usize) -> Result<Vec<u8>, String> {
    let server = kubeconfig.server().ok_or("it names no server")?;
    if kubeconfig.has_proxy() {
        return Err("it names a proxy on the way to its server, which is not asked".to_owned());
    }
    let until = Instant::now() + PATIENCE;
    let left = || until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let authority = server.authority();
    let address = match server.host.parse() {
        Ok(address) => address,
        Err(_) => match node.addresses(&server.host, PATIENCE / 2) {
            Lookup::Found(addresses) => *addresses.first().ok_or("its server has no address")?,
            _ => return Err(format!("the name of its server {authority} is not resolved")),
        },
    };
    let at = SocketAddr::new(address, server.port);
    let (_, question) = question(node, kubeconfig, &server, path)?;
    match node.fetch(at, question, left(), most) {
        Ok(answer) if answer.status == 200 => Ok(answer.body),
        Ok(answer) => Err(format!("its server {authority} answers with status {}", answer.status)),
        Err(Failure::Silent(_)) => Err(format!("its server {authority} does not answer in time")),
        Err(Failure::Broken(_, kind)) => Err(format!("its server {authority} cannot be asked: {kind}")),
        Err(Failure::Tls(error)) => Err(format!("its server {authority} cannot be asked: {error}")),
        Err(Failure::Question(why)) => Err(why),
        Err(Failure::NotHttp) => Err(format!("its server {authority} does not speak HTTP")),
    }
}

fn judge(facts: &Facts) -> Finding {
    let finding = match &facts.reached {
        Reached::Unresolved(lookup) => of_lookup(facts, lookup),
        Reached::No(kind) => of_connection(facts, *kind),
        Reached::Accepts(at, why) => accepted(facts.ok("accepts connections"), *at).with("not_asked", *why),
        Reached::Answers(at, status) => accepted(of_answer(facts, *status), *at).with("status", *status),
        Reached::Fails(at, failure) => accepted(of_failure(facts, failure), *at),
    };
    finding.with("server", facts.server.authority())
}

fn accepted(finding: Finding, at: SocketAddr) -> Finding {
    finding.with("address", at.to_string())
}

impl Facts<'_> {
    /// A sentence about the server, whose address stands in no text that a tenant has written or got.
    fn says(&self, what: &str) -> String {
        format!("the API server that {} names {what}", self.kubeconfig)
    }

    fn ok(&self, what: &str) -> Finding {
        Finding::ok(self.says(what))
    }

    fn skipped(&self, what: &str) -> Finding {
        Finding::skipped(self.says(what))
    }

    fn fail(&self, cause: Cause, what: &str) -> Finding {
        Finding::fail(cause, self.says(what))
    }

    fn unreachable(&self, what: &str) -> Finding {
        self.ways(self.fail(Cause::ApiserverUnreachable, what))
    }

    fn ways(&self, finding: Finding) -> Finding {
        let ask = format!("ask it from this node: curl -k https://{}/readyz", self.server.authority());
        finding
            .fix("see whether kube-proxy, or what stands for it, runs on this node, and whether the API server is up")
            .fix(ask)
    }

    /// Of somebody who says nothing. A plugin waits longer than there is time for after a call.
    fn silent(&self, what: &str) -> Finding {
        let what = self.says(&format!("{what} within {} ms", self.limit.as_millis()));
        if self.limit < PATIENCE {
            Finding::warn(what).explains(Cause::ApiserverUnreachable)
        } else {
            Finding::fail(Cause::ApiserverUnreachable, what)
        }
    }
}

fn of_lookup(facts: &Facts, lookup: &Lookup) -> Finding {
    let ways = |finding: Finding| {
        let host = &facts.server.host;
        finding
            .fix("see which name servers /etc/resolv.conf names on this node, and whether they are up")
            .fix(format!("look the name up on this node: getent hosts {host}"))
    };
    let fails = |what: &str| ways(facts.fail(Cause::ApiserverUnreachable, what));
    let listed = |servers: &[SocketAddr]| servers.iter().map(ToString::to_string).collect::<Vec<_>>();
    match lookup {
        Lookup::Found(_) => facts.skipped("has a name that resolves"),
        Lookup::NoAddress(at) => {
            fails("has a name that does not resolve").with("name_servers", listed(&[*at]))
        }
        Lookup::Failed(at, what) => {
            fails(&format!("has a name that does not resolve: {what}")).with("name_servers", listed(&[*at]))
        }
        Lookup::Silent(servers) => {
            ways(facts.silent("has a name, and no name server answers")).with("name_servers", listed(servers))
        }
        Lookup::NobodyToAsk(why) => facts.skipped(&format!("has a name that cannot be looked up: {why}")),
    }
}

fn of_connection(facts: &Facts, kind: ErrorKind) -> Finding {
    match kind {
        ErrorKind::ConnectionRefused => facts.unreachable("refuses connections"),
        ErrorKind::TimedOut => {
            facts.unreachable(&format!("does not answer within {} ms", facts.limit.as_millis()))
        }
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => {
            facts.unreachable("has an address to which this node has no route")
        }
        other => facts.skipped(&format!("cannot be asked: {other}")),
    }
}

fn of_answer(facts: &Facts, status: u16) -> Finding {
    match (facts.shown, status) {
        (Some(shown), 401) => {
            let stale = facts.stale.map(|stale| format!(": {}", stale.told())).unwrap_or_default();
            let what = format!("does not accept the kubeconfig's {shown} (401){stale}");
            facts.fail(Cause::ApiserverDenied, &what).fix(RESTART)
        }
        // What the plugin itself asks for may be allowed all the same.
        (Some(shown), 403) => {
            let what =
                facts.says(&format!("lets the kubeconfig's {shown} not even ask for its version (403)"));
            Finding::warn(what)
                .explains(Cause::ApiserverDenied)
                .fix("apply the add-on's ClusterRole and ClusterRoleBinding again, of the version that runs")
        }
        _ => facts.ok("answers"),
    }
}

fn of_failure(facts: &Facts, failure: &Failure) -> Finding {
    match failure {
        Failure::Silent(Stage::Connection) => of_connection(facts, ErrorKind::TimedOut),
        Failure::Silent(Stage::Handshake) => {
            facts.ways(facts.silent("accepts connections, and says nothing in TLS"))
        }
        Failure::Silent(Stage::Answer) => facts.ways(facts.silent("does not answer a question")),
        Failure::Broken(Stage::Connection, kind) => of_connection(facts, *kind),
        Failure::Broken(Stage::Handshake, _) => {
            facts.unreachable("closes connections in the handshake of TLS")
        }
        Failure::Broken(Stage::Answer, _) => facts.unreachable("closes connections without an answer"),
        Failure::NotHttp => facts.unreachable("does not speak HTTP"),
        Failure::Tls(rustls::Error::InvalidCertificate(error)) => of_certificate(facts, error),
        Failure::Tls(rustls::Error::InvalidMessage(_)) => facts.unreachable("does not speak TLS"),
        Failure::Tls(error) => facts.skipped(&format!("cannot be asked over TLS: {error}")),
        Failure::Question(why) => facts.skipped(&format!("cannot be asked: {why}")),
    }
}

fn of_certificate(facts: &Facts, error: &CertificateError) -> Finding {
    let fails = |what: &str| facts.fail(Cause::CertificateInvalid, what);
    let apart = |one: &UnixTime, other: &UnixTime| {
        spoken(Duration::from_secs(one.as_secs().abs_diff(other.as_secs())))
    };
    let said = |at: &UnixTime| {
        clock::rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(at.as_secs().min(u64::from(u32::MAX))))
    };
    let look = "look at this node's clock first: timedatectl";
    match error {
        CertificateError::ExpiredContext { time, not_after } => {
            fails(&format!("has a certificate that expired {} ago", apart(time, not_after)))
                .fix(look)
                .fix("renew it on the control plane: kubeadm certs check-expiration, kubeadm certs renew apiserver")
                .with("now", said(time))
                .with("not_after", said(not_after))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            fails(&format!("has a certificate that is valid only in {}", apart(time, not_before)))
                .fix(look)
                .with("now", said(time))
                .with("not_before", said(not_before))
        }
        // Clusters that are made again have the same name for an authority with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            fails("has a certificate of an authority that the kubeconfig does not know").fix(RESTART)
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            fails("has a certificate for other names than its own")
                .fix("add the server's name to its certificate (kubeadm: apiServer.certSANs), or use one that is in it")
                .with("names", presented.iter().map(|name| plain(name)).collect::<Vec<_>>())
        }
        // What this client does not accept, the plugin may.
        other => facts.skipped(&format!("has a certificate that cannot be verified here: {other}")),
    }
}

/// `DnsName("api.example.org")` or `IpAddress(10.96.0.1)`, as rustls prints names, without what is around them.
fn plain(name: &str) -> &str {
    name.split_once('(').map_or(name, |(_, rest)| rest.trim_end_matches(')').trim_matches('"'))
}
