//! One client: address, identity, and the calls.
//!
//! Owns headers, retries and the decoding of answers. Files are moved in
//! `transfer`. Must not know what the methods mean.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::innermost;
use crate::retry::Backoff;
use crate::{BaseUrl, ClientError, Envelope, RetryPolicy, tls};

/// Time to make a connection; a host that drops packets is noticed soon.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time of one whole call. The server's own methods end within 60 s.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);

/// Largest JSON answer that is read: the server's own pages are far smaller,
/// and the description of 10,000 jobs has about 40 MB.
pub(crate) const MAX_ANSWER_BYTES: usize = 64 << 20;

/// How much of an unexpected text is shown.
const SHOWN_CHARS: usize = 300;

/// Gives the bearer token of the next call; asked each time, so that a token
/// can be renewed while a worker runs. An empty text sends no token.
pub type TokenProvider = Arc<dyn Fn() -> String + Send + Sync>;

/// A client of one server. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: BaseUrl,
    token: Option<TokenProvider>,
    origin: Option<String>,
    retry: RetryPolicy,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token never reaches a log.
        f.debug_struct("Client").field("base", &self.base.root()).field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Settings of a [`Client`]; start with [`Client::builder`].
#[derive(Clone)]
pub struct ClientBuilder {
    url: String,
    token: Option<TokenProvider>,
    origin: Option<String>,
    retry: RetryPolicy,
    timeout: Duration,
    user_agent: String,
}

impl ClientBuilder {
    /// A fixed bearer token.
    #[must_use]
    pub fn token(self, token: impl Into<String>) -> Self {
        let token = token.into();
        self.token_provider(Arc::new(move || token.clone()))
    }

    /// A token that is asked for at each call.
    #[must_use]
    pub fn token_provider(mut self, provider: TokenProvider) -> Self {
        self.token = Some(provider);
        self
    }

    /// The `Origin` header: a VO, or `vo.role` as pilots send it.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// How often a call is tried again; see [`RetryPolicy`].
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Time of one whole call; 120 s unless told.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The `User-Agent` header.
    #[must_use]
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// Makes the client; nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::BadUrl`] or [`ClientError::Setup`].
    pub fn build(self) -> Result<Client, ClientError> {
        let base = BaseUrl::parse(&self.url)?;
        tls::install_provider();
        let mut builder =
            reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(self.timeout).user_agent(self.user_agent).tcp_nodelay(true);
        if base.is_loopback() {
            builder = builder.no_proxy();
        }
        builder = if base.is_https() {
            builder.tls_certs_merge(tls::grid_certificates())
        } else {
            // Loading the system's roots costs time and fails where there are
            // none; plain http needs no trust at all.
            builder.tls_certs_only([])
        };
        let http = builder.build().map_err(|error| ClientError::Setup(innermost(&error)))?;
        Ok(Client { http, base, token: self.token, origin: self.origin, retry: self.retry })
    }
}

impl Client {
    /// Starts a client of the server at `url`, with or without `/server/panda`.
    #[must_use]
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            url: url.into(),
            token: None,
            origin: None,
            retry: RetryPolicy::default(),
            timeout: CALL_TIMEOUT,
            user_agent: concat!("panda/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// The server's address.
    #[must_use]
    pub fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// `GET /api/v1/{module}/{method}`.
    ///
    /// # Errors
    /// Any [`ClientError`] but `Unsuccessful`: a refusal is in the envelope.
    pub async fn get(&self, module: &str, method: &str, query: &(impl Serialize + ?Sized)) -> Result<Envelope, ClientError> {
        let url = self.base.method(module, method);
        self.envelope(Method::GET, url, |request| request.query(query)).await
    }

    /// `POST /api/v1/{module}/{method}` with a JSON body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&self, module: &str, method: &str, body: &(impl Serialize + ?Sized)) -> Result<Envelope, ClientError> {
        let url = self.base.method(module, method);
        self.envelope(Method::POST, url, |request| request.json(body)).await
    }

    /// `GET /api/panda/v1/{path}`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn own_get(&self, path: &str, query: &(impl Serialize + ?Sized)) -> Result<Envelope, ClientError> {
        let url = self.base.own(path);
        self.envelope(Method::GET, url, |request| request.query(query)).await
    }

    /// `POST /api/panda/v1/{path}` with a JSON body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn own_post(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Result<Envelope, ClientError> {
        let url = self.base.own(path);
        self.envelope(Method::POST, url, |request| request.json(body)).await
    }

    /// `POST /api/panda/v1/{path}` with raw bytes
    /// (`application/octet-stream`) and the parameters in the query.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn own_post_bytes(&self, path: &str, query: &(impl Serialize + ?Sized), body: Vec<u8>) -> Result<Envelope, ClientError> {
        let url = self.base.own(path);
        self.envelope(Method::POST, url, |request| {
            request.query(query).header("content-type", "application/octet-stream").body(body.clone())
        })
        .await
    }

    /// GET of any JSON document, e.g. `/cache/ddmendpoints.json`.
    ///
    /// # Errors
    /// Any [`ClientError`] but `Unsuccessful`.
    pub async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let url = self.base.at(path);
        let response = self.send(&Method::GET, &url, &|request| request).await?;
        let text = read_bounded(response, &url).await?;
        serde_json::from_slice(&text).map_err(|error| not_json(&url, &error, &text))
    }

    async fn envelope(
        &self,
        method: Method,
        url: String,
        shape: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Envelope, ClientError> {
        let response = self.send(&method, &url, &shape).await?;
        let text = read_bounded(response, &url).await?;
        let object: Map<String, Value> = serde_json::from_slice(&text).map_err(|error| not_json(&url, &error, &text))?;
        Ok(Envelope::from_object(object))
    }

    /// Sends a request, again where that is safe, and returns a 2xx answer.
    pub(crate) async fn send(
        &self,
        method: &Method,
        url: &str,
        shape: &impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, ClientError> {
        let mut backoff = Backoff::new(self.retry.first_pause, self.retry.max_pause);
        let mut attempt = 1;
        loop {
            let request = shape(self.identify(self.http.request(method.clone(), url)));
            let error = match request.send().await {
                Ok(response) => return accept(response, url).await,
                Err(error) => transport_error(url, &error),
            };
            let repeat = error.is_unreachable() || (*method == Method::GET && matches!(error, ClientError::Broken { .. }));
            if !repeat || attempt >= self.retry.attempts {
                return Err(error);
            }
            attempt += 1;
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// For bodies that can be sent only once.
    pub(crate) fn clone_without_retry(&self) -> Self {
        Self { retry: RetryPolicy::NONE, ..self.clone() }
    }

    fn identify(&self, mut request: RequestBuilder) -> RequestBuilder {
        request = request.header("accept", "application/json");
        if let Some(provider) = &self.token {
            let token = provider();
            let token = token.trim();
            if !token.is_empty() {
                request = request.bearer_auth(token);
            }
        }
        if let Some(origin) = &self.origin {
            request = request.header("origin", origin);
        }
        request
    }
}

/// Turns a failure of the transport into words.
pub(crate) fn transport_error(url: &str, error: &reqwest::Error) -> ClientError {
    let url = url.to_owned();
    if error.is_builder() {
        return ClientError::Setup(format!("{url}: {}", innermost(error)));
    }
    let reason = if error.is_timeout() { "no answer in time".to_owned() } else { innermost(error) };
    if error.is_connect() { ClientError::Unreachable { url, reason } } else { ClientError::Broken { url, reason } }
}

async fn accept(response: Response, url: &str) -> Result<Response, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = read_bounded(response, url).await.unwrap_or_default();
    Err(ClientError::Refused { url: url.to_owned(), status: status.as_u16(), text: shown(&text) })
}

async fn read_bounded(mut response: Response, url: &str) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > MAX_ANSWER_BYTES => {
                return Err(ClientError::TooLarge { url: url.to_owned(), limit: MAX_ANSWER_BYTES });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => return Err(transport_error(url, &error)),
        }
    }
}

fn not_json(url: &str, error: &serde_json::Error, text: &[u8]) -> ClientError {
    ClientError::NotJson { url: url.to_owned(), reason: error.to_string(), start: shown(text) }
}

fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let text = text.trim();
    let mut short: String = text.chars().take(SHOWN_CHARS).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}
