// The OpenAI Agents SDK, by responses as it is used by default, and by chat completions.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { ANTHROPIC, BASE, KEY, load, OPENAI, REPORT, run as runCases, SUNNY, WEATHER } from "./cases.mjs";
import { weather as said } from "./cases.mjs";

const agents = await load("@openai/agents");
const { Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, run, setTracingDisabled, tool } = agents;
// It brings a client of its own, which is not the newest that there is.
const own = createRequire(createRequire(process.env.NODE_PACKAGES).resolve("@openai/agents"));
const { default: OpenAISdk } = await import(pathToFileURL(own.resolve("openai")).href);
const { z } = await load("zod");

// Traces would be sent to OpenAI itself.
setTracingDisabled(true);

const client = new OpenAISdk({ baseURL: BASE, apiKey: KEY, timeout: 30_000 });
const MODELS = [
  new OpenAIResponsesModel(client, OPENAI),
  new OpenAIChatCompletionsModel(client, OPENAI),
  new OpenAIChatCompletionsModel(client, ANTHROPIC),
];
const weather = tool({
  name: "weather",
  description: "d",
  parameters: z.object({ city: z.string() }),
  execute: async (city) => said(city),
});
const agent = (model, more = {}) => new Agent({ name: "Assistant", instructions: "Be brief.", model, ...more });

await runCases({
  async "a plain run"() {
    for (const model of MODELS) {
      const ended = await run(agent(model), "Hello");
      assert.equal(ended.finalOutput, "You said: Hello (and the system said: Be brief.)");
    }
  },

  async "a streamed run"() {
    for (const model of MODELS) {
      const running = await run(agent(model), "Hello", { stream: true });
      let text = "";
      for await (const piece of running.toTextStream()) text += piece;
      await running.completed;
      assert.equal(text, "You said: Hello (and the system said: Be brief.)");
    }
  },

  async "tools in a loop"() {
    for (const model of MODELS) {
      assert.equal((await run(agent(model, { tools: [weather] }), WEATHER)).finalOutput, SUNNY);
      const running = await run(agent(model, { tools: [weather] }), WEATHER, { stream: true });
      await running.completed;
      assert.equal(running.finalOutput, SUNNY);
    }
  },

  async "a structured answer"() {
    const outputType = z.object({ city: z.string(), degrees: z.int() });
    for (const model of MODELS.slice(0, 2)) {
      assert.deepEqual((await run(agent(model, { outputType }), "Report")).finalOutput, REPORT);
    }
  },
});
