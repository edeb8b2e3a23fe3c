//! Readers of plain answers: what is no JSON is told to be unreadable or an error in plain words, and nothing is kept that was not there.

use lockgate_wire::api::Api;
use lockgate_wire::reader::read_plain;
use serde::de::IgnoredAny;

use crate::seeds::Row;
use crate::stream::check_bounds;

pub fn run(data: &[u8]) {
    let is_json = serde_json::from_slice::<IgnoredAny>(data).is_ok();
    for api in Api::ALL {
        let answer = read_plain(api, data);
        check_bounds(&answer, data.len());
        let is_told = answer.is_unreadable || answer.error.is_some();
        assert!(is_json || is_told, "{api:?} was read from what is not JSON");
    }
}

pub fn seeds(rows: &[Row]) -> Vec<Vec<u8>> {
    rows.iter().filter_map(Row::plain).collect()
}
