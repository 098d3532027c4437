"""Who calls: whose futures they may see, whose order they keep, how long their client waits and what it can do."""

from __future__ import annotations

from dataclasses import dataclass, field

from asyncfc_mcp.downstream.claims import Claims

UNGUESSABLE_CHARACTERS = 16
"""Of a name or key that a client chooses: anonymous callers share one principal, and what others can guess is not
one's own."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The client behind one request."""

    principal: str
    """Who may see the futures of this call."""
    scope: str
    """Whose call order is kept; unique across principals."""
    is_anonymous: bool = False
    """Whether others share the principal, so that only the token itself keeps them apart."""
    has_own_scope: bool = True
    """Whether the scope is one conversation. Where it is not (stateless HTTP, when the client sends no scope), only
    what a request itself names may go with its answer."""
    session: str | None = None
    """The legacy session behind the request, where messages can be sent outside of any request; None where there is
    none."""
    ends_with: str | None = None
    """The session, stream or pipe whose end is that of the conversation; None where nothing tells of it."""
    cap_s: float = 25.0
    """The longest that one request of this client may wait."""
    output_characters: int = 40_000
    """The longest result text that this client takes in."""
    claims: Claims = field(default_factory=lambda: Claims("legacy"))
    """What the client says of itself; claimed downstream in its name."""

    @property
    def can_come_back(self) -> bool:
        """Whether its conversation can go on with another process of the gateway."""
        return self.session is None and self.ends_with is None

    @property
    def is_among_strangers(self) -> bool:
        """Whether calls of others are in the same scope."""
        return self.is_anonymous and not self.has_own_scope

    def may_name(self, owner: Caller) -> bool:
        """Whether this caller may be told the tokens of the owner's calls without having said them."""
        if owner.principal != self.principal:
            return False
        return not self.is_anonymous or (self.has_own_scope and owner.scope == self.scope)
