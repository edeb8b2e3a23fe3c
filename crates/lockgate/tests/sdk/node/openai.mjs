// The official OpenAI SDK: chat completions with a target of each kind behind the same call, responses, embeddings.

import assert from "node:assert/strict";
import { ANTHROPIC, BASE, BREAKING, CITIES, collect, KEY, load, OPENAI, PNG, refused, REPORT, run, SUNNY, unique } from "./cases.mjs";
import { weather, WEATHER, WEATHER_SCHEMA } from "./cases.mjs";

const { default: OpenAISdk } = await load("openai");
const { zodResponseFormat, zodTextFormat } = await load("openai/helpers/zod");
const { z } = await load("zod");

const client = new OpenAISdk({ baseURL: BASE, apiKey: KEY, timeout: 30_000 });
const BOTH = [OPENAI, ANTHROPIC];
const TOOLS = [{ type: "function", function: { name: "weather", description: "d", parameters: WEATHER_SCHEMA } }];
const RESPONSE_TOOLS = [{ type: "function", name: "weather", parameters: WEATHER_SCHEMA, strict: true }];
const Report = z.object({ city: z.string(), degrees: z.int() });

const ask = (content, model, more = {}) =>
  client.chat.completions.create({ model, messages: [{ role: "user", content }], ...more });
const respond = (input, more = {}) => client.responses.create({ model: OPENAI, input, ...more });
const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");

async function chatResults(model, message) {
  const calls = message.tool_calls;
  assert.deepEqual(calls.map((call) => JSON.parse(call.function.arguments)), CITIES);
  const told = calls.map((call) => ({
    role: "tool",
    tool_call_id: call.id,
    content: weather(JSON.parse(call.function.arguments)),
  }));
  const messages = [{ role: "user", content: WEATHER }, { role: "assistant", tool_calls: calls }, ...told];
  return (await client.chat.completions.create({ model, messages, tools: TOOLS })).choices[0].message.content;
}

async function responseResults(answer) {
  const calls = answer.output.filter((item) => item.type === "function_call");
  assert.deepEqual(calls.map((call) => JSON.parse(call.arguments)), CITIES);
  const told = calls.map((call) => ({
    type: "function_call_output",
    call_id: call.call_id,
    output: weather(JSON.parse(call.arguments)),
  }));
  return (await respond(told, { previous_response_id: answer.id, tools: RESPONSE_TOOLS })).output_text;
}

await run({
  async "a plain answer"() {
    for (const model of BOTH) {
      const answer = await ask("Hello", model);
      assert.equal(answer.choices[0].message.content, "You said: Hello");
      assert.ok(answer.usage.total_tokens > 0);
    }
  },

  async "a stream with usage"() {
    for (const model of BOTH) {
      const chunks = await collect(ask("Hello", model, { stream: true, stream_options: { include_usage: true } }));
      assert.equal(textOf(chunks), "You said: Hello");
      assert.ok(chunks.at(-1).usage.total_tokens > 0);
    }
  },

  async "tools there and back"() {
    for (const model of BOTH) {
      const answer = await ask(WEATHER, model, { tools: TOOLS });
      assert.equal(await chatResults(model, answer.choices[0].message), SUNNY);
    }
  },

  async "tools in a stream"() {
    for (const model of BOTH) {
      const messages = [{ role: "user", content: WEATHER }];
      const runner = client.chat.completions.stream({ model, messages, tools: TOOLS });
      const message = (await runner.finalChatCompletion()).choices[0].message;
      message.tool_calls.forEach((call) => delete call.function.parsed_arguments);
      assert.equal(await chatResults(model, message), SUNNY);
    }
  },

  async "a loop of tools that the SDK runs"() {
    for (const model of BOTH) {
      const tool = { ...TOOLS[0], function: { ...TOOLS[0].function, function: weather, parse: JSON.parse } };
      for (const stream of [false, true]) {
        const messages = [{ role: "user", content: WEATHER }];
        const runner = client.chat.completions.runTools({ model, messages, tools: [tool], stream });
        assert.equal(await runner.finalContent(), SUNNY);
      }
    }
  },

  async "a structured answer"() {
    const messages = [{ role: "user", content: "Report" }];
    const response_format = zodResponseFormat(Report, "report");
    const answer = await client.chat.completions.parse({ model: OPENAI, messages, response_format });
    assert.deepEqual(answer.choices[0].message.parsed, REPORT);
  },

  async "an image"() {
    const image = { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } };
    for (const model of BOTH) {
      const answer = await ask([{ type: "text", text: "What is this?" }, image], model);
      assert.equal(answer.choices[0].message.content, "I see image/png of 12 characters");
    }
  },

  async refusals() {
    for (const model of BOTH) {
      for (const stream of [false, true]) {
        await refused(OpenAISdk.BadRequestError, () => ask("a mistake", model, { stream }));
        const text = unique("too many");
        const limited = await refused(OpenAISdk.RateLimitError, () => ask(text, model, { stream }));
        assert.match(limited.message, /call 1$/);
      }
    }
    await refused(OpenAISdk.NotFoundError, () => ask("Hello", "no-such-feature"));
    const stranger = new OpenAISdk({ baseURL: BASE, apiKey: "not-a-key" });
    await refused(OpenAISdk.AuthenticationError, () => stranger.models.list());
  },

  async "a stream that breaks off is an error and not a short answer"() {
    for (const model of BOTH) {
      for (const text of BREAKING) {
        const read = [];
        await refused(OpenAISdk.APIError, async () => {
          for await (const chunk of await ask(text, model, { stream: true })) read.push(chunk);
        });
        assert.match(textOf(read), /^You said: A/);
      }
    }
  },

  async "a response"() {
    const answer = await respond("Hello", { instructions: "Be brief." });
    assert.equal(answer.output_text, "You said: Hello (and the system said: Be brief.)");
    const events = await collect(respond("Hello", { stream: true }));
    const deltas = events.filter((event) => event.type === "response.output_text.delta");
    assert.equal(deltas.map((event) => event.delta).join(""), "You said: Hello");
    assert.equal(events.at(-1).type, "response.completed");
  },

  async "tools of responses"() {
    assert.equal(await responseResults(await respond(WEATHER, { tools: RESPONSE_TOOLS })), SUNNY);
    const stream = client.responses.stream({ model: OPENAI, input: WEATHER, tools: RESPONSE_TOOLS });
    assert.equal(await responseResults(await stream.finalResponse()), SUNNY);
  },

  async "a structured response"() {
    const text = { format: zodTextFormat(Report, "report") };
    const answer = await client.responses.parse({ model: OPENAI, input: "Report", text });
    assert.deepEqual(answer.output_parsed, REPORT);
  },

  async "a conversation goes on where it began"() {
    const first = await respond("My name is Ada");
    const second = await respond("What did I say?", { previous_response_id: first.id });
    assert.equal(second.output_text, "Before this you said: My name is Ada");
  },

  async "a response that breaks off does not complete"() {
    for (const text of BREAKING) {
      const kinds = [];
      let error;
      try {
        for await (const event of await respond(text, { stream: true })) kinds.push(event.type);
      } catch (thrown) {
        error = thrown;
      }
      assert.ok(error instanceof OpenAISdk.APIError || kinds.some((kind) => ["error", "response.failed"].includes(kind)));
      assert.ok(kinds.includes("response.output_text.delta") && !kinds.includes("response.completed"), kinds.join());
    }
  },

  async embeddings() {
    // Without being told otherwise this SDK asks for base64 and reads it back.
    const answer = await client.embeddings.create({ model: OPENAI, input: ["one two", "three"] });
    assert.deepEqual(answer.data.map((item) => Array.from(item.embedding)), [[7, 2, -0.5], [5, 1, -0.5]]);
  },

  async "the list of models"() {
    const ids = (await collect(client.models.list())).map((model) => model.id);
    assert.ok(BOTH.every((model) => ids.includes(model)), ids.join());
  },

  async "a stream that is left"() {
    for (const model of BOTH) {
      const stream = await ask("A story that goes on and on", model, { stream: true });
      let read = 0;
      for await (const _ of stream) if (++read === 20) break;
      stream.controller.abort();
    }
  },
});
