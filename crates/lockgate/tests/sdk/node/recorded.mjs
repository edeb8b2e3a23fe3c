// Calls Lockgate with the official Node SDK, changing its base URL and nothing else.
//
// Each case compares what the SDK gives with the recording that the upstream replays; a call names the recording it wants in
// `user`. Run by the test in replayed.rs, which sets the environment.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// The package is installed under target/, where a plain import would not find it.
const OpenAI = createRequire(process.env.NODE_PACKAGES)("openai").OpenAI;

const FEATURE = process.env.FEATURE;
const QUIET = process.env.QUIET_FEATURE;
const OPTIONS = { baseURL: process.env.BASE_URL, maxRetries: 0, timeout: 30_000 };
const MESSAGES = [{ role: "user", content: "Hello" }];
const TOOLS = [{ type: "function", function: { name: "get_weather", parameters: { type: "object", properties: {} } } }];

const rows = readFileSync(process.env.RECORDED, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const RECORDED = new Map(rows.map((row) => [row.id, row]));

const client = new OpenAI({ apiKey: process.env.API_KEY, ...OPTIONS });

const create = (recording, more = {}) =>
  client.chat.completions.create({ model: FEATURE, messages: MESSAGES, user: recording, ...more });

const recordedBody = (recording) => JSON.parse(RECORDED.get(recording).response_body);

const recordedEvents = (recording) =>
  RECORDED.get(recording)
    .response_body.split("\n")
    .filter((line) => line.startsWith("data: ") && line !== "data: [DONE]")
    .map((line) => JSON.parse(line.slice("data: ".length)));

const deltas = (events) => events.flatMap((event) => event.choices.slice(0, 1)).map((choice) => choice.delta);
const contentOf = (events) => deltas(events).map((delta) => delta.content ?? "").join("");
const argumentsOf = (events) =>
  deltas(events).flatMap((delta) => delta.tool_calls ?? []).map((call) => call.function.arguments ?? "").join("");

async function collect(stream) {
  const events = [];
  for await (const event of await stream) events.push(event);
  return events;
}

async function refused(status, recording, more = {}) {
  let refusal;
  for (const stream of [false, true]) {
    await assert.rejects(create(recording, { stream, ...more }), (error) => {
      refusal = error;
      return error.status === status;
    });
  }
  return refusal;
}

const CASES = {
  async "a plain answer"() {
    const answer = await create("37ab7eb47874", { a_field_of_tomorrow: { keep: [1, 2.5, null, "é"] } });
    const body = recordedBody("37ab7eb47874");
    assert.equal(answer.id, body.id);
    assert.deepEqual(answer.choices, body.choices);
    assert.deepEqual(answer.usage, body.usage);
  },

  async "headers of the provider and of Lockgate"() {
    const { response } = await create("37ab7eb47874", { a_field_of_tomorrow: { keep: [1, 2.5, null, "é"] } }).withResponse();
    const recorded = RECORDED.get("37ab7eb47874").response_headers;
    assert.equal(response.headers.get("x-request-id"), recorded["x-request-id"]);
    assert.equal(response.headers.get("x-lockgate-version"), "v1");
  },

  async "a stream without usage"() {
    const events = await collect(create("3e72d12a2d5e", { stream: true }));
    assert.deepEqual(events, recordedEvents("3e72d12a2d5e"));
  },

  async "a stream with usage"() {
    const events = await collect(create("ccbda242f7de", { stream: true, stream_options: { include_usage: true } }));
    assert.deepEqual(events, recordedEvents("ccbda242f7de"));
    assert.ok(events.at(-1).usage.total_tokens > 0);
  },

  async "usage that only Lockgate asked for is not shown"() {
    const events = await collect(create("ccbda242f7de", { stream: true }));
    assert.deepEqual(events, recordedEvents("ccbda242f7de").filter((event) => event.choices.length > 0));
    // A provider that sends it unasked is not censored.
    const unasked = await collect(create("ccbda242f7de", { stream: true, model: QUIET }));
    assert.ok(unasked.at(-1).usage);
    // The upstream is looked at afterwards: the latest call must be one that asks.
    await CASES["a stream with usage"]();
  },

  async tools() {
    const answer = await create("f3265d4426bd", { tools: TOOLS });
    assert.deepEqual(answer.choices[0].message.tool_calls, recordedBody("f3265d4426bd").choices[0].message.tool_calls);
  },

  async "tools in a stream"() {
    const events = await collect(create("acbddae6ce51", { stream: true, tools: TOOLS }));
    const expected = argumentsOf(recordedEvents("acbddae6ce51"));
    assert.ok(expected);
    assert.equal(argumentsOf(events), expected);
  },

  async "the SDK's own reading of a stream"() {
    const runner = client.chat.completions.stream({ model: FEATURE, messages: MESSAGES, user: "3e72d12a2d5e" });
    const answer = await runner.finalChatCompletion();
    assert.equal(answer.choices[0].message.content, contentOf(recordedEvents("3e72d12a2d5e")));
  },

  async "an image in the content"() {
    const image = { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } };
    const content = [{ type: "text", text: "What is this?" }, image];
    assert.ok((await create("df967da4efcb", { messages: [{ role: "user", content }] })).choices);
  },

  async "refusals of the provider"() {
    assert.deepEqual((await refused(404, "4e21635e4d3b")).error, recordedBody("4e21635e4d3b").error);
    assert.equal((await refused(400, "refused-400")).code, "invalid_value");
    const limited = await refused(429, "refused-429");
    assert.ok(limited instanceof OpenAI.RateLimitError);
    assert.equal(limited.headers.get("retry-after"), "7");
    assert.equal(limited.requestID, "req_429");
  },

  async "a refusal that is about Lockgate's own key"() {
    // The client cannot help it, and some providers repeat parts of the key.
    assert.doesNotMatch(JSON.stringify((await refused(502, "refused-401")).error), /sk-/);
  },

  async "refusals of Lockgate"() {
    assert.match((await refused(404, "37ab7eb47874", { model: "no-such-feature" })).message, /no-such-feature/);
    const stranger = new OpenAI({ apiKey: "not-a-key", ...OPTIONS });
    await assert.rejects(
      stranger.chat.completions.create({ model: FEATURE, messages: MESSAGES }),
      (error) => error instanceof OpenAI.AuthenticationError,
    );
  },

  async "the list of models"() {
    const ids = (await collect(client.models.list())).map((model) => model.id);
    assert.ok(ids.includes(FEATURE) && ids.includes(QUIET), ids.join());
  },

  async "a stream that is left"() {
    const stream = await create("slow", { stream: true });
    let read = 0;
    for await (const event of stream) {
      assert.ok(event.choices[0].delta.content);
      if (++read === 3) break;
    }
    stream.controller.abort();
  },

  async "a plain answer afterwards"() {
    await CASES["a plain answer"]();
  },
};

for (const [name, run] of Object.entries(CASES)) {
  console.log(`node: ${name}`);
  await run();
}
