//! The list of models in OpenAI's shape: to a client, every feature is a model.

use serde_json::{Value, json};

/// The body of `GET /v1/models`. `created` is in seconds since 1970.
pub fn list<'n>(names: impl IntoIterator<Item = &'n str>, created: i64) -> Vec<u8> {
    let data: Vec<Value> = names.into_iter().map(|name| model(name, created)).collect();
    json!({ "object": "list", "data": data }).to_string().into_bytes()
}

/// The body of `GET /v1/models/{name}`.
pub fn one(name: &str, created: i64) -> Vec<u8> {
    model(name, created).to_string().into_bytes()
}

fn model(name: &str, created: i64) -> Value {
    json!({ "id": name, "object": "model", "created": created, "owned_by": "lockgate" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_listed_as_models() {
        let one = r#"{"id":"support-reply","object":"model","created":7,"owned_by":"lockgate"}"#;
        assert_eq!(super::one("support-reply", 7), one.as_bytes());
        assert_eq!(list(["support-reply"], 7), format!(r#"{{"object":"list","data":[{one}]}}"#).as_bytes());
        assert_eq!(list([], 7), br#"{"object":"list","data":[]}"#);
    }
}
