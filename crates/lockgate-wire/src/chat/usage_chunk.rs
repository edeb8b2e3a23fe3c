//! Knows the chunk that tells a stream's usage.
//!
//! Lockgate asks every target for the usage, because it must know what a call cost; a client that did not ask expects a stream
//! without the extra chunk.

use serde::Deserialize;

use crate::lenient::{List, Object};
use crate::sse::on_event;

/// Longest event that can be the usage chunk, which has some hundred bytes.
const BYTES_MAX: usize = 64 * 1024;

/// Whether an event is the extra chunk that `include_usage` asks for: no choices, and a usage.
pub fn is_usage_chunk(raw: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Chunk {
        #[serde(default)]
        choices: List<Object<Anything>>,
        #[serde(default)]
        usage: Object<Anything>,
        #[serde(default)]
        error: Object<Anything>,
    }
    #[derive(Deserialize)]
    struct Anything {}

    if raw.len() > BYTES_MAX {
        return false;
    }
    let mut is_usage = false;
    on_event(raw, |event| {
        // Most events are not it, and a look at the bytes is much cheaper than reading them.
        if !event.data.windows(7).any(|window| window == b"\"usage\"") {
            return;
        }
        is_usage = serde_json::from_slice::<Chunk>(&event.data).is_ok_and(|chunk| {
            chunk.choices.0.is_some_and(|choices| choices.is_empty())
                && chunk.usage.0.is_some()
                && chunk.error.0.is_none()
        });
    });
    is_usage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_usage_chunk_is_one() {
        for (event, expected) in [
            (r#"data: {"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#, true),
            ("event: chunk\ndata: {\"usage\":{},\ndata: \"choices\":[]}", true),
            (r#"data: {"choices":[{"index":0,"delta":{"content":"\"usage\""}}],"usage":null}"#, false),
            (r#"data: {"choices":[],"usage":null}"#, false),
            (r#"data: {"choices":[],"prompt_filter_results":[]}"#, false),
            (r#"data: {"usage":{"prompt_tokens":3}}"#, false),
            (r#"data: {"choices":[],"usage":{},"error":{"message":"m"}}"#, false),
            (r#"data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":3}}"#, false),
            (r#"data: {"choices":[],"usage":{}"#, false),
            ("data: [DONE]", false),
            (": \"usage\"", false),
        ] {
            assert_eq!(is_usage_chunk(format!("{event}\n\n").as_bytes()), expected, "{event}");
        }
    }
}
