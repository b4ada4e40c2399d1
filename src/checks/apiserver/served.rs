//! The check against servers that are really there: name servers, and servers that speak TLS or do not.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};
use serde_json::json;
use simple_dns::RCODE;

use super::*;
use crate::checks::subject::Origin;
use crate::diagnosis::finding::Status;
use crate::node::bounded;
use crate::node::names::tests as name_server;

const TOKEN: &str = "a-token-that-is-nobodys";

/// An authority, and a certificate of it for a server.
struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
    server: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Certificates {
    fn new(name: &str, set: impl FnOnce(&mut CertificateParams)) -> Certificates {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let mut server = CertificateParams::new(vec![name.to_owned()]).unwrap();
        set(&mut server);
        let key = KeyPair::generate().unwrap();
        let server = server.signed_by(&key, &authority).unwrap().der().clone();
        Certificates { authority, server, key: PrivateKeyDer::Pkcs8(key.serialize_der().into()) }
    }

    /// A server for one question after a connection that only tests whether it accepts. It gives what it was asked.
    fn serve(&self, answer: &'static str) -> (SocketAddr, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.server.clone()], self.key.clone_key())
            .unwrap();
        let config = Arc::new(config);
        let serving = std::thread::spawn(move || {
            drop(listener.accept().unwrap());
            let (mut socket, _) = listener.accept().unwrap();
            let mut connection = ServerConnection::new(config).unwrap();
            let mut stream = Stream::new(&mut connection, &mut socket);
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut bytes = [0; 512];
                match stream.read(&mut bytes) {
                    Ok(read) if read > 0 => asked.extend_from_slice(&bytes[..read]),
                    _ => return String::from_utf8(asked).unwrap(),
                }
            }
            stream.write_all(answer.as_bytes()).unwrap();
            stream.conn.send_close_notify();
            stream.flush().unwrap();
            String::from_utf8(asked).unwrap()
        });
        (address, serving)
    }
}

/// A kubeconfig with a token for a server, and an authority in a file beside it.
fn kubeconfig(server: &str) -> String {
    format!(
        "clusters:\n- cluster:\n    certificate-authority: ca.crt\n    server: https://{server}\nusers:\n- user:\n    token: {TOKEN}\n"
    )
}

/// Looks at a node with these files, as doctor does.
fn looked(files: &[(&str, &str)]) -> Finding {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("etc")).unwrap();
    for (path, content) in files {
        std::fs::write(root.path().join(path), content).unwrap();
    }
    let origin = Origin::Entry { file: "/x.conf".into(), is_wrapped: false };
    let subject = Subject { config: json!({"kubeconfig": "/k"}), origin, ..Subject::default() };
    assert!(fits(&subject));
    let node = Node::at(root.path());
    // On a stack as small as the one that a check has.
    let finding = bounded::run(Duration::from_mins(1), move || look(&node, &subject, Depth::Full)).unwrap();
    assert!(!format!("{finding:?}").contains(TOKEN), "the token is told");
    finding
}

fn asked_with(certificates: &Certificates, authority: &str, answer: &'static str) -> (Finding, String) {
    let (address, serving) = certificates.serve(answer);
    let finding = looked(&[("k", &kubeconfig(&address.to_string())), ("ca.crt", authority)]);
    (finding, serving.join().unwrap())
}

/// What a server with such a certificate is found to be, which has heard nothing.
fn found_of(name: &str, set: impl FnOnce(&mut CertificateParams)) -> Finding {
    let certificates = Certificates::new(name, set);
    let (finding, asked) = asked_with(&certificates, &certificates.authority.pem(), "");
    assert_eq!(asked, "", "a server that is not verified hears nothing");
    assert_eq!((finding.status, finding.cause), (Status::Fail, Some(Cause::CertificateInvalid)));
    finding
}

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
const NOBODY: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_server_that_is_verified_is_asked_with_the_token() {
    let certificates = Certificates::new("127.0.0.1", |_| {});
    let (finding, asked) = asked_with(&certificates, &certificates.authority.pem(), GOOD);
    assert_eq!(
        (finding.status, finding.summary.as_str()),
        (Status::Ok, "the API server that /k names answers")
    );
    assert_eq!(finding.evidence["status"], 200);
    let mut lines = asked.lines();
    assert_eq!(lines.next(), Some("GET /version HTTP/1.1"));
    assert!(lines.any(|line| line == format!("authorization: Bearer {TOKEN}")), "{asked}");
}

/// What is fetched of a server that answers so, at most `most` bytes of it.
fn fetched(answer: &'static str, most: usize) -> Result<String, String> {
    let certificates = Certificates::new("127.0.0.1", |_| {});
    let (address, serving) = certificates.serve(answer);
    drop(TcpStream::connect(address).unwrap());
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("ca.crt"), certificates.authority.pem()).unwrap();
    let text = kubeconfig(&address.to_string());
    let kubeconfig = Kubeconfig { path: std::path::Path::new("/k"), text: &text };
    let fetched = fetch(&Node::at(root.path()), kubeconfig, "/api/v1/events?limit=1", most);
    assert!(serving.join().unwrap().starts_with("GET /api/v1/events?limit=1 HTTP/1.1\r\n"));
    let shown = |why: String| why.replace(&address.to_string(), "SERVER");
    fetched.map(|body| String::from_utf8(body).unwrap()).map_err(shown)
}

#[test]
fn an_answer_is_fetched_up_to_a_bound() {
    assert_eq!(fetched(GOOD, 100), Ok("{}".to_owned()));
    assert_eq!(fetched(GOOD, 1), Ok("{".to_owned()));
    assert_eq!(fetched(NOBODY, 100), Err("its server SERVER answers with status 401".to_owned()));
}

#[test]
fn a_token_that_is_not_accepted_and_has_expired_is_told_with_its_age() {
    let certificates = Certificates::new("127.0.0.1", |_| {});
    let (address, serving) = certificates.serve(NOBODY);
    // {"exp":1600000000}
    let text = kubeconfig(&address.to_string()).replace(TOKEN, "e30.eyJleHAiOjE2MDAwMDAwMDB9.x");
    let finding = looked(&[("k", &text), ("ca.crt", &certificates.authority.pem())]);
    serving.join().unwrap();
    let said =
        "the API server that /k names does not accept the kubeconfig's token (401): the token expired ";
    assert!(finding.summary.starts_with(said), "{}", finding.summary);
}

#[test]
fn a_token_that_is_not_accepted_is_denied() {
    let certificates = Certificates::new("127.0.0.1", |_| {});
    let (finding, _) = asked_with(&certificates, &certificates.authority.pem(), NOBODY);
    assert_eq!((finding.status, finding.cause), (Status::Fail, Some(Cause::ApiserverDenied)));
    assert_eq!(finding.summary, "the API server that /k names does not accept the kubeconfig's token (401)");
}

#[test]
fn a_client_certificate_with_another_ones_key_is_said() {
    let (one, other) = (Certificates::new("127.0.0.1", |_| {}), KeyPair::generate().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = kubeconfig(&listener.local_addr().unwrap().to_string())
        + "    client-certificate: ca.crt\n    client-key: client.key\n";
    let finding =
        looked(&[("k", &text), ("ca.crt", &one.authority.pem()), ("client.key", &other.serialize_pem())]);
    assert_eq!(finding.status, Status::Skipped);
    let said = "the API server that /k names cannot be asked: the client certificate cannot be used: ";
    assert!(finding.summary.starts_with(said), "{}", finding.summary);
}

#[test]
fn a_certificate_that_has_expired_is_told_with_its_date() {
    let finding = found_of("127.0.0.1", |server| {
        server.not_before = date_time_ymd(2020, 1, 1);
        server.not_after = date_time_ymd(2021, 1, 1);
    });
    assert!(finding.summary.contains("has a certificate that expired "), "{}", finding.summary);
    assert_eq!(finding.evidence["not_after"], "2021-01-01T00:00:00.000000Z");
}

#[test]
fn a_certificate_of_the_future_is_told_with_its_date() {
    let finding = found_of("127.0.0.1", |server| {
        server.not_before = date_time_ymd(2090, 1, 1);
        server.not_after = date_time_ymd(2091, 1, 1);
    });
    assert!(finding.summary.contains("has a certificate that is valid only in "), "{}", finding.summary);
    assert_eq!(finding.evidence["not_before"], "2090-01-01T00:00:00.000000Z");
}

#[test]
fn a_certificate_for_another_name_is_told_with_its_names() {
    let finding = found_of("api.example.org", |_| {});
    assert_eq!(
        finding.summary,
        "the API server that /k names has a certificate for other names than its own"
    );
    assert_eq!(finding.evidence["names"], json!(["api.example.org"]));
}

#[test]
fn an_authority_that_is_not_the_kubeconfigs_is_unknown() {
    let (certificates, others) =
        (Certificates::new("127.0.0.1", |_| {}), Certificates::new("127.0.0.1", |_| {}));
    let (finding, asked) = asked_with(&certificates, &others.authority.pem(), "");
    assert_eq!((finding.status, finding.cause), (Status::Fail, Some(Cause::CertificateInvalid)));
    assert_eq!(
        finding.summary,
        "the API server that /k names has a certificate of an authority that the kubeconfig does not know"
    );
    assert_eq!(asked, "");
}

#[test]
fn who_accepts_and_says_nothing_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let certificates = Certificates::new("127.0.0.1", |_| {});
    let text = kubeconfig(&silent.local_addr().unwrap().to_string());
    let started = Instant::now();
    let finding = looked(&[("k", &text), ("ca.crt", &certificates.authority.pem())]);
    assert!(started.elapsed() < Duration::from_mins(1));
    assert_eq!((finding.status, finding.cause), (Status::Fail, Some(Cause::ApiserverUnreachable)));
    assert_eq!(
        finding.summary,
        "the API server that /k names accepts connections, and says nothing in TLS within 3000 ms"
    );
}

#[test]
fn who_speaks_no_tls_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = kubeconfig(&listener.local_addr().unwrap().to_string());
    let serving = std::thread::spawn(move || {
        drop(listener.accept().unwrap());
        let (mut client, _) = listener.accept().unwrap();
        client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // Until it has read that.
        let _ = client.read_to_end(&mut Vec::new());
    });
    let finding = looked(&[("k", &text), ("ca.crt", &Certificates::new("x", |_| {}).authority.pem())]);
    serving.join().unwrap();
    assert_eq!((finding.status, finding.cause), (Status::Fail, Some(Cause::ApiserverUnreachable)));
    assert_eq!(finding.summary, "the API server that /k names does not speak TLS");
}

/// An address of the loopback network that no other test asks for names.
fn own_loopback(of: u8) -> Ipv4Addr {
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 53 + of, high, low.clamp(1, 254))
}

#[test]
fn a_name_is_looked_up_with_the_nodes_name_server() {
    let certificates = Certificates::new("api.example.org", |_| {});
    let (address, serving) = certificates.serve(GOOD);
    let dns = own_loopback(0);
    let known: Vec<IpAddr> = vec![address.ip()];
    let (_, naming) =
        name_server::server(&format!("{dns}:53"), 2, RCODE::NameError, "api.example.org", known);
    let finding = looked(&[
        ("k", &kubeconfig(&format!("api.example.org:{}", address.port()))),
        ("ca.crt", &certificates.authority.pem()),
        ("etc/resolv.conf", &format!("nameserver {dns}\n")),
    ]);
    assert_eq!(
        (finding.status, finding.summary.as_str()),
        (Status::Ok, "the API server that /k names answers")
    );
    let asked = serving.join().unwrap();
    assert!(asked.contains(&format!("host: api.example.org:{}\r\n", address.port())), "{asked}");
    naming.join().unwrap();
}

#[test]
fn a_name_that_does_not_exist_is_told_with_the_server_that_says_so() {
    let dns = own_loopback(1);
    let (_, naming) = name_server::server(&format!("{dns}:53"), 2, RCODE::NameError, "", Vec::new());
    let finding =
        looked(&[("k", &kubeconfig("apj.example.org")), ("etc/resolv.conf", &format!("nameserver {dns}\n"))]);
    naming.join().unwrap();
    assert_eq!((finding.status, finding.cause), (Status::Fail, Some(Cause::ApiserverUnreachable)));
    assert_eq!(finding.summary, "the API server that /k names has a name that does not resolve");
    assert_eq!(finding.evidence["name_servers"], json!([format!("{dns}:53")]));
}

#[test]
fn a_server_that_is_gone_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = kubeconfig(&listener.local_addr().unwrap().to_string());
    drop(listener);
    assert_eq!(looked(&[("k", &text)]).summary, "the API server that /k names refuses connections");
}

#[test]
fn what_is_not_to_be_verified_is_not_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let verified = kubeconfig(&address.to_string());
    let table = [
        (verified.clone(), "no certificate of its authority can be read"),
        (
            verified.clone() + "    insecure-skip-tls-verify: true\n",
            "the kubeconfig does not ask for its certificate",
        ),
        (verified.replace("https", "http"), "the kubeconfig does not ask for its certificate"),
        (verified + "- user:\n    token: other\n", "the kubeconfig has several clusters or users"),
    ];
    for (text, why) in table {
        let finding = looked(&[("k", &text)]);
        assert_eq!(finding.summary, "the API server that /k names accepts connections");
        assert_eq!(finding.evidence["not_asked"], why);
    }
}

#[test]
fn what_is_missing_or_absurd_is_said() {
    let finding = looked(&[]);
    assert_eq!(
        (finding.cause, finding.summary.as_str()),
        (Some(Cause::KubeconfigMissing), "/k does not exist")
    );
    let finding = looked(&[("k", "\u{0}\u{1}")]);
    assert_eq!((finding.status, finding.summary.as_str()), (Status::Skipped, "/k names no server"));
    let finding = looked(&[("k", &"x".repeat(2 << 20))]);
    assert_eq!(finding.summary, "/k: is larger than 1048576 bytes");
    let finding = looked(&[("k", "server: https://a\nproxy-url: http://p\n")]);
    assert_eq!(
        (finding.status, finding.summary.as_str()),
        (Status::Skipped, "/k names a proxy on the way to its server, which is not asked")
    );
    let none = |config| fits(&Subject { config, ..Subject::default() });
    assert!(!none(json!({})) && !none(json!({"kubeconfig": "__KUBECONFIG_FILEPATH__"})));
}
