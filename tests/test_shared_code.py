"""What tests share stands in modules that hold no tests, and knows its files by tests/samples.py."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.samples import ROOT

MODULES = sorted((ROOT / "tests").rglob("*.py"))


def imported(tree: ast.Module) -> Iterator[str]:
    """Every module, and every name taken from one, as a dotted path."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_imported_from_a_test_module(module: Path) -> None:
    for name in imported(ast.parse(module.read_text(encoding="utf-8"))):
        first, *parts = name.split(".")
        assert first != "tests" or not any(part == "conftest" or part.startswith("test_") for part in parts), name
