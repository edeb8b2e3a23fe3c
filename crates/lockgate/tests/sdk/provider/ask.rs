//! What a call asks, read alike from every API.

use serde_json::Value;

use super::Spoken;

/// What a call asks.
#[derive(Debug, Default)]
pub struct Ask {
    /// The user's latest words.
    pub text: String,
    /// What the system is told to be.
    pub system: String,
    /// What the user had said before, where the provider keeps it.
    pub earlier: Option<String>,
    /// Images in the latest words: type, and how long they are as they were sent.
    pub images: Vec<String>,
    /// Tools that may be called.
    pub tools: Vec<Tool>,
    /// Whether one of them must be called, and which if only one will do.
    pub forced: Option<Option<String>>,
    /// Results since the user's latest words.
    pub results: Vec<ToolResult>,
    /// The ids of all calls that were made.
    pub calls: Vec<String>,
    /// The shape that the answer must have.
    pub schema: Option<Value>,
    /// Whether it should think aloud.
    pub thinks: bool,
    /// Whether the answer is to come in pieces.
    pub is_stream: bool,
    /// Whether a stream's usage is wanted, where that must be said.
    pub wants_usage: bool,
    /// How many words were sent, which stand for tokens.
    pub words: u64,
}

/// A tool that may be called.
#[derive(Debug)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it takes.
    pub schema: Value,
}

/// What a tool said.
#[derive(Debug)]
pub struct ToolResult {
    /// The call.
    pub call: String,
    /// The result.
    pub text: String,
}

impl Ask {
    /// Reads a body.
    pub fn read(spoken: Spoken, body: &Value) -> Self {
        let mut ask = Self { is_stream: body["stream"] == true, ..Self::default() };
        match spoken {
            Spoken::Chat => ask.read_chat(body),
            Spoken::Responses => ask.read_responses(body),
            Spoken::Messages => ask.read_messages(body),
        }
        let said = [&ask.system, &ask.text].into_iter().chain(ask.results.iter().map(|result| &result.text));
        ask.words = said.map(|text| text.split_whitespace().count() as u64).sum::<u64>() + 7;
        ask
    }

    fn read_chat(&mut self, body: &Value) {
        for message in items(&body["messages"]) {
            match text_of(&message["role"]).as_str() {
                "user" => self.user_said(&message["content"]),
                "tool" => self.result(&message["tool_call_id"], &message["content"]),
                "assistant" => {
                    for call in items(&message["tool_calls"]) {
                        self.called(&call["id"]);
                    }
                }
                _ => self.system.push_str(&words(&message["content"])),
            }
        }
        for tool in items(&body["tools"]) {
            self.tool(&tool["function"]["name"], &tool["function"]["parameters"]);
        }
        self.forced(&body["tool_choice"], &body["tool_choice"]["function"]["name"]);
        self.schema = schema(&body["response_format"]["json_schema"]["schema"]);
        self.thinks = body["reasoning_effort"].is_string();
        self.wants_usage = body["stream_options"]["include_usage"] == true;
    }

    fn read_responses(&mut self, body: &Value) {
        self.system = text_of(&body["instructions"]);
        if body["input"].is_string() {
            self.user_said(&body["input"]);
        }
        for item in items(&body["input"]) {
            match (item["type"].as_str(), item["role"].as_str()) {
                (Some("function_call"), _) => self.called(&item["call_id"]),
                (Some("function_call_output"), _) => self.result(&item["call_id"], &item["output"]),
                (_, Some("user")) => self.user_said(&item["content"]),
                (_, Some("system" | "developer")) => self.system.push_str(&words(&item["content"])),
                _ => {}
            }
        }
        for tool in items(&body["tools"]) {
            self.tool(&tool["name"], &tool["parameters"]);
        }
        self.forced(&body["tool_choice"], &body["tool_choice"]["name"]);
        self.schema = schema(&body["text"]["format"]["schema"]);
        self.thinks = body["reasoning"]["effort"].is_string();
    }

    fn read_messages(&mut self, body: &Value) {
        self.system = words(&body["system"]);
        for message in items(&body["messages"]) {
            let blocks = items(&message["content"]);
            if message["role"] == "assistant" {
                for block in blocks.iter().filter(|block| block["type"] == "tool_use") {
                    self.called(&block["id"]);
                }
                continue;
            }
            let (results, said): (Vec<Value>, Vec<Value>) =
                blocks.into_iter().partition(|block| block["type"] == "tool_result");
            match (message["content"].is_string(), said.is_empty()) {
                (true, _) => self.user_said(&message["content"]),
                (false, false) => self.user_said(&Value::Array(said)),
                (false, true) => {}
            }
            for result in results {
                self.result(&result["tool_use_id"], &result["content"]);
            }
        }
        for tool in items(&body["tools"]) {
            self.tool(&tool["name"], &tool["input_schema"]);
        }
        self.forced(&body["tool_choice"]["type"], &body["tool_choice"]["name"]);
        let format = [&body["output_config"]["format"], &body["output_format"]];
        self.schema = format.into_iter().find_map(|format| schema(&format["schema"]));
        self.thinks = matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive"));
    }

    fn user_said(&mut self, content: &Value) {
        self.text = words(content);
        self.images = items(content).iter().filter_map(image).collect();
        self.results.clear();
    }

    fn result(&mut self, call: &Value, content: &Value) {
        self.results.push(ToolResult { call: text_of(call), text: words(content) });
    }

    fn called(&mut self, id: &Value) {
        self.calls.push(text_of(id));
    }

    fn tool(&mut self, name: &Value, schema: &Value) {
        if name.is_string() {
            self.tools.push(Tool { name: text_of(name), schema: schema.clone() });
        }
    }

    fn forced(&mut self, choice: &Value, name: &Value) {
        self.forced = match (choice.as_str(), name.as_str()) {
            (_, Some(name)) => Some(Some(name.to_owned())),
            (Some("required" | "any"), None) => Some(None),
            _ => None,
        };
    }
}

fn items(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The words of a content: a text, or parts with texts.
fn words(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        parts => items(parts)
            .iter()
            .map(|part| text_of(&part["text"]))
            .collect::<Vec<_>>()
            .join(" ")
            .trim()
            .to_owned(),
    }
}

/// An image of any API, as `image/png of 12 characters`.
fn image(part: &Value) -> Option<String> {
    let url = [&part["image_url"]["url"], &part["image_url"]].into_iter().find_map(Value::as_str);
    let (kind, data) = match url {
        Some(url) => url.strip_prefix("data:")?.split_once(";base64,")?,
        None => (part["source"]["media_type"].as_str()?, part["source"]["data"].as_str()?),
    };
    Some(format!("{kind} of {} characters", data.len()))
}

fn schema(value: &Value) -> Option<Value> {
    value.is_object().then(|| value.clone())
}
