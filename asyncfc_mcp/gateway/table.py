"""All futures of this process, found by token for those who may see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.core.reference import clip
from asyncfc_mcp.core.token import closest, is_mistyped
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future

_MOST_SHOWN = 10
_Name = TypeVar("_Name", str, tuple[str, str])


class UnknownToken(GatewayError):
    """A token that names no future which this caller may see."""

    def __init__(self, token: str, live: list[str], argument: str = "") -> None:
        known = ", ".join(live[-_MOST_SHOWN:]) or "none"
        more = f" (the newest {_MOST_SHOWN} of {len(live)})" if len(live) > _MOST_SHOWN else ""
        meant = closest(token, live)
        # a name that a client gives may look like a mistyped token (fut_list_documents)
        fact = "is mistyped" if meant and is_mistyped(token) else "is not known: it never existed or has expired"
        hint = f" Did you mean {meant}?" if meant else ""
        place = f"{argument}: " if argument else ""
        super().__init__(f"{place}{clip(token)} {fact}.{hint} Your live tokens: {known}{more}.")
        self.token = token


class NameTaken(GatewayError):
    """`_as` asks for a name that a live future of the scope has."""

    def __init__(self, token: str, state: FutureState | None = None) -> None:
        is_lost = state in (FutureState.FAILED, FutureState.CANCELLED)
        use = f"; {token} is {state} and has no value" if is_lost else f", or use {token} for its value"
        super().__init__(f"_as: {token} already names a live future; choose another name{use}")
        self.token = token


class FutureTable:
    """The futures that have not been forgotten."""

    def __init__(self) -> None:
        self._futures: dict[str, Future] = {}
        self._minted: dict[str, Future] = {}
        self._named: dict[tuple[str, str], Future] = {}
        self._named_by_principal: dict[tuple[str, str], Future] = {}
        self._keyed: dict[tuple[str, str], Future] = {}
        self._recalled: dict[tuple[str, str], dict[str, Future]] = {}
        """Named in an earlier process, by principal and name, then by scope: a name that is given now comes first."""

    def add(self, future: Future) -> None:
        """Enter a future.

        Raises:
            NameTaken: another one of the scope has its name.
        """
        caller = future.caller
        if not future.is_named:
            self._minted[future.token] = future
        elif future.is_recalled or (future.resumptions and (caller.scope, future.token) in self._named):
            self._recalled.setdefault((caller.principal, future.token), {})[caller.scope] = future
        elif (caller.scope, future.token) in self._named:
            raise NameTaken(future.token, self._named[caller.scope, future.token].record.state)
        else:
            self._named[caller.scope, future.token] = future
            self._named_by_principal[caller.principal, future.token] = future
        self._futures[future.call.future] = future
        if future.key is not None:
            self._keyed[caller.principal, future.key] = future

    def remove(self, future: Future) -> None:
        """Forget a future."""
        caller = future.caller
        del self._futures[future.call.future]
        if future.key is not None and self._keyed.get((caller.principal, future.key)) is future:
            del self._keyed[caller.principal, future.key]
        if not future.is_named:
            del self._minted[future.token]
            return
        _remove(self._named, (caller.scope, future.token), future)
        _remove(self._named_by_principal, (caller.principal, future.token), future)
        recalled = self._recalled.get((caller.principal, future.token), {})
        _remove(recalled, caller.scope, future)
        if not recalled:
            self._recalled.pop((caller.principal, future.token), None)

    def holds(self, future: str) -> bool:
        """Whether that identity is in use."""
        return future in self._futures

    def has_name(self, caller: Caller, token: str) -> bool:
        """Whether a future of the caller's scope bears that name, or it is the token of a call that the caller sees."""
        minted = self._minted.get(token)
        is_a_token = minted is not None and minted.caller.principal == caller.principal
        return is_a_token or (caller.scope, token) in self._named

    def by_identity(self, future: str) -> Future:
        """The future that the scheduler speaks of."""
        return self._futures[future]

    def keyed(self, principal: str, key: str) -> Future | None:
        """The newest call of that principal under the hash of a key."""
        return self._keyed.get((principal, key))

    def known(self, future: str | None) -> Future | None:
        """The future of that identity, unless it has been forgotten."""
        return self._futures.get(future) if future is not None else None

    def shown(self, caller: Caller, tool: str, arguments: Mapping[str, Any] | None) -> Future | None:
        """The newest call of that tool with these arguments whose client was shown a question in this scope."""
        return next(
            (
                one
                for one in reversed(self._futures.values())
                if one.is_shown
                and one.caller.scope == caller.scope
                and caller.may_name(one.caller)
                and one.tool_name == tool
                and one.request.arguments == arguments
            ),
            None,
        )

    def find(self, caller: Caller, token: str) -> Future | None:
        """The future that this caller means by a token, or None when there is none for them to see.

        Names are looked up in the caller's scope first; a known principal finds those of its other scopes too, the
        newest first, since some hosts open a session for every call.
        """
        minted = self._minted.get(token)
        if minted is not None and minted.caller.principal == caller.principal:
            return minted
        recalled = self._recalled.get((caller.principal, token), {})
        named = self._named.get((caller.scope, token)) or recalled.get(caller.scope)
        if named is None and not caller.is_anonymous:
            named = self._named_by_principal.get((caller.principal, token))
        visible = (one for one in recalled.values() if not caller.is_anonymous or caller.may_name(one.caller))
        return named or max(visible, key=lambda one: one.created_at, default=None)

    def get(self, caller: Caller, token: str, argument: str = "") -> Future:
        """The future that this caller means by a token.

        Raises:
            UnknownToken: there is none for them to see.
        """
        found = self.find(caller, token)
        if found is None:
            raise UnknownToken(token, self.live_tokens(caller), argument)
        return found

    def of_caller(self, caller: Caller) -> Iterator[Future]:
        """The futures of this process whose tokens the caller holds, oldest first.

        None where nothing tells callers apart.
        """
        for future in self._futures.values():
            if not future.is_recalled and caller.may_name(future.caller) and future.has_known_token:
                yield future

    def live_tokens(self, caller: Caller) -> list[str]:
        """The tokens that the caller may use, oldest first."""
        return [future.token for future in self.of_caller(caller)]

    def __iter__(self) -> Iterator[Future]:
        """Every future, oldest first."""
        return iter(list(self._futures.values()))

    def __len__(self) -> int:
        """How many futures there are."""
        return len(self._futures)


def _remove(bearers: dict[_Name, Future], name: _Name, future: Future) -> None:
    """Take a name from a future, if it is that one's."""
    if bearers.get(name) is future:
        del bearers[name]
