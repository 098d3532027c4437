"""Text of servers that cannot be taken for the gateway's own words, and has nothing in it that nobody sees.

Random digits in the fence keep tool output from ending a delivery block; this keeps it from writing a block of its
own. What is passed on by token is never touched: only what a model is shown.
"""

from __future__ import annotations

import re
import unicodedata

QUOTE = "> "
"""What a line gets in front that looks like one of ours; everything else stays as it is."""

_LOOKED_AT = 600
"""Characters of a line that can be seen, runs of spaces as one: our own lines say what they are in fewer."""
_ANSI = r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-Z\\^-~]|\x9b[0-?]*[ -/]*[@-~]"
_UNSEEN = (
    r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f"  # control characters but for those that end a line or are a tab
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # no width, other directions
    "\U000e0000-\U000e007f"  # tags: a whole alphabet that nobody sees
)
_JOINERS = "\u200c\u200d"
"""Part of the spelling of Persian and of emoji, but invisible between letters of ASCII."""
_BLANKS = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufe00-\ufe0f"
"""What takes up no room, or none that can be seen, and is honest often enough to be left alone."""

_TO_REMOVE = re.compile(rf"{_ANSI}|[{_UNSEEN}]|(?<![^\x00-\x7f])[{_JOINERS}]|[{_JOINERS}](?![^\x00-\x7f])")
_TO_SEE_THROUGH = re.compile(rf"{_ANSI}|[{_UNSEEN}{_JOINERS}{_BLANKS}]")
_FIRST_SEEN = re.compile(rf"(?:{_ANSI}|[{_UNSEEN}{_JOINERS}{_BLANKS}\s])*+(?P<first>.)")
_LINE_END = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_PLAIN = bytes((0x09, 0x0A, 0x0D, *range(0x20, 0x7F)))
"""What is what it looks like; a carriage return is only where a line feed follows."""
_OURS_PLAIN = re.compile(
    r"^[ \t]*+(?:--[^\n]*(?:results|end[ \t])|[\[=-][^\n]*fut_|fut_)", re.MULTILINE | re.IGNORECASE
)
"""Finds at least what `_OURS` does, in text that has nothing odd in it."""

_CANDIDATE = re.compile(r"fut_|earlier\s+calls|-{2}\s*end\s+[0-9a-f]{4}")
"""Finds at least what `_OURS` does, in text as it is read."""
_NEEDED = frozenset("fut_earlicsnd-0123456789b ")
"""Without a character that is read as one of these, a text is searched as it stands."""
MOST_READ_CHARACTERS = 1_000_000
"""Odd text is read line by line up to this size; a longer one that may imitate us is quoted throughout."""

_ALIKE = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\u2500\u2501\ufe58", "-") | {"\u2550": "="}
)
_OURS = re.compile(
    r"-{2,} ?\S+ results of your earlier calls"
    r"|-{2,} ?end [0-9a-f]{4,40} ?-{2,}"
    r"|\[[0-9a-f]{4,40}\] ?fut_"
    r"|={2,} ?fut_"
    r"|(?:- )?fut_[a-z0-9_-]+ stands for the result of "
    r"|(?:- )?fut_[a-z0-9_-]+ \(.*\) (?:was |is )?"
    r"(?:pending|waits|running|input_required|cancelling|resolved|failed|cancelled|ready)\b"
    r"|\[to pass this result on, write .?fut_"
)
"""How the gateway's own lines begin, as they are read; `wording` and the own tools write them."""
_OUR_FIRST = frozenset("-[=f")


def disarmed(text: str) -> str:
    """The text, each line of which that looks like the gateway's own is quoted; text that has none is the same."""
    is_odd = not _is_plain(text)
    if not (_may_imitate_oddly(text) if is_odd else _may_imitate_plainly(text)):
        return text
    is_all_quoted = is_odd and len(text) > MOST_READ_CHARACTERS
    lines = text.splitlines(keepends=True)
    return "".join(f"{QUOTE}{line}" if is_all_quoted or _imitates(line) else line for line in lines)


def cleaned(text: str) -> str:
    """The text as it would look, with nothing invisible in it, and disarmed."""
    return disarmed(_TO_REMOVE.sub("", _LINE_END.sub("\n", text)))


def one_line(text: str, most_characters: int) -> str:
    """The text in the middle of a sentence of ours."""
    line = " ".join(cleaned(text[: 4 * most_characters]).split())
    return line if len(line) <= most_characters else f"{line[:most_characters]}…"


def _is_plain(text: str) -> bool:
    # a table for bytes and a count are several times as fast as a pattern, which shows in a text of a megabyte
    return text.isascii() and not text.encode().translate(None, _PLAIN) and text.count("\r") == text.count("\r\n")


def _may_imitate_plainly(text: str) -> bool:
    """Cheap, and false for nearly every text, however long."""
    # `in` is so much faster than a pattern that it is asked first
    may_name = "_" in text and "fut_" in text.lower()
    return (may_name or "--" in text) and _OURS_PLAIN.search(text) is not None


def _may_imitate_oddly(text: str) -> bool:
    """The same for text with characters that nobody sees, or that look like others."""
    if "\x1b" in text or "\x9b" in text:
        text = _TO_SEE_THROUGH.sub("", text)
    read = {character: "" if _TO_SEE_THROUGH.match(character) else _as_read(character) for character in set(text)}
    odd = {ord(one): as_read for one, as_read in read.items() if one.lower() != as_read}
    if any(not as_read or not _NEEDED.isdisjoint(as_read) for as_read in odd.values()):
        text = text.translate(odd)
    return _CANDIDATE.search(text.lower()) is not None


def _imitates(line: str) -> bool:
    begins = _FIRST_SEEN.match(line)
    if begins is None or _as_read(begins["first"])[:1] not in _OUR_FIRST:
        return False
    raw = line[begins.start("first") :][: 64 * _LOOKED_AT]
    seen = " ".join(_TO_SEE_THROUGH.sub("", raw).split())[:_LOOKED_AT]
    # so much that cannot be seen is there to push something out of what is looked at
    is_stuffed = len(seen) < _LOOKED_AT and len(raw) == 64 * _LOOKED_AT
    return is_stuffed or _OURS.match(" ".join(_as_read(seen).split())) is not None


def _as_read(text: str) -> str:
    """What a reader takes the characters for."""
    return unicodedata.normalize("NFKC", text).translate(_ALIKE).casefold()
