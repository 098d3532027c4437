"""Whether the arguments of a call fit the tool's own input schema, before and after its references are replaced.

Says nothing about tokens themselves, and nothing about calls without references: there the server is the judge. Facts
name types and limits, never the value that was sent: it may be a secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

from asyncfc_mcp.core.reference import Place, in_words
from asyncfc_mcp.gateway.arguments.slot import Json, is_object, type_names, types_at

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

_LONGEST_LIMIT: Final = 80
_BLIND_TO_VALUES: Final = frozenset(
    {
        None,
        "additionalItems",
        "additionalProperties",
        "dependencies",
        "dependentRequired",
        "items",
        "maxItems",
        "maxProperties",
        "minItems",
        "minProperties",
        "prefixItems",
        "propertyNames",
        "required",
        "type",
    }
)
"""Keywords that judge a list or an object without looking at the values in it (None: the schema `false`)."""

_IN_WORDS: Final = {
    "null": "null",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "a string",
    "array": "a list",
    "object": "an object",
}
_FACTS: Final = {
    "const": "must be {limit}",
    "enum": "must be one of {limit}",
    "exclusiveMaximum": "must be less than {limit}",
    "exclusiveMinimum": "must be more than {limit}",
    "maxItems": "must have at most {limit} items",
    "maxLength": "must have at most {limit} characters",
    "maxProperties": "must have at most {limit} properties",
    "maximum": "must be at most {limit}",
    "minItems": "must have at least {limit} items",
    "minLength": "must have at least {limit} characters",
    "minProperties": "must have at least {limit} properties",
    "minimum": "must be at least {limit}",
    "multipleOf": "must be a multiple of {limit}",
    "pattern": "must match the pattern {limit}",
    "uniqueItems": "must not hold the same item twice",
}
_FALSE_BRANCH: Final = -1
"""Stands for the index of branches that are the schema `false`, whose errors come without one."""
_FITS_NO_FORM: Final = "fits none of the forms that are allowed there"
_FITS_SEVERAL_FORMS: Final = "fits several of the forms of which exactly one is allowed there"


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why the arguments do not fit."""

    argument: str
    """In words, such as `arguments.items[0].path`."""
    fact: str


class ToolSchema:
    """The input schema of one tool, compiled when it is first needed."""

    def __init__(self, schema: Json) -> None:
        self._schema = schema
        self._unchecked_because: str | None = None

    @property
    def unchecked_because(self) -> str | None:
        """Why arguments pass unchecked, once a check has found out that the schema cannot be used; for one warning."""
        return self._unchecked_because

    def slot_of(self, at: Place) -> frozenset[str]:
        """The JSON types that the place accepts."""
        return types_at(self._schema, at)

    def check_submitted(self, arguments: Mapping[str, Any], reference_places: Collection[Place]) -> Problem | None:
        """What is wrong already, whatever values the references will have; in doubt, nothing."""
        errors = [error for error in self._errors(arguments) if not _is_doubtful(error, reference_places)]
        return self._problem(errors, reference_places)

    def check_final(self, arguments: Mapping[str, Any]) -> Problem | None:
        """What is wrong now that every reference has been replaced."""
        return self._problem(self._errors(arguments), ())

    def convertible(self, arguments: Json) -> Json:
        """The arguments, with text read as JSON where only its JSON fits; the very same object when nothing changes."""
        try:
            return cast("Json", self._converted(arguments, ()))
        except RecursionError:
            return arguments  # nested too deeply to look through: the server is the judge

    @cached_property
    def _validator(self) -> Validator | None:
        # Slow to import, and not needed by a gateway whose calls carry no references.
        from jsonschema import Draft202012Validator  # noqa: PLC0415
        from jsonschema.validators import validator_for  # noqa: PLC0415
        from referencing.jsonschema import EMPTY_REGISTRY  # noqa: PLC0415

        try:
            kind: Any = validator_for(self._schema, default=Draft202012Validator)
            kind.check_schema(self._schema)
            # With an empty registry nothing that a schema refers to is ever fetched.
            return kind(self._schema, registry=EMPTY_REGISTRY)
        except Exception as error:  # noqa: BLE001  a schema of somebody else's can break the library in any way
            self._unchecked_because = f"its input schema cannot be used ({type(error).__name__})"
            return None

    def _errors(self, arguments: Mapping[str, Any]) -> list[ValidationError]:
        if self._validator is None or self._unchecked_because is not None:
            return []
        try:
            return list(self._validator.iter_errors(arguments))
        except RecursionError:
            return []  # these arguments nest too deeply to check; the next ones may not
        except Exception as error:  # noqa: BLE001  such as a reference that leads nowhere, found only when it is used
            self._unchecked_because = f"its input schema cannot be used ({type(error).__name__})"
            return []

    def _problem(self, errors: list[ValidationError], reference_places: Collection[Place]) -> Problem | None:
        if not errors:
            return None
        from jsonschema import exceptions  # noqa: PLC0415

        error: ValidationError = cast("Any", exceptions).best_match(errors)
        while _is_doubtful(error, reference_places):  # the best may be a detail of one that is certain
            error = cast("ValidationError", error.parent)
        at = _place(error)
        if error.validator == "required":
            return Problem(in_words((*at, _first_missing(error))), "is required but missing")
        if error.validator == "additionalProperties":
            return Problem(in_words((*at, _first_extra(error))), "is not allowed there")
        return Problem(in_words(at), _fact(error, self.slot_of(at)))

    def _converted(self, value: object, at: Place) -> object:
        if isinstance(value, str):
            return self._converted_text(value, at)
        if is_object(value):
            pairs = ((key, each, self._converted(each, (*at, key))) for key, each in value.items())
            changed = {key: new for key, old, new in pairs if new is not old}
            return {**value, **changed} if changed else value
        if isinstance(value, list):
            items = cast("list[object]", value)
            converted = [self._converted(each, (*at, index)) for index, each in enumerate(items)]
            return converted if any(new is not old for new, old in zip(converted, items, strict=True)) else items
        return value

    def _converted_text(self, text: str, at: Place) -> object:
        if text.lstrip()[:1] not in set("-0123456789tfn[{"):
            return text
        try:
            value: object = json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return text
        slot = self.slot_of(at)
        return text if "string" in slot or not type_names(value) & slot else value


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _place(error: ValidationError) -> Place:
    return tuple(error.absolute_path)


def _is_doubtful(error: ValidationError, reference_places: Collection[Place]) -> bool:
    """Whether the error may vanish once the references have their values."""
    at = _place(error)
    if at in reference_places:
        return True
    if reference_places and not {"then", "else"}.isdisjoint(error.absolute_schema_path):
        return True  # which of the two applies may hang on a value
    if not any(place[: len(at)] == at for place in reference_places):
        return False
    if error.validator in {"anyOf", "oneOf"} and error.context:
        return any(_may_fit(branch, reference_places) for branch in _branches(error.context))
    return error.validator not in _BLIND_TO_VALUES


def _may_fit(errors: Iterable[ValidationError], reference_places: Collection[Place]) -> bool:
    return all(_is_doubtful(error, reference_places) for error in errors)


def _branches(errors: Iterable[ValidationError]) -> Iterable[list[ValidationError]]:
    """The errors of a combinator, one list for each of its branches."""
    branches: dict[str | int, list[ValidationError]] = {}
    for error in errors:
        branches.setdefault(next(iter(error.relative_schema_path), _FALSE_BRANCH), []).append(error)
    return branches.values()


def _first_missing(error: ValidationError) -> str:
    instance = cast("Json", error.instance)
    return next(name for name in cast("list[str]", error.validator_value) if name not in instance)


def _first_extra(error: ValidationError) -> str:
    schema, instance = cast("Json", error.schema), cast("Json", error.instance)
    patterns: Json = schema.get("patternProperties", {})
    known: Json = schema.get("properties", {})
    return next(
        name for name in instance if name not in known and not any(re.search(pattern, name) for pattern in patterns)
    )


def _fact(error: ValidationError, slot: frozenset[str]) -> str:
    keyword = cast("str | None", error.validator)
    if keyword is None:
        return "holds something that the tool's schema never allows"
    given = type_names(error.instance)
    wanted = types_at({"type": error.validator_value}, ()) if keyword == "type" else slot
    if keyword in {"type", "anyOf", "oneOf"} and not given & wanted:
        return f"must be {_listed(wanted)}, not {_IN_WORDS[min(given)]}"
    if keyword in {"anyOf", "oneOf"}:
        return _FITS_NO_FORM if error.context else _FITS_SEVERAL_FORMS
    fact = _FACTS.get(keyword, "breaks the rule `{keyword}` of the tool's schema")
    return fact.format(keyword=keyword, limit=_limit(error.validator_value))


def _listed(slot: frozenset[str]) -> str:
    names = slot - {"integer"} if "number" in slot else slot
    return " or ".join(words for name, words in _IN_WORDS.items() if name in names)


def _limit(value: object) -> str:
    """A limit as the tool's author wrote it, or its beginning."""
    values = cast("list[object]", value) if isinstance(value, list) else [value]
    text = ", ".join(json.dumps(each, ensure_ascii=False) for each in values)
    return text if len(text) <= _LONGEST_LIMIT else f"{text[:_LONGEST_LIMIT]}…"
