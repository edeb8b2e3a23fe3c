//! Agreement: what counts as the same, and that nothing makes it panic.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn text(text: &str) -> Said<'_> {
    Said { text, tool_calls: &[] }
}

fn score(how: How, a: &str, b: &str) -> f64 {
    compare(&text(a), &text(b), how).score
}

#[test]
fn text_agrees_whatever_its_case_spacing_and_typography() {
    for (a, b) in [
        ("Your order has shipped.", "your  order\nhas shipped"),
        ("It’s “done” – really", "it's \"done\" - really"),
        ("**Paris**", "paris"),
        ("\"Paris\"", "Paris."),
        ("Straße in MÜNCHEN", "straße in münchen"),
        ("a\u{200b}b", "ab"),
        ("yes", "yes\u{feff}"),
        ("...", " ... "),
        ("", "  "),
    ] {
        assert_eq!(score(How::Exact, a, b), 1.0, "{a:?} and {b:?}");
        assert_eq!(score(How::Auto, a, b), 1.0, "{a:?} and {b:?}");
    }
}

#[test]
fn text_disagrees_where_a_reader_would_see_it() {
    for (a, b) in [
        ("Refund?", "Refund."),
        ("-5", "5"),
        (".5", "5"),
        ("You can get a refund", "You cannot get a refund"),
        ("", "hello"),
        ("...", "!!!"),
        ("ab", "a b"),
    ] {
        assert_eq!(score(How::Exact, a, b), 0.0, "{a:?} and {b:?}");
    }
}

#[test]
fn the_first_difference_of_texts_is_shown() {
    let found = compare(&text("Your refund was approved."), &text("Your refund was denied."), How::Exact);
    assert_eq!(
        found.why,
        "the texts differ after 16 characters: stable `und was approved`, candidate `und was denied`"
    );
}

#[test]
fn json_agrees_whatever_the_order_of_members_and_the_spelling_of_numbers() {
    for (a, b) in [
        (r#"{"a":1,"b":[true,null]}"#, r#"{ "b": [true, null], "a": 1.0 }"#),
        (r#"{"n":1e3}"#, r#"{"n":1000}"#),
        (r#"{"n":-0.0}"#, r#"{"n":0}"#),
        ("```json\n{\"a\": 1}\n```", r#"{"a":1}"#),
        ("```\n[1]\n```\n", "[1]"),
        (r#"{"s":"\u00e9"}"#, r#"{"s":"é"}"#),
    ] {
        assert_eq!(score(How::Json, a, b), 1.0, "{a} and {b}");
        assert_eq!(score(How::Auto, a, b), 1.0, "{a} and {b}");
    }
}

#[test]
fn json_scores_the_share_of_leaves_and_names_those_that_differ() {
    for (a, b, expected, named) in [
        (r#"{"a":1,"b":2,"c":3,"d":4}"#, r#"{"a":1,"b":2,"c":3,"d":5}"#, 0.75, "`$.d`"),
        (r#"{"items":[{"p":1},{"p":2}]}"#, r#"{"items":[{"p":1},{"p":3}]}"#, 0.5, "`$.items[1].p`"),
        ("[1,2,3]", "[1,2]", 2.0 / 3.0, "`$[2]`"),
        (r#"{"a":{"x":1}}"#, r#"{"a":1}"#, 0.0, "`$.a.x`, `$.a`"),
        (r#"{"a":{}}"#, r#"{"a":[]}"#, 0.0, "`$.a`"),
        (r#"{"a":"1"}"#, r#"{"a":1}"#, 0.0, "`$.a`"),
        ("[9007199254740993]", "[9007199254740992]", 0.0, "`$[0]`"),
        ("[1,2,3,4,5]", "[0,0,0,0,0]", 0.0, "`$[0]`, `$[1]`, `$[2]` and 2 more"),
    ] {
        let found = compare(&text(a), &text(b), How::Json);
        assert!((found.score - expected).abs() < 1e-12, "{a} and {b}: {found:?}");
        assert!(found.why.ends_with(named), "{a} and {b}: {found:?}");
    }
}

#[test]
fn json_beside_no_json_disagrees() {
    assert_eq!(score(How::Json, r#"{"a":1}"#, "I cannot do that"), 0.0);
    assert_eq!(score(How::Auto, r#"{"a":1}"#, "I cannot do that"), 0.0);
    assert_eq!(score(How::Json, "I cannot do that.", "i cannot do that"), 1.0);
}

#[test]
fn auto_reads_bare_words_as_text() {
    assert_eq!(score(How::Auto, "True", "true"), 1.0);
    assert_eq!(score(How::Auto, "\"yes\"", "yes"), 1.0);
}

fn calls<'s>(calls: &[(&'s str, &'s str)]) -> Vec<ToolCall<'s>> {
    calls.iter().map(|(name, arguments)| ToolCall { name, arguments }).collect()
}

#[test]
fn tool_calls_are_compared_by_name_and_arguments_in_any_order() {
    let paris = ("weather", r#"{"city":"Paris","days":1}"#);
    let paris_respelled = ("weather", r#"{ "days": 1.0, "city": "Paris" }"#);
    let rome = ("weather", r#"{"city":"Rome","days":1}"#);
    let time = ("time", "");
    let time_with_object = ("time", "{}");
    for (a, b, expected) in [
        (vec![paris, rome], vec![rome, paris_respelled], 1.0),
        (vec![time], vec![time_with_object], 1.0),
        (vec![paris], vec![rome], 0.5),
        (vec![paris], vec![time], 0.0),
        (vec![paris], vec![paris, time], 0.5),
        (vec![paris, paris], vec![paris], 0.5),
        (vec![paris], vec![], 0.0),
        (vec![("t", "{broken")], vec![("t", "{broken")], 1.0),
    ] {
        let (a, b) = (calls(&a), calls(&b));
        for how in [How::Exact, How::Json, How::Auto] {
            let said = Said { text: "let me look", tool_calls: &a };
            let found = compare(&said, &Said { text: "", tool_calls: &b }, how);
            assert!((found.score - expected).abs() < 1e-12, "{a:?} and {b:?}: {found:?}");
        }
    }
}

#[test]
fn the_differing_arguments_of_a_tool_are_named() {
    let (a, b) = (calls(&[("f", r#"{"x":1,"y":2}"#), ("g", "{}")]), calls(&[("f", r#"{"x":1,"y":3}"#)]));
    let found = compare(&Said { text: "", tool_calls: &a }, &Said { text: "", tool_calls: &b }, How::Auto);
    assert_eq!(
        found.why,
        "0 of 2 tool calls are the same; `f`: 1 of 2 leaves are the same; differing: `$.y`; only stable calls `g`"
    );
}

#[test]
fn deep_and_large_answers_are_compared_without_harm() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(score(How::Json, &deep, &deep), 1.0);
    assert_eq!(score(How::Auto, &deep, "[]"), 0.0);
    let large = format!("[{}1]", "1,".repeat(json::JSON_BYTES_MAX));
    assert_eq!(score(How::Auto, &large, &large.replace(',', ", ")), 0.0);
    assert_eq!(score(How::Auto, &large, &format!("{large}\n")), 1.0);
    let wide = format!("[{}1]", "1,".repeat(100_000));
    assert_eq!(score(How::Json, &wide, &wide.replace(',', ", ")), 1.0);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map("[ab]{0,2}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_answer() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[aA \"'“”.–-]{0,12}",
        any_json().prop_map(|value| value.to_string()),
        any_json().prop_map(|value| format!("```json\n{value:#}\n```")),
    ]
}

fn any_how() -> impl Strategy<Value = How> {
    prop_oneof![Just(How::Exact), Just(How::Json), Just(How::Auto)]
}

fn any_calls() -> impl Strategy<Value = Vec<(String, String)>> {
    let arguments = prop_oneof![any_answer(), any_json().prop_map(|value| value.to_string())];
    vec(("[fg]", arguments), 0..5)
}

fn as_calls(owned: &[(String, String)]) -> Vec<ToolCall<'_>> {
    owned.iter().map(|(name, arguments)| ToolCall { name, arguments }).collect()
}

proptest! {
    #[test]
    fn an_answer_agrees_with_itself(said in any_answer(), called in any_calls(), how in any_how()) {
        let called = as_calls(&called);
        prop_assert_eq!(compare(&text(&said), &text(&said), how).score, 1.0);
        let said = Said { text: &said, tool_calls: &called };
        prop_assert_eq!(compare(&said, &said, how).score, 1.0);
    }

    #[test]
    fn agreement_is_the_same_from_both_sides_and_in_range(
        a in (any_answer(), any_calls()),
        b in (any_answer(), any_calls()),
        how in any_how(),
    ) {
        let (calls_a, calls_b) = (as_calls(&a.1), as_calls(&b.1));
        let with_tools = (Said { text: &a.0, tool_calls: &calls_a }, Said { text: &b.0, tool_calls: &calls_b });
        for (a, b) in [(text(&a.0), text(&b.0)), with_tools] {
            let (there, back) = (compare(&a, &b, how), compare(&b, &a, how));
            prop_assert!((0.0..=1.0).contains(&there.score), "{:?}", there);
            prop_assert_eq!(there.score, back.score);
            prop_assert!(!there.why.is_empty());
        }
    }

    #[test]
    fn values_have_the_same_canonical_text_when_all_their_leaves_are_the_same(a in any_json(), b in any_json()) {
        let is_same = json::compare_values(&a, &b).score == 1.0;
        prop_assert_eq!(is_same, json::canonical(&a) == json::canonical(&b));
    }
}
