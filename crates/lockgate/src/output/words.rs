//! Numbers, times and tables as people read them.

use jiff::Timestamp;
use lockgate_core::share::percent;
use serde_json::Value;

/// Rows of cells, each column as wide as its widest cell; numbers are for the caller to align.
pub fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| {
            let gap = width.saturating_sub(cell.chars().count());
            format!("{cell}{}", " ".repeat(gap))
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A line that is at most this long; what is cut off is shown to be cut off.
pub fn cut(line: &str, chars_max: usize) -> String {
    if line.chars().count() <= chars_max {
        return line.to_owned();
    }
    let kept: String = line.chars().take(chars_max.saturating_sub(3)).collect();
    format!("{kept}...")
}

/// 12345 as `12,345`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A part of a whole, with as many digits as tell it from its neighbours: `0.42 %`, `12.3 %`, `100 %`.
pub fn part(fraction: f64) -> String {
    let percent = fraction * 100.0;
    let digits = match percent.abs() {
        p if p == 0.0 || (p - 100.0).abs() < 1e-9 => 0,
        p if p < 10.0 => 2,
        _ => 1,
    };
    format!("{percent:.digits$} %")
}

/// A limit or a share: what people set is round, and is shown without trailing zeros: `0.5 %`, `1 %`, `92.57 %`.
pub fn round_part(fraction: f64) -> String {
    percent((fraction * 1e4).round() / 1e4)
}

/// A length of time: `450 ms`, `8.2 s`, `3 min 20 s`, `2 d 4 h`, `7 d`.
pub fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (large, large_unit, small, small_unit) = match whole {
        0 if seconds < 0.9995 => return format!("{:.0} ms", seconds.max(0.0) * 1e3),
        0..60 => return format!("{seconds:.1} s"),
        60..3_600 => (whole / 60, "min", whole % 60, "s"),
        3_600..86_400 => (whole / 3_600, "h", whole % 3_600 / 60, "min"),
        _ => (whole / 86_400, "d", whole % 86_400 / 3_600, "h"),
    };
    match small {
        0 => format!("{large} {large_unit}"),
        small => format!("{large} {large_unit} {small} {small_unit}"),
    }
}

/// A chance or a piece of evidence as a plain number: `1 in 12,000`, to two digits; a power of ten where nobody counts that far.
pub fn one_in(ln: f64) -> String {
    let tens = ln / std::f64::consts::LN_10;
    if tens >= 9.0 {
        return format!("1 in 10^{tens:.0}");
    }
    let n = ln.exp().max(1.0);
    let scale = 10f64.powi((n.log10().floor() as i32 - 1).max(0));
    format!("1 in {}", count(((n / scale).round() * scale) as u64))
}

/// A length of time in one unit, which is all that an extrapolation is worth: `40 s`, `25 min`, `3 h`, `12 d`.
pub fn roughly(seconds: f64) -> String {
    match seconds.max(0.0).ceil() as u64 {
        whole @ 0..120 => format!("{whole} s"),
        whole @ 120..7_200 => format!("{} min", whole / 60),
        whole @ 7_200..172_800 => format!("{} h", whole / 3_600),
        whole => format!("{} d", whole / 86_400),
    }
}

/// A text inside JSON; empty when it is not there.
pub fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A number inside JSON.
pub fn number(value: &Value, key: &str) -> Option<f64> {
    value.get(key).and_then(Value::as_f64)
}

/// A moment inside JSON.
pub fn moment(value: &Value, key: &str) -> Option<Timestamp> {
    value.get(key).and_then(Value::as_str).and_then(|text| text.parse().ok())
}

/// A moment to the second, without its date's repetition: `2026-08-01 12:00:00Z`.
pub fn at(ts: Timestamp) -> String {
    let text = ts.to_string();
    let second = text.split('.').next().unwrap_or(&text).trim_end_matches('Z');
    format!("{}Z", second.replace('T', " "))
}

/// A version inside JSON: its name, and the beginning of its digest where that is known.
pub fn version(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(name)) => name.clone(),
        Some(version) if version.is_object() => {
            let revision: String = text(version, "revision").chars().take(12).collect();
            format!("{} ({revision})", text(version, "name"))
        }
        _ => "none".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        assert_eq!(
            [count(0), count(999), count(1_000), count(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!([part(0.0042), part(0.123), part(1.0), part(0.0)], ["0.42 %", "12.3 %", "100 %", "0 %"]);
        assert_eq!([round_part(0.005), round_part(0.01), round_part(0.925_68)], ["0.5 %", "1 %", "92.57 %"]);
        assert_eq!([span(0.45), span(8.2), span(200.0)], ["450 ms", "8.2 s", "3 min 20 s"]);
        assert_eq!([span(7_500.0), span(187_200.0), span(604_800.0)], ["2 h 5 min", "2 d 4 h", "7 d"]);
    }

    #[test]
    fn evidence_is_told_as_a_chance() {
        assert_eq!([one_in(0.0), one_in(-3.0), one_in(3.0)], ["1 in 1", "1 in 1", "1 in 20"]);
        assert_eq!([one_in(12_345f64.ln()), one_in(46.05)], ["1 in 12,000", "1 in 10^20"]);
    }

    #[test]
    fn columns_line_up_and_lines_do_not_end_in_blanks() {
        let rows = [vec!["a".to_owned(), "bb".to_owned()], vec!["cccc".to_owned(), "d".to_owned()]];
        assert_eq!(columns(&rows), "a     bb\ncccc  d");
    }

    #[test]
    fn a_long_line_is_seen_to_be_cut() {
        assert_eq!([cut("short", 5), cut("longer", 5)], ["short", "lo..."]);
    }

    #[test]
    fn a_moment_is_written_to_the_second() {
        let ts: Timestamp = "2026-08-01T12:00:00.123Z".parse().unwrap();
        assert_eq!(at(ts), "2026-08-01 12:00:00Z");
    }
}
