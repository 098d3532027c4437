"""Arguments as people write them, for schemas as servers write them."""

from __future__ import annotations

from typing import Any

import pytest

from asyncfc_mcp.cli.arguments import BadArguments, arguments_from


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400"])
@pytest.mark.parametrize("kind", ["integer", "number"])
def test_what_is_no_number_in_json_fits_no_number(text: str, kind: str) -> None:
    with pytest.raises(BadArguments, match="does not fit"):
        arguments_from([f"n={text}"], None, schema(n={"type": kind}))
    assert arguments_from([f"s={text}"], None, schema(s={"type": "string"})) == {"s": text}


def test_json_that_nobody_could_take_is_refused_in_one_short_line() -> None:
    deep = "[" * 100_000
    with pytest.raises(BadArguments, match="nested too deep"):
        arguments_from([], deep, schema())
    with pytest.raises(BadArguments, match="does not fit") as refusal:
        arguments_from([f"l={deep}"], None, schema(l={"type": "array"}))
    assert len(str(refusal.value)) < 250


@pytest.mark.parametrize(
    "hostile", [{"anyOf": 5}, {"anyOf": {}}, {"type": [["x"]]}, {"type": {}}, {"$ref": 5}, {"properties": 1}, 7]
)
def test_a_schema_that_makes_no_sense_takes_text(hostile: Any) -> None:
    assert arguments_from(["a=1"], None, schema(a=hostile)) == {"a": "1"}
    assert arguments_from(["a=1"], None, {"type": "object", "properties": ["a"]}) == {"a": "1"}
