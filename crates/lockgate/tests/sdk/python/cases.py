"""What the scripts share: where Lockgate is, what it is asked for, and how cases are run.

A script is a list of functions whose names say what holds. Names given on the command line run those alone.
"""

import asyncio
import inspect
import os
import sys
import time

ROOT = os.environ["ROOT_URL"]
BASE = f"{ROOT}/v1"
KEY = os.environ["API_KEY"]
# One feature whose target speaks OpenAI's APIs, and one whose target speaks Anthropic's.
OPENAI = os.environ["OPENAI_FEATURE"]
ANTHROPIC = os.environ["ANTHROPIC_FEATURE"]
PNG = "iVBORw0KGgo="
WEATHER = "How is the weather in Paris and in Rome?"
WEATHER_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "Where"}},
    "required": ["city"],
    "additionalProperties": False,
}
REPORT_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}


def weather(city):
    """Says how the weather is in a city."""
    return f"sunny in {city}"


SUNNY = "The tools said: sunny in Paris and sunny in Rome"


def unique(words):
    """The words with something behind them that no other call says."""
    return f"{words} ({time.time_ns()})"


def refused(kinds, call):
    """Makes a call that must fail, and gives the SDK's error."""
    try:
        answer = call()
    except kinds as error:
        return error
    raise AssertionError(f"no {kinds} but {answer!r}")


def run(cases):
    wanted = sys.argv[1:]
    script = os.path.basename(sys.argv[0])
    for case in cases:
        if wanted and case.__name__ not in wanted:
            continue
        print(f"{script}: {case.__name__}", flush=True)
        if inspect.iscoroutinefunction(case):
            asyncio.run(case())
        else:
            case()
