"""What the gateway tells the model when a client connects: the rules first, then what the servers behind it say."""

from __future__ import annotations

from collections.abc import Mapping

LONGEST_CHARACTERS = 2_000
"""Claude Code cuts server instructions at 2 KB."""

RULES = """\
These tools run asynchronously. A fast call answers with its result, as always. A slow call answers with a token such \
as fut_search_8k2m4x7qa: the call has started and runs on, but you do not know its value. Rules:
1. Never guess or make up the value behind a token.
2. Do not wait idly: make the next independent calls, all in one message where you can.
3. Pass a token as an argument in place of the value; the later call waits for it by itself. A part: \
"fut_x/items/0/id". Inside a longer text: "${fut_x/title}".
4. To refer to a call sent in the same message, name it: "_as": "page" makes its token fut_page.
5. Finished results come with later tool results. Do not poll. Before you answer the user, await what you still need, \
all at once: await_future(["fut_x", "fut_y"]), or await_future() for all.
6. If you need a value right now, add "_wait_s": 30 to the call. cancel_future stops what is not needed any more.
Calls that touch the same state keep their order by themselves."""


def instructions(of_servers: Mapping[str, str]) -> str:
    """The rules, and each server's own instructions cut to a fair share of what is left."""
    text = RULES
    told = {server: " ".join(said.split()) for server, said in of_servers.items() if said.strip()}
    left = LONGEST_CHARACTERS - len(text)
    for position, (server, said) in enumerate(sorted(told.items(), key=lambda item: len(item[1]))):
        head = f"\n\n{server}: "
        share = left // (len(told) - position) - len(head)
        if share <= 0:
            break
        cut = said if len(said) <= share else f"{said[: share - 1]}…"
        text += head + cut
        left -= len(head) + len(cut)
    return text
