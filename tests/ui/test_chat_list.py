"""The list of conversations in a browser: what a search finds in them, and their menus."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.settings import Settings
from kb_assistant.workspace.chats import ChatStore
from tests.ui.acts import at_rest, axe
from tests.ui.browser import Server, Visits, sample_copy, start_server

pytestmark = [pytest.mark.browser, pytest.mark.engine]

EVIL = "Quay <img src=x onerror=window.hacked=1> and :red[hot] **Quay** \\[x] $y$ street."


@pytest.fixture
def kept(models_home: Path, sample_home: Path, tmp_path: Path) -> Iterator[Server]:
    """With two conversations, of which one is long."""
    home = sample_copy(models_home, sample_home, tmp_path)
    chats = ChatStore(home / "chats.sqlite")
    long, other = (chats.create("local", Settings.load(home=home).kb) for _ in range(2))
    for number in range(40):
        answer = EVIL if number == 3 else f"Answer {number}. " * 30
        chats.save(chats.begin(long.id, f"Question {number} about the ferry"), answer, "done", {})
    chats.save(chats.begin(other.id, "Something else"), "Nothing.", "done", {})
    chats.rename(long.id, "The ferry")
    chats.close()
    server = start_server(home, "--model", "extract")
    yield server
    server.stop()


def test_a_search_shows_the_words_as_text_and_leads_to_the_turn(visits: Visits, kept: Server) -> None:
    page = visits.open(kept.url)
    page.get_by_role("button", name="The ferry", exact=True).wait_for()
    page.get_by_placeholder("Search conversations").press_sequentially("quay")  # without Enter
    page.get_by_role("button", name="Something else", exact=True).wait_for(state="detached")
    line = page.locator(".st-key-chats [data-testid=stCaptionContainer]").last
    line.get_by_text("Quay", exact=True).first.wait_for()
    assert "<img src=x onerror=window.hacked=1> and :red[hot] **Quay** \\[x] $y$" in line.inner_text()
    assert line.locator("img, a, strong, .katex").count() == 0
    assert page.evaluate("window.hacked") is None
    page.get_by_role("button", name="The ferry", exact=True).click()
    page.locator(".question", has_text=re.compile("^Question 3 about")).wait_for()
    at_rest(page)
    box = page.locator(".question", has_text=re.compile("^Question 3 about")).bounding_box()
    assert 0 <= box["y"] < page.viewport_size["height"], "the turn that was found is in sight"
    assert axe(page) == []


def test_a_conversations_menu_shows_on_hover_and_by_keyboard(visits: Visits, kept: Server) -> None:
    page = visits.open(kept.url)
    row = page.locator("[class*=st-key-row-]", has=page.get_by_role("button", name="The ferry", exact=True))
    menu = row.get_by_role("button", name="Menu of “The ferry”")
    menu.wait_for()
    seen = "node => node.checkVisibility({opacityProperty: true, checkOpacity: true})"
    assert not menu.evaluate(seen)
    row.hover()
    assert menu.evaluate(seen)
    page.mouse.move(800, 400)
    row.get_by_role("button", name="The ferry", exact=True).focus()
    page.keyboard.press("Tab")
    assert menu.evaluate("node => node === document.activeElement")
    assert menu.evaluate(seen)
    page.keyboard.press("Enter")
    page.get_by_label("Name").fill("Boats")
    page.get_by_role("button", name="Rename").click()
    page.get_by_role("button", name="Boats", exact=True).wait_for()
    page.keyboard.press("Escape")
    other = page.locator("[class*=st-key-row-]", has=page.get_by_role("button", name="Something else", exact=True))
    other.hover()
    other.get_by_role("button", name="Menu of “Something else”").click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Save as Markdown").click()
    assert "Nothing." in Path(waiting.value.path()).read_text(encoding="utf-8")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Something else", exact=True).wait_for(state="detached")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Something else", exact=True).wait_for()


def test_without_a_pointer_the_menus_are_always_there(chromium: Any, kept: Server) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    try:
        page = context.new_page()
        page.goto(kept.url)
        page.get_by_test_id("stExpandSidebarButton").click()
        menu = page.get_by_role("button", name="Menu of “The ferry”")
        menu.wait_for()
        assert menu.evaluate("node => node.checkVisibility({checkOpacity: true})")
    finally:
        context.close()
