use std::io::{Read as _, Write as _};
use std::net::TcpStream as Stream;

use super::*;

struct Fixed;

impl Answers for Fixed {
    fn health(&self) -> Answer {
        Answer { is_well: true, text: "ok\n".into() }
    }
    fn readiness(&self) -> Answer {
        Answer { is_well: false, text: "not yet\n".into() }
    }
    async fn metrics(self: Arc<Self>) -> Answer {
        Answer { is_well: true, text: "up 1\n".into() }
    }
}

/// A server that goes on until the test process ends.
fn served() -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            serve(listener, Arc::new(Fixed)).await;
        });
    });
    receiver.recv().unwrap()
}

/// What comes back for these bytes, until the server ends the connection; without the date.
fn asked(server: SocketAddr, question: &str) -> String {
    let mut stream = Stream::connect(server).unwrap();
    stream.write_all(question.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let lines = answer.split_inclusive("\r\n").filter(|line| !line.starts_with("date:"));
    lines.collect()
}

#[test]
fn each_path_has_its_answer() {
    let server = served();
    let head = "cache-control: no-store\r\nconnection: close\r\n";
    let plain = "content-type: text/plain; charset=utf-8\r\n";
    let table = [
        (
            "GET /metrics?x=1",
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n{head}content-length: 5\r\n\r\nup 1\n"
            ),
        ),
        ("GET /healthz", format!("HTTP/1.1 200 OK\r\n{plain}{head}content-length: 3\r\n\r\nok\n")),
        ("HEAD /healthz", format!("HTTP/1.1 200 OK\r\n{plain}{head}content-length: 3\r\n\r\n")),
        (
            "GET /readyz",
            format!("HTTP/1.1 503 Service Unavailable\r\n{plain}{head}content-length: 8\r\n\r\nnot yet\n"),
        ),
        (
            "GET /",
            format!(
                "HTTP/1.1 404 Not Found\r\n{plain}{head}content-length: 41\r\n\r\nthere are /metrics, /healthz and /readyz\n"
            ),
        ),
        (
            "POST /metrics",
            format!(
                "HTTP/1.1 405 Method Not Allowed\r\n{plain}cache-control: no-store\r\nallow: GET, HEAD\r\nconnection: close\r\ncontent-length: 18\r\n\r\nonly GET and HEAD\n"
            ),
        ),
    ];
    for (question, expected) in table {
        assert_eq!(asked(server, &format!("{question} HTTP/1.1\r\nHost: x\r\n\r\n")), expected, "{question}");
    }
}

#[test]
fn a_head_that_is_too_large_or_no_http_is_refused() {
    let server = served();
    let large = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(7000));
    assert!(asked(server, &large).starts_with("HTTP/1.1 200 "));
    let too_large = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}", "x".repeat(MAX_HEAD));
    assert!(asked(server, &too_large).starts_with("HTTP/1.1 431 "));
    assert!(asked(server, "junk\r\n\r\n").starts_with("HTTP/1.1 400 "));
}

#[test]
fn an_address_that_somebody_has_is_had_when_he_lets_go() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    runtime.block_on(async {
        let mut waiting = Box::pin(listen(address));
        assert!(timeout(STEP, &mut waiting).await.is_err());
        drop(other);
        assert_eq!(waiting.await.unwrap().local_addr().unwrap(), address);
    });
}
