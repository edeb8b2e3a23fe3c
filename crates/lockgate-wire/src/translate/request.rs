//! Translates requests.
//!
//! One module per way says a whole request anew ([`to_messages`], [`to_chat`]); the others know what both
//! need: how members are read and where they stand ([`fields`], [`path`]), what was left out ([`told`]) and
//! what becomes of a turn that says nothing else ([`lost`]), which result belongs to which call ([`calls`]),
//! how hard a model is asked to think ([`effort`]), which schemas a target can hold an answer to ([`schema`]).
//!
//! Three rules hold for both ways. What a target would refuse with certainty is not sent: it is said in
//! another form that means the same, or left out and told. What asks for nothing (`null`, an empty list, a
//! default) is not told, and neither is what only changes the price, such as marks for caches. What the
//! caller's own API would refuse is refused here, by its path, because the target's complaint about a
//! translation would name places that the caller never wrote.
//!
//! Numbers in arguments and schemas are carried as 64-bit integers or floats; longer ones lose digits, as
//! they do in most programs that read JSON.

mod calls;
mod data_url;
mod effort;
mod fields;
mod lost;
mod path;
mod schema;
mod to_chat;
mod to_messages;
mod told;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use self::fields::Fields;
use self::told::Told;
use super::{RequestSettings, Translated, Untranslatable, Way};

/// A request in the form that the target speaks. `body` is the caller's, checked to be a JSON object.
pub fn request(way: Way, body: &str, settings: RequestSettings) -> Result<Translated, Untranslatable> {
    let body: Map<String, Value> = serde_json::from_str(body).map_err(|_| Untranslatable {
        param: "body".to_owned(),
        problem: "expected a JSON object, nested less than 128 deep".to_owned(),
    })?;
    let mut told = Told::new(&body);
    let fields = Fields::body(&body);
    let translated = match way {
        Way::ChatToMessages => to_messages::translate(fields, settings, &mut told)?,
        Way::MessagesToChat => to_chat::translate(fields, &mut told)?,
    };
    Ok(Translated { body: Value::Object(translated).to_string().into_bytes(), dropped: told.finish() })
}
