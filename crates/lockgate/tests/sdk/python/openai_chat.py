"""The official OpenAI SDK's chat completions, with a target of each kind behind the same call."""

import json

import openai
import pydantic

from cases import ANTHROPIC, BASE, KEY, OPENAI, PNG, SUNNY, WEATHER, WEATHER_SCHEMA, refused, run, unique, weather

client = openai.OpenAI(base_url=BASE, api_key=KEY, timeout=30)
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": WEATHER_SCHEMA}}]
BOTH = [OPENAI, ANTHROPIC]


def ask(text, model, **more):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **more)


def a_plain_answer():
    for model in BOTH:
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
        answer = client.chat.completions.create(model=model, messages=messages)
        assert answer.choices[0].message.content == "You said: Hello (and the system said: Be brief.)", answer
        assert answer.choices[0].finish_reason == "stop", answer
        assert answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0, answer.usage


def a_stream():
    for model in BOTH:
        chunks = list(ask("Hello", model, stream=True))
        assert text_of(chunks) == "You said: Hello", chunks
        assert chunks[-1].choices[0].finish_reason == "stop", chunks[-1]


def a_stream_with_usage():
    for model in BOTH:
        chunks = list(ask("Hello", model, stream=True, stream_options={"include_usage": True}))
        assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0, chunks[-1]


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def tools_there_and_back():
    for model in BOTH:
        answer = ask(WEATHER, model, tools=TOOLS)
        assert answer.choices[0].finish_reason == "tool_calls", answer
        assert results_told(model, answer.choices[0].message) == SUNNY


def tools_in_a_stream():
    for model in BOTH:
        with client.chat.completions.stream(
            model=model, messages=[{"role": "user", "content": WEATHER}], tools=TOOLS
        ) as stream:
            for event in stream:
                pass
            message = stream.get_final_completion().choices[0].message
        assert results_told(model, message) == SUNNY


def results_told(model, message):
    calls = message.tool_calls
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "Paris"}, {"city": "Rome"}], calls
    told = [
        {"role": "tool", "tool_call_id": call.id, "content": weather(**json.loads(call.function.arguments))}
        for call in calls
    ]
    asked = {"role": "assistant", "content": None, "tool_calls": [call.model_dump(include={"id", "type", "function"}) for call in calls]}
    for call in asked["tool_calls"]:
        call["function"].pop("parsed_arguments", None)
    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": WEATHER}, asked, *told], tools=TOOLS
    )
    return answer.choices[0].message.content


def a_tool_that_must_be_called():
    for model in BOTH:
        choice = {"type": "function", "function": {"name": "weather"}}
        answer = ask("Go to Rome", model, tools=TOOLS, tool_choice=choice)
        assert json.loads(answer.choices[0].message.tool_calls[0].function.arguments) == {"city": "Rome"}, answer


class Report(pydantic.BaseModel):
    city: str
    degrees: int


def a_structured_answer():
    answer = client.chat.completions.parse(
        model=OPENAI, messages=[{"role": "user", "content": "Report"}], response_format=Report
    )
    assert answer.choices[0].message.parsed == Report(city="Paris", degrees=21), answer


def an_image():
    for model in BOTH:
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
        answer = ask([{"type": "text", "text": "What is this?"}, image], model)
        assert answer.choices[0].message.content == "I see image/png of 12 characters", answer


def thoughts_of_a_compatible_server():
    answer = ask("Hello", OPENAI, reasoning_effort="low")
    assert answer.choices[0].message.reasoning_content == "Let me think about that.", answer
    chunks = list(ask("Hello", OPENAI, reasoning_effort="low", stream=True))
    thoughts = [getattr(chunk.choices[0].delta, "reasoning_content", None) or "" for chunk in chunks]
    assert "".join(thoughts) == "Let me think about that.", chunks


def a_refusal_is_the_error_that_the_sdk_has_for_it():
    for model in BOTH:
        for stream in (False, True):
            error = refused(openai.BadRequestError, lambda: ask("a mistake", model, stream=stream))
            assert "refused, as asked: mistake" in error.message, error.message


def what_was_tried_to_the_end_is_not_tried_again_by_the_sdk():
    for model in BOTH:
        for stream in (False, True):
            text = unique("too many")
            error = refused(openai.RateLimitError, lambda: ask(text, model, stream=stream))
            assert error.response.headers["x-should-retry"] == "false", error.response.headers
            assert "call 1" in error.message, error.message
            refused(openai.InternalServerError, lambda: ask("overloaded", model, stream=stream))


def what_the_target_cannot_be_told_is_named():
    raw = client.chat.completions.with_raw_response
    messages = [{"role": "user", "content": "Hello"}]
    told = raw.create(model=ANTHROPIC, messages=messages, seed=7, logit_bias={"50256": -100}).headers
    assert set(told["x-lockgate-dropped"].replace(" ", "").split(",")) == {"seed", "logit_bias"}, told
    strict = {"x-lockgate-translation": "strict"}
    error = refused(openai.BadRequestError, lambda: ask("Hello", ANTHROPIC, seed=7, extra_headers=strict))
    assert error.code == "unsupported_parameter" and error.param == "seed", error.body


def a_wrong_key_is_an_authentication_error():
    stranger = openai.OpenAI(base_url=BASE, api_key="not-a-key", timeout=30)
    messages = [{"role": "user", "content": "Hello"}]
    refused(openai.AuthenticationError, lambda: stranger.chat.completions.create(model=OPENAI, messages=messages))


def an_unknown_feature_is_not_found():
    error = refused(openai.NotFoundError, lambda: ask("Hello", "no-such-feature"))
    assert "no-such-feature" in error.message, error.message


def a_stream_that_breaks_off_is_an_error_and_not_a_short_answer():
    for model in BOTH:
        for text in ("A story that breaks off here and now", "A story that stops short here and now"):
            read = []

            def take():
                for chunk in ask(text, model, stream=True):
                    read.append(chunk)

            refused(openai.APIError, take)
            assert text_of(read).startswith("You said: A"), read
            assert all(chunk.choices[0].finish_reason is None for chunk in read if chunk.choices), read


def a_stream_that_is_left():
    for model in BOTH:
        stream = ask("A story that goes on and on", model, stream=True)
        for _, _chunk in zip(range(20), stream):
            pass
        stream.close()


def the_list_of_models():
    ids = [model.id for model in client.models.list()]
    assert OPENAI in ids and ANTHROPIC in ids, ids
    assert client.models.retrieve(OPENAI).id == OPENAI


async def the_asynchronous_client():
    async with openai.AsyncOpenAI(base_url=BASE, api_key=KEY, timeout=30) as asynchronous:
        for model in BOTH:
            stream = await asynchronous.chat.completions.create(
                model=model, messages=[{"role": "user", "content": "Hello"}], stream=True
            )
            assert text_of([chunk async for chunk in stream]) == "You said: Hello"


run([
    a_plain_answer,
    a_stream,
    a_stream_with_usage,
    tools_there_and_back,
    tools_in_a_stream,
    a_tool_that_must_be_called,
    a_structured_answer,
    an_image,
    thoughts_of_a_compatible_server,
    a_refusal_is_the_error_that_the_sdk_has_for_it,
    what_was_tried_to_the_end_is_not_tried_again_by_the_sdk,
    what_the_target_cannot_be_told_is_named,
    a_wrong_key_is_an_authentication_error,
    an_unknown_feature_is_not_found,
    a_stream_that_breaks_off_is_an_error_and_not_a_short_answer,
    the_list_of_models,
    the_asynchronous_client,
    a_stream_that_is_left,
])
