//! A question over HTTPS, to one address: the status of the answer, and its body where that is wanted.

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::Node;

/// A client's certificate chain and its key.
pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// What is asked, of whom, and as whom. It holds secrets, so it cannot be printed.
pub struct Question {
    /// The name that the server's certificate has to be for.
    pub name: ServerName<'static>,
    /// What stands in the header `Host`.
    pub host: String,
    /// The path.
    pub path: String,
    /// Whose certificates are believed.
    pub authorities: Vec<CertificateDer<'static>>,
    /// What the client shows in TLS.
    pub identity: Option<Identity>,
    /// What the client says it is, once the server's certificate is verified.
    pub token: Option<String>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP's status.
    pub status: u16,
    /// The body, as far as it was wanted.
    pub body: Vec<u8>,
}

/// How far a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The connection.
    Connection,
    /// The handshake of TLS, in which the certificate is verified.
    Handshake,
    /// The answer.
    Answer,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// It did not come in time.
    Silent(Stage),
    /// The connection broke.
    Broken(Stage, ErrorKind),
    /// TLS says so.
    Tls(rustls::Error),
    /// The question cannot be put like this.
    Question(String),
    /// What came is no HTTP.
    NotHttp,
}

impl Node {
    /// Asks by GET, in this process' network namespace, and tells the answer's status.
    ///
    /// # Errors
    /// If no answer comes within `limit`. A token is then sent only where the server's certificate was good.
    pub fn get(&self, at: SocketAddr, question: Question, limit: Duration) -> Result<u16, Failure> {
        Ok(self.fetch(at, question, limit, 0)?.status)
    }

    /// The same, with the answer's body, of which at most `most` bytes are read.
    ///
    /// # Errors
    /// As [`Node::get`].
    pub fn fetch(
        &self,
        at: SocketAddr,
        question: Question,
        limit: Duration,
        most: usize,
    ) -> Result<Answer, Failure> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Question(error.to_string()))?;
        runtime.block_on(get(at, question, Instant::now() + limit, most))
    }
}

async fn get(at: SocketAddr, question: Question, until: Instant, most: usize) -> Result<Answer, Failure> {
    let request = request(&question)?;
    let connector = TlsConnector::from(Arc::new(config(question.authorities, question.identity)?));
    let stream = in_time(Stage::Connection, until, TcpStream::connect(at)).await?;
    let stream = in_time(Stage::Handshake, until, connector.connect(question.name, stream)).await?;
    let answered = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the runtime.
        let driver = tokio::spawn(connection);
        let answer = async {
            let response = sender.send_request(request).await?;
            Ok(Answer {
                status: response.status().as_u16(),
                body: start_of(response.into_body(), most).await?,
            })
        };
        let answer = answer.await;
        driver.abort();
        answer
    };
    match timeout_at(until, answered).await {
        Ok(answer) => answer.map_err(|error| of_http(&error)),
        Err(_) => Err(Failure::Silent(Stage::Answer)),
    }
}

async fn start_of(mut body: Incoming, most: usize) -> Result<Vec<u8>, hyper::Error> {
    let mut read = Vec::new();
    while read.len() < most {
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let Some(frame) = frame else { break };
        if let Ok(data) = frame?.into_data() {
            read.extend_from_slice(&data[..data.len().min(most - read.len())]);
        }
    }
    Ok(read)
}

fn request(question: &Question) -> Result<Request<String>, Failure> {
    let unusable = |what: &str| Failure::Question(format!("{what} cannot stand in a request"));
    let mut request = Request::get(&question.path)
        .header(HOST, &question.host)
        .header(USER_AGENT, concat!("cniscope/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close");
    if let Some(token) = &question.token {
        let mut token =
            HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| unusable("the token"))?;
        token.set_sensitive(true);
        request = request.header(AUTHORIZATION, token);
    }
    request.body(String::new()).map_err(|_| unusable("the server's address"))
}

fn config(
    authorities: Vec<CertificateDer<'static>>,
    identity: Option<Identity>,
) -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    // As Go does, what cannot be read of several is left out.
    roots.add_parsable_certificates(authorities);
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(Failure::Tls)?;
    let builder = builder.with_root_certificates(roots);
    match identity {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| Failure::Question(format!("the client certificate cannot be used: {error}"))),
        None => Ok(builder.with_no_client_auth()),
    }
}

async fn in_time<T>(
    stage: Stage,
    until: Instant,
    step: impl Future<Output = io::Result<T>>,
) -> Result<T, Failure> {
    match timeout_at(until, step).await {
        Ok(done) => done.map_err(|error| of_tls(&error).unwrap_or(Failure::Broken(stage, error.kind()))),
        Err(_) => Err(Failure::Silent(stage)),
    }
}

fn of_tls(error: &io::Error) -> Option<Failure> {
    error.get_ref()?.downcast_ref().cloned().map(Failure::Tls)
}

fn of_http(error: &hyper::Error) -> Failure {
    let cause = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    match cause {
        Some(cause) => of_tls(cause).unwrap_or(Failure::Broken(Stage::Answer, cause.kind())),
        None if error.is_incomplete_message() => Failure::Broken(Stage::Answer, ErrorKind::UnexpectedEof),
        None => Failure::NotHttp,
    }
}
