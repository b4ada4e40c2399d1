use super::*;
use crate::diagnosis::finding::Status;

fn server() -> Server {
    Server { has_tls: true, host: "10.96.0.1".into(), port: 443, path: String::new() }
}

/// What is judged of this, as status, cause, and what is said of the server.
fn judged(reached: Reached, shown: Option<&'static str>, limit: Duration) -> (Status, Option<Cause>, String) {
    let stale = None;
    let finding = judge(&Facts { kubeconfig: "/k", server: &server(), shown, stale, limit, reached });
    assert_eq!(finding.evidence["server"], "10.96.0.1:443");
    let said = finding.summary.strip_prefix("the API server that /k names ").unwrap().to_owned();
    (finding.status, finding.cause, said)
}

fn at() -> SocketAddr {
    "10.96.0.1:443".parse().unwrap()
}

#[test]
fn states_of_the_connection() {
    let fail = Some(Cause::ApiserverUnreachable);
    let table = [
        (Reached::Accepts(at(), "because"), Status::Ok, None, "accepts connections"),
        (Reached::No(ErrorKind::ConnectionRefused), Status::Fail, fail, "refuses connections"),
        (Reached::No(ErrorKind::TimedOut), Status::Fail, fail, "does not answer within 700 ms"),
        (
            Reached::No(ErrorKind::NetworkUnreachable),
            Status::Fail,
            fail,
            "has an address to which this node has no route",
        ),
        (Reached::No(ErrorKind::AddrInUse), Status::Skipped, None, "cannot be asked: address in use"),
    ];
    for (reached, status, cause, said) in table {
        assert_eq!(judged(reached, None, LIMIT), (status, cause, said.to_owned()));
    }
}

#[test]
fn states_of_the_name() {
    let fail = Some(Cause::ApiserverUnreachable);
    let dns: SocketAddr = "10.0.0.2:53".parse().unwrap();
    let table = [
        (Lookup::NoAddress(dns), Status::Fail, fail, "has a name that does not resolve"),
        (
            Lookup::Failed(dns, "server failure".into()),
            Status::Fail,
            fail,
            "has a name that does not resolve: server failure",
        ),
        (
            Lookup::Silent(vec![dns]),
            Status::Warn,
            fail,
            "has a name, and no name server answers within 700 ms",
        ),
        (
            Lookup::NobodyToAsk("/etc/resolv.conf: is larger".into()),
            Status::Skipped,
            None,
            "has a name that cannot be looked up: /etc/resolv.conf: is larger",
        ),
    ];
    for (lookup, status, cause, said) in table {
        assert_eq!(judged(Reached::Unresolved(lookup), None, LIMIT), (status, cause, said.to_owned()));
    }
}

#[test]
fn states_of_the_answer() {
    let denied = Some(Cause::ApiserverDenied);
    let table = [
        (200, Some("token"), Status::Ok, None, "answers"),
        (503, Some("token"), Status::Ok, None, "answers"),
        (401, None, Status::Ok, None, "answers"),
        (401, Some("token"), Status::Fail, denied, "does not accept the kubeconfig's token (401)"),
        (
            403,
            Some("client certificate"),
            Status::Warn,
            denied,
            "lets the kubeconfig's client certificate not even ask for its version (403)",
        ),
    ];
    for (answer, shown, status, cause, said) in table {
        assert_eq!(judged(Reached::Answers(at(), answer), shown, LIMIT), (status, cause, said.to_owned()));
    }
}

#[test]
fn states_of_tls() {
    let unreachable = Some(Cause::ApiserverUnreachable);
    let invalid = Some(Cause::CertificateInvalid);
    let bad = |error| Failure::Tls(rustls::Error::InvalidCertificate(error));
    let unknown = "has a certificate of an authority that the kubeconfig does not know";
    let table = [
        (bad(CertificateError::BadSignature), Status::Fail, invalid, unknown),
        (bad(CertificateError::UnknownIssuer), Status::Fail, invalid, unknown),
        (
            bad(CertificateError::BadEncoding),
            Status::Skipped,
            None,
            "has a certificate that cannot be verified here: BadEncoding",
        ),
        (
            Failure::Broken(Stage::Handshake, ErrorKind::UnexpectedEof),
            Status::Fail,
            unreachable,
            "closes connections in the handshake of TLS",
        ),
        (
            Failure::Broken(Stage::Answer, ErrorKind::UnexpectedEof),
            Status::Fail,
            unreachable,
            "closes connections without an answer",
        ),
        (
            Failure::Tls(rustls::Error::DecryptError),
            Status::Skipped,
            None,
            "cannot be asked over TLS: cannot decrypt peer's message",
        ),
        (Failure::Question("x".into()), Status::Skipped, None, "cannot be asked: x"),
    ];
    for (failure, status, cause, said) in table {
        assert_eq!(judged(Reached::Fails(at(), failure), None, LIMIT), (status, cause, said.to_owned()));
    }
}

#[test]
fn silence_is_no_proof_after_a_call_and_is_one_for_who_waits() {
    for (stage, said) in [
        (Stage::Handshake, "accepts connections, and says nothing in TLS"),
        (Stage::Answer, "does not answer a question"),
    ] {
        let judged = |limit| judged(Reached::Fails(at(), Failure::Silent(stage)), None, limit);
        let cause = Some(Cause::ApiserverUnreachable);
        assert_eq!(judged(LIMIT), (Status::Warn, cause, format!("{said} within 700 ms")));
        assert_eq!(judged(PATIENCE), (Status::Fail, cause, format!("{said} within 3000 ms")));
    }
}
