"""What is typed counts, however soon the button beside it is clicked: by touch, on a slow server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.ui.acts import FOUNDER, answered, ask
from tests.ui.browser import Server, Visits, sample_copy, start_server
from tests.waiting import until

pytestmark = [pytest.mark.engine, pytest.mark.browser, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def own(models_home: Path, sample_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A page whose settings and names may change."""
    running = start_server(
        sample_copy(models_home, sample_home, tmp_path_factory.mktemp("own")), "--model", "extract"
    )
    yield running
    running.stop()


def at_rest(button: Any) -> None:
    """What holds the button has finished to open, and one that it takes the place of is gone."""
    places: list[Any] = []

    def rests() -> bool:
        places.append((button.count(), button.first.bounding_box()))
        return len(places) > 40 and button.count() == 1 and places[-1] == places[-40]

    until(rests)


def type_and_click(field: Any, text: str, button: Any) -> None:
    """The button is pressed the moment the last letter is there, and released within 10 ms."""
    at_rest(button)
    field.fill(text)
    button.click(delay=5)


def test_a_conversation_gets_the_name_that_was_typed(visits: Visits, own: Server) -> None:
    page = visits.open(own.url)
    ask(page, FOUNDER)
    answered(page)
    page.get_by_role("button", name="This conversation").click()
    type_and_click(page.get_by_label("Name"), "Pumps & co", page.get_by_role("button", name="Rename"))
    page.get_by_role("button", name="Pumps & co", exact=True).wait_for()


def test_a_setting_gets_the_value_that_was_typed(visits: Visits, own: Server) -> None:
    """The next part of the page is opened the moment the last letter is there."""
    page = visits.open(f"{own.url}/system")
    advanced = page.get_by_text("Advanced", exact=True)
    at_rest(advanced)
    page.get_by_role("spinbutton", name="Passages given to the model").fill("3")
    advanced.click(delay=5)
    until(lambda: (own.home / "kb.toml").exists() and (own.home / "kb.toml").read_text() == "k = 3\n")


def test_a_setting_is_kept_and_the_page_left_however_soon_the_link_is_clicked(visits: Visits, own: Server) -> None:
    """Nothing else is changed by it: a browser that has lost the values of fields sends their defaults."""
    page = visits.open(f"{own.url}/system")
    for number in (4, 7, 2):
        field = page.get_by_role("spinbutton", name="Passages given to the model")
        field.wait_for()
        at_rest(page.get_by_role("link", name="Chat"))
        field.fill(str(number))
        page.get_by_role("link", name="Chat").click()
        page.get_by_placeholder("Ask your documents").wait_for()
        until(lambda wanted=f"k = {number}\n": (own.home / "kb.toml").read_text() == wanted)
        page.get_by_role("link", name="Models and settings").click()


def test_knowledge_bases_and_folders_get_the_names_that_were_typed(
    visits: Visits, own: Server, tmp_path: Path
) -> None:
    (tmp_path / "boat.md").write_text("# Boat\n\nThe boat is blue.\n")
    page = visits.open(f"{own.url}/library")
    page.get_by_text("Create, rename, delete").click()
    type_and_click(
        page.get_by_label("New knowledge base"), "notes", page.get_by_role("button", name="Create", exact=True)
    )
    page.get_by_role("heading", name="notes").wait_for()
    keep = page.get_by_role("button", name="Sync")
    type_and_click(page.get_by_role("textbox", name="A folder on this machine"), str(tmp_path), keep)
    page.get_by_text("boat.md", exact=True).first.wait_for()
    type_and_click(page.get_by_label("Name", exact=True), "diary", page.get_by_role("button", name="Rename"))
    page.get_by_role("heading", name="diary").wait_for()


def test_a_new_conversation_has_its_address_at_once(visits: Visits, own: Server) -> None:
    page = visits.open(own.url)
    page.get_by_text("What would you like to know?").wait_for()
    ask(page, FOUNDER)
    assert "chat=" in page.url
    again = visits.open(page.url)
    again.locator(".question", has_text=FOUNDER).wait_for()
