"""What the gallery shows: its lists, and what it asks. Fields called `exampleUnknown` are in no revision."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
ICONS = [
    {"src": "https://example.org/frame.png", "mimeType": "image/png", "sizes": ["48x48", "96x96"], "theme": "dark"},
    {"src": f"data:image/png;base64,{PIXEL}"},
]
SEEN_BY_USERS = {"audience": ["user"], "priority": 0.25, "lastModified": "2026-01-02T03:04:05Z"}
PANEL = "ui://gallery/panel"
APP = "text/html;profile=mcp-app"
LINK = {
    "type": "resource_link",
    "uri": "gallery://picture/1",
    "name": "one",
    "title": "The first",
    "icons": ICONS,
    "size": 70,
    "mimeType": "image/png",
    "annotations": SEEN_BY_USERS,
    "_meta": {"example/link": None},
}

EMBEDDED = {"uri": "gallery://notes", "text": "a", "_meta": {"example/embedded": 1}}
BLOCKS: list[Json] = [
    {"type": "text", "text": "fut_ and ${fut_x}", "annotations": SEEN_BY_USERS, "_meta": {"example/text": 1}},
    {"type": "image", "data": PIXEL, "mimeType": "image/png", "_meta": {"example/image": 1}},
    {
        "type": "audio",
        "data": "UklGRg==",
        "mimeType": "audio/wav",
        "annotations": {"priority": 0},
        "exampleUnknown": 1,
    },
    LINK,
    {"type": "resource", "resource": EMBEDDED, "annotations": {"audience": ["assistant"]}},
    {"type": "resource", "resource": {"uri": "gallery://picture/1", "mimeType": "image/png", "blob": PIXEL}},
]
"""One content block of each kind."""

INTRODUCTION: Json = {
    "capabilities": {
        "tools": {"listChanged": True},
        "resources": {"subscribe": True, "listChanged": True},
        "prompts": {"listChanged": True},
        "completions": {},
    },
    "instructions": "Touch nothing but the pictures.",
}
INFO = {
    "name": "gallery",
    "title": "A gallery",
    "version": "1",
    "description": "Pictures and more.",
    "websiteUrl": "https://example.org/gallery",
    "icons": ICONS,
}

ANYTHING: Json = {"type": "object", "properties": {}}
TOOLS: list[Json] = [
    {
        "name": "show",
        "title": "Show all",
        "description": "Every kind of block.",
        "inputSchema": ANYTHING,
        "icons": ICONS,
        "annotations": {"title": "Show", "readOnlyHint": True, "openWorldHint": False},
        "_meta": {"example/tool": {"depth": [1, None]}},
    },
    {
        "name": "panel",
        "title": "A panel",
        "description": "A tool with an app.",
        "inputSchema": {"type": "object", "properties": {"size": {"type": "integer"}}},
        "outputSchema": {"type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"]},
        "_meta": {"ui": {"resourceUri": PANEL, "visibility": ["model", "app"]}},
    },
    {"name": "say", "description": "Says something at three levels, and how far it is.", "inputSchema": ANYTHING},
    {
        "name": "touch",
        "description": "Changes a resource.",
        "inputSchema": {"type": "object", "properties": {"uri": {}}},
    },
    {
        "name": "ask",
        "description": "Asks the user.",
        "inputSchema": {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
    },
    {"name": "report", "description": "What came with the request.", "inputSchema": ANYTHING},
    {"name": "grow", "description": "Every list gets longer.", "inputSchema": ANYTHING},
]
RESOURCES: list[Json] = [
    {
        "uri": "gallery://picture/1",
        "name": "one",
        "title": "The first picture",
        "description": "Small.",
        "mimeType": "image/png",
        "icons": ICONS,
        "size": 70,
        "annotations": SEEN_BY_USERS,
        "_meta": {"example/wall": {"north": True}},
    },
    {"uri": "gallery://notes", "name": "notes", "exampleUnknown": {"of": "a later revision"}},
    {"uri": PANEL, "name": "panel", "mimeType": APP, "_meta": {"ui": {"prefersBorder": True}}},
    {"uri": "gallery://caf%C3%A9/a%20b?x=1&y=%2F#top", "name": "escaped"},
    {"uri": "gallery://locked", "name": "locked"},
]
TEMPLATES: list[Json] = [
    {
        "uriTemplate": "gallery://picture/{number}",
        "name": "picture",
        "title": "Any picture",
        "icons": ICONS,
        "mimeType": "image/png",
        "annotations": {"priority": 1},
        "_meta": {"example/template": 1},
    },
    {"uriTemplate": "gallery://search{?q,page}", "name": "search", "description": "Finds."},
]
PROMPTS: list[Json] = [
    {
        "name": "describe",
        "title": "Describe a picture",
        "description": "In words.",
        "icons": ICONS,
        "arguments": [
            {"name": "picture", "title": "Which", "description": "Its number.", "required": True},
            {"name": "tone"},
        ],
        "_meta": {"example/prompt": "warm"},
    },
    {"name": "blocks", "exampleUnknown": 1},
    {"name": "asking", "description": "Asks before it answers."},
]

FORM = {
    "message": "Which colour?",
    "requestedSchema": {
        "type": "object",
        "properties": {"name": {"type": "string", "title": "Name", "default": "red"}},
        "required": ["name"],
    },
}
QUESTIONS: dict[str, dict[str, Json]] = {
    "form": {"colour": {"method": "elicitation/create", "params": {"mode": "form", **FORM}}},
    "plain form": {"colour": {"method": "elicitation/create", "params": FORM}},
    "url": {
        "door": {
            "method": "elicitation/create",
            "params": {"mode": "url", "message": "Sign in.", "url": "https://example.org/x", "elicitationId": "e1"},
        }
    },
    "sampling": {
        "model": {
            "method": "sampling/createMessage",
            "params": {
                "messages": [{"role": "user", "content": {"type": "text", "text": "Capital of France?"}}],
                "systemPrompt": "Be short.",
                "maxTokens": 5,
                "temperature": 0.5,
                "stopSequences": ["."],
                "modelPreferences": {"hints": [{"name": "small"}], "speedPriority": 1},
                "metadata": {"example": [1]},
            },
        }
    },
    "roots": {"roots": {"method": "roots/list", "params": {}}},
}
QUESTIONS["both"] = QUESTIONS["form"] | QUESTIONS["sampling"]
