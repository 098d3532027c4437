from __future__ import annotations

from asyncfc_mcp.core.value import MISSING
from asyncfc_mcp.downstream.outcome import Outcome

IMAGE = {"type": "image", "data": "QUJD", "mimeType": "image/png"}


def test_text_is_the_text_blocks_joined() -> None:
    outcome = Outcome({"content": [{"type": "text", "text": "a\n"}, IMAGE, {"type": "text", "text": "b"}]})
    assert outcome.text == "a\n\nb"
    assert outcome.block_types == ("text", "image", "text")


def test_a_result_without_text_blocks_has_no_text() -> None:
    assert Outcome({"content": [IMAGE]}).text is None


def test_an_empty_text_is_not_a_missing_one() -> None:
    assert Outcome({"content": [{"type": "text", "text": ""}]}).text == ""


def test_structured_content_may_be_missing() -> None:
    assert Outcome({"content": []}).structured is MISSING
    assert not Outcome({"content": []}).has_structured
    assert Outcome({"content": [], "structuredContent": {}}).structured == {}


def test_size_follows_the_strings() -> None:
    assert 1000 <= Outcome({"content": [{"type": "text", "text": "x" * 1000}]}).size_bytes < 1200


def test_an_error_is_what_says_so() -> None:
    assert Outcome({"content": [], "isError": True}).is_error
    assert not Outcome({"content": []}).is_error
