"""The fixed script that each server with more than tools is taken through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fidelity.surfaces import LIST_CHANGES, MESSAGE, UPDATED, Step

GRAPH = "memory://knowledge-graph"
TEXT = "demo://resource/dynamic/text/{resourceId}"


def read(uri: str, **more: Any) -> Step:
    return Step("resources/read", {"uri": uri}, **more)


def prompt(name: str, arguments: dict[str, str] | None = None, **more: Any) -> Step:
    return Step("prompts/get", {"name": name} | ({} if arguments is None else {"arguments": arguments}), **more)


def call(tool: str, arguments: dict[str, Any] | None = None, **more: Any) -> Step:
    return Step("tools/call", {"name": tool, "arguments": arguments or {}}, **more)


def complete_prompt(name: str, argument: str, value: str, **context: str) -> Step:
    return _complete({"type": "ref/prompt", "name": name}, argument, value, context)


def complete_uri(template: str, argument: str, value: str, **context: str) -> Step:
    return _complete({"type": "ref/resource", "uri": template}, argument, value, context)


def _complete(ref: dict[str, Any], argument: str, value: str, context: dict[str, str]) -> Step:
    more = {"context": {"arguments": context}} if context else {}
    return Step("completion/complete", {"ref": ref, "argument": {"name": argument, "value": value}, **more})


TRACED = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "a=1",
    "baggage": "user=%C3%BC",
    "example/more": {"deep": [1, None]},
}

GALLERY = (
    read("gallery://picture/1"),
    read("gallery://notes", with_progress=True),
    read("gallery://notes", meta=TRACED),
    read("ui://gallery/panel"),
    read("gallery://caf%C3%A9/a%20b?x=1&y=%2F#top"),
    read("gallery://picture/70"),
    read("gallery://search?q=b%20c&page=2"),
    read("gallery://locked"),
    read("gallery://nowhere"),
    read("nobody://nowhere"),
    prompt("describe", {"picture": "${7} $${x} 東京", "tone": ""}),
    prompt("describe", {"picture": "1", "unheard_of": "of"}, meta=TRACED),
    prompt("describe"),
    prompt("describe", {}),
    prompt("blocks"),
    prompt("asking"),
    prompt("asking", user="decline"),
    prompt("nothing"),
    complete_prompt("describe", "picture", "1"),
    complete_prompt("describe", "picture", "", tone="ü"),
    complete_prompt("describe", "picture", "refuse"),
    complete_uri("gallery://picture/{number}", "number", "2"),
    complete_uri("gallery://search{?q,page}", "q", "b c", page="2"),
    call("show"),
    call("panel", {"size": 4}),
    call("report", meta=TRACED),
    call("say", with_progress=True, log_level="error", hears=(MESSAGE,)),
    call("say", log_level="debug", hears=(MESSAGE,) * 3),
    call("say", log_level="info", with_progress=True, hears=(MESSAGE,) * 2),
    call("ask", {"what": "form"}),
    call("ask", {"what": "form"}, user="decline"),
    call("ask", {"what": "form"}, user="cancel"),
    call("ask", {"what": "plain form"}),
    call("ask", {"what": "url"}),
    call("ask", {"what": "url"}, user="cancel"),
    call("ask", {"what": "sampling"}),
    call("ask", {"what": "roots"}),
    call("ask", {"what": "both"}),
    call("touch", {"uri": "gallery://notes"}, watches=("gallery://notes", "gallery://picture/1"), hears=(UPDATED,)),
    call("touch", {"uri": "gallery://picture/9"}, watches=("gallery://picture/9",), hears=(UPDATED,)),
    call("grow", follows_lists=True, hears=LIST_CHANGES),
    call("grown"),
)

EVERYTHING = (
    read("demo://resource/static/document/features.md"),
    read("demo://resource/static/document/instructions.md"),
    read("demo://resource/dynamic/text/12"),
    read("demo://resource/dynamic/blob/12"),
    read("demo://resource/dynamic/text/nought"),
    read("demo://resource/elsewhere"),
    read("not a URI"),
    prompt("simple-prompt"),
    prompt("simple-prompt", {"unheard_of": "of"}),
    prompt("args-prompt", {"city": "Zürich"}),
    prompt("args-prompt", {"city": "Zürich", "state": "fut_"}),
    prompt("args-prompt", {}),
    prompt("args-prompt"),
    prompt("completable-prompt", {"department": "Sales", "name": "Eve"}),
    prompt("resource-prompt", {"resourceType": "Blob", "resourceId": "4"}),
    prompt("resource-prompt", {"resourceType": "Text", "resourceId": "4"}),
    prompt("resource-prompt", {"resourceType": "Sound", "resourceId": "4"}),
    prompt("no-such-prompt", {"a": "b"}),
    complete_prompt("completable-prompt", "department", "S"),
    complete_prompt("completable-prompt", "department", "nothing"),
    complete_prompt("completable-prompt", "name", "", department="Support"),
    complete_prompt("completable-prompt", "no_such_argument", ""),
    complete_prompt("resource-prompt", "resourceType", ""),
    complete_uri(TEXT, "resourceId", "3"),
    complete_uri(TEXT, "resourceId", "three"),
    call("trigger-long-running-operation", {"duration": 0.1, "steps": 4}, with_progress=True),
    call("trigger-elicitation-request"),
    call("trigger-elicitation-request", user="decline"),
    call("trigger-elicitation-request", user="cancel"),
    call("trigger-url-elicitation", {"url": "https://example.org/a?b=c", "message": "Go", "elicitationId": "e7"}),
    call(
        "trigger-url-elicitation",
        {"url": "https://example.org/", "message": "Go", "elicitationId": "e8"},
        user="decline",
    ),
    call("trigger-sampling-request", {"prompt": "Capital of France?", "maxTokens": 7}),
    call("get-roots-list"),
    call(
        "toggle-subscriber-updates",
        watches=("demo://resource/dynamic/text/1", "demo://resource/static/document/features.md"),
        hears=(UPDATED, UPDATED),
    ),
    call("toggle-subscriber-updates"),
    call(
        "gzip-file-as-resource",
        {"name": "s.gz", "data": "data:text/plain,hello"},
        follows_lists=True,
        hears=("notifications/resources/list_changed",),
    ),
    read("demo://resource/session/s.gz"),
)

MEMORY = (
    read(GRAPH),
    call(
        "create_entities",
        {"entities": [{"name": "Zürich", "entityType": "city", "observations": ["東京 is far"]}]},
        watches=(GRAPH,),
        hears=(UPDATED,),
    ),
    read(GRAPH),
    read("memory://elsewhere"),
)

FETCH = (
    prompt("fetch", {"url": "http://127.0.0.1:1/"}),
    prompt("fetch", {}),
    prompt("fetch"),
)

SCRIPTS: Mapping[str, tuple[Step, ...]] = {
    "gallery": GALLERY,
    "everything": EVERYTHING,
    "memory": MEMORY,
    "fetch": FETCH,
}
