"""LangChain: its chat models for both dialects, its embeddings, and an agent that calls tools in a loop."""

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from cases import ANTHROPIC, BASE, KEY, OPENAI, PNG, ROOT, SUNNY, WEATHER, run


@tool
def weather(city: str) -> str:
    """Says how the weather is in a city."""
    return f"sunny in {city}"


class Report(BaseModel):
    """The weather in a city."""

    city: str
    degrees: int


def chat(model, **more):
    return ChatOpenAI(model=model, base_url=BASE, api_key=KEY, timeout=30, stream_usage=True, **more)


def messages(model, **more):
    return ChatAnthropic(model=model, base_url=ROOT, api_key=KEY, timeout=30, max_tokens=2000, **more)


# Each class with a target of its own kind and of the other, and the responses API.
def models():
    return [chat(OPENAI), chat(ANTHROPIC), chat(OPENAI, use_responses_api=True), messages(ANTHROPIC), messages(OPENAI)]


def a_plain_answer():
    for model in models():
        answer = model.invoke([("system", "Be brief."), ("user", "Hello")])
        assert answer.text == "You said: Hello (and the system said: Be brief.)", answer
        assert answer.usage_metadata["total_tokens"] > 0, answer


def a_stream():
    for model in models():
        whole = None
        for chunk in model.stream("Hello"):
            whole = chunk if whole is None else whole + chunk
        assert whole.text == "You said: Hello", whole
        assert whole.usage_metadata["output_tokens"] > 0, whole


def tools_there_and_back():
    for model in models():
        bound = model.bind_tools([weather])
        asked = bound.invoke(WEATHER)
        assert results_told(bound, asked) == SUNNY


def tools_in_a_stream():
    for model in models():
        bound = model.bind_tools([weather])
        asked = None
        for chunk in bound.stream(WEATHER):
            asked = chunk if asked is None else asked + chunk
        assert results_told(bound, asked) == SUNNY


def results_told(bound, asked):
    assert [call["args"] for call in asked.tool_calls] == [{"city": "Paris"}, {"city": "Rome"}], asked
    told = [ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]) for call in asked.tool_calls]
    return bound.invoke([HumanMessage(WEATHER), asked, *told]).text


def an_agent_with_tools():
    for model in models():
        agent = create_agent(model, tools=[weather])
        ended = agent.invoke({"messages": [("user", WEATHER)]})
        assert ended["messages"][-1].text == SUNNY, ended
        pieces = [piece for piece, _ in agent.stream({"messages": [("user", WEATHER)]}, stream_mode="messages")]
        assert "".join(piece.text for piece in pieces if piece.type == "AIMessageChunk") == SUNNY, pieces


def a_structured_answer():
    # With a schema where the target has that, and by a tool that must be called everywhere.
    for model, method in [
        (chat(OPENAI), "json_schema"),
        (chat(OPENAI), "function_calling"),
        (chat(ANTHROPIC), "function_calling"),
        (messages(ANTHROPIC), "json_schema"),
        (messages(ANTHROPIC), "function_calling"),
        (messages(OPENAI), "function_calling"),
    ]:
        answer = model.with_structured_output(Report, method=method).invoke("Report")
        assert answer == Report(city="Paris", degrees=21), (model, method, answer)


def an_image():
    image = {"type": "image", "base64": PNG, "mime_type": "image/png"}
    for model in models():
        answer = model.invoke([HumanMessage([{"type": "text", "text": "What is this?"}, image])])
        assert answer.text == "I see image/png of 12 characters", answer


def thoughts():
    model = messages(ANTHROPIC, thinking={"type": "enabled", "budget_tokens": 1024})
    kinds = [block["type"] for block in model.invoke("Hello").content]
    assert kinds == ["thinking", "text"], kinds


def embeddings():
    # Texts are sent as they are: the lengths are counted with tables that would be downloaded.
    model = OpenAIEmbeddings(model=OPENAI, base_url=BASE, api_key=KEY, check_embedding_ctx_length=False)
    assert model.embed_documents(["one two", "three"]) == [[7.0, 2.0, -0.5], [5.0, 1.0, -0.5]]


async def the_asynchronous_way():
    for model in models():
        assert (await model.ainvoke("Hello")).text == "You said: Hello"
        assert "".join([chunk.text async for chunk in model.astream("Hello")]) == "You said: Hello"


run([
    a_plain_answer,
    a_stream,
    tools_there_and_back,
    tools_in_a_stream,
    an_agent_with_tools,
    a_structured_answer,
    an_image,
    thoughts,
    embeddings,
    the_asynchronous_way,
])
