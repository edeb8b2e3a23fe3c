"""The official Anthropic SDK, with a target of each kind behind the same call."""

import anthropic
import pydantic

from cases import ANTHROPIC, KEY, OPENAI, PNG, ROOT, SUNNY, WEATHER, WEATHER_SCHEMA, refused, run, unique, weather

client = anthropic.Anthropic(base_url=ROOT, api_key=KEY, timeout=30)
TOOLS = [{"name": "weather", "description": "d", "input_schema": WEATHER_SCHEMA}]
BOTH = [ANTHROPIC, OPENAI]
THINKING = {"type": "enabled", "budget_tokens": 1024}


def ask(content, model, **more):
    messages = [{"role": "user", "content": content}]
    return client.messages.create(**{"model": model, "max_tokens": 2000, "messages": messages, **more})


def a_plain_answer():
    for model in BOTH:
        answer = ask("Hello", model, system="Be brief.")
        assert answer.content[0].text == "You said: Hello (and the system said: Be brief.)", answer
        assert answer.stop_reason == "end_turn" and answer.type == "message", answer
        assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0, answer.usage


def a_stream():
    for model in BOTH:
        with client.messages.stream(
            model=model, max_tokens=100, messages=[{"role": "user", "content": "Hello"}]
        ) as stream:
            assert "".join(stream.text_stream) == "You said: Hello"
            message = stream.get_final_message()
        assert message.stop_reason == "end_turn" and message.usage.output_tokens > 0, message
        assert message.usage.input_tokens > 0, message


def the_raw_events_of_a_stream():
    for model in BOTH:
        events = [event.type for event in ask("Hello", model, stream=True)]
        assert events[0] == "message_start" and events[-2:] == ["message_delta", "message_stop"], events


def tools_there_and_back():
    for model in BOTH:
        answer = ask(WEATHER, model, tools=TOOLS)
        assert answer.stop_reason == "tool_use", answer
        assert results_told(model, answer) == SUNNY


def tools_in_a_stream():
    for model in BOTH:
        with client.messages.stream(
            model=model, max_tokens=100, messages=[{"role": "user", "content": WEATHER}], tools=TOOLS
        ) as stream:
            for _ in stream:
                pass
            assert results_told(model, stream.get_final_message()) == SUNNY


def results_told(model, answer):
    calls = [block for block in answer.content if block.type == "tool_use"]
    assert [call.input for call in calls] == [{"city": "Paris"}, {"city": "Rome"}], calls
    told = [{"type": "tool_result", "tool_use_id": call.id, "content": weather(**call.input)} for call in calls]
    asked = [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.input} for call in calls]
    messages = [
        {"role": "user", "content": WEATHER},
        {"role": "assistant", "content": asked},
        {"role": "user", "content": told},
    ]
    return ask("", model, messages=messages, tools=TOOLS).content[0].text


def a_tool_that_must_be_called():
    for model in BOTH:
        answer = ask("Go to Rome", model, tools=TOOLS, tool_choice={"type": "tool", "name": "weather"})
        assert answer.content[0].input == {"city": "Rome"}, answer


class Report(pydantic.BaseModel):
    city: str
    degrees: int


def a_structured_answer():
    answer = client.messages.parse(
        model=ANTHROPIC, max_tokens=100, messages=[{"role": "user", "content": "Report"}], output_format=Report
    )
    assert answer.parsed_output == Report(city="Paris", degrees=21), answer


def an_image():
    for model in BOTH:
        source = {"type": "base64", "media_type": "image/png", "data": PNG}
        answer = ask([{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}], model)
        assert answer.content[0].text == "I see image/png of 12 characters", answer


def thoughts_keep_their_signature():
    answer = ask("Hello", ANTHROPIC, thinking=THINKING)
    kinds = [block.type for block in answer.content]
    assert kinds == ["thinking", "text"], answer
    assert answer.content[0].thinking == "Let me think about that." and answer.content[0].signature, answer
    with client.messages.stream(
        model=ANTHROPIC, max_tokens=2000, messages=[{"role": "user", "content": "Hello"}], thinking=THINKING
    ) as stream:
        streamed = stream.get_final_message()
    assert streamed.content[0].model_dump() == answer.content[0].model_dump(), streamed


def tokens_are_counted():
    messages = [{"role": "user", "content": "one two three"}]
    assert client.messages.count_tokens(model=ANTHROPIC, messages=messages).input_tokens == 10
    error = refused(
        anthropic.BadRequestError, lambda: client.messages.count_tokens(model=OPENAI, messages=messages)
    )
    assert error.body["error"]["type"] == "invalid_request_error", error.body


def a_refusal_is_the_error_that_the_sdk_has_for_it():
    for model in BOTH:
        for stream in (False, True):
            error = refused(anthropic.BadRequestError, lambda: ask("a mistake", model, stream=stream))
            assert error.body["type"] == "error" and "as asked: mistake" in error.body["error"]["message"], error.body


def what_was_tried_to_the_end_is_not_tried_again_by_the_sdk():
    for model in BOTH:
        for stream in (False, True):
            text = unique("too many")
            error = refused(anthropic.RateLimitError, lambda: ask(text, model, stream=stream))
            assert error.response.headers["x-should-retry"] == "false", error.response.headers
            assert error.body["error"]["type"] == "rate_limit_error", error.body
            assert "call 1" in str(error.body), error.body
            refused(anthropic.InternalServerError, lambda: ask("overloaded", model, stream=stream))


def a_wrong_key_is_an_authentication_error():
    stranger = anthropic.Anthropic(base_url=ROOT, api_key="not-a-key", timeout=30)
    messages = [{"role": "user", "content": "Hello"}]
    call = lambda: stranger.messages.create(model=ANTHROPIC, max_tokens=9, messages=messages)
    assert refused(anthropic.AuthenticationError, call).body["error"]["type"] == "authentication_error"


def an_unknown_feature_is_not_found():
    error = refused(anthropic.NotFoundError, lambda: ask("Hello", "no-such-feature"))
    assert error.body["error"]["type"] == "not_found_error", error.body


def a_bearer_token_is_taken_as_well():
    bearer = anthropic.Anthropic(base_url=ROOT, auth_token=KEY, api_key=None, timeout=30)
    messages = [{"role": "user", "content": "Hello"}]
    assert bearer.messages.create(model=ANTHROPIC, max_tokens=9, messages=messages).content


def a_stream_that_breaks_off_is_an_error_and_not_a_short_answer():
    for model in BOTH:
        for text in ("A story that breaks off here and now", "A story that stops short here and now"):
            read = []

            def take():
                for event in ask(text, model, stream=True):
                    read.append(event.type)

            refused(anthropic.APIError, take)
            assert "content_block_delta" in read and "message_stop" not in read, read


def a_stream_that_is_left():
    for model in BOTH:
        stream = ask("A story that goes on and on", model, stream=True)
        for _, _event in zip(range(20), stream):
            pass
        stream.close()


def the_list_of_models():
    models = list(client.models.list())
    ids = [model.id for model in models]
    assert OPENAI in ids and ANTHROPIC in ids, ids
    assert all(model.type == "model" for model in models), models
    assert client.models.retrieve(ANTHROPIC).id == ANTHROPIC


async def the_asynchronous_client():
    async with anthropic.AsyncAnthropic(base_url=ROOT, api_key=KEY, timeout=30) as asynchronous:
        for model in BOTH:
            messages = [{"role": "user", "content": "Hello"}]
            async with asynchronous.messages.stream(model=model, max_tokens=9, messages=messages) as stream:
                assert await stream.get_final_text() == "You said: Hello"


run([
    a_plain_answer,
    a_stream,
    the_raw_events_of_a_stream,
    tools_there_and_back,
    tools_in_a_stream,
    a_tool_that_must_be_called,
    a_structured_answer,
    an_image,
    thoughts_keep_their_signature,
    tokens_are_counted,
    a_refusal_is_the_error_that_the_sdk_has_for_it,
    what_was_tried_to_the_end_is_not_tried_again_by_the_sdk,
    a_wrong_key_is_an_authentication_error,
    an_unknown_feature_is_not_found,
    a_bearer_token_is_taken_as_well,
    a_stream_that_breaks_off_is_an_error_and_not_a_short_answer,
    the_list_of_models,
    the_asynchronous_client,
    a_stream_that_is_left,
])
