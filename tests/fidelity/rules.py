"""Every difference that the gateway may make, why, and in which modes: a rule takes its difference out of a pair.

What is left of a pair after all the rules of its mode must be equal. A rule that never had anything to take out is no
rule. They check as they go: a difference that is not quite the one they know stays where it is.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.fidelity.doors import Json
from tests.fidelity.gateways import Mode
from tests.fidelity.pairs import SERVER_INFO, VERSIONS, Pair, Rule, as_the_sdk_writes, drop_empty_meta, result_of

OWN_TOOLS = ["await_future", "get_future", "cancel_future", "list_futures"]
TOKEN = {"type": "string", "pattern": "^fut_"}
OWN_ARGUMENTS = {"_wait_s": {"type": "number", "minimum": 0}, "_as": {"type": "string"}}
LESSON = re.compile(
    r"If slow, gives a fut_ token to pass as argument or await_future\.( _wait_s: [^\n]*_as: [^\n]*\.)?"
)
LONG_RESULT = re.compile(
    r'\[To pass this result on, write "fut_[a-z0-9]{1,16}_[0-9a-hjkmnp-tv-z]+" as the argument'
    r" instead of copying it\.\]"
)
LONG_CHARACTERS = 2_000


def own_tools(pair: Pair) -> bool:
    tools = pair.seen["tools"]
    if [tool["name"] for tool in tools[: len(OWN_TOOLS)]] != OWN_TOOLS:
        return False
    pair.seen["tools"] = tools[len(OWN_TOOLS) :]
    return True


def other_servers(pair: Pair) -> bool:
    """Their tools follow each other in the order of the configuration, and those of one server in its own order."""
    servers = [tool["_meta"]["asyncfc/tool"]["server"] for tool in pair.seen["tools"]]
    assert servers == sorted(servers, key=list(dict.fromkeys(servers)).index)
    kept = [tool for tool, server in zip(pair.seen["tools"], servers, strict=True) if server == pair.server]
    found = len(kept) < len(pair.seen["tools"])
    pair.seen["tools"] = kept
    return found


def origin(pair: Pair) -> bool:
    meta = pair.seen.get("_meta", {})
    if meta.get("asyncfc/tool") != {"server": pair.server, "name": pair.direct["name"]}:
        return False
    del meta["asyncfc/tool"]
    drop_empty_meta(pair.seen)
    return True


def prefix(pair: Pair) -> bool:
    return _rename(pair, f"{pair.server}_{pair.direct['name']}")


def cut_name(pair: Pair) -> bool:
    whole = f"{pair.server}_{pair.direct['name']}"
    shown = pair.seen["name"]
    is_cut = len(whole) > 40 and len(shown) == 40 and re.fullmatch(r"(.*)_[0-9a-f]{6}", shown)
    return bool(is_cut) and whole.startswith(shown[:-7]) and _rename(pair, shown)


def lesson(pair: Pair) -> bool:
    shown, original = pair.seen["description"], pair.direct["description"]
    parts = [shown.removeprefix(original + "\n"), shown.removesuffix("\n" + original)]
    if not any(LESSON.fullmatch(part) for part in parts):
        return False
    pair.seen["description"] = original
    return True


def own_arguments(pair: Pair) -> bool:
    properties = pair.seen["inputSchema"].get("properties", {})
    found = [name for name, schema in OWN_ARGUMENTS.items() if properties.get(name) == schema]
    for name in found:
        del properties[name]
    if not properties and "properties" not in pair.direct["inputSchema"]:
        del pair.seen["inputSchema"]["properties"]
    return len(found) == len(OWN_ARGUMENTS)


def unions(pair: Pair) -> bool:
    return _without_unions(pair.seen["inputSchema"])


def execution(pair: Pair) -> bool:
    """Says whether a tool takes part in the tasks of 2025-11-25, which a client of 2026-07-28 does not know."""
    is_required = pair.direct.get("execution") == {"taskSupport": "required"}
    is_gone = "execution" not in pair.seen and (pair.era == "auto" or is_required)
    return is_gone and pair.direct.pop("execution", None) is not None


def no_output_schema(pair: Pair) -> bool:
    return "outputSchema" not in pair.seen and pair.direct.pop("outputSchema", None) is not None


def wider_output_schema(pair: Pair) -> bool:
    match pair.seen.get("outputSchema"):
        case {"type": "object", "anyOf": [{**original}, {"properties": {"token": token}}], **rest} if token == TOKEN:
            pair.seen["outputSchema"] = {**rest, **original}
            return True
        case _:
            return False


def text_says_it(pair: Pair) -> bool:
    """The value is dropped where the text is its JSON, or is the one thing that it holds."""
    structured = result_of(pair.direct).get("structuredContent")
    text = _text(result_of(pair.direct))
    if structured is None or "structuredContent" in result_of(pair.seen):
        return False
    members = list(structured.values())
    says = _parsed(text) == structured or (len(members) == 1 and (text == members[0] or _parsed(text) == members[0]))
    if says:
        del result_of(pair.direct)["structuredContent"]
    return says


def json_added(pair: Pair) -> bool:
    direct, seen = result_of(pair.direct), result_of(pair.seen)
    if "structuredContent" not in direct or "structuredContent" in seen:
        return False
    # a long result ends with its token, after the JSON
    at = len(direct["content"])
    if len(seen["content"]) <= at or _parsed(seen["content"][at].get("text", "")) != direct["structuredContent"]:
        return False
    del seen["content"][at], direct["structuredContent"]
    return True


def token_line(pair: Pair) -> bool:
    direct, seen = result_of(pair.direct), result_of(pair.seen)
    is_long = len(_text(direct)) > LONG_CHARACTERS and not direct.get("isError")
    last: Json = seen["content"][-1] if seen.get("content") else {}
    has_line = last.get("type") == "text" and LONG_RESULT.fullmatch(last["text"]) is not None
    assert has_line == is_long, f"{len(_text(direct))} characters, token line: {has_line}"
    if has_line:
        del seen["content"][-1]
    return has_line


def conversion(pair: Pair) -> bool:
    if pair.direct_when_converted is None or pair.direct == pair.direct_when_converted:
        return False
    pair.direct = pair.direct_when_converted
    return True


def unknown_tool(pair: Pair) -> bool:
    assert pair.call is not None
    text = f"Unknown tool: {pair.server}_{pair.call.tool}; the list of tools names them all"
    result = {"content": [{"text": text, "type": "text"}], "isError": True}
    if "such" not in pair.call.tool or pair.seen["body"] != {"result": result}:
        return False
    pair.direct |= {"body": {"result": result}, "complaint": None}
    return True


def envelope(pair: Pair) -> bool:
    """`resultType`, how long it may be cached and who says so belong to a connection, not to what passes over it."""
    body = pair.seen["body"].get("result") if pair.kind == "answer" else pair.seen
    if body is None:
        return False
    assert ("resultType" in body) == (pair.era == "auto")
    other = result_of(pair.direct) if pair.kind == "answer" else pair.direct
    return any([_strip_envelope(body), _strip_envelope(other)])


def introduces_itself(pair: Pair) -> bool:
    assert pair.seen["info"]["name"] == "asyncfc-mcp"
    assert pair.seen["instructions"].startswith("These tools run asynchronously.")
    pair.seen |= {"info": pair.direct["info"], "instructions": pair.direct["instructions"]}
    return True


def speaks_both_eras(pair: Pair) -> bool:
    asked_for = VERSIONS[pair.era]
    assert pair.seen["version"] == asked_for
    found = pair.direct["version"] != asked_for
    pair.seen["version"] = pair.direct["version"]
    return found


def own_tasks(pair: Pair) -> bool:
    """Towards clients there are the tasks of the later revision, and none of 2025-11-25."""
    extensions = pair.seen["capabilities"].pop("extensions", None)
    assert extensions == ({"io.modelcontextprotocol/tasks": {}} if pair.era == "auto" else None)
    return pair.direct["capabilities"].pop("tasks", None) is not None or extensions is not None


def offers_of_all(pair: Pair) -> bool:
    """Nothing that a server says it can do is missing."""
    direct, seen = pair.direct["capabilities"], pair.seen["capabilities"]
    is_wide_enough = all(
        name in seen and all(seen[name].get(key) == value for key, value in said.items() if value)
        for name, said in direct.items()
    )
    found = direct != seen
    if is_wide_enough:
        pair.direct["capabilities"] = seen
    return is_wide_enough and found


def drives_tasks(pair: Pair) -> bool:
    if "requires task augmentation" not in _text(result_of(pair.direct)) or result_of(pair.seen).get("isError"):
        return False
    pair.direct["body"] = pair.seen["body"]
    return True


NOT_SYNC: tuple[Mode, ...] = ("auto", "structured")

RULES = (
    Rule("introduction", "the gateway is a server of its own; it quotes the others", "introduction", introduces_itself),
    Rule("era", "it speaks both eras, whatever stands behind it", "introduction", speaks_both_eras),
    Rule("own tasks", "it drives the tasks of servers, and has some of its own", "introduction", own_tasks),
    Rule("offers of all", "one introduction for all servers, which come and go", "introduction", offers_of_all),
    Rule("listing envelope", "belongs to the connection", "listing", envelope),
    Rule("own tools", "futures need tools of their own", "listing", own_tools),
    Rule("other servers", "one list for all of them", "listing", other_servers),
    Rule("prefix", "two servers may have tools of one name", "tool", prefix),
    Rule("cut name", "clients add prefixes of their own to names and drop long ones", "tool", cut_name),
    Rule("origin", "programs must know where a tool comes from", "tool", origin),
    Rule("lesson", "a model must know what a token is", "tool", lesson, NOT_SYNC),
    Rule("own arguments", "`_wait_s` and `_as` belong to the call, not to the tool", "tool", own_arguments, NOT_SYNC),
    Rule("unions", "a token must be valid where a value is", "tool", unions, NOT_SYNC),
    Rule("execution", "clients refuse to call a tool that requires a task, which the gateway makes", "tool", execution),
    Rule("no output schema", "a token is no instance of it", "tool", no_output_schema, ("auto",)),
    Rule("wider output schema", "as a union, a token is one", "tool", wider_output_schema, ("structured",)),
    Rule("conversion", "clients that were shown a union send numbers as text", "answer", conversion, NOT_SYNC),
    Rule("as the SDK writes", "it knows the fields of each revision alone", "answer", as_the_sdk_writes),
    Rule("answer envelope", "belongs to the connection", "answer", envelope),
    Rule("drives tasks", "a client need not know that a tool requires a task", "answer", drives_tasks),
    Rule(
        "unknown tool",
        "no server has it, so the gateway says so, with the name it was asked for",
        "answer",
        unknown_tool,
    ),
    Rule("text says it", "some hosts show `structuredContent` alone", "answer", text_says_it, ("auto",)),
    Rule("JSON added", "no value may get lost with `structuredContent`", "answer", json_added, ("auto",)),
    Rule("token line", "a long result is passed on by its token", "answer", token_line, ("auto",)),
)


def _rename(pair: Pair, name: str) -> bool:
    if pair.seen["name"] != name:
        return False
    pair.seen["name"] = pair.direct["name"]
    return True


def _without_unions(schema: Json) -> bool:
    found = False
    properties: dict[str, Json] = schema.get("properties", {})
    for name, each in properties.items():
        if set(each) == {"anyOf"} and each["anyOf"][1:] == [TOKEN]:
            properties[name] = each["anyOf"][0]
            found = True
        found |= _without_unions(properties[name])
    return found


def _text(result: Json) -> str:
    return "\n".join(block["text"] for block in result.get("content", []) if block["type"] == "text")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _strip_envelope(body: Json) -> bool:
    meta: Json = body.get("_meta", {})
    found = [body.pop(key, None) for key in ("resultType", "ttlMs", "cacheScope")]
    found.append(meta.pop(SERVER_INFO, None))
    drop_empty_meta(body)
    return any(part is not None for part in found)
