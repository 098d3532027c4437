"""Arguments on their way: what can be said of them at submit, and what the server gets at dispatch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from asyncfc_mcp.core.reference import ArgumentFault, in_words, mentions_tokens
from asyncfc_mcp.core.size import in_megabytes, size_of
from asyncfc_mcp.core.substitution import substitute
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.gateway.arguments.validation import ToolSchema
from asyncfc_mcp.gateway.future import Future, Request

MOST_SCHEMAS = 10_000
"""Compiled and kept; servers may list new tools for ever."""

log = structlog.get_logger()


class InvalidArguments(ArgumentFault):
    """The arguments do not fit the tool's own schema."""


class ArgumentsTooLarge(ArgumentFault):
    """More was sent as arguments than is taken."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(
            "",
            f"not sent: the arguments are larger than {in_megabytes(most_bytes)}, the limit (max_argument_mb). Send "
            "less at once: a part of it, or the name of a file that the tool can read",
        )
        self.most_bytes = most_bytes


def check_size(arguments: Mapping[str, Any] | None, most_bytes: int) -> None:
    """See that arguments, as sent, are not too large.

    Raises:
        ArgumentsTooLarge: they are.
    """
    if arguments and size_of(arguments, most_bytes) > most_bytes:
        raise ArgumentsTooLarge(most_bytes)


class Preparation:
    """Knows the schemas of the tools.

    Args:
        embed: whether `${fut_x}` inside a longer text is replaced.
        converts: whether text that spells the wanted JSON is converted, since clients were shown a union with text.
        most_bytes: what the arguments of one call may take, as sent and as a server gets them.
    """

    def __init__(self, *, embed: bool, converts: bool, most_bytes: int) -> None:
        self.embed = embed
        self.most_bytes = most_bytes
        self._converts = converts
        self._unchecked: set[str] = set()
        self._schemas: dict[tuple[str, str], tuple[dict[str, Any], ToolSchema]] = {}

    def schema(self, tool: CatalogTool) -> ToolSchema:
        """The schema of a tool, compiled once for as long as its server lists it unchanged."""
        raw = tool.input_schema
        key = (tool.server, tool.own_name)
        known = self._schemas.get(key)
        if known is None or known[0] is not raw:
            if len(self._schemas) >= MOST_SCHEMAS:
                self._schemas.clear()
                self._unchecked.clear()
            known = self._schemas[key] = (raw, ToolSchema(raw))
        return known[1]

    def check_submitted(self, tool: CatalogTool, request: Request) -> None:
        """Check what can be known of a call whose references have no values yet.

        Raises:
            InvalidArguments: it can never fit.
        """
        places = {reference.at for reference in request.references}
        schema = self.schema(tool)
        problem = schema.check_submitted(request.arguments or {}, places)
        self._note_unchecked(tool, schema)
        if problem is not None:
            raise InvalidArguments(problem.argument, problem.fact)

    def _note_unchecked(self, tool: CatalogTool, schema: ToolSchema) -> None:
        """Say once of each tool whose schema is of no use that its server alone judges its arguments."""
        if schema.unchecked_because is not None and tool.name not in self._unchecked:
            self._unchecked.add(tool.name)
            log.warning("schema_unusable", tool=tool.name, server=tool.server, why=schema.unchecked_because)

    def converted(self, tool: CatalogTool, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments with text read as JSON where only its JSON fits: what labels and the server go by."""
        if not self._converts or tool.policy.mode == "sync":
            return arguments
        return self.schema(tool).convertible(arguments)

    def final_arguments(self, future: Future) -> dict[str, Any] | None:
        """What the server gets.

        Raises:
            ArgumentFault: a value does not fit its place.
        """
        request = future.request
        arguments = request.arguments
        if arguments is None:
            return None
        schema = self.schema(future.tool)
        if mentions_tokens(arguments):
            values = {token: need.value() for token, need in request.needs.items()}
            arguments = substitute(
                arguments,
                request.references,
                values,
                schema.slot_of,
                embed=self.embed,
                most_bytes=self.most_bytes,
            )
        arguments = self.converted(future.tool, arguments)
        if request.references and (problem := schema.check_final(arguments)) is not None:
            raise InvalidArguments(problem.argument, _with_tokens(problem.fact, problem.argument, request))
        return arguments


def _with_tokens(fact: str, argument: str, request: Request) -> str:
    """Say which reference filled the place that does not fit."""
    places = ((reference.text, in_words(reference.at)) for reference in request.references)
    texts = sorted({text for text, place in places if _covers(argument, place) or _covers(place, argument)})
    return f"{fact} (filled in from {', '.join(texts)})" if texts else fact


def _covers(outer: str, inner: str) -> bool:
    """Whether the place `inner` is `outer` or inside it."""
    return inner == outer or inner.startswith((f"{outer}.", f"{outer}["))
