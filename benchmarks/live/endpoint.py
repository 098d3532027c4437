"""A model behind an OpenAI-compatible chat-completions endpoint, and what can be wrong with one.

The key goes into one header and nowhere else: no error, table or file holds it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

import anyio
import httpx2

from asyncfc_mcp.errors import GatewayError

Json = dict[str, Any]
REQUEST_TIMEOUT_S = 300.0
TRIES = 5
LONGEST_PAUSE_S = 60.0
_LONGEST_SHOWN = 300
_TO_TRY_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_REFUSED_KEY = frozenset({401, 403})


class EndpointError(GatewayError):
    """The endpoint gave no answer that can be used."""


class NoEndpoint(EndpointError):
    """Nothing answers there."""

    def __init__(self, url: str, fact: str) -> None:
        super().__init__(f"no answer from {url} ({fact}); check --base-url and that the endpoint runs")


class KeyRefused(EndpointError):
    """The endpoint wants another key, or one at all."""

    def __init__(self, url: str, status: int, key_env: str, *, has_key: bool) -> None:
        fact = f"the key in {key_env} was refused" if has_key else f"no key was sent, since {key_env} is not set"
        super().__init__(f"{url} answered {status}: {fact}; put a key that it takes into {key_env}")


class UnusableKey(EndpointError):
    """The key cannot stand in a header."""

    def __init__(self, key_env: str) -> None:
        super().__init__(f"the key in {key_env} holds characters that no key has; put it there once more, without them")


class RequestRefused(EndpointError):
    """The endpoint does not take the request."""

    def __init__(self, url: str, status: int, said: str) -> None:
        hint = "; most base URLs end in /v1, and the model must exist there" if status == 404 else ""
        super().__init__(f"{url} answered {status}: {said}{hint}")
        self.status = status


class NotACompletion(EndpointError):
    """What came back is no chat completion."""

    def __init__(self, url: str, said: str) -> None:
        super().__init__(f"{url} answered with something that is no chat completion: {said}; check --base-url")


class ModelWithoutTools(EndpointError):
    """The model cannot be measured: it calls no tools."""

    def __init__(self, model: str, fact: str) -> None:
        super().__init__(f"the model {model!r} does not call tools ({fact}); choose one with function calling")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call as the model wrote it."""

    id: str
    name: str
    arguments: str
    """JSON, if the model is any good."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer of the model."""

    text: str
    calls: tuple[ToolCall, ...]
    prompt_tokens: int | None
    """None: the endpoint does not say."""
    completion_tokens: int | None


class Endpoint:
    """Asks one model.

    Args:
        base_url: what stands before `/chat/completions`; a query in it goes with each request.
        model: its name there.
        key: sent as a bearer token; None for endpoints on this machine that want none.
        key_env: where the key comes from, for errors.
        extra: sent with each request; what the endpoint refuses of it by name is left out from then on.
    """

    def __init__(
        self, base_url: str, model: str, key: str | None, key_env: str, extra: Mapping[str, Any] | None = None
    ) -> None:
        try:
            url = httpx2.URL(base_url)
        except httpx2.InvalidURL:
            raise NoEndpoint("what was given", "not an http or https URL") from None
        if key is not None and not (key.isascii() and key.isprintable()):
            raise UnusableKey(key_env)
        if url.scheme not in ("http", "https") or not url.host:
            raise NoEndpoint(base_url.rsplit("@", maxsplit=1)[-1], "not an http or https URL")
        self.model = model
        self.left_out: set[str] = set()
        """Optional parameters that the endpoint does not take."""
        self.paused_s = 0.0
        """Between tries, because it was overloaded or asked for it."""
        self.shown_url = f"{url.scheme}://{url.host}{f':{url.port}' if url.port else ''}{url.path.rstrip('/')}"
        """Without what may be secret in it."""
        self._url = url.copy_with(path=f"{url.path.rstrip('/')}/chat/completions")
        self._key = key
        self._key_env = key_env
        self._extra = dict(extra or {})
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx2.AsyncClient(headers=headers, timeout=REQUEST_TIMEOUT_S)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, raised, trace)

    async def check(self) -> None:
        """Have the model call a tool once.

        Raises:
            EndpointError: it cannot be measured.
        """
        schema: Json = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
        tool = {"type": "function", "function": {"name": "say", "description": "Says a word.", "parameters": schema}}
        ask: Json = {"role": "user", "content": 'Call the tool "say" with the word "ready".'}
        try:
            answer = await self.complete([ask], [tool])
        except RequestRefused as refusal:
            if refusal.status in (400, 404, 422, 501) and "tool" in str(refusal).lower():
                raise ModelWithoutTools(self.model, str(refusal)) from None
            raise
        if not answer.calls:
            raise ModelWithoutTools(self.model, f"asked to, it said {answer.text[:80]!r}")

    async def complete(self, messages: Sequence[Json], tools: Sequence[Json], **optional: Any) -> Completion:
        """The model's next message.

        Raises:
            EndpointError: there is none.
        """
        wanted = {"model": self.model, "messages": list(messages), "tools": list(tools)}
        while True:
            taken = {name: value for name, value in (self._extra | optional).items() if name not in self.left_out}
            response = await self._post({**wanted, **taken})
            if response.status_code in (400, 422):
                refused = {name for name in taken if name in response.text}
                if refused:
                    self.left_out |= refused
                    continue
            return self._read(response)

    async def _post(self, body: Json) -> httpx2.Response:
        for attempt in range(1, TRIES + 1):
            pause_s = min(2.0**attempt, LONGEST_PAUSE_S)
            try:
                response = await self._http.post(self._url, json=body)
            except httpx2.ConnectError:
                raise NoEndpoint(self.shown_url, "nothing listens there") from None
            except httpx2.TimeoutException:
                raise NoEndpoint(self.shown_url, f"nothing came within {REQUEST_TIMEOUT_S:.0f} s") from None
            except httpx2.HTTPError as fault:
                if attempt == TRIES:
                    raise NoEndpoint(self.shown_url, type(fault).__name__) from None
            else:
                if response.status_code not in _TO_TRY_AGAIN or attempt == TRIES:
                    return response
                pause_s = _asked_pause_s(response, pause_s)
            self.paused_s += pause_s
            await anyio.sleep(pause_s)
        raise NoEndpoint(self.shown_url, "tried too often")

    def _read(self, response: httpx2.Response) -> Completion:
        status = response.status_code
        if status in _REFUSED_KEY:  # what it says may repeat the key
            raise KeyRefused(self.shown_url, status, self._key_env, has_key=self._key is not None)
        if not response.is_success:
            raise RequestRefused(self.shown_url, status, self._shown(_message_of(response.text)))
        try:
            return _completion(response.json())
        except (ValueError, LookupError, TypeError, AttributeError):
            raise NotACompletion(self.shown_url, self._shown(response.text)) from None

    def _shown(self, text: str) -> str:
        safe = text.replace(self._key, "(key)") if self._key else text
        flat = " ".join(safe.split())
        return flat if len(flat) <= _LONGEST_SHOWN else f"{flat[:_LONGEST_SHOWN]}…"


def _asked_pause_s(response: httpx2.Response, otherwise_s: float) -> float:
    """What the endpoint asks for in `Retry-After`, if that is a number."""
    try:
        return min(max(0.0, float(response.headers.get("Retry-After", ""))), LONGEST_PAUSE_S)
    except ValueError:
        return otherwise_s


def _message_of(body: str) -> str:
    """The endpoint's own words in an error, whatever their wrapping."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return body


def _completion(body: Any) -> Completion:
    message: Json = body["choices"][0]["message"]
    usage: Json = body.get("usage") or {}
    calls: list[Json] = message.get("tool_calls") or []
    return Completion(
        text=_text_of(message.get("content")),
        calls=tuple(_tool_call(call) for call in calls),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
    )


def _count(said: Any) -> int | None:
    return None if said is None else int(said)


def _text_of(content: Any) -> str:
    """Some endpoints give parts instead of a string.

    Raises:
        TypeError: it is no text.
        UnicodeError: it could not be sent back.
    """
    if isinstance(content, list):
        content = "\n".join(part.get("text") or "" for part in cast("list[Json]", content))
    if not isinstance(content, str | None):
        raise TypeError(type(content).__name__)
    return _sendable(content or "")


def _sendable(text: str) -> str:
    text.encode()
    return text


def _tool_call(call: Json) -> ToolCall:
    function: Json = call["function"]
    arguments = function.get("arguments")
    written = arguments if isinstance(arguments, str) else json.dumps({} if arguments is None else arguments)
    identity = call.get("id") or f"call_{uuid.uuid4().hex[:12]}"
    return ToolCall(identity, _sendable(str(function["name"])), _sendable(written.strip() or "{}"))
