//! Who asks: whether they may, and as whom they are written into the log.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use lockgate_config::secret::Secret;

use super::failure::Failure;

/// Where a caller says who it is, for the audit.
const AUTHOR_HEADER: &str = "x-lockgate-author";
/// Longest author in bytes: an e-mail address fits.
const AUTHOR_BYTES_MAX: usize = 128;
/// The author when none is said.
const NOBODY_IN_PARTICULAR: &str = "admin";

/// What stands between the network and the API.
#[derive(Debug)]
pub(super) struct Door {
    token: Option<Secret>,
}

impl Door {
    pub(super) fn new(token: Option<Secret>) -> Self {
        Self { token }
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Failure> {
        not_from_another_site(headers)?;
        match &self.token {
            Some(token) => check_token(token, headers),
            None => asked_by_a_local_name(headers),
        }
    }
}

/// Lets a request in, or says why not.
pub(super) async fn at_the_door(
    State(door): State<Arc<Door>>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    door.check(request.headers())?;
    Ok(next.run(request).await)
}

fn check_token(token: &Secret, headers: &HeaderMap) -> Result<(), Failure> {
    let unauthorized = |message| {
        Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
            .hint("send `authorization: Bearer TOKEN`; the command line takes it from LOCKGATE_TOKEN")
    };
    let presented = headers
        .get(header::AUTHORIZATION)
        .ok_or_else(|| unauthorized("the admin API needs a token, and none was sent"))?;
    let bearer = presented.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    match bearer {
        Some(presented) if token.matches(presented) => Ok(()),
        Some(_) => Err(unauthorized("the token is not the admin API's")),
        None => Err(unauthorized("the token was not sent as a bearer token")),
    }
}

/// A web page of another origin must not throw switches through the browser of somebody who may: browsers say where a
/// request comes from, and pages cannot forge it.
fn not_from_another_site(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let of_origin = origin.to_str().ok().and_then(|text| text.split_once("://")).map(|(_, rest)| rest);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    match of_origin.is_some() && of_origin == host {
        true => Ok(()),
        false => Err(Failure::new(
            StatusCode::FORBIDDEN,
            "another_origin",
            "the request comes from a web page of another origin",
        )
        .hint("use the dashboard of this server, or the command line")),
    }
}

/// Without a token the port is on loopback, and is asked by a loopback name. Any other name is a foreign one that was made to
/// point here.
fn asked_by_a_local_name(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(host) = headers.get(header::HOST) else { return Ok(()) };
    let name = host.to_str().ok().and_then(|host| host.parse::<http::uri::Authority>().ok());
    let is_local = name.is_some_and(|name| {
        let name = name.host().trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
    });
    match is_local {
        true => Ok(()),
        false => Err(Failure::new(
            StatusCode::FORBIDDEN,
            "foreign_host",
            "without an admin token, only local names are answered",
        )
        .hint("ask by 127.0.0.1 or localhost, or set `admin.token`")),
    }
}

/// As whom a change is written into the log.
#[derive(Debug)]
pub(super) struct Author(pub(super) String);

impl<S: Sync> FromRequestParts<S> for Author {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let Some(said) = parts.headers.get(AUTHOR_HEADER) else {
            return Ok(Self(NOBODY_IN_PARTICULAR.to_owned()));
        };
        let author = std::str::from_utf8(said.as_bytes()).ok().map(str::trim).filter(|author| {
            !author.is_empty() && author.len() <= AUTHOR_BYTES_MAX && !author.chars().any(char::is_control)
        });
        author.map(|author| Self(author.to_owned())).ok_or_else(|| {
            Failure::bad_request(format!("`{AUTHOR_HEADER}` is empty, too long or not printable"))
                .hint(format!("a name or an address of at most {AUTHOR_BYTES_MAX} bytes"))
        })
    }
}
