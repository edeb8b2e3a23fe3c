"""An agent with a format of its own, called with what every Python has."""

import http.client
import json
import os
import urllib.parse

from cases import KEY, ROOT, run

AGENT = os.environ["AGENT_FEATURE"]


def ask(body, key=KEY, feature=AGENT):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(ROOT).netloc, timeout=30)
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json", "x-lockgate-user": "user-1"}
    connection.request("POST", f"/agents/{feature}", json.dumps(body), headers)
    return connection.getresponse()


def a_plain_answer():
    answer = ask({"question": "Why?"})
    assert answer.status == 200 and answer.headers["x-lockgate-version"] == "v1", answer.headers
    assert json.load(answer) == {"answer": "You asked: Why?", "steps": []}


def tools_are_the_agents_own():
    answer = json.load(ask({"question": "Why?", "tools": ["weather"]}))
    assert answer["steps"] == [{"tool": "weather", "result": "sunny"}], answer


def a_stream():
    answer = ask({"question": "Why is it so?", "tools": ["weather"], "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.headers
    lines = answer.read().decode().split("\n\n")
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert events[0]["tool"] == "weather" and events[-1] == {"done": True}, events
    assert "".join(event.get("delta", "") for event in events) == "Why is it so?", events


def refusals():
    answer = ask({"question": "a mistake"})
    assert answer.status == 422 and "no question" in answer.read().decode()
    assert ask({"question": "Why?"}, key="not-a-key").status == 401
    assert ask({"question": "Why?"}, feature="no-such-agent").status == 404


run([a_plain_answer, tools_are_the_agents_own, a_stream, refusals])
