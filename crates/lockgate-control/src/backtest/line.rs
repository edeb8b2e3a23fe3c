//! Reads one line: a JSON object that says when, which arm, whose call, and what was seen of it.
//!
//! A line is read in one pass, and what it holds is borrowed from it wherever nothing is escaped. It is used whole or not at
//! all: of a line with one impossible number, the others cannot be trusted either.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::Timestamp;
use lockgate_core::duration_levels::never;
use lockgate_core::size_levels;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::problem::{Fault, ProblemKind};
use super::segments::{SegmentIndex, Segments};
use super::signals::{Seen, SignalIndex, Signals};

/// Most unknown keys that are told by name.
const IGNORED_MAX: usize = 32;
/// Longest name of an unknown key in characters, as it is told.
const KEY_CHARS_MAX: usize = 64;
/// Under which the rest of the unknown keys is counted.
const OTHERS: &str = "(others)";
/// Moments outside these years, in milliseconds since 1970, are mistakes of writing.
const TIMES_MS: std::ops::Range<i64> = 0..7_258_118_400_000;

/// Which arm an outcome is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Stable,
    Candidate,
}

/// One outcome.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) ts: Timestamp,
    pub(super) side: Side,
    pub(super) segment: SegmentIndex,
    /// Who called, as a hash: the user, or else the session.
    pub(super) visitor: Option<u64>,
    /// In which session, as a hash; a user whose sessions are not told has one at a time.
    pub(super) session: Option<u64>,
    pub(super) cost_nano_usd: Option<u64>,
    /// What was seen, a signal at most once.
    pub(super) seen: Vec<(SignalIndex, Seen)>,
}

/// Reads lines, and knows what they have in common.
#[derive(Debug)]
pub(super) struct LineReader {
    pub(super) signals: Signals,
    pub(super) segments: Segments,
    pub(super) ignored: BTreeMap<String, u64>,
    /// The last line's, kept so that lines do not allocate.
    pub(super) outcome: Outcome,
}

impl LineReader {
    pub(super) fn new(signals: Signals) -> Self {
        let outcome = Outcome {
            ts: Timestamp::UNIX_EPOCH,
            side: Side::Stable,
            segment: 0,
            visitor: None,
            session: None,
            cost_nano_usd: None,
            seen: Vec::new(),
        };
        Self { signals, segments: Segments::new(), ignored: BTreeMap::new(), outcome }
    }

    /// Reads a line into `outcome`; what stands there after a fault is of no use.
    pub(super) fn read(&mut self, line: &[u8]) -> Result<(), Fault> {
        self.outcome.seen.clear();
        let mut read = Read::default();
        let visitor = Line { reader: self, read: &mut read };
        let mut json = serde_json::Deserializer::from_slice(line);
        let parsed = json.deserialize_map(visitor).and_then(|()| json.end());
        parsed.map_err(|error| not_json(line, &error))?;
        if let Some(fault) = read.fault {
            return Err(fault);
        }
        let missing = |kind, key| Fault::new(kind, format!("`{key}` is missing"));
        self.outcome.ts = read.ts.ok_or_else(|| missing(ProblemKind::BadTime, "ts"))?;
        self.outcome.side = read.side.ok_or_else(|| missing(ProblemKind::BadArm, "arm"))?;
        self.outcome.segment = read.segment;
        self.outcome.visitor = read.user.or(read.session);
        self.outcome.session = read.session.or(read.user);
        self.derive();
        Ok(())
    }

    /// What follows from what was told: a time-out is an error and slower than everything, tokens read and written are tokens
    /// and lengths. No more than that: a gate on what nobody observed must be able to stand aside.
    fn derive(&mut self) {
        let at = self.signals.at;
        if self.was(at.timeout) == Some(true) {
            if self.find(at.error).is_none() {
                self.outcome.seen.push((at.error, Seen::Was(true)));
            }
            self.outcome.seen.retain(|(index, _)| *index != at.latency);
            self.outcome.seen.push((at.latency, Seen::Level(never())));
        }
        let (read, written) = (self.amount(at.tokens_in), self.amount(at.tokens_out));
        if let (None, Some(read), Some(written)) = (self.find(at.tokens), read, written) {
            self.outcome.seen.push((at.tokens, Seen::Amount(read + written)));
        }
        for (length, tokens) in [(at.input_length, read), (at.output_length, written)] {
            if let (None, Some(tokens)) = (self.find(length), tokens) {
                self.outcome.seen.push((length, Seen::Level(size_levels::level(tokens))));
            }
        }
        // A copy that was not answered was not compared either; of one that was answered and not compared, nothing is known.
        let is_compared = self.find(at.agreement).is_some();
        let is_of_candidate = self.outcome.side == Side::Candidate;
        if is_of_candidate
            && self.find(at.coverage).is_none()
            && (is_compared || self.was(at.error) == Some(true))
        {
            self.outcome.seen.push((at.coverage, Seen::Was(is_compared)));
        }
        self.outcome.cost_nano_usd = self.amount(at.cost);
    }

    fn find(&self, wanted: SignalIndex) -> Option<Seen> {
        self.outcome.seen.iter().find(|(index, _)| *index == wanted).map(|(_, seen)| *seen)
    }

    fn was(&self, index: SignalIndex) -> Option<bool> {
        match self.find(index) {
            Some(Seen::Was(was)) => Some(was),
            _ => None,
        }
    }

    fn amount(&self, index: SignalIndex) -> Option<u64> {
        match self.find(index) {
            Some(Seen::Amount(amount)) => Some(amount),
            _ => None,
        }
    }

    fn ignore(&mut self, key: &str) {
        if let Some(count) = self.ignored.get_mut(key) {
            *count += 1;
            return;
        }
        let is_full = self.ignored.len() >= IGNORED_MAX;
        let key = if is_full { OTHERS.to_owned() } else { key.chars().take(KEY_CHARS_MAX).collect() };
        *self.ignored.entry(key).or_insert(0) += 1;
    }
}

/// What has been read of a line so far, beside its signals.
#[derive(Default)]
struct Read {
    ts: Option<Timestamp>,
    side: Option<Side>,
    segment: SegmentIndex,
    user: Option<u64>,
    session: Option<u64>,
    fault: Option<Fault>,
}

impl Read {
    /// Keeps the first fault.
    fn fails(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }
}

/// Python and others write what JSON does not have; that is worth its own words.
fn not_json(line: &[u8], error: &serde_json::Error) -> Fault {
    let holds = |word: &[u8]| line.windows(word.len()).any(|window| window == word);
    let column = error.column();
    if holds(b"NaN") || holds(b"Infinity") || error.to_string().contains("out of range") {
        return Fault::new(ProblemKind::NotFinite, format!("a number that is none, at column {column}"));
    }
    let what = error.to_string();
    let what = what.split(" at line ").next().unwrap_or_default();
    Fault::new(ProblemKind::NotJson, format!("{what}, at column {column}"))
}

/// What a key is for.
enum Key {
    Ts,
    Arm,
    User,
    Session,
    Segment,
    Signal(SignalIndex),
    Unknown,
}

struct KeyOf<'r>(&'r mut LineReader);

impl<'de> DeserializeSeed<'de> for KeyOf<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyOf<'_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Key, E> {
        Ok(match key {
            "ts" => Key::Ts,
            "arm" => Key::Arm,
            "user" => Key::User,
            "session" => Key::Session,
            "segment" => Key::Segment,
            _ => match self.0.signals.find(key) {
                Some(index) => Key::Signal(index),
                None => {
                    self.0.ignore(key);
                    Key::Unknown
                }
            },
        })
    }
}

struct Line<'r> {
    reader: &'r mut LineReader,
    read: &'r mut Read,
}

impl<'de> Visitor<'de> for Line<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(KeyOf(&mut *self.reader))? {
            match key {
                Key::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
                Key::Segment => {
                    let written: &'de RawValue = map.next_value()?;
                    match self.reader.segments.read(written.get()) {
                        Ok(index) => self.read.segment = index,
                        Err(why) => self.read.fails(Fault::new(ProblemKind::BadSegment, why)),
                    }
                }
                key => {
                    let value = map.next_value_seed(Plain)?;
                    if let Err(fault) = self.put(&key, &value) {
                        self.read.fails(fault);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Line<'_> {
    fn put(&mut self, key: &Key, value: &Scalar<'_>) -> Result<(), Fault> {
        match key {
            Key::Ts => self.read.ts = Some(moment(value)?),
            Key::Arm => self.read.side = Some(side(value)?),
            Key::User => self.read.user = caller(value, "user")?,
            Key::Session => self.read.session = caller(value, "session")?,
            Key::Signal(index) => {
                let signals = &self.reader.signals;
                let seen = match value {
                    Scalar::Null => return Ok(()),
                    Scalar::Bool(was) => signals.was(*index, *was)?,
                    Scalar::Number(number) => signals.number(*index, *number)?,
                    Scalar::Text(_) | Scalar::Other => {
                        return Err(signals.misfit(*index, signals.expected(*index)));
                    }
                };
                let all = &mut self.reader.outcome.seen;
                match all.iter_mut().find(|(known, _)| known == index) {
                    Some(before) => before.1 = seen,
                    None => all.push((*index, seen)),
                }
            }
            Key::Segment | Key::Unknown => {}
        }
        Ok(())
    }
}

fn moment(value: &Scalar<'_>) -> Result<Timestamp, Fault> {
    let wrong = |why: String| Fault::new(ProblemKind::BadTime, why);
    let Scalar::Text(text) = value else {
        return Err(wrong("`ts` is not a text, as in \"2026-08-01T12:00:00Z\"".into()));
    };
    let ts: Timestamp = text
        .parse()
        .map_err(|_| wrong(format!("`ts` is `{text}`, not a moment of RFC 3339 with its offset")))?;
    match TIMES_MS.contains(&ts.as_millisecond()) {
        true => Ok(ts),
        false => Err(wrong(format!("`ts` is `{text}`, which cannot be meant"))),
    }
}

fn side(value: &Scalar<'_>) -> Result<Side, Fault> {
    match value {
        Scalar::Text(text) if text == "stable" => Ok(Side::Stable),
        Scalar::Text(text) if text == "candidate" => Ok(Side::Candidate),
        Scalar::Text(text) => {
            Err(Fault::new(ProblemKind::BadArm, format!("`arm` is `{text}`, not `stable` or `candidate`")))
        }
        _ => Err(Fault::new(ProblemKind::BadArm, "`arm` is neither `stable` nor `candidate`")),
    }
}

/// A name of a user or a session, as its hash: the same in every run.
fn caller(value: &Scalar<'_>, key: &str) -> Result<Option<u64>, Fault> {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    match value {
        Scalar::Null => return Ok(None),
        Scalar::Text(text) if text.is_empty() => return Ok(None),
        Scalar::Text(text) => text.hash(&mut hasher),
        Scalar::Number(number) => number.to_bits().hash(&mut hasher),
        Scalar::Bool(_) | Scalar::Other => {
            return Err(Fault::new(ProblemKind::BadValue, format!("`{key}` is not a name")));
        }
    }
    Ok(Some(hasher.finish()))
}

/// A value without members.
enum Scalar<'de> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'de, str>),
    /// A list or an object.
    Other,
}

struct Plain;

impl<'de> DeserializeSeed<'de> for Plain {
    type Value = Scalar<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Scalar<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Plain {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

#[cfg(test)]
mod tests;
