//! Talks to a running server, over its admin address or the one that clients call.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::complaint::{Complaint, with_causes};

/// Longest wait for an answer. A kill waits until no call holds the old routes, which is well under this.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest answer that is read: above the longest log that one question returns.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A connection to one server.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    token: Option<String>,
    author: String,
    http: HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// Why a server did not do what it was asked.
#[derive(Debug)]
pub enum ClientError {
    /// The address cannot be one.
    Address {
        /// As it was given.
        url: String,
    },
    /// Nobody answered.
    Unreachable {
        /// Where it was sought.
        url: String,
        /// Why, as far as is known.
        why: String,
    },
    /// It said no.
    Refused {
        /// How it said so.
        status: StatusCode,
        /// Its sentence.
        message: String,
        /// What it advises.
        hint: Option<String>,
    },
    /// What answered is something else.
    Foreign {
        /// Where it was sought.
        url: String,
    },
}

impl Client {
    /// For a server at `url`.
    pub fn new(url: &str, token: Option<String>, author: String) -> Result<Self, ClientError> {
        let base = url.trim_end_matches('/').to_owned();
        let is_sound = base
            .parse::<http::Uri>()
            .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
        if !is_sound {
            return Err(ClientError::Address { url: url.to_owned() });
        }
        let connector =
            HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        Ok(Self { base, token, author, http: HttpClient::builder(TokioExecutor::new()).build(connector) })
    }

    /// Asks for something.
    pub async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    /// Asks for something to be done.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.call(Method::POST, path, Bytes::from(body.to_string())).await
    }

    async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Value, ClientError> {
        let url = format!("{}{path}", self.base);
        let mut request =
            Request::builder().method(method).uri(&url).header("x-lockgate-author", &self.author);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body)).map_err(|_| ClientError::Address { url: url.clone() })?;
        let unreachable = |why: String| ClientError::Unreachable { url: self.base.clone(), why };
        let exchange = async {
            let response =
                self.http.request(request).await.map_err(|error| unreachable(with_causes(&error)))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            Ok((head.status, body.map_err(|error| unreachable(error.to_string()))?.to_bytes()))
        };
        let (status, body) = tokio::time::timeout(PATIENCE, exchange)
            .await
            .map_err(|_| unreachable(format!("no answer within {} s", PATIENCE.as_secs())))??;
        self.understand(path, status, &body)
    }

    fn understand(&self, path: &str, status: StatusCode, body: &[u8]) -> Result<Value, ClientError> {
        let foreign = || ClientError::Foreign { url: self.base.clone() };
        let value: Value = serde_json::from_slice(body).map_err(|_| foreign())?;
        if status.is_success() {
            return Ok(value);
        }
        let error = value.get("error").ok_or_else(foreign)?;
        let message = error.get("message").and_then(Value::as_str).ok_or_else(foreign)?;
        // The port for clients says in its own way that it has no such path: it was taken for the admin port.
        if path.starts_with("/api/") && error.get("hint").is_none() {
            return Err(foreign());
        }
        let hint = error.get("hint").and_then(Value::as_str).map(str::to_owned);
        Err(ClientError::Refused { status, message: message.to_owned(), hint })
    }
}

impl From<ClientError> for Complaint {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Address { url } => {
                Self::new(format!("`{url}` is not an address"), "write it as http://127.0.0.1:7081")
            }
            ClientError::Unreachable { url, why } => Self::new(
                format!("no Lockgate answers at {url}: {why}"),
                "start one with `lockgate serve -c lockgate.yaml`, or say with LOCKGATE_URL where it is",
            ),
            ClientError::Refused { status: StatusCode::UNAUTHORIZED, message, hint } => Self::new(
                message,
                hint.unwrap_or_else(|| "set LOCKGATE_TOKEN to the server's admin token".into()),
            ),
            ClientError::Refused { message, hint, .. } => Self { sentence: message, hint },
            ClientError::Foreign { url } => Self::new(
                format!("what answers at {url} is not a Lockgate admin port"),
                "LOCKGATE_URL is the admin address (port 7081 unless configured), not the one that clients call",
            ),
        }
    }
}
