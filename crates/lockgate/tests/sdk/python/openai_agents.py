"""The OpenAI Agents SDK, by responses as it is used by default, and by chat completions."""

from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel

from cases import ANTHROPIC, BASE, KEY, OPENAI, SUNNY, WEATHER, run

# Traces would be sent to OpenAI itself.
set_tracing_disabled(True)


@function_tool
def weather(city: str) -> str:
    """Says how the weather is in a city."""
    return f"sunny in {city}"


class Report(BaseModel):
    city: str
    degrees: int


def models():
    client = AsyncOpenAI(base_url=BASE, api_key=KEY, timeout=30)
    return [
        OpenAIResponsesModel(OPENAI, client),
        OpenAIChatCompletionsModel(OPENAI, client),
        OpenAIChatCompletionsModel(ANTHROPIC, client),
    ]


def agent(model, **more):
    return Agent(name="Assistant", instructions="Be brief.", model=model, **more)


async def a_plain_run():
    for model in models():
        ended = await Runner.run(agent(model), "Hello")
        assert ended.final_output == "You said: Hello (and the system said: Be brief.)", ended.final_output


async def a_streamed_run():
    for model in models():
        running = Runner.run_streamed(agent(model), "Hello")
        kinds = [event.type async for event in running.stream_events()]
        assert running.final_output == "You said: Hello (and the system said: Be brief.)", running.final_output
        assert "raw_response_event" in kinds, kinds


async def tools_in_a_loop():
    for model in models():
        ended = await Runner.run(agent(model, tools=[weather]), WEATHER)
        assert ended.final_output == SUNNY, ended.final_output
        running = Runner.run_streamed(agent(model, tools=[weather]), WEATHER)
        async for _ in running.stream_events():
            pass
        assert running.final_output == SUNNY, running.final_output


async def another_agent_takes_over():
    for model in models()[:2]:
        reporter = Agent(name="weather", instructions="Report.", model=model)
        greeter = agent(model, handoffs=[reporter])
        ended = await Runner.run(greeter, "Who knows the weather in Rome?")
        assert ended.last_agent is reporter, ended


async def a_structured_answer():
    for model in models()[:2]:
        ended = await Runner.run(agent(model, output_type=Report), "Report")
        assert ended.final_output == Report(city="Paris", degrees=21), ended.final_output


async def a_conversation_that_the_provider_keeps():
    model = models()[0]
    first = await Runner.run(agent(model), "My name is Ada")
    second = await Runner.run(agent(model), "What did I say?", previous_response_id=first.last_response_id)
    assert second.final_output == "Before this you said: My name is Ada", second.final_output


run([
    a_plain_run,
    a_streamed_run,
    tools_in_a_loop,
    another_agent_takes_over,
    a_structured_answer,
    a_conversation_that_the_provider_keeps,
])
