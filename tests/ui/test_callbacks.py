"""Every callback of the page goes through one door, which shows its errors (tests/ui/test_errors.py)."""

from __future__ import annotations

import ast

from tests.samples import ROOT

UI = ROOT / "ui"
DOORS = {"attempt"}


def callbacks() -> list[tuple[str, ast.expr]]:
    """All that is given to an element as on_click, on_change, on_open_change …"""
    return [
        (f"{file.name}:{keyword.value.lineno}", keyword.value)
        for file in sorted(UI.glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if (keyword.arg or "").startswith("on_")
    ]


def door(value: ast.expr) -> str:
    """The function that is called first; "" for a lambda, a method and the like."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "partial":
        value = value.args[0]
    return value.id if isinstance(value, ast.Name) else ""


def test_every_callback_goes_through_one_door() -> None:
    found = callbacks()
    assert len(found) > 30
    others = [place for place, value in found if door(value) not in DOORS and not isinstance(value, ast.Constant)]
    assert others == []


def test_pages_reach_the_home_through_the_door_alone() -> None:
    """What all sessions share is for `ui.app_state`, whose desk, view and admin check rights, and the server."""
    found = [
        f"{file.name}:{node.lineno}"
        for file in sorted(UI.glob("*.py"))
        if file.name not in ("app_state.py", "server.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and node.id in ("app_state", "Workspace")
    ]
    assert found == []
