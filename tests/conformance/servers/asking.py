"""Tools of the fixture that ask their client: by server requests (2025-11-25) and by results (2026-07-28)."""

from __future__ import annotations

import json

from mcp.shared.message import ServerMessageMetadata
from mcp_types import CreateMessageRequest, CreateMessageResult, TextContent

from tests.conformance.servers.table import (
    NUMBER,
    ROOTS,
    STRING,
    Call,
    Json,
    Table,
    asks,
    form,
    question,
    sampling,
    text,
)

BOOLEAN: Json = {"type": "boolean"}
PERSON: Json = {
    "name": {**STRING, "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {**NUMBER, "default": 95.5},
    "status": {**STRING, "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {**BOOLEAN, "default": True},
}
CHOICES: Json = {
    "untitledSingle": {**STRING, "enum": ["option1", "option2", "option3"]},
    "titledSingle": {**STRING, "oneOf": [{"const": word, "title": word.title()} for word in ("low", "high")]},
    "legacyEnum": {**STRING, "enum": ["opt1", "opt2"], "enumNames": ["First", "Second"]},
    "untitledMulti": {"type": "array", "items": {**STRING, "enum": ["read", "write"]}},
    "titledMulti": {
        "type": "array",
        "items": {"anyOf": [{"const": word, "title": word.title()} for word in ("feature", "fix")]},
    },
}


def add_to(tools: Table) -> None:
    tools.tool("test_sampling", "Asks the client's model.", form(prompt=STRING))(ask_model)
    tools.tool("test_elicitation", "Asks the user.", form(message=STRING))(ask_user)
    _add_form(tools, "test_elicitation_sep1034_defaults", PERSON)
    _add_form(tools, "test_elicitation_sep1330_enums", CHOICES)
    for name, answer in {
        "elicitation": greet,
        "sampling": sample,
        "list_roots": count_roots,
        "request_state": confirm,
        "tampered_state": confirm,
        "multiple_inputs": ask_three_things,
        "multi_round": ask_twice,
        "capabilities": ask_what_is_offered,
    }.items():
        tools.tool(f"test_input_required_result_{name}", f"Needs an answer first: {name}.")(answer)
    tools.tool("test_streaming_elicitation", "Needs a name first.")(greet)


async def ask_model(call: Call) -> Json:
    request = CreateMessageRequest.model_validate(sampling(call.arguments["prompt"]))
    about = ServerMessageMetadata(related_request_id=call.context.request_id)
    said = await call.context.session.send_request(request, CreateMessageResult, metadata=about)
    answer = said.content.text if isinstance(said.content, TextContent) else "something else than text"
    return text(f"LLM response: {answer}")


async def ask_user(call: Call) -> Json:
    return await _ask_for(call, call.arguments["message"], form(response=STRING))


def _add_form(tools: Table, name: str, properties: Json) -> None:
    async def answer(call: Call) -> Json:
        return await _ask_for(call, "Please fill in this form", form(**properties))

    tools.tool(name, "Asks the user to fill in a form.")(answer)


async def _ask_for(call: Call, message: str, schema: Json) -> Json:
    answer = await call.context.session.elicit_form(message, schema, related_request_id=call.context.request_id)
    return text(f"User response: action={answer.action}, content={json.dumps(answer.content or {})}")


async def greet(call: Call) -> Json:
    name = call.answered("user_name", "name")
    return asks(user_name=question("What is your name?", name=STRING)) if name is None else text(f"Hello, {name}!")


async def sample(call: Call) -> Json:
    said = call.answers.get("capital_question")
    if said is None:
        return asks(capital_question=sampling("What is the capital of France?"))
    return text(f"The model said: {said['content']['text']}")


async def count_roots(call: Call) -> Json:
    listed = call.answers.get("client_roots")
    return asks(client_roots=ROOTS) if listed is None else text(f"The client has {len(listed['roots'])} roots.")


async def confirm(call: Call) -> Json:
    if call.state is None or call.answered("confirm", "ok") is None:
        return asks("asked", confirm=question("Please confirm", ok=BOOLEAN))
    return text(f"state-ok: {call.state}")


async def ask_three_things(call: Call) -> Json:
    requests = {
        "user_name": question("What is your name?", name=STRING),
        "greeting": sampling("Generate a greeting"),
        "client_roots": ROOTS,
    }
    if call.state is None or not requests.keys() <= call.answers.keys():
        return asks("asked", **requests)
    return text("All three came.")


async def ask_twice(call: Call) -> Json:
    """The name given in the first round is kept in the state of the second."""
    known: Json = json.loads(call.state) if call.state else {}
    color = call.answered("step2", "color")
    if "name" in known and color is not None:
        return text(f"{known['name']} likes {color}.")
    name = call.answered("step1", "name")
    if call.state and name is not None:
        return asks(json.dumps({"name": name}), step2=question("What is your favorite color?", color=STRING))
    return asks("{}", step1=question("What is your name?", name=STRING))


async def ask_what_is_offered(call: Call) -> Json:
    offered = call.context.session.client_capabilities
    requests: Json = {}
    if offered and offered.sampling:
        requests["said"] = sampling("Say hello")
    if offered and offered.elicitation:
        requests["user_name"] = question("What is your name?", name=STRING)
    return asks("asked", **requests)
