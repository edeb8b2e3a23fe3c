// What the scripts share: where Lockgate is, what it is asked for, and how cases are run.
//
// The packages are installed under target/, where a plain import would not find them: `load` does. Names of cases given on the
// command line run those alone.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const resolve = createRequire(process.env.NODE_PACKAGES).resolve;

export const ROOT = process.env.ROOT_URL;
export const BASE = `${ROOT}/v1`;
export const KEY = process.env.API_KEY;
// One feature whose target speaks OpenAI's APIs, and one whose target speaks Anthropic's.
export const OPENAI = process.env.OPENAI_FEATURE;
export const ANTHROPIC = process.env.ANTHROPIC_FEATURE;
export const PNG = "iVBORw0KGgo=";
export const WEATHER = "How is the weather in Paris and in Rome?";
export const SUNNY = "The tools said: sunny in Paris and sunny in Rome";
export const BREAKING = ["A story that breaks off here and now", "A story that stops short here and now"];
export const REPORT = { city: "Paris", degrees: 21 };
export const WEATHER_SCHEMA = {
  type: "object",
  properties: { city: { type: "string", description: "Where" } },
  required: ["city"],
  additionalProperties: false,
};
export const CITIES = [{ city: "Paris" }, { city: "Rome" }];

export const load = (name) => import(pathToFileURL(resolve(name)).href);
export const weather = ({ city }) => `sunny in ${city}`;
/** The words with something behind them that no other call says. */
export const unique = (words) => `${words} (${process.hrtime.bigint()})`;

export async function collect(stream) {
  const items = [];
  for await (const item of await stream) items.push(item);
  return items;
}

/** Makes a call that must fail, and gives the SDK's error. */
export async function refused(kind, call) {
  let refusal;
  await assert.rejects(call, (error) => {
    refusal = error;
    assert.ok(error instanceof kind, error.stack);
    return true;
  });
  return refusal;
}

export async function run(cases) {
  const wanted = process.argv.slice(2);
  const script = path.basename(process.argv[1]);
  for (const [name, run] of Object.entries(cases)) {
    if (wanted.length && !wanted.includes(name)) continue;
    console.log(`${script}: ${name}`);
    await run();
  }
}
