"""What users do on the page, in a browser."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import TimeoutError as NotSeen

from tests.waiting import until

FOUNDER = "Who founded the Aldersea Station?"


def put(page: Any, question: str) -> None:
    page.get_by_placeholder(re.compile("Ask your documents|向你的文档提问")).fill(question)
    page.keyboard.press("Enter")


def ask(page: Any, question: str) -> None:
    put(page, question)
    page.locator(".question", has_text=question).last.wait_for()


def answered(page: Any, turns: int = 1) -> Any:
    """The last turn, once so many are finished."""
    page.locator(".turn.live").wait_for(state="detached")
    page.locator(".turn:not(.live) .actions").nth(turns - 1).wait_for()
    turn = page.locator(".turn:not(.live)").nth(turns - 1)
    until(lambda: bool(turn.inner_text().strip()))  # a redraw shows nothing for a moment
    return turn


def upload(page: Any, *files: Path) -> None:
    page.get_by_text("Add documents", exact=True).click()
    at_rest(page)  # a field that is drawn anew forgets the files that it was given meanwhile
    page.locator("input[type=file]:not([webkitdirectory])").first.set_input_files([str(file) for file in files])
    running = page.locator("[class*='st-key-job-']")
    with suppress(NotSeen):  # a quick one may be over before it is seen; an earlier one's report isn't this one's
        running.first.wait_for(timeout=5000)
    running.first.wait_for(state="detached")
    page.locator(".st-key-last-job").get_by_text(re.compile("added")).wait_for()


def axe(page: Any) -> list[dict[str, Any]]:
    """What axe-core finds serious or worse."""
    file = Path(os.environ.get("KB_AXE", ""))
    if not file.is_file():
        pytest.fail("KB_AXE must name axe.min.js; `make test-ui` fetches it.")
    at_rest(page)  # what fades in or is being drawn again has less contrast meanwhile
    # Streamlit's toasts, which go by themselves, have no accessible name.
    page.wait_for_function("() => !document.querySelector('[data-testid=stToast]')")
    page.evaluate(file.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [one for one in found["violations"] if one["impact"] in ("serious", "critical")]


def at_rest(page: Any) -> None:
    """Wait until nothing is loading."""
    page.wait_for_function("() => !document.querySelector('[data-testid=stSkeleton], [data-stale=true]')")
    time.sleep(0.5)


def picture(page: Any) -> bytes:
    """A picture, once nothing is loading."""
    at_rest(page)
    return bytes(page.screenshot())
