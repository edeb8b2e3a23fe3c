"""The official SDKs, Lockgate, and a real model that speaks both dialects.

What a small model says is of no account; that it is said whole, counted, and left when its caller leaves, is. Answers are kept
short, and the versions ask for no chance (`temperature: 0`), so that the same is said on every run.
"""

import json
import os
import time
import urllib.error
import urllib.request

import anthropic
import openai

from cases import ANTHROPIC, BASE, KEY, OPENAI, ROOT, run

MODEL = os.environ["MODEL_URL"]
ADMIN = os.environ["ADMIN_URL"]
BOTH = [OPENAI, ANTHROPIC]
# Long for one short answer on a busy machine, short for a hang.
SECONDS = 60
TOKENS = 12
# What the story would come to if nobody left: several seconds of work.
STORY_TOKENS = 700
STORY = "Write a very long story about a river, a boat and a lock. Do not stop."
HELLO = [{"role": "user", "content": "Say hello."}]

one = openai.OpenAI(base_url=BASE, api_key=KEY, timeout=SECONDS, max_retries=0)
other = anthropic.Anthropic(base_url=ROOT, api_key=KEY, timeout=SECONDS, max_retries=0)


def chat(model, messages=HELLO, max_tokens=TOKENS, **more):
    return one.chat.completions.create(model=model, messages=messages, max_tokens=max_tokens, **more)


def message(model, messages=HELLO, max_tokens=TOKENS, **more):
    return other.messages.create(model=model, messages=messages, max_tokens=max_tokens, **more)


def chat_completions():
    for model in BOTH:
        answer = chat(model)
        assert answer.choices[0].message.content and answer.choices[0].finish_reason in ("stop", "length"), answer
        assert answer.usage.prompt_tokens > 0 and 0 < answer.usage.completion_tokens <= TOKENS, answer.usage


def chat_completions_in_a_stream():
    for model in BOTH:
        chunks = list(chat(model, stream=True, stream_options={"include_usage": True}))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text == chat(model).choices[0].message.content, (text, chunks)
        assert chunks[-1].usage.completion_tokens > 0, chunks[-1]


def a_structured_answer():
    shape = {"type": "object", "properties": {"answer": {"type": "boolean"}}, "required": ["answer"]}
    answer = chat(
        OPENAI,
        [{"role": "user", "content": "Is the sky blue?"}],
        max_tokens=40,
        response_format={"type": "json_schema", "json_schema": {"name": "answer", "schema": shape}},
    )
    assert isinstance(json.loads(answer.choices[0].message.content)["answer"], bool), answer


def responses():
    answer = one.responses.create(model=OPENAI, input="Say hello.", max_output_tokens=TOKENS)
    assert answer.output_text and answer.usage.output_tokens > 0, answer
    stream = one.responses.create(model=OPENAI, input="Say hello.", max_output_tokens=TOKENS, stream=True)
    events = list(stream)
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == answer.output_text, events
    assert events[-1].type == "response.completed" and events[-1].response.usage.output_tokens > 0, events[-1]


def messages():
    for model in BOTH:
        answer = message(model)
        assert answer.content[0].text and answer.stop_reason in ("end_turn", "max_tokens"), answer
        assert read(answer.usage) > 0 and 0 < answer.usage.output_tokens <= TOKENS, answer.usage


def messages_in_a_stream():
    for model in BOTH:
        with other.messages.stream(model=model, messages=HELLO, max_tokens=TOKENS) as stream:
            text = "".join(stream.text_stream)
            usage = stream.get_final_message().usage
        assert text == message(model).content[0].text, text
        assert read(usage) > 0 and usage.output_tokens > 0, usage


def read(usage):
    """All that was read, from the cache or not."""
    return usage.input_tokens + (usage.cache_read_input_tokens or 0)


def tokens_are_counted():
    assert other.messages.count_tokens(model=ANTHROPIC, messages=HELLO).input_tokens > 5


def every_way_says_the_same():
    said = [chat(model).choices[0].message.content for model in BOTH]
    said += [message(model).content[0].text for model in BOTH]
    assert len(set(said)) == 1, said


def a_stream_that_is_left_stops_the_model_and_counts_as_cancelled():
    story = [{"role": "user", "content": STORY}]
    for model in BOTH:
        for ask in (chat, message):
            before = counted("tokens_predicted_total")
            stream = ask(model, story, max_tokens=STORY_TOKENS, stream=True)
            for _, _piece in zip(range(8), stream):
                pass
            assert counted("requests_processing") == 1
            call = stream.response.headers["x-lockgate-request-id"]
            stream.close()
            until(lambda: counted("requests_processing") == 0, "the model goes on for nobody")
            written = counted("tokens_predicted_total") - before
            assert written < STORY_TOKENS, f"the model wrote {written} tokens for nobody"
            until(lambda: status_of(call) == 499, f"{call} is not told as left by its client")


def counted(name):
    """One of the model server's own counters."""
    with urllib.request.urlopen(f"{MODEL}/metrics", timeout=SECONDS) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"llamacpp:{name} "))


def status_of(call):
    try:
        with urllib.request.urlopen(f"{ADMIN}/api/v1/audit/request/{call}", timeout=SECONDS) as answer:
            return json.load(answer)["status"]
    except urllib.error.HTTPError as error:
        # It is written a moment after it has ended.
        assert error.code == 404, error.read()
        return None


def until(is_so, otherwise):
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


run([
    chat_completions,
    chat_completions_in_a_stream,
    a_structured_answer,
    responses,
    messages,
    messages_in_a_stream,
    tokens_are_counted,
    every_way_says_the_same,
    a_stream_that_is_left_stops_the_model_and_counts_as_cancelled,
])
