"""What goes wrong in a callback is said on the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from kb_assistant.errors import StoreError
from kb_assistant.workspace import bases
from kb_assistant.workspace.conversations import Conversations
from tests.ui.pages import FOUNDER, answered, library, texts
from tests.waiting import until
from ui.app_state import app_state

pytestmark = pytest.mark.engine


def test_a_deleted_conversation_comes_back_with_its_files_until_it_is_swept(
    filled: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = answered(filled().chat_input[0].set_value(FOUNDER).run())
    here, chat = app_state(), app.session_state["chat"]
    own = here.attached(chat)
    bases.create_base(own.settings)
    app.session_state[f"head-menu-{chat}"] = True
    app.run().button(key=f"delete-head-{chat}").click().run()
    assert not app.exception
    assert here.chats.of("local") == []
    app.button(key="undo-button-chats").click().run()
    assert [one.id for one in here.chats.of("local")] == [chat]
    app.session_state[f"head-menu-{chat}"] = True
    app.run().button(key=f"delete-head-{chat}").click().run()
    here.sweep()
    assert bases.exists(own.settings)
    monkeypatch.setattr("kb_assistant.workspace.workspace.KEPT_HIDDEN_H", -1)
    here.sweep()
    assert here.chats.ids() == set()
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
    app.session_state[f"head-menu-{chat}"] = True
    app.run().text_input(key=f"title-head-{chat}").set_value("Pumps").run()
    app.button(key=f"rename-head-{chat}").click().run()
    assert not app.exception
    assert said in texts(app).replace("\\", "")
    monkeypatch.setattr(Conversations, "turns", fail)  # while the page is drawn
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
    next(button for button in app.button if button.label == "Sync").click().run()
    monkeypatch.setattr("ui.app_state.example_questions", lambda *_: [])
    here.begin()
    (tmp_path / "docs").rename(tmp_path / "away")
    until(lambda: bool(here.problems("default")))
    app = library()
    assert not app.exception
    shown = texts(app).replace("\\", "")
    assert "isn't there now" in shown
    assert "my notes" in shown
    assert here._sync
    here._sync.stop()
