"""References in what is no call: resource URIs and the arguments of prompts, where every place wants text."""

from __future__ import annotations

from collections.abc import Mapping

import anyio

from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.core.reference import find_references, mentions_tokens
from asyncfc_mcp.core.substitution import substitute
from asyncfc_mcp.core.value import TEXT_SLOT
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway import wording
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.gateway import Gateway
from asyncfc_mcp.gateway.requester import Requester
from asyncfc_mcp.gateway.submission import NAME_WAIT_S


class ReferenceUnusable(GatewayError):
    """A future that a text refers to has no value, or none yet."""

    def __init__(self, token: str, fact: str) -> None:
        super().__init__(fact)
        self.token = token


async def resolve_texts(
    gateway: Gateway, caller: Caller, texts: Mapping[str, str], requester: Requester, *, embed: bool
) -> dict[str, str]:
    """The texts with values in the place of references, which are waited for as long as the caller's client allows.

    Raises:
        UnknownToken: a reference to no future that the caller may see.
        ArgumentFault: a text cannot be used as it is written, or a value not in it.
        ReferenceUnusable: a future failed, or has not settled in time.
    """
    if not mentions_tokens(texts):
        return dict(texts)
    references = find_references(texts, exists=lambda token: gateway.sees(caller, token), embed=embed)
    with anyio.move_on_after(NAME_WAIT_S):
        for reference in references:
            if not gateway.sees(caller, reference.token):
                await gateway.wait_for_name(caller, reference.token)
    needs = {reference.token: gateway.get(caller, reference.token) for reference in references}
    if needs:
        # a client that is shown questions has no room for them in the answer to this request
        asked = None if requester.shows_questions else requester
        await gateway.wait(caller, list(needs.values()), "all", caller.cap_s, asked)
    for future in needs.values():
        _check(gateway, caller, future)
    values = {token: future.value() for token, future in needs.items()}
    return substitute(texts, references, values, lambda _: TEXT_SLOT, embed=embed)


def _check(gateway: Gateway, caller: Caller, future: Future) -> None:
    record, token = future.record, future.token
    if record.state is FutureState.RESOLVED:
        return
    if not record.is_settled:
        line = wording.state_in_words(future, gateway.why_it_waits(future, caller))
        raise ReferenceUnusable(token, f"{line}; it has no value yet: await it, then send the request again")
    raise ReferenceUnusable(token, wording.without_value(future))
