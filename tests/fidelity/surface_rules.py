"""Every difference that the gateway may make to what is no tool; how rules work is said in `rules.py`."""

from __future__ import annotations

import json

from asyncfc_mcp.server.future_resources import TEMPLATE
from tests.fidelity.doors import Era, Json
from tests.fidelity.pairs import (
    SERVER_INFO,
    VERSIONS,
    Pair,
    Rule,
    as_the_sdk_writes,
    as_written,
    drop_empty_meta,
    result_of,
)
from tests.fidelity.rules import text_says_it
from tests.fidelity.surfaces import LISTS, UPDATED

SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
TASKS = "io.modelcontextprotocol/tasks"
NOT_FOUND = {"legacy": -32002, "auto": -32602}
OLD_NOT_FOUND = -32002
FOR_A_MINUTE = {"ttlMs": 60_000, "cacheScope": "private"}
NEVER = {"ttlMs": 0, "cacheScope": "private"}
HINTS = ("ttlMs", "cacheScope")


def own_template(pair: Pair) -> bool:
    templates = pair.seen.get("resourceTemplates")
    if not templates or templates[0] != TEMPLATE:
        return False
    del templates[0]
    return True


def prompt_prefix(pair: Pair) -> bool:
    """Before: the servers' own names; each is to have its server's in front."""
    for direct, seen in zip(pair.direct.get("prompts", []), pair.seen.get("prompts", []), strict=False):
        server = direct.pop("server")
        if seen["name"] == f"{server}_{direct['name']}":
            seen["name"] = direct["name"]
    return bool(pair.seen.get("prompts"))


def list_envelope(pair: Pair) -> bool:
    """Who says it, how, and for how long it holds."""
    expected = {"resultType": "complete", **FOR_A_MINUTE} if pair.era == "auto" else {}
    said = {key: pair.seen.pop(key) for key in ("resultType", *HINTS) if key in pair.seen}
    assert said == expected
    _without_server_info(pair.seen)
    return bool(said)


def step_envelope(pair: Pair) -> bool:
    """Who says it, and in which shape; how long it holds is the server's to say."""
    seen, direct = result_of(pair.seen), result_of(pair.direct)
    if not seen:
        return False
    assert ("resultType" in seen) == (pair.era == "auto")
    found = [body.pop("resultType", None) is not None for body in (seen, direct)]
    return any([*found, _without_server_info(seen), _without_server_info(direct)])


def never_cached(pair: Pair) -> bool:
    """A server of the handshake era does not say how long a resource stays as it is."""
    seen, direct = result_of(pair.seen), result_of(pair.direct)
    if any(key in direct for key in HINTS) or {key: seen[key] for key in HINTS if key in seen} != NEVER:
        return False
    for key in HINTS:
        del seen[key]
    return True


def stream(pair: Pair) -> bool:
    """On which stream a client of the later revision hears it; one of the handshake era has no streams."""
    found = False
    for heard in pair.seen["heard"]:
        is_streamed = heard["method"].endswith("/list_changed") or heard["method"] == UPDATED
        assert _drop_stream(heard) == (is_streamed and pair.era == "auto")
        found |= is_streamed
    for heard in pair.direct["heard"]:
        _drop_stream(heard)
    return found


def unknown_prompt(pair: Pair) -> bool:
    assert pair.step is not None
    name = pair.step.params.get("name")
    message = f"Unknown prompt: {pair.server}_{name}"
    is_about_it = pair.step.method == "prompts/get" and pair.seen["body"] == _error(-32602, message)
    return is_about_it and _take_error(pair)


def nobody_has_it(pair: Pair) -> bool:
    assert pair.step is not None
    uri = pair.step.params.get("uri")
    said = _error(NOT_FOUND[pair.era], f"Resource not found: {uri}", {"uri": uri})
    return pair.seen["body"] == said and _take_error(pair)


def servers_code(pair: Pair) -> bool:
    """The only server there is speaks the later era: its words, its data, and its code."""
    direct, seen = pair.direct["body"].get("error"), pair.seen["body"].get("error")
    if not direct or not seen or pair.era != "legacy" or seen["code"] != NOT_FOUND["auto"]:
        return False
    return direct == {**seen, "code": OLD_NOT_FOUND} and _take_error(pair)


def claims_tasks(pair: Pair) -> bool:
    """On a connection of the later era, it adds to the client's capabilities that it drives tasks."""
    assert pair.step is not None
    if pair.step.params.get("name") != "report":
        return False
    block = result_of(pair.seen)["content"][0]
    report = json.loads(block["text"])
    found = report["claimed"].pop("extensions", None) == {TASKS: {}}
    block["text"] = json.dumps(report, sort_keys=True)
    return found


SURFACE_RULES = (
    Rule("own template", "futures can be read as resources", "list", own_template),
    Rule("prompt prefix", "two servers may have prompts of one name", "list", prompt_prefix),
    Rule("list envelope", "one list for all servers, whose changes are announced", "list", list_envelope),
    Rule("as the SDK writes", "it knows the fields of each revision alone", "step", as_the_sdk_writes),
    Rule("step envelope", "belongs to the connection", "step", step_envelope),
    Rule("never cached", "the revision wants a word on it, and the server said none", "step", never_cached),
    Rule("stream", "belongs to the connection", "step", stream),
    Rule("unknown prompt", "no server has it, so the gateway says so", "step", unknown_prompt),
    Rule("nobody has it", "several servers were asked, so the gateway says so", "step", nobody_has_it),
    Rule("the server's code", "what a code means to a server of another era cannot be known", "step", servers_code),
    Rule("claims tasks", "a server may answer with a task, which the gateway drives", "step", claims_tasks),
    Rule("text says it", "some hosts show `structuredContent` alone", "step", text_says_it),
)


def listed_by_all(method: str, lists: list[tuple[str, Json]], era: Era) -> Json:
    """What one list for all these servers has to be, with each item as the SDK writes it; an error lists nothing."""
    kind = LISTS[method]
    items: list[Json] = []
    for server, body in lists:
        own = as_written(method, VERSIONS[era], {kind: body.get(kind, [])})
        items += [{**item, "server": server} if kind == "prompts" else item for item in own[kind]]
    return {kind: items}


def _error(code: int, message: str, data: Json | None = None) -> Json:
    return {"error": {"code": code, "message": message} | ({"data": data} if data else {})}


def _take_error(pair: Pair) -> bool:
    """The server's own error for the gateway's; never an error for a result."""
    if "error" not in pair.direct["body"]:
        return False
    pair.direct |= {"body": pair.seen["body"], "complaint": pair.seen["complaint"]}
    return True


def _without_server_info(body: Json) -> bool:
    meta: Json = body.get("_meta", {})
    found = meta.pop(SERVER_INFO, None) is not None
    drop_empty_meta(body)
    return found


def _drop_stream(heard: Json) -> bool:
    params: Json = heard.get("params", {})
    meta: Json = params.get("_meta", {})
    found = meta.pop(SUBSCRIPTION, None) is not None
    if found and not meta:
        del params["_meta"]
    if found and not params:
        del heard["params"]
    return found
