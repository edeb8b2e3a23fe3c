//! Reading a body: which members, which mistakes, how they are told.

use super::*;
use crate::api::Api;

fn read(text: &str) -> Body<'_> {
    Body::read(text.as_bytes()).unwrap()
}

fn sentence(bytes: &[u8]) -> String {
    Body::read(bytes).unwrap_err().to_string()
}

#[test]
fn members_are_found_as_they_were_written() {
    let body = read(" {\"model\" : \"gpt-4o\",\n \"temperature\":1.0e5, \"m\\u006fre\": [1, {\"a\":2}] } ");
    assert_eq!(body.get("model"), Some("\"gpt-4o\""));
    assert_eq!(body.get("temperature"), Some("1.0e5"));
    assert_eq!(body.get("more"), Some("[1, {\"a\":2}]"));
    assert_eq!(body.get("less"), None);
    assert_eq!(body.model().as_deref(), Ok("gpt-4o"));
}

#[test]
fn of_a_member_written_twice_the_last_counts() {
    let body = read(r#"{"model":"a","mod\u0065l":"b"}"#);
    assert_eq!(body.model().as_deref(), Ok("b"));
}

#[test]
fn a_body_that_is_no_object_is_refused_with_a_sentence_that_helps() {
    for (bytes, expected) in [
        (&b""[..], "The request body is empty. Send a JSON object."),
        (b" \n ", "The request body is empty. Send a JSON object."),
        (b"[1]", "The request body must be a JSON object, but it begins with an array."),
        (
            b"model=gpt-4o",
            "The request body must be a JSON object, but it begins with text that is not JSON.",
        ),
        (b"\xef\xbb\xbf{}", "The request body must be a JSON object, but it begins with a byte order mark."),
        (
            b"{\"model\":\"gpt-4o\",}",
            "The request body is not valid JSON: trailing comma at line 1, column 19.",
        ),
        (b"{\n'a':1}", "The request body is not valid JSON: key must be a string at line 2, column 1."),
        (b"{\"a\":01}", "The request body is not valid JSON: invalid number at line 1, column 7."),
        (b"{} {}", "The request body is not valid JSON: trailing characters at line 1, column 4."),
        (
            b"{\"model\":\"gpt",
            "The request body ends at line 1, column 13, in the middle of the JSON. It may have been cut off: check \
             `content-length` and the closing braces.",
        ),
        (
            b"{\"a\":\"\xff\"}",
            "The request body is not valid UTF-8: the byte at offset 6 does not belong there. Send JSON encoded as UTF-8.",
        ),
    ] {
        assert_eq!(sentence(bytes), expected);
    }
}

#[test]
fn wrong_types_name_the_parameter() {
    let body = read(r#"{"model":7,"messages":"hi","stream":"yes","stream_options":{"include_usage":1}}"#);
    for (error, param, expected) in [
        (
            body.model().unwrap_err(),
            "model",
            "Invalid type for `model`: expected a string, but got a number.",
        ),
        (
            body.check(Api::Chat).unwrap_err(),
            "messages",
            "Invalid type for `messages`: expected an array of messages, but got a string.",
        ),
        (
            body.stream().unwrap_err(),
            "stream",
            "Invalid type for `stream`: expected a boolean, but got a string.",
        ),
        (
            body.include_usage().unwrap_err(),
            "stream_options.include_usage",
            "Invalid type for `stream_options.include_usage`: expected a boolean, but got a number.",
        ),
        (
            read("{}").model().unwrap_err(),
            "model",
            "You must provide a `model` parameter: a string that names the feature.",
        ),
        (
            read("{}").check(Api::Chat).unwrap_err(),
            "messages",
            "You must provide a `messages` parameter: an array of messages.",
        ),
        (
            read(r#"{"stream_options":[]}"#).include_usage().unwrap_err(),
            "stream_options",
            "Invalid type for `stream_options`: expected an object, but got an array.",
        ),
    ] {
        assert_eq!((error.param(), error.to_string().as_str()), (Some(param), expected));
    }
}

#[test]
fn absent_and_null_options_are_off() {
    for text in ["{}", r#"{"stream":null,"stream_options":null}"#, r#"{"stream":false,"stream_options":{}}"#]
    {
        assert_eq!((read(text).stream(), read(text).include_usage()), (Ok(false), Ok(false)), "{text}");
    }
    let on = read(r#"{"stream":true,"stream_options":{"x":1,"include_usage":true}}"#);
    assert_eq!((on.stream(), on.include_usage()), (Ok(true), Ok(true)));
}

#[test]
fn users_and_metadata_are_read_as_text_and_empty_ones_as_absent() {
    let body = read(
        r#"{"user":"u\u00e9","safety_identifier":"","metadata":{"user_id":42,"session_id":"s","list":[]}}"#,
    );
    assert_eq!(body.user().as_deref(), Some("ué"));
    assert_eq!(body.safety_identifier(), None);
    assert_eq!(body.metadata("user_id").as_deref(), Some("42"));
    assert_eq!(body.metadata("session_id").as_deref(), Some("s"));
    assert_eq!(body.metadata("list"), None);
    assert_eq!(read(r#"{"metadata":"user_id","user":null}"#).metadata("user_id"), None);
}

#[test]
fn tools_are_there_when_a_list_of_them_is_not_empty() {
    for (text, expected) in [
        (r#"{"tools":[{}]}"#, true),
        (r#"{"functions":[ {} ]}"#, true),
        (r#"{"tools":[ ]}"#, false),
        (r#"{"tools":null}"#, false),
        ("{}", false),
    ] {
        assert_eq!(read(text).has_tools(), expected, "{text}");
    }
}

#[test]
fn the_last_user_message_is_read_from_text_or_text_parts() {
    for (messages, expected) in [
        (r#"[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]"#, Some("a")),
        (
            r#"[{"role":"user","content":"a"},{"content":"\u0062","role":"user"},{"role":"tool","content":"c"}]"#,
            Some("b"),
        ),
        (
            r#"[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"x"}},{"text":"b"}]}]"#,
            Some("a\nb"),
        ),
        (r#"[7,null,{"role":["user"],"content":"x"},{"role":"user","content":"a"},[]]"#, Some("a")),
        (r#"[{"role":"user","content":null}]"#, None),
        (r#"[{"role":"user"}]"#, None),
        (r#"[{"role":"user","content":"\ud800"}]"#, None),
        ("[]", None),
        (r#""hello""#, None),
    ] {
        let text = format!(r#"{{"messages":{messages}}}"#);
        assert_eq!(read(&text).last_user_text(Api::Chat).as_deref(), expected, "{messages}");
    }
}

#[test]
fn more_members_than_allowed_are_refused_and_still_checked() {
    let members = |count: usize| vec!["\"a\":1"; count].join(",");
    assert!(Body::read(format!("{{{}}}", members(MEMBERS_MAX)).as_bytes()).is_ok());
    let too_many = format!("{{{}}}", members(MEMBERS_MAX + 1));
    assert_eq!(Body::read(too_many.as_bytes()).unwrap_err(), BodyError::TooManyMembers);
    let broken = format!("{{{},}}", members(MEMBERS_MAX + 2));
    assert!(matches!(Body::read(broken.as_bytes()), Err(BodyError::Syntax { .. })));
}

#[test]
fn large_and_deep_bodies_are_read_in_one_pass() {
    let deep = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"a","x":{}1{}}}]}}"#,
        "[".repeat(500_000),
        "]".repeat(500_000)
    );
    let body = read(&deep);
    assert_eq!(body.last_user_text(Api::Chat).as_deref(), Some("a"));
    let escaped_keys = format!("{{{}\"model\":\"m\"}}", "\"\\u006d\\u006f\":1,".repeat(MEMBERS_MAX - 1));
    assert_eq!(read(&escaped_keys).model().as_deref(), Ok("m"));
}
