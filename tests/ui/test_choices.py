"""Where a question is searched, and what becomes of a thumb down, in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.ui.acts import FOUNDER, answered, ask, axe, upload

pytestmark = [pytest.mark.engine, pytest.mark.browser, pytest.mark.timeout(1800)]

HERON = """---
date: 2026-05-02
tags: [harbour]
---
# The heron

The heron of the harbour carries a ring with the number 4711.
"""


def test_a_question_is_searched_where_it_is_chosen_and_the_answer_says_so(
    visit: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "heron.md").write_text(HERON)
    page = visit("/library")
    upload(page, tmp_path / "heron.md")
    page.get_by_label("Search documents").fill("heron")
    page.keyboard.press("Enter")
    page.get_by_text("faq.md", exact=True).wait_for(state="detached")
    assert re.search(r"\d+ B", page.locator(".frame td.size").first.inner_text())
    page.get_by_role("link", name="Chat").click()

    page.get_by_role("button", name="Search everything").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="harbour").click()
    assert axe(page) == []
    for part, number in (("year", "2026"), ("month", "05"), ("day", "01")):
        dialog.get_by_role("spinbutton", name=re.compile(part)).first.press_sequentially(number)
    page.keyboard.press("Escape")  # the calendar
    dialog.get_by_role("button", name="Apply").click()
    dialog.wait_for(state="detached")
    page.get_by_role("button", name=re.compile("Search in: harbour, dated 2026-05-01 or later")).wait_for()
    ask(page, "Which number has the ring of the heron?")
    turn = answered(page)
    assert "4711" in turn.inner_text()
    assert "Only searched in: harbour, dated 2026-05-01 or later" in turn.inner_text()

    page.get_by_role("button", name=re.compile("Search in: harbour")).click()
    page.get_by_role("button", name="Everything", exact=True).click()
    dialog.wait_for(state="detached")
    page.get_by_role("button", name="Search everything").click()
    page.get_by_role("button", name="md", exact=True).click()
    page.get_by_role("combobox", name="Documents").click()
    page.get_by_role("option", name="faq.md").first.click()
    page.get_by_label("Folder or part of a name").fill("docs")
    page.get_by_role("button", name="Apply").click()
    page.get_by_role("button", name=re.compile("Search in: md, faq.md, docs")).wait_for()
    ask(page, "Which number has the ring of the heron?")
    turn = answered(page, 2)
    assert "4711" not in turn.locator(".body").inner_text()


def test_a_thumb_down_takes_a_reason_that_is_shown_to_who_cares_for_the_documents(
    visit: Callable[..., Any],
) -> None:
    page = visit()
    ask(page, FOUNDER)
    answered(page).get_by_role("button", name="Bad answer").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Wrong source").click()
    dialog.get_by_label("In your words").fill("It is <b>another</b> station.")
    assert axe(page) == []
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="detached")
    page.locator(".turn [aria-pressed=true]").wait_for()
    page.get_by_role("link", name="Knowledge base").click()
    page.get_by_text("Answers with a thumb down: 1").click()
    said = page.locator(".st-key-rated-bad")
    said.get_by_text("Wrong source: It is <b>another</b> station.").wait_for()
    assert FOUNDER in said.inner_text()
