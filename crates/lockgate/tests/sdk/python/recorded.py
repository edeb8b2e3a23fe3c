"""Calls Lockgate with the official Python SDK, changing its base URL and nothing else.

Each case compares what the SDK gives with the recording that the upstream replays; a call names the recording it wants in
`user`. Run by the test in replayed.rs, which sets the environment.
"""

import asyncio
import json
import os

import openai

FEATURE = os.environ["FEATURE"]
QUIET = os.environ["QUIET_FEATURE"]
OPTIONS = {"base_url": os.environ["BASE_URL"], "max_retries": 0, "timeout": 30}
MESSAGES = [{"role": "user", "content": "Hello"}]
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}]

with open(os.environ["RECORDED"], encoding="utf-8") as file:
    RECORDED = {row["id"]: row for row in map(json.loads, file)}

client = openai.OpenAI(api_key=os.environ["API_KEY"], **OPTIONS)


def create(recording, model=FEATURE, **more):
    return client.chat.completions.create(**{"model": model, "messages": MESSAGES, "user": recording, **more})


def recorded_events(recording):
    lines = RECORDED[recording]["response_body"].split("\n")
    data = [line[len("data: "):] for line in lines if line.startswith("data: ")]
    return [json.loads(text) for text in data if text != "[DONE]"]


def content_of(events):
    deltas = [event["choices"][0]["delta"] for event in events if event["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def arguments_of(events):
    deltas = [event["choices"][0]["delta"] for event in events if event["choices"]]
    calls = [call for delta in deltas for call in delta.get("tool_calls") or []]
    return "".join(call["function"].get("arguments") or "" for call in calls)


def a_plain_answer():
    answer = create("37ab7eb47874", extra_body={"a_field_of_tomorrow": {"keep": [1, 2.5, None, "é"]}})
    body = json.loads(RECORDED["37ab7eb47874"]["response_body"])
    assert answer.id == body["id"]
    assert answer.choices[0].message.content == body["choices"][0]["message"]["content"]
    assert answer.usage.total_tokens == body["usage"]["total_tokens"]


def headers_of_the_provider_and_of_lockgate():
    raw = client.chat.completions.with_raw_response.create(model=FEATURE, messages=MESSAGES, user="37ab7eb47874")
    recorded = RECORDED["37ab7eb47874"]["response_headers"]
    assert raw.headers["x-request-id"] == recorded["x-request-id"]
    assert raw.headers["x-ratelimit-remaining-tokens"] == recorded["x-ratelimit-remaining-tokens"]
    assert raw.headers["x-lockgate-version"] == "v1"
    assert raw.headers["x-lockgate-request-id"]


def a_stream_without_usage():
    chunks = [chunk.to_dict() for chunk in create("3e72d12a2d5e", stream=True)]
    assert content_of(chunks) == content_of(recorded_events("3e72d12a2d5e"))
    assert all(chunk["choices"] for chunk in chunks)


def a_stream_with_usage():
    chunks = list(create("ccbda242f7de", stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].usage.total_tokens == recorded_events("ccbda242f7de")[-1]["usage"]["total_tokens"]


def usage_that_only_lockgate_asked_for_is_not_shown():
    chunks = list(create("ccbda242f7de", stream=True))
    assert chunks and all(chunk.usage is None and chunk.choices for chunk in chunks)
    # A provider that sends it unasked is not censored.
    assert list(create("ccbda242f7de", model=QUIET, stream=True))[-1].usage
    # The upstream is looked at afterwards: the latest call must be one that asks.
    a_stream_with_usage()


def tools():
    answer = create("f3265d4426bd", tools=TOOLS)
    body = json.loads(RECORDED["f3265d4426bd"]["response_body"])
    expected = body["choices"][0]["message"]["tool_calls"]
    assert [call.to_dict() for call in answer.choices[0].message.tool_calls] == expected


def tools_in_a_stream():
    chunks = [chunk.to_dict() for chunk in create("acbddae6ce51", stream=True, tools=TOOLS)]
    expected = arguments_of(recorded_events("acbddae6ce51"))
    assert expected and arguments_of(chunks) == expected


def an_image_in_the_content():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    content = [{"type": "text", "text": "What is this?"}, image]
    assert create("df967da4efcb", messages=[{"role": "user", "content": content}]).choices


def refusals_of_the_provider():
    body = json.loads(RECORDED["4e21635e4d3b"]["response_body"])
    assert refused(openai.NotFoundError, "4e21635e4d3b").body == body["error"]
    assert refused(openai.BadRequestError, "refused-400").code == "invalid_value"
    limited = refused(openai.RateLimitError, "refused-429")
    assert limited.code == "rate_limit_exceeded"
    assert limited.response.headers["retry-after"] == "7"
    assert limited.request_id == "req_429"


def a_refusal_that_is_about_lockgates_own_key():
    # The client cannot help it, and some providers repeat parts of the key.
    refusal = refused(openai.InternalServerError, "refused-401")
    assert refusal.status_code == 502 and "sk-" not in str(refusal.body)


def refusals_of_lockgate():
    unknown = refused(openai.NotFoundError, "37ab7eb47874", model="no-such-feature")
    assert "no-such-feature" in unknown.message
    stranger = openai.OpenAI(api_key="not-a-key", **OPTIONS)
    try:
        stranger.chat.completions.create(model=FEATURE, messages=MESSAGES)
        raise AssertionError("a stranger was served")
    except openai.AuthenticationError:
        pass


def refused(kind, recording, **more):
    for stream in (False, True):
        try:
            create(recording, stream=stream, **more)
        except kind as error:
            refusal = error
        else:
            raise AssertionError(f"{recording} was not refused")
    return refusal


def the_list_of_models():
    ids = [model.id for model in client.models.list()]
    assert FEATURE in ids and QUIET in ids and ids == sorted(ids), ids


def a_stream_that_is_left():
    stream = create("slow", stream=True)
    for _, chunk in zip(range(3), stream):
        assert chunk.choices[0].delta.content
    stream.close()


def the_asynchronous_client():
    async def content():
        async with openai.AsyncOpenAI(api_key=os.environ["API_KEY"], **OPTIONS) as asynchronous:
            stream = await asynchronous.chat.completions.create(
                model=FEATURE, messages=MESSAGES, user="3e72d12a2d5e", stream=True
            )
            return content_of([chunk.to_dict() async for chunk in stream])

    assert asyncio.run(content()) == content_of(recorded_events("3e72d12a2d5e"))


CASES = [
    a_plain_answer,
    headers_of_the_provider_and_of_lockgate,
    a_stream_without_usage,
    a_stream_with_usage,
    usage_that_only_lockgate_asked_for_is_not_shown,
    tools,
    tools_in_a_stream,
    an_image_in_the_content,
    refusals_of_the_provider,
    a_refusal_that_is_about_lockgates_own_key,
    refusals_of_lockgate,
    the_list_of_models,
    the_asynchronous_client,
    a_stream_that_is_left,
    a_plain_answer,
]

for case in CASES:
    print(f"python: {case.__name__}", flush=True)
    case()
