"""What `${...}` stands for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncfc_mcp.config.expand import UnknownVariable, Variables, workspace_of

names = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)


def variables(**environ: str) -> Variables:
    return Variables(environ, Path("/work"))


@given(st.text().filter(lambda text: "${" not in text))
def test_text_without_a_variable_stays_as_it_is(text: str) -> None:
    assert variables().expand(text) == text


@given(names, st.text(), st.text().filter(lambda text: "$" not in text))
def test_a_variable_stands_for_its_value_verbatim_and_is_not_expanded_again(name: str, value: str, rest: str) -> None:
    given_environment = variables(**{name: value})
    assert given_environment.expand(f"{rest}${{{name}}}{rest}") == rest + value + rest
    assert given_environment.expand(f"${{env:{name}}}") == value


@given(names, st.text(st.characters(exclude_characters="${}")))
def test_the_default_counts_when_the_variable_is_unset_or_empty(name: str, default: str) -> None:
    assert variables().expand(f"${{{name}:-{default}}}") == default
    assert variables(**{name: ""}).expand(f"${{{name}:-{default}}}") == default
    assert variables(**{name: "set"}).expand(f"${{{name}:-{default}}}") == "set"


@pytest.mark.parametrize("written", ["${MISSING}", "${env:MISSING}", "${userHome}", "${input:key}"])
def test_what_has_no_value_is_refused_by_its_name(written: str) -> None:
    with pytest.raises(UnknownVariable) as caught:
        variables().expand(f"before {written} after")
    assert caught.value.written == written


def test_a_default_is_not_shown_since_it_may_be_secret() -> None:
    with pytest.raises(UnknownVariable) as caught:
        variables().expand("before ${A:-s3cret${B}} after")
    assert caught.value.written == "${A:-…}"
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("text", ["$HOME", "${x%.txt}", "${1}", "${VAR:?message}", "$$", "${", "{name}"])
def test_other_shapes_are_plain_text(text: str) -> None:
    assert variables(HOME="/h", VAR="v").expand(text) == text


def test_editors_variables_have_their_meaning() -> None:
    known = variables(USERPROFILE="C:/Users/ada", workspaceFolder="mine")
    assert known.expand("${workspaceFolder}/${workspaceFolderBasename}") == "/work/work"
    assert known.expand("${env:workspaceFolder} ${userHome}") == "mine C:/Users/ada"


def test_the_workspace_is_above_an_editors_folder() -> None:
    assert workspace_of(Path("/a/b/.vscode/mcp.json")) == Path("/a/b")
    assert workspace_of(Path("/a/b/.cursor/mcp.json")) == Path("/a/b")
    assert workspace_of(Path("/a/b/.mcp.json")) == Path("/a/b")
