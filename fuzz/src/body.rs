//! Bodies of requests: read exactly when they are JSON objects, and member by member as another reader sees them.

use lockgate_wire::api::Api;
use lockgate_wire::body::{Body, BodyError};

use crate::members;
use crate::seeds::Row;

pub fn run(data: &[u8]) {
    let expected = std::str::from_utf8(data).ok().and_then(members::of);
    let body = match (Body::read(data), expected) {
        (Ok(body), Some(expected)) => {
            for member in &expected {
                // A name whose escapes are no characters is nobody's name.
                if serde_json::from_str::<String>(&member.key).is_ok() {
                    assert_eq!(body.get(&member.name), members::last(&expected, &member.name));
                }
            }
            body
        }
        (Err(error), None) => {
            assert!(!error.to_string().is_empty());
            return;
        }
        (Err(BodyError::TooManyMembers), Some(_)) => return,
        (Ok(_), None) => panic!("read, but it is no JSON object"),
        (Err(error), Some(_)) => panic!("a JSON object, but: {error}"),
    };
    for api in Api::ALL {
        let _ = (body.check(api), body.last_user_text(api));
    }
    let _ =
        (body.model(), body.stream(), body.include_usage(), body.previous_response_id(), body.has_tools());
    let _ = (body.user(), body.safety_identifier(), body.metadata("user_id"));
}

pub fn seeds(rows: &[Row]) -> Vec<Vec<u8>> {
    rows.iter().filter_map(Row::request).collect()
}
