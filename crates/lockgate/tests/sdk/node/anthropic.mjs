// The official Anthropic SDK, with a target of each kind behind the same call.

import assert from "node:assert/strict";
import { ANTHROPIC, BREAKING, CITIES, collect, KEY, load, OPENAI, PNG, refused, ROOT, run, SUNNY, unique } from "./cases.mjs";
import { weather, WEATHER, WEATHER_SCHEMA } from "./cases.mjs";

const { default: AnthropicSdk } = await load("@anthropic-ai/sdk");

const client = new AnthropicSdk({ baseURL: ROOT, apiKey: KEY, timeout: 30_000 });
const BOTH = [ANTHROPIC, OPENAI];
const TOOLS = [{ name: "weather", description: "d", input_schema: WEATHER_SCHEMA }];
const THINKING = { type: "enabled", budget_tokens: 1024 };

const call = (content, model, more = {}) => ({
  model,
  max_tokens: 2000,
  messages: [{ role: "user", content }],
  ...more,
});
const ask = (...asked) => client.messages.create(call(...asked));

async function results(model, message) {
  const calls = message.content.filter((block) => block.type === "tool_use");
  assert.deepEqual(calls.map((block) => block.input), CITIES);
  const told = calls.map((block) => ({ type: "tool_result", tool_use_id: block.id, content: weather(block.input) }));
  const messages = [
    { role: "user", content: WEATHER },
    { role: "assistant", content: message.content },
    { role: "user", content: told },
  ];
  return (await ask("", model, { messages, tools: TOOLS })).content[0].text;
}

await run({
  async "a plain answer"() {
    for (const model of BOTH) {
      const answer = await ask("Hello", model, { system: "Be brief." });
      assert.equal(answer.content[0].text, "You said: Hello (and the system said: Be brief.)");
      assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0);
    }
  },

  async "a stream"() {
    for (const model of BOTH) {
      const message = await client.messages.stream(call("Hello", model)).finalMessage();
      assert.equal(message.content[0].text, "You said: Hello");
      assert.equal(message.stop_reason, "end_turn");
      assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
    }
  },

  async "tools there and back"() {
    for (const model of BOTH) assert.equal(await results(model, await ask(WEATHER, model, { tools: TOOLS })), SUNNY);
  },

  async "tools in a stream"() {
    for (const model of BOTH) {
      const message = await client.messages.stream(call(WEATHER, model, { tools: TOOLS })).finalMessage();
      assert.equal(message.stop_reason, "tool_use");
      assert.equal(await results(model, message), SUNNY);
    }
  },

  async "an image"() {
    const source = { type: "base64", media_type: "image/png", data: PNG };
    for (const model of BOTH) {
      const answer = await ask([{ type: "image", source }, { type: "text", text: "What is this?" }], model);
      assert.equal(answer.content[0].text, "I see image/png of 12 characters");
    }
  },

  async "thoughts keep their signature"() {
    const answer = await ask("Hello", ANTHROPIC, { thinking: THINKING });
    assert.deepEqual(answer.content.map((block) => block.type), ["thinking", "text"]);
    const streamed = await client.messages.stream(call("Hello", ANTHROPIC, { thinking: THINKING })).finalMessage();
    assert.ok(answer.content[0].signature);
    assert.deepEqual(streamed.content[0], answer.content[0]);
  },

  async "tokens are counted"() {
    const messages = [{ role: "user", content: "one two three" }];
    assert.equal((await client.messages.countTokens({ model: ANTHROPIC, messages })).input_tokens, 10);
  },

  async refusals() {
    for (const model of BOTH) {
      for (const stream of [false, true]) {
        await refused(AnthropicSdk.BadRequestError, () => ask("a mistake", model, { stream }));
        const text = unique("too many");
        const limited = await refused(AnthropicSdk.RateLimitError, () => ask(text, model, { stream }));
        assert.match(limited.message, /call 1/);
      }
    }
    await refused(AnthropicSdk.NotFoundError, () => ask("Hello", "no-such-feature"));
    const stranger = new AnthropicSdk({ baseURL: ROOT, apiKey: "not-a-key" });
    await refused(AnthropicSdk.AuthenticationError, () => stranger.messages.create(call("Hello", ANTHROPIC)));
  },

  async "a stream that breaks off is an error and not a short answer"() {
    for (const model of BOTH) {
      for (const text of BREAKING) {
        const kinds = [];
        await refused(AnthropicSdk.AnthropicError, async () => {
          for await (const event of await ask(text, model, { stream: true })) kinds.push(event.type);
        });
        assert.ok(kinds.includes("content_block_delta") && !kinds.includes("message_stop"), kinds.join());
      }
    }
  },

  async "the list of models"() {
    const models = await collect(client.models.list());
    assert.ok(BOTH.every((id) => models.some((model) => model.id === id && model.type === "model")));
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
