//! Says who calls: by which key, as which user, in which session, with which labels.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use http::{HeaderMap, HeaderName, HeaderValue};
use lockgate_config::value::{Client, Config, Feature, Label, LabelSource, Sticky};
use lockgate_core::drill;
use lockgate_core::name::{FeatureName, LabelName};
use lockgate_core::segment::{OTHER, Segment, is_label_value};
use lockgate_wire::body::Body;
use lockgate_wire::error::Failure;
use lockgate_wire::ofrep::Context;

use crate::labels::LabelValues;
use crate::refusal::invalid;

pub(crate) const USER: HeaderName = HeaderName::from_static("x-lockgate-user");
pub(crate) const SESSION: HeaderName = HeaderName::from_static("x-lockgate-session");
pub(crate) const SEGMENT: HeaderName = HeaderName::from_static("x-lockgate-segment");
pub(crate) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// By which a call offers itself for a rehearsal.
const DRILL: HeaderName = HeaderName::from_static("x-lockgate-drill");
const SESSION_MEMBER: &str = "session_id";
/// The same in the context of an evaluation.
const SESSION_ATTRIBUTE: &str = "session";

/// Longest header of ours that is read: room for two UUIDs with prefixes, or for a dozen labels.
const VALUE_BYTES_MAX: usize = 256;
/// Longest session that feedback can name later; a longer one from a body still sticks to its version.
const SESSION_BYTES_MAX: usize = 256;

/// Who calls.
#[derive(Debug)]
pub(crate) struct Caller {
    /// What the assignment sticks to; `None` when the caller named neither user nor session, and the call itself must do.
    /// It is the caller's own text and nothing else, so that other programs can compute the same assignment.
    pub(crate) sticky_key: Option<String>,
    /// The session, for feedback.
    pub(crate) session: Option<String>,
    /// The labels, as they are counted.
    pub(crate) segment: Segment,
}

/// Whether a feature is being rehearsed; only then may a call be part of a rehearsal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rehearsal {
    On,
    Off,
}

/// What a caller sends beside its headers.
#[derive(Debug, Clone, Copy)]
enum Said<'s> {
    /// The body of a call, where it is an object.
    Call(Option<&'s Body<'s>>),
    /// The context of an evaluation.
    Evaluation(&'s Context<'s>),
}

/// The client whose key was presented; `None` when no keys are configured and anyone may call.
pub(crate) fn authenticate<'c>(
    config: &'c Config,
    headers: &HeaderMap,
) -> Result<Option<&'c Client>, Failure> {
    if config.clients.is_empty() {
        return Ok(None);
    }
    let presented = presented_key(headers).ok_or(Failure::MissingKey)?;
    config.clients.iter().find(|client| client.key.matches(presented)).map(Some).ok_or(Failure::WrongKey)
}

fn presented_key(headers: &HeaderMap) -> Option<&str> {
    if let Some(authorization) = headers.get(http::header::AUTHORIZATION) {
        let (scheme, key) = authorization.to_str().ok()?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then_some(key.trim());
    }
    headers.get(API_KEY)?.to_str().ok()
}

/// Whether a client may call a feature.
pub(crate) fn may_call(client: Option<&Client>, feature: &FeatureName) -> bool {
    client.is_none_or(|client| client.features.is_empty() || client.features.contains(feature))
}

/// Everything about the caller that assignment and attribution need.
pub(crate) fn identify(
    feature: &Feature,
    client: Option<&Client>,
    headers: &HeaderMap,
    body: Option<&Body<'_>>,
    values: &LabelValues,
    rehearsal: Rehearsal,
) -> Result<Caller, Failure> {
    let of_body = |read: fn(&Body<'_>) -> Option<String>| body.and_then(read);
    let user = match text(headers, &USER)? {
        Some(user) => Some(user.to_owned()),
        None => of_body(|body| body.user().map(Into::into))
            .or_else(|| of_body(|body| body.safety_identifier().map(Into::into)))
            .or_else(|| of_body(|body| body.metadata("user_id").map(Into::into))),
    };
    let session = match text(headers, &SESSION)? {
        Some(session) => Some(session.to_owned()),
        None => of_body(|body| body.metadata(SESSION_MEMBER).map(Into::into)),
    };
    let segment = segment(feature, client, headers, Said::Call(body), values, rehearsal)?;
    Ok(Caller::named(feature, user, session, segment))
}

/// The same of whoever an evaluation is about: a call of the gateway that names the same user, session and labels is assigned
/// the same. The context comes first, for it is written for this; what it does not say, the headers may. No evaluation is
/// part of a rehearsal, whose fault stands in front of answers that are given here.
pub(crate) fn identify_by_context(
    feature: &Feature,
    client: Option<&Client>,
    headers: &HeaderMap,
    context: &Context<'_>,
    values: &LabelValues,
) -> Result<Caller, Failure> {
    let header = |name: HeaderName| text(headers, &name).map(|text| text.map(str::to_owned));
    let said = |name| context.attribute(name).map(Into::into);
    let user = context.targeting_key().map(Into::into).or(header(USER)?);
    let session: Option<String> = said(SESSION_ATTRIBUTE).or(header(SESSION)?);
    let session = match feature.sticky {
        Sticky::User => session,
        // Where versions stick to sessions, the key that versions stick to is a session.
        Sticky::Session => session.or_else(|| user.clone()),
    };
    let segment = segment(feature, client, headers, Said::Evaluation(context), values, Rehearsal::Off)?;
    Ok(Caller::named(feature, user, session, segment))
}

impl Caller {
    fn named(feature: &Feature, user: Option<String>, session: Option<String>, segment: Segment) -> Self {
        let sticky_key = match feature.sticky {
            Sticky::User => user.or_else(|| session.clone()),
            Sticky::Session => session.clone().or(user),
        };
        Self { sticky_key, session: session.filter(|text| text.len() <= SESSION_BYTES_MAX), segment }
    }
}

/// One of our own headers as text; an empty one counts as absent.
pub(crate) fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Failure> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let readable = Some(value)
        .filter(|value| value.len() <= VALUE_BYTES_MAX)
        .and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    let text = readable
        .ok_or_else(|| {
            invalid(name.as_str(), format!("it must be UTF-8 text of at most {VALUE_BYTES_MAX} bytes"))
        })?
        .trim();
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// The caller's labels: what the client key fixes, else what the header says, else what the label's sources say, else its
/// default. A call that offers itself for a rehearsal that is on carries the rehearsal's label beside its own.
fn segment(
    feature: &Feature,
    client: Option<&Client>,
    headers: &HeaderMap,
    said: Said<'_>,
    values: &LabelValues,
    rehearsal: Rehearsal,
) -> Result<Segment, Failure> {
    let mut asked = asked_labels(feature, headers)?;
    let mut labels = BTreeMap::new();
    for (name, label) in &feature.labels {
        let fixed = client.and_then(|client| client.segments.get(name)).cloned();
        let value = fixed
            .or_else(|| asked.remove(name))
            .or_else(|| from_sources(name, label, headers, said))
            .or_else(|| label.default.clone());
        if let Some(value) = value {
            let is_free = label.values.is_empty();
            labels.insert(
                name.clone(),
                if is_free { values.bounded(&feature.name, name, value) } else { value },
            );
        }
    }
    let is_offered = headers.get(DRILL).is_some_and(|value| value == drill::ON);
    if rehearsal == Rehearsal::On
        && is_offered
        && let Ok(label) = LabelName::new(drill::LABEL)
    {
        labels.insert(label, drill::ON.to_owned());
    }
    Ok(Segment::from_labels(&labels))
}

/// What the segment header says. It is written on purpose, so a label or value that does not exist is a mistake to be told.
fn asked_labels(feature: &Feature, headers: &HeaderMap) -> Result<BTreeMap<LabelName, String>, Failure> {
    let mut asked = BTreeMap::new();
    let Some(written) = text(headers, &SEGMENT)? else { return Ok(asked) };
    for pair in written.split(',') {
        let (name, value) = pair
            .split_once('=')
            .map(|(name, value)| (name.trim(), value.trim()))
            .ok_or_else(|| invalid(SEGMENT.as_str(), format!("`{pair}` is not of the form `label=value`")))?;
        let Some((name, label)) = feature.labels.get_key_value(name) else {
            let known = listed(feature.labels.keys().map(LabelName::as_str));
            return Err(invalid(
                SEGMENT.as_str(),
                format!("`{name}` is not a label of `{}`; its labels are {known}", feature.name),
            ));
        };
        if !is_known(label, value) {
            let known = match label.values.as_slice() {
                [] => "1 to 64 letters, digits, `.`, `_` or `-`".to_owned(),
                values => listed(values.iter().map(String::as_str)),
            };
            return Err(invalid(
                SEGMENT.as_str(),
                format!("`{value}` is not a value of `{name}`; its values are {known}"),
            ));
        }
        asked.insert(name.clone(), value.to_owned());
    }
    Ok(asked)
}

/// What the label's own sources say; the first source in a context is the attribute of the label's own name. They were not
/// written for us (a country header, a body's metadata), so a value that is not one of the label's is no mistake of the
/// caller's and counts as `other`.
fn from_sources(name: &LabelName, label: &Label, headers: &HeaderMap, said: Said<'_>) -> Option<String> {
    let read = |source: &LabelSource| match (source, said) {
        (LabelSource::Header(name), _) => {
            let name = HeaderName::from_str(name).ok()?;
            headers.get(name).and_then(text_of)
        }
        (LabelSource::Metadata(key), Said::Call(body)) => body?.metadata(key).map(Into::into),
        (LabelSource::Metadata(key), Said::Evaluation(context)) => context.attribute(key).map(Into::into),
    };
    let by_name = match said {
        Said::Call(_) => None,
        Said::Evaluation(context) => context.attribute(name.as_str()).map(Into::into),
    };
    let value = by_name.or_else(|| label.from.iter().find_map(read))?;
    Some(if is_known(label, &value) { value } else { OTHER.to_owned() })
}

fn text_of(value: &HeaderValue) -> Option<String> {
    value.to_str().ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn is_known(label: &Label, value: &str) -> bool {
    if label.values.is_empty() {
        is_label_value(value)
    } else {
        label.values.iter().any(|known| known == value)
    }
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
