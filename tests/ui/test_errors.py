"""What goes wrong in a callback is said on the page, whichever callback it is."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from kb_assistant.errors import StoreError
from kb_assistant.workspace import bases
from tests.processes import another_writer
from tests.samples import ROOT
from tests.ui.pages import FOUNDER, answered, library, texts
from tests.waiting import until
from ui.app_state import app_state

UI = ROOT / "ui"
DOORS = {"attempt", "attempt_change"}


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


def test_a_conversation_whose_files_are_being_written_stays_and_the_page_says_why(
    filled: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = answered(filled().chat_input[0].set_value(FOUNDER).run())
    here, chat = app_state(), app.session_state["chat"]
    monkeypatch.setattr(here, "settings", here.settings.but(lock_seconds=0.2))
    own = here.attached(chat)
    bases.create_base(own.settings)
    with another_writer(own.settings.kb_dir):
        app.button(key="delete-chat").click().run()
    assert not app.exception
    assert "Another process is writing" in texts(app)
    assert app.session_state["chat"] == chat
    assert [one.id for one in here.chats.of("local")] == [chat]
    app.button(key="delete-chat").click().run()
    assert "Another process" not in texts(app)
    assert here.chats.of("local") == []
    assert not bases.exists(own.settings)


@pytest.mark.parametrize(
    ("error", "said"),
    [(StoreError("The disk is full.", "Free some space."), "The disk is full"), (OSError("odd"), "OSError: odd")],
)
def test_whatever_goes_wrong_is_a_sentence(
    filled: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    app = answered(filled().chat_input[0].set_value(FOUNDER).run())
    chat = app.session_state["chat"]
    monkeypatch.setattr(app_state().chats, "rename", fail)
    app.text_input(key=f"title-{chat}").set_value("Pumps").run()
    app.button(key="rename-chat").click().run()
    assert not app.exception
    assert said in texts(app).replace("\\", "")
    monkeypatch.setattr(app_state(), "beside", fail)  # while the page is drawn
    app.run()
    assert not app.exception
    assert said in texts(app).replace("\\", "")


@pytest.mark.usefixtures("filled")
def test_folders_that_are_not_followed_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = app_state()
    odd = here.settings.home / "kbs" / "my notes"
    odd.mkdir()
    (odd / "kb.sqlite").touch()
    (tmp_path / "docs").mkdir()
    app = library()
    app.text_input(key="folder").set_value(str(tmp_path / "docs")).run()
    next(button for button in app.button if button.label == "Keep in step").click().run()
    monkeypatch.setattr("ui.app_state.example_questions", lambda *_: [])
    here.begin()
    (tmp_path / "docs").rename(tmp_path / "away")
    base = here.base("default")
    until(lambda: bool(here.not_followed(base)))
    app = library()
    assert not app.exception
    shown = texts(app).replace("\\", "")
    assert "isn't there now" in shown
    assert "my notes" in shown
    assert here._sync
    here._sync.stop()
