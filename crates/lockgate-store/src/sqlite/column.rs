//! How our values stand in columns.

use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;
use lockgate_core::segment::Segment;
use lockgate_core::signal::Arm;
use rusqlite::Row;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;

use crate::error::Fault;

/// Nanoseconds since 1970; moments after 2262 or before 1677 are moved to there.
pub fn nanos(moment: Timestamp) -> i64 {
    let nanos = moment.as_nanosecond();
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

/// The moment that a column of nanoseconds says.
pub fn moment(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A bound on rows as SQL takes it.
pub fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// A text column, parsed.
pub fn parsed<T: FromStr<Err: Display>>(
    table: &'static str,
    row: &Row<'_>,
    column: &str,
) -> Result<T, Fault> {
    let text = row.get_ref(column)?.as_str().map_err(|error| broken(table, column, error))?;
    text.parse().map_err(|error| broken(table, column, error))
}

/// A text column through a checking constructor.
pub fn named<T, E: Display>(
    table: &'static str,
    row: &Row<'_>,
    column: &str,
    make: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Fault> {
    let text = row.get_ref(column)?.as_str().map_err(|error| broken(table, column, error))?;
    make(text).map_err(|error| broken(table, column, error))
}

/// A column of whole numbers, in the range that the value has.
pub fn whole<T: TryFrom<i64>>(table: &'static str, row: &Row<'_>, column: &str) -> Result<T, Fault> {
    let number: i64 = row.get(column)?;
    T::try_from(number).map_err(|_| broken(table, column, format_args!("{number} is out of range")))
}

/// A column of whole numbers that may be empty.
pub fn whole_or_none<T: TryFrom<i64>>(
    table: &'static str,
    row: &Row<'_>,
    column: &str,
) -> Result<Option<T>, Fault> {
    match row.get::<_, Option<i64>>(column)? {
        None => Ok(None),
        Some(_) => whole(table, row, column).map(Some),
    }
}

/// An arm from its stored word.
pub fn arm(text: &str) -> Result<Arm, String> {
    [Arm::Stable, Arm::Candidate, Arm::Shadow]
        .into_iter()
        .find(|arm| arm.as_str() == text)
        .ok_or_else(|| format!("`{text}` is not an arm"))
}

/// A segment from its canonical text.
pub fn segment(text: &str) -> Result<Segment, serde::de::value::Error> {
    Segment::deserialize(text.into_deserializer())
}

fn broken(table: &'static str, column: &str, why: impl Display) -> Fault {
    Fault::row(table, format_args!("column {column}"), why)
}
