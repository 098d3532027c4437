"""References in what is no call: resource URIs and the arguments of prompts, where every place wants text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio

from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.core.reference import Reference, find_references, mentions_tokens
from asyncfc_mcp.core.substitution import substitute
from asyncfc_mcp.core.value import TEXT_SLOT
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.arguments.preparation import check_size
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.gateway import Gateway
from asyncfc_mcp.gateway.intake.submission import NAME_WAIT_S
from asyncfc_mcp.gateway.requester import Requester
from asyncfc_mcp.gateway.words import wording


class ReferenceUnusable(GatewayError):
    """A future that a text refers to has no value, or none yet."""

    def __init__(self, token: str, fact: str) -> None:
        super().__init__(fact)
        self.token = token


@dataclass(frozen=True, slots=True)
class Resolved:
    """Texts with values in the place of references, and where these came from."""

    texts: dict[str, str]
    references: tuple[Reference, ...] = ()
    needs: Mapping[str, Future] = field(default_factory=dict[str, Future])
    """By the token in the references."""


NOTHING_RESOLVED = Resolved({})


async def resolve_texts(
    gateway: Gateway, caller: Caller, texts: Mapping[str, str], requester: Requester, *, embed: bool
) -> Resolved:
    """The texts with values in the place of references, which are waited for as long as the caller's client allows.

    Raises:
        UnknownToken: a reference to no future that the caller may see.
        ArgumentFault: a text cannot be used as it is written, or a value not in it; or they are too large.
        ReferenceUnusable: a future failed, or has not settled in time.
        RunsElsewhere, StoreFault: a future of another process cannot be read.
    """
    check_size(texts, gateway.most_argument_bytes)
    if not mentions_tokens(texts):
        return Resolved(dict(texts))
    await gateway.recall(caller, texts, names=False)
    references = find_references(texts, exists=lambda token: gateway.sees(caller, token), embed=embed)
    with anyio.move_on_after(NAME_WAIT_S):
        for reference in references:
            if not gateway.sees(caller, reference.token):
                await gateway.wait_for_name(caller, reference.token)
    await gateway.recall(caller, texts)
    references = find_references(texts, exists=lambda token: gateway.sees(caller, token), embed=embed)
    needs = {reference.token: gateway.get(caller, reference.token) for reference in references}
    if needs:
        # a client that is shown questions has no room for them in the answer to this request
        asked = None if requester.shows_questions else requester
        await gateway.wait(caller, list(needs.values()), "all", caller.cap_s, asked)
    for future in needs.values():
        _check(gateway, caller, future)
    await gateway.values.load(needs.values())
    values = {token: future.value() for token, future in needs.items()}
    filled = substitute(
        texts, references, values, lambda _: TEXT_SLOT, embed=embed, most_bytes=gateway.most_argument_bytes
    )
    return Resolved(filled, references, needs)


def _check(gateway: Gateway, caller: Caller, future: Future) -> None:
    record, token = future.record, future.token
    if record.state is FutureState.RESOLVED:
        return
    if not record.is_settled:
        line = wording.state_in_words(future, gateway.why_it_waits(future, caller))
        raise ReferenceUnusable(token, f"{line}; it has no value yet: await it, then send the request again")
    raise ReferenceUnusable(token, wording.without_value(future))
