"""axe finds nothing serious on any screen in either theme, nothing leaves the screen at 200 %, and nothing moves
for who wants no motion."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.workspace.access import Access
from tests.ui.acts import FOUNDER, answered, ask, at_rest, axe
from tests.ui.browser import Server, Visits, sample_copy, start_server

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def guarded(models_home: Path, sample_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A page that asks for a token, and the token of who manages all."""
    home = sample_copy(models_home, sample_home, tmp_path_factory.mktemp("guarded"))
    access = Access(home)
    token = access.add("ann")
    access.put_user("bea", ("staff",))
    access.grant("default", "group:staff", "read")
    server = start_server(home, "--model", "extract", "--login")
    yield server, token
    server.stop()


class Screens:
    """Looks at screens one after the other, and says at the end what was found on which."""

    def __init__(self, page: Any) -> None:
        self.page, self.found = page, {}

    def look(self, name: str) -> None:
        problems = axe(self.page)
        if problems:
            self.found[name] = [(one["id"], [node["target"] for node in one["nodes"]][:3]) for one in problems]
        width = self.page.viewport_size["width"]
        if self.page.evaluate("document.documentElement.scrollWidth") > width:
            self.found[f"{name}, wider than the screen"] = []

    def open(self, name: str, mark: str) -> None:
        self.page.get_by_role("link", name=name, exact=True).click()
        self.page.get_by_role("heading", name=mark, exact=True).first.wait_for()


def sign_in(page: Any, token: str, screens: Screens) -> None:
    page.get_by_label("Token").fill("guess")
    page.keyboard.press("Enter")
    page.get_by_text("isn't valid, or has expired").wait_for()
    screens.look("login")
    page.get_by_label("Token").fill(token)
    page.keyboard.press("Enter")
    page.get_by_text("What would you like to know?").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_screen(visits: Visits, guarded: tuple[Server, str], scheme: str) -> None:
    server, token = guarded
    page = visits.open(server.url, scheme=scheme)
    screens = Screens(page)
    sign_in(page, token, screens)
    ask(page, FOUNDER)
    answered(page)
    page.get_by_role("button", name="This conversation").click()
    page.get_by_role("button", name="Make a link").click()
    link = page.locator("[data-testid=stCode] code")
    link.wait_for()
    screens.look("conversation's menu")
    shared = visits.open(link.inner_text().strip(), scheme=scheme)
    shared.get_by_label("Token").fill(token)
    shared.keyboard.press("Enter")
    shared.get_by_text("to read only").wait_for()
    reader = Screens(shared)
    reader.look("shared link")
    page.keyboard.press("Escape")
    screens.open("Users and rights", "Rights")
    screens.look("people")
    screens.open("Knowledge base", "Documents")
    for part in ("Add documents", "What is in it", "How it answers", "Who may use it"):
        page.get_by_text(part, exact=True).first.click()
    page.get_by_text("It answers, for example").wait_for()
    screens.look("library, all parts open")
    for file, tab in (("pump-manual.pdf", "Page"), ("tidewell-project.md", "Overview")):
        page.get_by_role("button", name=file, exact=True).click()
        page.locator(".st-key-passage").get_by_role("radiogroup").get_by_text(tab, exact=True).first.click()
        at_rest(page)
        screens.look(f"viewer, {tab}")
    page.get_by_role("button", name="Close").click()
    screens.open("Models and settings", "Settings")
    page.get_by_text("Advanced", exact=True).click()
    page.get_by_text("chunk_tokens").first.wait_for()
    screens.look("settings")
    assert screens.found | reader.found == {}


def test_at_200_per_cent_everything_stays_on_the_screen(visits: Visits, guarded: tuple[Server, str]) -> None:
    server, token = guarded
    page = visits.open(server.url, width=640, height=400)
    screens = Screens(page)
    sign_in(page, token, screens)
    ask(page, FOUNDER)
    answered(page)
    screens.look("chat")
    for name, mark in (("people", "Rights"), ("library", "Documents"), ("system", "Settings")):
        page.goto(re.sub(r"(http://[^/]+)/.*", rf"\1/{name}", page.url))
        page.get_by_role("heading", name=mark, exact=True).first.wait_for()
        screens.look(name)
    assert screens.found == {}


MOVING = """() => {
  const found = document.getAnimations().filter((one) => one.playState === "running");
  for (const one of found) window.moved.add(one.effect?.target?.outerHTML.slice(0, 120) || String(one));
}"""


def test_nothing_moves_for_who_wants_no_motion(chromium: Any, guarded: tuple[Server, str]) -> None:
    server, token = guarded
    context = chromium.new_context(reduced_motion="reduce", viewport={"width": 1280, "height": 800})
    context.add_init_script(f"window.moved = new Set(); const look = {MOVING}; setInterval(look, 20);")
    try:
        page = context.new_page()
        page.goto(server.url)
        sign_in(page, token, Screens(page))
        ask(page, FOUNDER)
        answered(page)
        page.locator(".chip").first.click()
        page.locator(".passage mark").first.wait_for()
        page.get_by_role("button", name="This conversation").click()
        page.get_by_label("Name").wait_for()
        assert page.evaluate("matchMedia('(prefers-reduced-motion: reduce)').matches")
        assert page.evaluate("[...window.moved]") == []
    finally:
        context.close()
