"""Tools of the fixture that need no client: kinds of content, errors, progress, log messages, changes of lists."""

from __future__ import annotations

import base64
import io
import wave

from mcp.server.subscriptions import PromptsListChanged, ServerEvent, SubscriptionBus, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp_types import MISSING_REQUIRED_CLIENT_CAPABILITY

from tests.conformance.servers.table import STRING, Call, Json, Table, content, text, words
from tests.toy import PIXEL

PICTURE: Json = {"type": "image", "data": PIXEL, "mimeType": "image/png"}

SCHEMA_2020_12: Json = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {"street": STRING, "city": STRING}}},
    "properties": {
        "name": STRING,
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": STRING,
        "email": STRING,
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
"""What the scenario json-schema-2020-12 looks for."""


def silence() -> Json:
    """An audio block in which nothing is heard."""
    file = io.BytesIO()
    with wave.open(file, "wb") as recording:
        recording.setparams((1, 1, 8000, 0, "NONE", ""))
        recording.writeframes(bytes(8))
    return {"type": "audio", "data": base64.b64encode(file.getvalue()).decode(), "mimeType": "audio/wav"}


def embedded(uri: str, kind: str, body: str) -> Json:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": body}}


def add_to(tools: Table, bus: SubscriptionBus) -> None:
    results: dict[str, Json] = {
        "test_simple_text": text("This is a simple text response for testing."),
        "test_image_content": content(PICTURE),
        "test_audio_content": content(silence()),
        "test_embedded_resource": content(
            embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")
        ),
        "test_multiple_content_types": content(
            words("Multiple content types test:"),
            PICTURE,
            embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
        ),
        "test_error_handling": content(words("This tool intentionally returns an error for testing"), isError=True),
    }
    for name, result in results.items():
        _add_constant(tools, name, result)
    _add_constant(tools, "json_schema_2020_12_tool", text("Valid."), SCHEMA_2020_12)
    region = {"type": "string", "x-mcp-header": "Region"}
    _add_constant(tools, "test_x_mcp_header", text("Heard."), {"type": "object", "properties": {"region": region}})
    _add_change(tools, bus, "test_trigger_tool_change", ToolsListChanged())
    _add_change(tools, bus, "test_trigger_prompt_change", PromptsListChanged())
    tools.tool("test_tool_with_logging", "Logs three messages.")(log)
    tools.tool("test_logging_tool", "Logs three messages.")(log)
    tools.tool("test_tool_with_progress", "Reports its progress three times.")(report)
    tools.tool("test_missing_capability", "Works only for clients that offer sampling.")(need_sampling)


def _add_constant(tools: Table, name: str, result: Json, schema: Json | None = None) -> None:
    async def answer(call: Call) -> Json:
        return result

    tools.tool(name, f"Always gives the same result: {name}.", schema)(answer)


def _add_change(tools: Table, bus: SubscriptionBus, name: str, change: ServerEvent) -> None:
    async def answer(call: Call) -> Json:
        await bus.publish(change)
        return text("Announced.")

    tools.tool(name, "Announces that a list has changed.")(answer)


async def log(call: Call) -> Json:
    for what in ("started", "at work", "finished"):
        await call.context.session.send_log_message(  # pyright: ignore[reportDeprecated]
            "info", f"Tool {what}", related_request_id=call.context.request_id
        )
    return text("Logged.")


async def report(call: Call) -> Json:
    for done in (0, 50, 100):
        await call.context.session.report_progress(done, 100, f"{done} of 100")
    return text("Reported.")


async def need_sampling(call: Call) -> Json:
    offered = call.context.session.client_capabilities
    if offered is None or offered.sampling is None:
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            "This tool needs a client that offers sampling",
            {"requiredCapabilities": {"sampling": {}}},
        )
    return text("Sampling is there.")
