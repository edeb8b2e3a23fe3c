"""The official OpenAI SDK's responses and embeddings."""

import json

import openai
import pydantic

from cases import ANTHROPIC, BASE, KEY, OPENAI, PNG, SUNNY, WEATHER, WEATHER_SCHEMA, refused, run, unique, weather

client = openai.OpenAI(base_url=BASE, api_key=KEY, timeout=30)
TOOLS = [{"type": "function", "name": "weather", "parameters": WEATHER_SCHEMA, "strict": True}]


def ask(text, **more):
    return client.responses.create(model=OPENAI, input=text, **more)


def a_plain_answer():
    answer = ask("Hello", instructions="Be brief.")
    assert answer.output_text == "You said: Hello (and the system said: Be brief.)", answer
    assert answer.status == "completed" and answer.usage.total_tokens > 0, answer


def a_stream():
    events = list(ask("Hello", stream=True))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "You said: Hello", events
    assert events[-1].type == "response.completed" and events[-1].response.usage.total_tokens > 0, events[-1]


def tools_there_and_back():
    answer = ask(WEATHER, tools=TOOLS)
    assert results_told(answer) == SUNNY


def tools_in_a_stream():
    with client.responses.stream(model=OPENAI, input=WEATHER, tools=TOOLS) as stream:
        for _ in stream:
            pass
        assert results_told(stream.get_final_response()) == SUNNY


def results_told(answer):
    """Goes on from the response that the provider keeps: only the results are sent."""
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [json.loads(call.arguments) for call in calls] == [{"city": "Paris"}, {"city": "Rome"}], calls
    told = [
        {"type": "function_call_output", "call_id": call.call_id, "output": weather(**json.loads(call.arguments))}
        for call in calls
    ]
    return client.responses.create(model=OPENAI, previous_response_id=answer.id, input=told, tools=TOOLS).output_text


def a_conversation_goes_on_where_it_began():
    first = ask("My name is Ada")
    for stream in (False, True):
        second = client.responses.create(
            model=OPENAI, previous_response_id=first.id, input="What did I say?", stream=stream
        )
        answer = list(second)[-1].response if stream else second
        assert answer.output_text == "Before this you said: My name is Ada", answer
    error = refused(openai.BadRequestError, lambda: ask("Hello", previous_response_id="resp_of_nobody"))
    assert error.code == "previous_response_not_found", error.body


class Report(pydantic.BaseModel):
    city: str
    degrees: int


def a_structured_answer():
    answer = client.responses.parse(model=OPENAI, input="Report", text_format=Report)
    assert answer.output_parsed == Report(city="Paris", degrees=21), answer


def an_image():
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}
    content = [{"type": "input_text", "text": "What is this?"}, image]
    answer = ask([{"role": "user", "content": content}])
    assert answer.output_text == "I see image/png of 12 characters", answer


def thoughts():
    answer = ask("Hello", reasoning={"effort": "low", "summary": "auto"})
    assert answer.output[0].summary[0].text == "Let me think about that.", answer
    events = list(ask("Hello", reasoning={"effort": "low", "summary": "auto"}, stream=True))
    deltas = [event.delta for event in events if event.type == "response.reasoning_summary_text.delta"]
    assert "".join(deltas) == "Let me think about that.", events


def refusals():
    for stream in (False, True):
        refused(openai.BadRequestError, lambda: ask("a mistake", stream=stream))
        error = refused(openai.RateLimitError, lambda: ask(unique("too many"), stream=stream))
        assert "call 1" in error.message, error.message
    stranger = openai.OpenAI(base_url=BASE, api_key="not-a-key", timeout=30)
    refused(openai.AuthenticationError, lambda: stranger.responses.create(model=OPENAI, input="Hello"))


def a_stream_that_breaks_off_does_not_complete():
    for text in ("A story that breaks off here and now", "A story that stops short here and now"):
        read = []

        def take():
            for event in ask(text, stream=True):
                read.append(event.type)
                if event.type in ("error", "response.failed"):
                    raise openai.APIError("told in the stream", request=None, body=None)

        refused(openai.APIError, take)
        assert "response.output_text.delta" in read and "response.completed" not in read, read


def a_stream_that_is_left():
    stream = ask("A story that goes on and on", stream=True)
    for _, _event in zip(range(20), stream):
        pass
    stream.close()


def embeddings():
    # Without being told otherwise this SDK asks for base64 and reads it back.
    answer = client.embeddings.create(model=OPENAI, input=["one two", "three"])
    assert [item.embedding for item in answer.data] == [[7.0, 2.0, -0.5], [5.0, 1.0, -0.5]], answer
    assert answer.usage.total_tokens == 2, answer.usage
    answer = client.embeddings.create(model=OPENAI, input="three", encoding_format="float")
    assert answer.data[0].embedding == [5.0, 1.0, -0.5], answer


def what_no_target_speaks_is_refused_by_name():
    for call in (
        lambda: client.responses.create(model=ANTHROPIC, input="Hello"),
        lambda: client.embeddings.create(model=ANTHROPIC, input="Hello"),
    ):
        error = refused(openai.BadRequestError, call)
        assert error.code == "unsupported_api", error.body


run([
    a_plain_answer,
    a_stream,
    tools_there_and_back,
    tools_in_a_stream,
    a_conversation_goes_on_where_it_began,
    a_structured_answer,
    an_image,
    thoughts,
    refusals,
    a_stream_that_breaks_off_does_not_complete,
    embeddings,
    what_no_target_speaks_is_refused_by_name,
    a_stream_that_is_left,
])
