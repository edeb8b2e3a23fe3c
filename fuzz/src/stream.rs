//! Readers of streams: the same facts at every cut, facts that only grow, and no more kept than was asked.

use lockgate_wire::answer::{AnswerSummary, TOKENS_MAX, TOOL_CALLS_MAX};
use lockgate_wire::api::Api;
use lockgate_wire::reader::{StreamReader, StreamSummary};

use crate::cuts;
use crate::seeds::Row;

/// Bytes that are kept of an answer: more than any input has, and so few that nearly all of them are cut.
const KEPT: [usize; 2] = [1 << 20, 7];

pub fn run(api: Api, data: &[u8]) {
    for kept in KEPT {
        let whole = read(api, kept, &[data]);
        check_bounds(&whole.answer, kept);
        cuts::each(data, |pieces| {
            assert_eq!(read(api, kept, pieces), whole, "cut into {} pieces", pieces.len());
        });
    }
}

pub fn seeds(rows: &[Row]) -> Vec<Vec<u8>> {
    rows.iter().filter_map(Row::stream).collect()
}

/// What holds of every summary, whatever was said.
pub fn check_bounds(answer: &AnswerSummary, kept: usize) {
    let arguments: usize = answer.tool_calls.iter().map(|call| call.arguments.len()).sum();
    let said = answer.text.len() + answer.refusal.as_ref().map_or(0, String::len) + arguments;
    assert!(said <= kept, "{said} bytes kept of {kept}");
    assert!(answer.tool_calls.len() <= TOOL_CALLS_MAX);
    if let Some(usage) = answer.usage {
        for tokens in [
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.cached_tokens,
            usage.cache_written_tokens,
            usage.reasoning_tokens,
        ] {
            assert!(tokens <= TOKENS_MAX, "{usage:?}");
        }
    }
}

/// Reads a stream in pieces and holds on the way that nothing which was once true is taken back.
pub fn read(api: Api, kept: usize, pieces: &[&[u8]]) -> StreamSummary {
    let mut reader = StreamReader::new(api, kept);
    let mut before = [false; 3];
    for piece in pieces {
        reader.push(piece);
        let now = [reader.has_content(), reader.error().is_some(), reader.is_done()];
        assert!(before.iter().zip(now).all(|(before, now)| now || !before), "{before:?} became {now:?}");
        before = now;
    }
    reader.finish()
}
