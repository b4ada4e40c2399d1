//! A small HTTP server: `/metrics`, `/healthz`, `/readyz`.
//!
//! Whoever reaches the address may be slow, or many: heads are small and have to come soon, each connection is for one
//! question and has its time, and where there are too many the oldest one goes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

/// The most connections at once.
const MOST: usize = 64;
/// The largest head of a question, in bytes.
const MAX_HEAD: usize = 8 * 1024;
/// In which its head has to have come.
const HEAD: Duration = Duration::from_secs(2);
/// In which everything has to be over. Prometheus gives up after ten seconds.
const WHOLE: Duration = Duration::from_secs(15);
/// How long an address is waited for that somebody else has: during an update it may be the agent before.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is tried.
const STEP: Duration = Duration::from_millis(200);

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether all is well.
    pub is_well: bool,
    /// The text.
    pub text: String,
}

/// Who knows the answers.
pub trait Answers: Send + Sync + 'static {
    /// Whether the agent itself works.
    fn health(&self) -> Answer;
    /// Whether the node's networks are wrapped.
    fn readiness(&self) -> Answer;
    /// What Prometheus is told.
    fn metrics(self: Arc<Self>) -> impl Future<Output = Answer> + Send;
}

/// Listens at an address, as soon as it is free.
///
/// # Errors
/// If it cannot be had.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let until = Instant::now() + PATIENCE;
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                sleep(STEP).await;
            }
            bound => return bound,
        }
    }
}

/// Answers whoever asks, for ever.
pub async fn serve<A: Answers>(listener: TcpListener, answers: Arc<A>) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // The descriptors are spent, say: asked again at once, it would be the same.
            sleep(STEP).await;
            continue;
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= MOST
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        let connection = tokio::spawn(timeout(WHOLE, answer_on(stream, answers.clone())));
        open.push_back(connection.abort_handle());
    }
}

async fn answer_on<A: Answers>(stream: TcpStream, answers: Arc<A>) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MAX_HEAD).keep_alive(false);
    let service = service_fn(move |request| answer(request, answers.clone()));
    // Whoever asked has gone, or asked no HTTP.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer<A: Answers>(
    request: Request<Incoming>,
    answers: Arc<A>,
) -> Result<Response<String>, Infallible> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let (kind, answer) = match request.uri().path() {
        _ if !is_read => {
            return Ok(told(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET and HEAD\n".into()));
        }
        "/metrics" => (METRICS, answers.metrics().await),
        "/healthz" => (PLAIN, answers.health()),
        "/readyz" => (PLAIN, answers.readiness()),
        _ => {
            return Ok(told(
                StatusCode::NOT_FOUND,
                PLAIN,
                "there are /metrics, /healthz and /readyz\n".into(),
            ));
        }
    };
    let status = if answer.is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(told(status, if answer.is_well { kind } else { PLAIN }, answer.text))
}

/// The format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// A sentence.
const PLAIN: &str = "text/plain; charset=utf-8";

fn told(status: StatusCode, kind: &'static str, text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
    }
    response
}

#[cfg(test)]
mod tests;
