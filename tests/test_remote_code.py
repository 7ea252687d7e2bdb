"""A model brings weights and words, never code."""

from __future__ import annotations

import ast

import pytest

from tests.samples import ROOT


def test_no_source_file_lets_a_model_bring_code() -> None:
    """Names and arguments count, text about them doesn't."""
    files = [file for package in ("kb_assistant", "ingest", "ui") for file in (ROOT / package).rglob("*.py")]
    assert len(files) > 40
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.keyword(arg="trust_remote_code", value=ast.Constant(value=False)):
                    pass
                case (
                    ast.keyword(arg="trust_remote_code")
                    | ast.Constant(value="trust_remote_code")
                    | ast.Attribute(attr="trust_remote_code")
                    | ast.Name(id="trust_remote_code")
                ):
                    pytest.fail(f"{file}:{node.lineno}")
                case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="load"), keywords=options):
                    safe = [option.value for option in options if option.arg == "weights_only"]
                    assert [ast.unparse(value) for value in safe] == ["True"], f"{file}:{node.lineno}"
