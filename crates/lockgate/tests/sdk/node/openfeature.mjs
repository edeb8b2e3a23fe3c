// The OpenFeature SDK: which version a user has, and how it went with it.

import assert from "node:assert/strict";
import { KEY, load, OPENAI, ROOT, run } from "./cases.mjs";

const { OpenFeature } = await load("@openfeature/server-sdk");
const { OFREPProvider } = await load("@openfeature/ofrep-provider");

const headers = { authorization: `Bearer ${KEY}` };
await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: ROOT, headers }));
const flags = OpenFeature.getClient();
const details = (feature, context = { targetingKey: "user-1" }) => flags.getStringDetails(feature, "none", context);

async function feedback(body) {
  const answer = await fetch(`${ROOT}/v1/feedback`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
}

await run({
  async "a feature is a flag and its version the value"() {
    const told = await details(OPENAI);
    assert.equal(told.errorCode, undefined, told.errorMessage);
    assert.deepEqual([told.value, told.variant], ["v1", "v1"]);
  },

  async "what is reported of an evaluation is counted once"() {
    const { request_id } = (await details(OPENAI)).flagMetadata;
    const report = { request_id, name: "thumbs", value: -1, id: "once" };
    assert.equal((await feedback(report)).status, "counted");
    assert.equal((await feedback(report)).status, "duplicate");
  },

  async "an unknown feature gives the default and says why"() {
    const told = await details("no-such-feature");
    assert.deepEqual([told.value, told.errorCode], ["none", "FLAG_NOT_FOUND"]);
  },

  async "nobody in particular gives the default and says why"() {
    const told = await details(OPENAI, {});
    assert.deepEqual([told.value, told.errorCode], ["none", "TARGETING_KEY_MISSING"]);
  },
});
