//! The list of models in the shape of whoever asks: to a client, every feature is a model.
//!
//! `OpenAI`'s list is whole; Anthropic's comes in pages, and a client walks them by the ids at their ends. Nobody knows when a
//! feature was made, and both families have a way to say so: the beginning of 1970.

use serde_json::{Value, json};

use crate::error::Failure;

/// In seconds since 1970, as `OpenAI` tells it.
const CREATED: i64 = 0;
/// The same moment as Anthropic tells it.
const CREATED_AT: &str = "1970-01-01T00:00:00Z";
/// How many models a page has when the client does not say; Anthropic's own default.
const LIMIT: usize = 20;
/// Most that a client may ask for, as with Anthropic.
const LIMIT_MAX: usize = 1_000;

/// The body of `GET /v1/models` for an `OpenAI` client.
pub fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<u8> {
    let data: Vec<Value> = names.into_iter().map(openai).collect();
    json!({ "object": "list", "data": data }).to_string().into_bytes()
}

/// The body of `GET /v1/models/{name}` for an `OpenAI` client.
pub fn one(name: &str) -> Vec<u8> {
    openai(name).to_string().into_bytes()
}

/// The body of `GET /v1/models/{name}` for an Anthropic client.
pub fn one_of_anthropic(name: &str) -> Vec<u8> {
    anthropic(name).to_string().into_bytes()
}

/// Which page of the list an Anthropic client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging {
    limit: usize,
    cursor: Cursor,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cursor {
    Start,
    After(String),
    Before(String),
}

impl Paging {
    /// Reads the query of the request. What it does not know it leaves alone, as Anthropic does.
    pub fn read(query: &str) -> Result<Self, Failure> {
        let mut paging = Self { limit: LIMIT, cursor: Cursor::Start };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "limit" => paging.limit = limit(value)?,
                "after_id" => paging.set(name, Cursor::After(value.to_owned()))?,
                "before_id" => paging.set(name, Cursor::Before(value.to_owned()))?,
                _ => {}
            }
        }
        Ok(paging)
    }

    fn set(&mut self, name: &str, cursor: Cursor) -> Result<(), Failure> {
        if self.cursor != Cursor::Start {
            return Err(invalid(name, "a page begins after one model or ends before one, and not both"));
        }
        self.cursor = cursor;
        Ok(())
    }

    /// The body of `GET /v1/models` for an Anthropic client.
    pub fn page(&self, names: &[&str]) -> Result<Vec<u8>, Failure> {
        let find = |name: &str, id: &str| {
            let place = names.iter().position(|known| *known == id);
            place.ok_or_else(|| invalid(name, "no model has this id"))
        };
        let (rest, is_backwards) = match &self.cursor {
            Cursor::Start => (names, false),
            Cursor::After(id) => (&names[find("after_id", id)? + 1..], false),
            Cursor::Before(id) => (&names[..find("before_id", id)?], true),
        };
        let has_more = rest.len() > self.limit;
        let page = match (has_more, is_backwards) {
            (false, _) => rest,
            (true, false) => &rest[..self.limit],
            (true, true) => &rest[rest.len() - self.limit..],
        };
        let data: Vec<Value> = page.iter().map(|name| anthropic(name)).collect();
        let page = json!({
            "data": data,
            "has_more": has_more,
            "first_id": page.first(),
            "last_id": page.last(),
        });
        Ok(page.to_string().into_bytes())
    }
}

fn limit(text: &str) -> Result<usize, Failure> {
    let number = text.parse().ok().filter(|number| (1..=LIMIT_MAX).contains(number));
    number.ok_or_else(|| invalid("limit", &format!("it is a whole number from 1 to {LIMIT_MAX}")))
}

fn invalid(name: &str, problem: &str) -> Failure {
    Failure::InvalidValue { name: name.to_owned(), problem: problem.to_owned() }
}

fn openai(name: &str) -> Value {
    json!({ "id": name, "object": "model", "created": CREATED, "owned_by": "lockgate" })
}

fn anthropic(name: &str) -> Value {
    json!({ "type": "model", "id": name, "display_name": name, "created_at": CREATED_AT })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_listed_as_models() {
        let one = r#"{"id":"support-reply","object":"model","created":0,"owned_by":"lockgate"}"#;
        assert_eq!(super::one("support-reply"), one.as_bytes());
        assert_eq!(list(["support-reply"]), format!(r#"{{"object":"list","data":[{one}]}}"#).as_bytes());
        assert_eq!(list([]), br#"{"object":"list","data":[]}"#);
    }

    #[test]
    fn an_anthropic_client_gets_its_own_shape() {
        let one = r#"{"type":"model","id":"a","display_name":"a","created_at":"1970-01-01T00:00:00Z"}"#;
        assert_eq!(one_of_anthropic("a"), one.as_bytes());
        let page = |names: &[&str]| Paging::read("").unwrap().page(names).unwrap();
        let whole = format!(r#"{{"data":[{one}],"has_more":false,"first_id":"a","last_id":"a"}}"#);
        assert_eq!(page(&["a"]), whole.as_bytes());
        assert_eq!(page(&[]), br#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#);
    }

    /// The ids of a page of `a b c d e`, and whether there is more.
    fn check(query: &str, expected: &str) {
        let names = ["a", "b", "c", "d", "e"];
        let told = match Paging::read(query).and_then(|paging| paging.page(&names)) {
            Err(failure) => format!("{}: {failure}", failure.status()),
            Ok(page) => {
                let page: Value = serde_json::from_slice(&page).unwrap();
                let ids = page["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap());
                let ids: Vec<_> = ids.collect();
                assert_eq!(page["first_id"].as_str(), ids.first().copied());
                assert_eq!(page["last_id"].as_str(), ids.last().copied());
                format!("{}{}", ids.join(" "), if page["has_more"] == true { " .." } else { "" })
            }
        };
        assert!(told.contains(expected) && !expected.is_empty(), "{query}: {told}");
    }

    #[test]
    fn pages_are_walked_in_both_directions() {
        check("limit=5", "a b c d e");
        check("limit=2", "a b ..");
        check("limit=2&after_id=b", "c d ..");
        check("after_id=d&limit=2&beta=true", "e");
        check("limit=2&before_id=e", "c d ..");
        check("before_id=c", "a b");
    }

    #[test]
    fn a_page_that_cannot_be_is_told_why() {
        check("limit=0", "400: Invalid value for `limit`");
        check("limit=1001", "from 1 to 1000");
        check("limit=ten", "400");
        check("after_id=z", "`after_id`: no model has this id");
        check("after_id=a&before_id=c", "and not both");
    }
}
