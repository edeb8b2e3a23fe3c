//! Whose fault an error is, and how long a target asks to be left alone: an answer for every status, body and header.

use lockgate_wire::api::Api;
use lockgate_wire::blame::{of, retry_after};
use lockgate_wire::reader::read_plain;

use crate::seeds::Row;

/// An input is a status in two bytes and a body; the body's text is read as headers too.
pub fn run(data: &[u8]) {
    let Some((status, body)) = data.split_first_chunk() else { return };
    let status = u16::from_be_bytes(*status);
    for api in Api::ALL {
        let answer = read_plain(api, body);
        let _ = (of(status, answer.error.as_ref()), of(status, None));
    }
    let text = String::from_utf8_lossy(body);
    for (ours, now) in
        [("retry-after", i64::MAX), ("retry-after", 1_700_000_000), ("retry-after-ms", i64::MIN)]
    {
        let _ = retry_after(|name| (name == ours).then_some(text.as_ref()), now);
    }
}

pub fn seeds(rows: &[Row]) -> Vec<Vec<u8>> {
    let headers = ["20", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT", "1700000020"];
    let headers = headers.map(|text| (429, text.as_bytes().to_vec()));
    let bodies = rows.iter().filter_map(|row| Some((row.status, row.error()?))).chain(headers);
    bodies.map(|(status, body): (u16, _)| [&status.to_be_bytes()[..], &body].concat()).collect()
}
