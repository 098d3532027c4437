"""What the conformance suite calls, all of it, in one server: the fixture that stands behind the gateway.

Names, texts and behaviours are the suite's; its scenarios describe them.
"""

from __future__ import annotations

import json
from typing import Any

from mcp.server import Server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CompleteRequestParams,
    GetPromptRequestParams,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    RequestParams,
    SetLevelRequestParams,
)

from tests.conformance.servers import asking, contents
from tests.conformance.servers.contents import PICTURE, embedded
from tests.conformance.servers.table import (
    STRING,
    Call,
    Context,
    Json,
    Table,
    asks,
    complete,
    fresh,
    question,
    serve,
    words,
)
from tests.toy import PIXEL

WATCHED = "test://watched-resource"
STATIC: dict[str, Json] = {
    "test://static-text": {"mimeType": "text/plain", "text": "This is the content of the static text resource."},
    "test://static-binary": {"mimeType": "image/png", "blob": PIXEL},
    WATCHED: {"mimeType": "text/plain", "text": "What a client may watch."},
}
TEMPLATE = "test://template/{id}/data"

PROMPTS: dict[str, tuple[str, list[str]]] = {
    "test_simple_prompt": ("A prompt without arguments.", []),
    "test_prompt_with_arguments": ("A prompt that says its arguments.", ["arg1", "arg2"]),
    "test_prompt_with_embedded_resource": ("A prompt that carries a resource.", ["resourceUri"]),
    "test_prompt_with_image": ("A prompt that carries an image.", []),
    "test_input_required_result_prompt": ("A prompt that asks for its context.", []),
}


async def list_resources(context: Context, params: PaginatedRequestParams) -> Json:
    return fresh(resources=[{"uri": uri, "name": uri, "mimeType": body["mimeType"]} for uri, body in STATIC.items()])


async def list_templates(context: Context, params: PaginatedRequestParams) -> Json:
    return fresh(resourceTemplates=[{"uriTemplate": TEMPLATE, "name": "data", "mimeType": "application/json"}])


async def read_resource(context: Context, params: ReadResourceRequestParams) -> Json:
    head, tail = TEMPLATE.split("{id}")
    if params.uri in STATIC:
        body = STATIC[params.uri]
    elif params.uri.startswith(head) and params.uri.endswith(tail):
        key = params.uri.removeprefix(head).removesuffix(tail)
        data = {"id": key, "templateTest": True, "data": f"Data for ID: {key}"}
        body = {"mimeType": "application/json", "text": json.dumps(data)}
    else:
        raise MCPError(INVALID_PARAMS, "Resource not found", {"uri": params.uri})
    return fresh(contents=[{"uri": params.uri, **body}])


async def list_prompts(context: Context, params: PaginatedRequestParams) -> Json:
    return fresh(
        prompts=[
            {
                "name": name,
                "description": description,
                "arguments": [{"name": argument, "required": True} for argument in arguments],
            }
            for name, (description, arguments) in PROMPTS.items()
        ]
    )


def said(*blocks: Json) -> Json:
    return complete(messages=[{"role": "user", "content": block} for block in blocks])


async def get_prompt(context: Context, params: GetPromptRequestParams) -> Json:
    given = params.arguments or {}
    match params.name:
        case "test_simple_prompt":
            return said(words("This is a simple prompt for testing."))
        case "test_prompt_with_arguments":
            return said(words(f"Prompt with arguments: arg1='{given.get('arg1')}', arg2='{given.get('arg2')}'"))
        case "test_prompt_with_embedded_resource":
            uri = given.get("resourceUri", "")
            resource = embedded(uri, "text/plain", "Embedded resource content for testing.")
            return said(resource, words("Please process the embedded resource above."))
        case "test_prompt_with_image":
            return said(PICTURE, words("Please analyze the image above."))
        case "test_input_required_result_prompt":
            background = Call.of(context).answered("user_context", "context")
            if background is None:
                return asks(user_context=question("What context should the prompt use?", context=STRING))
            return said(words(f"Use this context: {background}"))
        case _:
            raise MCPError(INVALID_PARAMS, f"Unknown prompt: {params.name}")


async def suggest(context: Context, params: CompleteRequestParams) -> Json:
    values = [name for name in ("paris", "park", "party") if name.startswith(params.argument.value)]
    return complete(completion={"values": values, "total": len(values), "hasMore": False})


async def accept(context: Context, params: RequestParams) -> Json:
    return {}


def everything() -> Server[Any]:
    bus = InMemorySubscriptionBus()
    server: Server[Any] = Server("conformance-everything", version="1", on_subscriptions_listen=ListenHandler(bus))
    tools = Table()
    contents.add_to(tools, bus)
    asking.add_to(tools)
    tools.add_to(server)
    server.add_request_handler("resources/list", PaginatedRequestParams, list_resources)
    server.add_request_handler("resources/templates/list", PaginatedRequestParams, list_templates)
    server.add_request_handler("resources/read", ReadResourceRequestParams, read_resource)
    server.add_request_handler("resources/subscribe", ReadResourceRequestParams, accept)
    server.add_request_handler("resources/unsubscribe", ReadResourceRequestParams, accept)
    server.add_request_handler("prompts/list", PaginatedRequestParams, list_prompts)
    server.add_request_handler("prompts/get", GetPromptRequestParams, get_prompt)
    server.add_request_handler("completion/complete", CompleteRequestParams, suggest)
    server.add_request_handler("logging/setLevel", SetLevelRequestParams, accept)
    return server


if __name__ == "__main__":
    serve(everything())
