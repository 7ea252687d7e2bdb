"""Pages as Streamlit's own test runs them, without a browser."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from tests.samples import ROOT
from tests.waiting import PATIENCE, until
from ui.app_state import app_state

FOUNDER = "Who founded the Aldersea Station?"
APP = ROOT / "ui" / "app.py"


def library() -> AppTest:
    return AppTest.from_string("from ui import library\nlibrary.page()", default_timeout=PATIENCE).run()


def system() -> AppTest:
    return AppTest.from_string("from ui import system\nsystem.page()", default_timeout=PATIENCE).run()


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
