// Vercel's AI SDK: its providers for OpenAI, for everybody compatible with it, and for Anthropic.

import assert from "node:assert/strict";
import { ANTHROPIC, BASE, BREAKING, KEY, load, OPENAI, PNG, REPORT, run, SUNNY, WEATHER } from "./cases.mjs";
import { weather as said } from "./cases.mjs";

const { APICallError, embedMany, generateObject, generateText, stepCountIs, streamText, tool } = await load("ai");
const { createOpenAI } = await load("@ai-sdk/openai");
const { createOpenAICompatible } = await load("@ai-sdk/openai-compatible");
const { createAnthropic } = await load("@ai-sdk/anthropic");
const { z } = await load("zod");

const openai = createOpenAI({ baseURL: BASE, apiKey: KEY });
const compatible = createOpenAICompatible({ name: "lockgate", baseURL: BASE, apiKey: KEY, includeUsage: true });
const anthropic = createAnthropic({ baseURL: BASE, apiKey: KEY });

// Each provider with a target of its own kind and of the other; by default the first one calls responses.
const MODELS = [
  openai(OPENAI),
  openai.chat(OPENAI),
  openai.chat(ANTHROPIC),
  compatible(OPENAI),
  compatible(ANTHROPIC),
  anthropic(ANTHROPIC),
  anthropic(OPENAI),
];
const tools = {
  weather: tool({ description: "d", inputSchema: z.object({ city: z.string() }), execute: async (city) => said(city) }),
};
const schema = z.object({ city: z.string(), degrees: z.int() });

await run({
  async "a plain answer"() {
    for (const model of MODELS) {
      const answer = await generateText({ model, system: "Be brief.", prompt: "Hello" });
      assert.equal(answer.text, "You said: Hello (and the system said: Be brief.)");
      assert.ok(answer.usage.totalTokens > 0);
    }
  },

  async "a stream"() {
    for (const model of MODELS) {
      const stream = streamText({ model, prompt: "Hello" });
      let text = "";
      for await (const piece of stream.textStream) text += piece;
      assert.equal(text, "You said: Hello");
      assert.equal(await stream.finishReason, "stop");
      assert.ok((await stream.usage).outputTokens > 0);
    }
  },

  async "tools in a loop"() {
    for (const model of MODELS) {
      const asked = { model, tools, prompt: WEATHER, stopWhen: stepCountIs(3) };
      assert.equal((await generateText(asked)).text, SUNNY);
      const stream = streamText(asked);
      await stream.consumeStream();
      assert.equal(await stream.text, SUNNY);
    }
  },

  async "a structured answer"() {
    for (const model of [openai(OPENAI), openai.chat(OPENAI), anthropic(ANTHROPIC)]) {
      assert.deepEqual((await generateObject({ model, schema, prompt: "Report" })).object, REPORT);
    }
  },

  async "an image"() {
    const image = { type: "file", data: `data:image/png;base64,${PNG}`, mediaType: "image/png" };
    for (const model of MODELS) {
      const content = [{ type: "text", text: "What is this?" }, image];
      const answer = await generateText({ model, messages: [{ role: "user", content }] });
      assert.equal(answer.text, "I see image/png of 12 characters");
    }
  },

  async thoughts() {
    const providerOptions = {
      anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } },
      lockgate: { reasoningEffort: "low" },
    };
    for (const model of [anthropic(ANTHROPIC), compatible(OPENAI)]) {
      assert.equal((await generateText({ model, prompt: "Hello", providerOptions })).reasoningText, "Let me think about that.");
      const stream = streamText({ model, prompt: "Hello", providerOptions });
      await stream.consumeStream();
      assert.equal(await stream.reasoningText, "Let me think about that.");
    }
  },

  async refusals() {
    for (const model of MODELS) {
      await assert.rejects(generateText({ model, prompt: "a mistake" }), (error) => error.statusCode === 400);
      // This SDK does not know how to be told not to try again.
      await assert.rejects(generateText({ model, prompt: "too many", maxRetries: 0 }), (error) => {
        return APICallError.isInstance(error) && error.statusCode === 429 && error.responseHeaders["x-should-retry"] === "false";
      });
    }
  },

  async "a stream that breaks off is an error and not a short answer"() {
    for (const model of MODELS) {
      for (const prompt of BREAKING) {
        const errors = [];
        const stream = streamText({ model, prompt, onError: ({ error }) => void errors.push(error) });
        let text = "";
        for await (const piece of stream.textStream) text += piece;
        assert.match(text, /^You said: A/);
        assert.ok(errors.length > 0, `${model.provider} took it for whole`);
      }
    }
  },

  async embeddings() {
    const { embeddings } = await embedMany({ model: openai.embedding(OPENAI), values: ["one two", "three"] });
    assert.deepEqual(embeddings, [[7, 2, -0.5], [5, 1, -0.5]]);
  },

  async "a stream that is left"() {
    for (const model of [openai.chat(OPENAI), anthropic(ANTHROPIC)]) {
      const leaving = new AbortController();
      const abortSignal = leaving.signal;
      const stream = streamText({ model, prompt: "A story that goes on and on", abortSignal, onError() {} });
      let read = 0;
      for await (const _ of stream.textStream) if (++read === 20) leaving.abort();
    }
  },
});
