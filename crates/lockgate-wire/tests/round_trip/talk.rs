//! Conversations that both providers' forms can say, and how each says them.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

#[derive(Debug, Clone)]
pub(crate) struct Talk {
    pub(crate) system: Vec<String>,
    pub(crate) turns: Vec<Turn>,
    /// What the user says last.
    pub(crate) last: Vec<Part>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: Choice,
    pub(crate) is_single: bool,
    pub(crate) settings: Settings,
}

/// What the user says, and then the assistant. Results come first in the user's next turn.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) user: Vec<Part>,
    pub(crate) assistant: Vec<String>,
    pub(crate) calls: Vec<Call>,
}

#[derive(Debug, Clone)]
pub(crate) enum Part {
    Text(String),
    ImageData(&'static str),
    ImageUrl(&'static str),
    Pdf(&'static str),
}

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) input: Map<String, Value>,
    pub(crate) result: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Tool {
    pub(crate) description: Option<String>,
    pub(crate) schema: Value,
    pub(crate) is_strict: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Choice {
    Unsaid,
    Auto,
    None,
    Any,
    First,
}

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) max_tokens: u64,
    /// The member's name and its value.
    pub(crate) sampling: Option<(&'static str, f64)>,
    pub(crate) stop: Vec<String>,
    pub(crate) stream: Option<bool>,
    pub(crate) user: Option<String>,
    pub(crate) effort: Option<(&'static str, u64)>,
    pub(crate) schema: Option<Value>,
}

impl Talk {
    pub(crate) fn as_chat(&self) -> Value {
        let mut messages = Vec::new();
        if !self.system.is_empty() {
            messages.push(json!({ "role": "system", "content": chat_texts(&self.system) }));
        }
        let mut ids = 0..;
        for turn in &self.turns {
            add_user(&mut messages, chat_parts(&turn.user));
            let mut message = json!({ "role": "assistant", "content": chat_texts(&turn.assistant) });
            let ids: Vec<_> = turn.calls.iter().zip(&mut ids).map(|(_, id)| format!("call_{id}")).collect();
            if !turn.calls.is_empty() {
                message["tool_calls"] =
                    turn.calls.iter().zip(&ids).map(|(call, id)| call.as_chat(id)).collect();
            }
            messages.push(message);
            messages.extend(turn.calls.iter().zip(&ids).map(|(call, id)| {
                json!({ "role": "tool", "tool_call_id": id, "content": chat_texts(&call.result) })
            }));
        }
        add_user(&mut messages, chat_parts(&self.last));

        let mut body = json!({ "model": "m", "messages": messages });
        if !self.tools.is_empty() {
            body["tools"] = self.tools.iter().enumerate().map(|(index, tool)| tool.as_chat(index)).collect();
            if self.is_single {
                body["parallel_tool_calls"] = json!(false);
            }
            match self.choice {
                Choice::Unsaid => {}
                Choice::Auto => body["tool_choice"] = json!("auto"),
                Choice::None => body["tool_choice"] = json!("none"),
                Choice::Any => body["tool_choice"] = json!("required"),
                Choice::First => {
                    body["tool_choice"] = json!({ "type": "function", "function": { "name": "tool_0" } });
                }
            }
        }
        let settings = &self.settings;
        settings.write_shared(&mut body);
        if !settings.stop.is_empty() {
            body["stop"] = json!(settings.stop);
        }
        if let Some(user) = &settings.user {
            body["user"] = json!(user);
        }
        if let Some((word, _)) = settings.effort {
            body["reasoning_effort"] = json!(word);
        }
        if let Some(schema) = &settings.schema {
            let named = json!({ "name": "answer", "schema": schema, "strict": true });
            body["response_format"] = json!({ "type": "json_schema", "json_schema": named });
        }
        body
    }

    pub(crate) fn as_messages(&self) -> Value {
        let mut messages = Vec::new();
        let (mut ids, mut results) = (0.., Vec::new());
        for turn in &self.turns {
            results.extend(turn.user.iter().map(Part::as_block));
            add_user(&mut messages, std::mem::take(&mut results));
            let mut content: Vec<_> = turn.assistant.iter().map(|text| text_part(text)).collect();
            for (call, id) in turn.calls.iter().zip(&mut ids) {
                let id = format!("call_{id}");
                content.push(json!({ "type": "tool_use", "id": id, "name": call.name, "input": call.input }));
                let mut result = json!({ "type": "tool_result", "tool_use_id": id });
                if !call.result.is_empty() {
                    result["content"] = call.result.iter().map(|text| text_part(text)).collect();
                }
                results.push(result);
            }
            messages.push(json!({ "role": "assistant", "content": content }));
        }
        results.extend(self.last.iter().map(Part::as_block));
        add_user(&mut messages, results);

        let mut body = json!({ "model": "m", "messages": messages });
        if !self.system.is_empty() {
            body["system"] = self.system.iter().map(|text| text_part(text)).collect();
        }
        if !self.tools.is_empty() {
            body["tools"] =
                self.tools.iter().enumerate().map(|(index, tool)| tool.as_messages(index)).collect();
            let choice = match self.choice {
                Choice::Unsaid => None,
                Choice::Auto => Some(json!({ "type": "auto" })),
                Choice::None => Some(json!({ "type": "none" })),
                Choice::Any => Some(json!({ "type": "any" })),
                Choice::First => Some(json!({ "type": "tool", "name": "tool_0" })),
            };
            if let Some(mut choice) = choice {
                if self.is_single {
                    choice["disable_parallel_tool_use"] = json!(true);
                }
                body["tool_choice"] = choice;
            }
        }
        let settings = &self.settings;
        settings.write_shared(&mut body);
        if !settings.stop.is_empty() {
            body["stop_sequences"] = json!(settings.stop);
        }
        if let Some(user) = &settings.user {
            body["metadata"] = json!({ "user_id": user });
        }
        if let Some((_, budget)) = settings.effort {
            body["thinking"] = json!({ "type": "enabled", "budget_tokens": budget });
        }
        if let Some(schema) = &settings.schema {
            body["output_config"] = json!({ "format": { "type": "json_schema", "schema": schema } });
        }
        body
    }

    /// Takes away what only one of the two can say together with the rest.
    fn said_by_both(mut self) -> Self {
        if self.turns.is_empty() && self.last.is_empty() || !self.ends_with_user() {
            self.last = vec![Part::Text("well?".to_owned())];
        }
        // Messages says that calls come one at a time in the choice, and has no place for it where there is
        // to be none.
        self.is_single &= !matches!(self.choice, Choice::Unsaid | Choice::None);
        let is_forced = !self.tools.is_empty() && matches!(self.choice, Choice::Any | Choice::First);
        let is_after_calls = self.turns.last().is_some_and(|turn| !turn.calls.is_empty());
        if self.settings.sampling.is_some() || is_forced || is_after_calls {
            self.settings.effort = None;
        }
        self
    }

    fn ends_with_user(&self) -> bool {
        !self.last.is_empty() || self.turns.last().is_some_and(|turn| !turn.calls.is_empty())
    }
}

impl Settings {
    fn write_shared(&self, body: &mut Value) {
        body["max_tokens"] = json!(self.max_tokens);
        if let Some((name, number)) = self.sampling {
            body[name] = json!(number);
        }
        if let Some(stream) = self.stream {
            body["stream"] = json!(stream);
        }
    }
}

impl Part {
    fn as_part(&self) -> Value {
        match self {
            Self::Text(text) => text_part(text),
            Self::ImageData(data) => {
                json!({ "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{data}") } })
            }
            Self::ImageUrl(url) => json!({ "type": "image_url", "image_url": { "url": url } }),
            Self::Pdf(name) => {
                let file = json!({ "filename": name, "file_data": "data:application/pdf;base64,JVBERi0x" });
                json!({ "type": "file", "file": file })
            }
        }
    }

    fn as_block(&self) -> Value {
        let data = |kind: &str, data: &str| json!({ "type": "base64", "media_type": kind, "data": data });
        match self {
            Self::Text(text) => text_part(text),
            Self::ImageData(bytes) => json!({ "type": "image", "source": data("image/png", bytes) }),
            Self::ImageUrl(url) => json!({ "type": "image", "source": { "type": "url", "url": url } }),
            Self::Pdf(name) => {
                json!({ "type": "document", "title": name, "source": data("application/pdf", "JVBERi0x") })
            }
        }
    }
}

impl Call {
    fn as_chat(&self, id: &str) -> Value {
        let arguments = Value::Object(self.input.clone()).to_string();
        json!({ "id": id, "type": "function", "function": { "name": self.name, "arguments": arguments } })
    }
}

impl Tool {
    fn as_chat(&self, index: usize) -> Value {
        let function = self.named(index, "parameters");
        json!({ "type": "function", "function": function })
    }

    fn as_messages(&self, index: usize) -> Value {
        self.named(index, "input_schema")
    }

    fn named(&self, index: usize, schema: &str) -> Value {
        let mut tool = json!({ "name": format!("tool_{index}"), schema: self.schema });
        if let Some(description) = &self.description {
            tool["description"] = json!(description);
        }
        if self.is_strict {
            tool["strict"] = json!(true);
        }
        tool
    }
}

fn text_part(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

/// One text as it is, several as parts, and none as an empty text.
fn chat_texts(texts: &[String]) -> Value {
    match texts {
        [] => json!(""),
        [text] => json!(text),
        texts => texts.iter().map(|text| text_part(text)).collect(),
    }
}

fn chat_parts(parts: &[Part]) -> Vec<Value> {
    parts.iter().map(Part::as_part).collect()
}

fn add_user(messages: &mut Vec<Value>, content: Vec<Value>) {
    if !content.is_empty() {
        messages.push(json!({ "role": "user", "content": content }));
    }
}

fn text() -> impl Strategy<Value = String> {
    "[ a-z\"\\\\\u{e9}\u{1f600}\n]{0,6}[a-z]"
}

fn parts(least: usize) -> impl Strategy<Value = Vec<Part>> {
    let part = prop_oneof![
        3 => text().prop_map(Part::Text),
        1 => Just(Part::ImageData("iVBORw0KGgo=")),
        1 => Just(Part::ImageUrl("https://example.com/a.png?b=c")),
        1 => Just(Part::Pdf("a.pdf")),
    ];
    prop::collection::vec(part, least..4)
}

fn inputs() -> impl Strategy<Value = Map<String, Value>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..1000u32).prop_map(|number| json!(f64::from(number) / 8.0)),
        any::<String>().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,3}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    prop::collection::btree_map("[a-z]{1,3}", value, 0..3).prop_map(|map| map.into_iter().collect())
}

/// A schema to which both can hold an answer.
fn schemas() -> impl Strategy<Value = Value> {
    let kinds = prop::sample::select(vec!["string", "integer", "boolean"]);
    prop::collection::btree_map("[a-z]{1,3}", kinds, 0..3).prop_map(|kinds| {
        let typed = |(name, kind): (&String, &&str)| (name.clone(), json!({ "type": kind }));
        let properties: Map<_, _> = kinds.iter().map(typed).collect();
        let required: Vec<_> = kinds.keys().collect();
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    })
}

fn turns() -> impl Strategy<Value = Turn> {
    let call = ("[a-z_]{1,8}", inputs(), prop::collection::vec(text(), 0..3))
        .prop_map(|(name, input, result)| Call { name, input, result });
    (parts(1), prop::collection::vec(text(), 0..3), prop::collection::vec(call, 0..4)).prop_map(
        |(user, mut assistant, calls)| {
            if assistant.is_empty() && calls.is_empty() {
                assistant.push("yes".to_owned());
            }
            Turn { user, assistant, calls }
        },
    )
}

fn tools() -> impl Strategy<Value = Vec<Tool>> {
    let tool = (prop::option::of(text()), schemas(), any::<bool>())
        .prop_map(|(description, schema, is_strict)| Tool { description, schema, is_strict });
    prop::collection::vec(tool, 0..3)
}

fn settings() -> impl Strategy<Value = Settings> {
    let number = (0..100u32).prop_map(|hundredths| f64::from(hundredths) / 100.0);
    let sampling = prop::option::of((prop::sample::select(vec!["temperature", "top_p"]), number));
    let effort =
        prop::option::of(prop::sample::select(vec![("low", 1024), ("medium", 2048), ("high", 4096)]));
    let stop = prop::collection::vec(text(), 0..4);
    let stream = prop::option::of(any::<bool>());
    let user = prop::option::of("[a-z]{1,5}");
    (5000..9000u64, sampling, stop, stream, user, effort, prop::option::of(schemas())).prop_map(
        |(max_tokens, sampling, stop, stream, user, effort, schema)| Settings {
            max_tokens,
            sampling,
            stop,
            stream,
            user,
            effort,
            schema,
        },
    )
}

pub(crate) fn talks() -> impl Strategy<Value = Talk> {
    let choice =
        prop::sample::select(vec![Choice::Unsaid, Choice::Auto, Choice::None, Choice::Any, Choice::First]);
    let system = prop::collection::vec(text(), 0..3);
    let turns = prop::collection::vec(turns(), 0..4);
    (system, turns, parts(0), tools(), choice, any::<bool>(), settings()).prop_map(
        |(system, turns, last, tools, choice, is_single, settings)| {
            Talk { system, turns, last, tools, choice, is_single, settings }.said_by_both()
        },
    )
}

/// One with everything in it.
pub(crate) fn example() -> Talk {
    let call = |name: &str, input: Value, result: &[&str]| Call {
        name: name.to_owned(),
        input: input.as_object().unwrap().clone(),
        result: result.iter().map(|text| (*text).to_owned()).collect(),
    };
    let schema = json!({
        "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"],
        "additionalProperties": false
    });
    Talk {
        system: vec!["Be kind.".to_owned(), "Be brief.".to_owned()],
        turns: vec![
            Turn {
                user: vec![
                    Part::Text("Where is this?".to_owned()),
                    Part::ImageData("iVBORw0KGgo="),
                    Part::Pdf("map.pdf"),
                ],
                assistant: vec!["Let me look.".to_owned()],
                calls: vec![
                    call(
                        "tool_0",
                        json!({ "city": "Köln", "near": [50.9375, null, { "a": -1 }] }),
                        &["found", "twice"],
                    ),
                    call("tool_1", json!({}), &[]),
                ],
            },
            Turn { user: vec![], assistant: vec!["In Köln.".to_owned()], calls: vec![] },
        ],
        last: vec![Part::Text("And this?".to_owned()), Part::ImageUrl("https://example.com/a.png")],
        tools: vec![
            Tool { description: Some("Looks.".to_owned()), schema: schema.clone(), is_strict: true },
            Tool { description: None, schema: schema.clone(), is_strict: false },
        ],
        choice: Choice::Auto,
        is_single: true,
        settings: Settings {
            max_tokens: 5000,
            sampling: None,
            stop: vec!["END".to_owned()],
            stream: Some(true),
            user: Some("anna".to_owned()),
            effort: Some(("high", 4096)),
            schema: Some(schema),
        },
    }
}
