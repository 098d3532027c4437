"""The list of mutants keeps up with the code: `python -m tests.mutants` runs them."""

from __future__ import annotations

import ast

import pytest

from tests.mutants import MUTANTS, ROOT, Mutant


def test_there_are_at_least_a_dozen_different_mutants() -> None:
    assert len({(mutant.file, mutant.original, mutant.mutated) for mutant in MUTANTS}) == len(MUTANTS) >= 12


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.killed_by.rpartition("::")[2])
def test_a_mutant_changes_one_place_and_its_test_exists(mutant: Mutant) -> None:
    source = (ROOT / mutant.path).read_text()
    assert source.count(mutant.original) == 1
    ast.parse(source.replace(mutant.original, mutant.mutated))
    file, _, name = mutant.killed_by.partition("::")
    tests = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in ast.walk(tests) if isinstance(node, ast.FunctionDef)}
