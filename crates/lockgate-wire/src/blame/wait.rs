//! How long a target asks to be left alone.
//!
//! Providers say it in several places that need not agree. What was written for this very answer wins over what describes the
//! account: `retry-after-ms`, then `retry-after`, then the words of the error ("Please try again in 644ms"), and last
//! the `x-ratelimit-reset-*` of a limit that is used up, which says when it will be *full* again and so asks for more than
//! needed. What is not a length of time in the future is passed over, as if it had not been said.

use std::time::Duration;

use crate::answer::AnswerError;

/// The longest that is believed. Nobody's call waits that long, and a breaker has a limit of its own; this keeps a mistake from
/// becoming a number that overflows.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Seconds since 1970 are above this and lengths of time below: it is in 2001, and thirty years long.
const EPOCH_SECONDS_MIN: f64 = 1e9;

/// How long a target asks to be left alone, by its headers and the words of its error.
pub fn retry_after_of<'h>(
    header: impl Fn(&str) -> Option<&'h str>,
    now: i64,
    error: Option<&AnswerError>,
) -> Option<Duration> {
    by_header(&header, now)
        .or_else(|| error.and_then(retry_after_in_words))
        .or_else(|| by_limits(&header, now))
}

/// How long a target asks to be left alone, by its headers. `header` gives a header's text by its lower-case name; `now` is in
/// seconds since 1970, for a header that names a date.
pub fn retry_after<'h>(header: impl Fn(&str) -> Option<&'h str>, now: i64) -> Option<Duration> {
    by_header(&header, now).or_else(|| by_limits(&header, now))
}

/// How long a target asks to be left alone, by the words of its error: "Please try again in 6m0s".
pub fn retry_after_in_words(error: &AnswerError) -> Option<Duration> {
    in_words(&error.message.to_ascii_lowercase())
}

/// The same, in words that are in lower case already.
pub(super) fn in_words(message: &str) -> Option<Duration> {
    const BEGINNINGS: [&str; 5] =
        ["try again in ", "retry in ", "retry after ", "try again after ", "please wait "];
    let told =
        |beginning: &&str| message.split(*beginning).skip(1).find_map(|rest| believed(leading_span(rest)?.0));
    BEGINNINGS.iter().find_map(told)
}

fn by_header<'h>(header: &impl Fn(&str) -> Option<&'h str>, now: i64) -> Option<Duration> {
    let ms = || header("retry-after-ms").and_then(number).and_then(|ms| believed(ms / 1e3));
    let text = || header("retry-after").map(str::trim);
    let seconds = || text().and_then(number).and_then(believed);
    let date = || text().and_then(date).and_then(|date| believed(date.checked_sub(now)? as f64));
    ms().or_else(seconds).or_else(date)
}

/// When the limits that are used up will be full again: all of them, because any of them refuses.
fn by_limits<'h>(header: &impl Fn(&str) -> Option<&'h str>, now: i64) -> Option<Duration> {
    // The headers stand on every answer: a limit of which something is left has refused nothing.
    let reset = |reset: &str, remaining: &str| {
        let is_used_up = header(remaining).is_none_or(|left| number(left) == Some(0.0));
        header(reset)
            .filter(|_| is_used_up)
            .and_then(|text| moment_or_span(text.trim(), now))
            .and_then(believed)
    };
    let requests = reset("x-ratelimit-reset-requests", "x-ratelimit-remaining-requests");
    let tokens = reset("x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens");
    let any = || reset("x-ratelimit-reset", "x-ratelimit-remaining");
    requests.max(tokens).or_else(any)
}

/// A length of time in the future, cut to what is believed.
fn believed(seconds: f64) -> Option<Duration> {
    (seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(RETRY_AFTER_MAX.as_secs_f64())))
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// Seconds until a moment (`1741305600`, or in milliseconds), or in a length of time (`6m0s`, `120ms`, `1.5`).
fn moment_or_span(text: &str, now: i64) -> Option<f64> {
    match number(text) {
        Some(moment) if moment >= 1e3 * EPOCH_SECONDS_MIN => Some(moment / 1e3 - now as f64),
        Some(moment) if moment >= EPOCH_SECONDS_MIN => Some(moment - now as f64),
        Some(seconds) => Some(seconds),
        None => leading_span(text).filter(|(_, rest)| rest.is_empty()).map(|(seconds, _)| seconds),
    }
}

/// The length of time that a text begins with, in seconds, and what comes after it: `2m59.56s`, `24 seconds`.
fn leading_span(text: &str) -> Option<(f64, &str)> {
    let (mut seconds, mut rest) = (None, text);
    loop {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let after = after.strip_prefix(' ').unwrap_or(after);
        let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        match (number.parse::<f64>(), seconds_of(unit)) {
            (Ok(number), Some(unit)) => seconds = Some(seconds.unwrap_or(0.0) + number * unit),
            _ => return seconds.map(|seconds| (seconds, rest)),
        }
        rest = after;
    }
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" | "millisecond" | "milliseconds" => 1e-3,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    })
}

/// Seconds since 1970 of an HTTP date, in the one form that may still be written (RFC 9110, 5.6.7):
/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.strip_suffix(" GMT")?.split([' ', ':']);
    let mut part = || parts.next();
    let day: i64 = part()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let name = part()?;
    let month = MONTHS.iter().position(|month| *month == name)? as i64 + 1;
    let year: i64 = part()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut time = 0;
    for end in [24, 60, 61] {
        let number: i64 = part()?.parse().ok().filter(|number| (0..end).contains(number))?;
        time = time * 60 + number;
    }
    if part().is_some() {
        return None;
    }
    // Howard Hinnant's days_from_civil, for years after 0: years begin in March, so that a leap day is a year's last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + time)
}
