"""Pages as Streamlit's own test runs them, without a browser."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.samples import ROOT
from tests.waiting import PATIENCE, until
from ui import components
from ui.app_state import app_state

FOUNDER = "Who founded the Aldersea Station?"
APP = ROOT / "ui" / "app.py"


def library() -> AppTest:
    return one_page("library")


def system() -> AppTest:
    return one_page("system")


def one_page(name: str) -> AppTest:
    script = (
        f"from ui import {name}\nfrom ui.errors import showing_errors\nwith showing_errors():\n    {name}.page()"
    )
    return AppTest.from_string(script, default_timeout=PATIENCE).run()


def texts(app: AppTest) -> str:
    """All that the page says."""
    found = [
        *app.markdown,
        *app.caption,
        *app.info,
        *app.error,
        *app.warning,
        *app.header,
        *app.subheader,
        *app.text,
    ]
    return "\n".join(str(one.value) for one in found)


def answered(app: AppTest) -> AppTest:
    """The page once nothing is being answered any more."""
    chat = app.session_state["chat"]
    until(lambda: not app_state().answers.running(chat))
    return app.run()


class Table:
    """The table of documents, in place of the browser's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data: dict[str, Any] = {}
        self.selected: list[str] = []
        monkeypatch.setattr(components, "sources", self._draw)
        self.document = ""
        monkeypatch.setattr(components, "document", self._draw_document)

    def _draw_document(self, data: dict[str, Any], **_: Any) -> None:
        self.document = "\n".join(piece["text"] for piece in data["pieces"])

    def _draw(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        self.data = data
        return {"selected": self.selected}

    @property
    def names(self) -> list[str]:
        return [row["name"] for row in self.data["rows"]]

    def select(self, *names: str) -> None:
        self.selected = [row["id"] for row in self.data["rows"] if row["name"] in names]
