"""The page in a real browser, as its users meet it."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kb_assistant.workspace.access import Access
from tests.samples import ROOT
from tests.ui.acts import FOUNDER, answered, ask, axe, picture, put, upload
from tests.ui.browser import Server, Visits, sample_copy, start_server
from ui.options import MOST_FILES

pytestmark = [pytest.mark.engine, pytest.mark.browser, pytest.mark.timeout(1800)]

PICTURES = ROOT / "docs" / "pictures"
HOSTILE = """# Weather balloon <img src=x onerror="window.hacked=1">

## Launch

The weather balloon Albatross-9 is launched on Tuesdays <script>window.hacked=1</script> at noon. Its pilot's page
is [this one](javascript:window.hacked=1) and its picture ![pixel](https://tracker.invalid/p.png) is on the wall.
The balloon Albatross-9 weighs \u202e9 kilograms\u202c and <b onmouseover="window.hacked=1">it flies</b> for two
hours.
"""


def test_upload_ask_follow_up_cite_reload_switch_delete(
    visit: Callable[..., Any], tmp_path: Path, server: Server
) -> None:
    file = tmp_path / "kestrel.md"
    file.write_text(
        "# The Kestrel boat\n\n## Engine\n\nThe Kestrel boat has a diesel engine of 48 kilowatts. It was fitted "
        "by Ingrid Solheim in Bergen.\n\n## Crew\n\nThe Kestrel boat sails with a crew of three people.\n"
    )
    page = visit("/library")
    upload(page, file)
    page.get_by_role("link", name="Chat").click()

    ask(page, "What engine does the Kestrel boat have?")
    turn = answered(page)
    assert "48 kilowatts" in turn.inner_text()
    ask(page, "Who fitted it?")
    assert "Ingrid Solheim" in answered(page, 2).inner_text()

    chip = page.locator(".turn").nth(1).locator(".chip").last  # the first one is of what "it" stands for
    chip.hover()
    assert "Ingrid Solheim" in page.locator(".card").first.inner_text()
    chip.click()
    panel = page.locator(".passage")
    panel.locator("mark").first.wait_for()
    assert "Ingrid Solheim" in " ".join(panel.locator("mark").all_inner_texts())
    assert "kestrel.md" in panel.inner_text()
    assert "The Kestrel boat > Engine" in panel.inner_text()
    assert "crew of three" in panel.locator(".neighbour").last.inner_text()

    address = page.url
    page.reload()
    answered(page, 2)
    assert page.url == address
    assert "Ingrid Solheim" in page.locator(".turn").nth(1).inner_text()

    page.get_by_text("中文", exact=True).click()
    page.get_by_role("link", name="知识库").wait_for()
    page.get_by_placeholder("向你的文档提问……").wait_for()
    page.get_by_text("English", exact=True).click()
    page.get_by_role("link", name="Knowledge base").click()

    page.get_by_label("Search documents").fill("kestrel")
    page.keyboard.press("Enter")
    page.get_by_text("faq.md", exact=True).wait_for(state="detached")
    page.get_by_role("checkbox", name="Select: kestrel.md").check()
    page.get_by_role("button", name="Remove").click()
    page.get_by_text("No documents.").wait_for()
    page.get_by_text("1 removed.").wait_for()
    assert not list((server.home / "uploads").glob("*/kestrel.md"))

    page.get_by_role("link", name="Chat").click()
    page.get_by_role("button", name="New conversation").click()
    page.get_by_text("What would you like to know?").wait_for()
    ask(page, "What engine does the Kestrel boat have?")
    turn = answered(page)
    assert "kestrel.md" not in turn.inner_text()
    assert "48 kilowatts" not in turn.inner_text()


def test_something_is_shown_before_any_script_has_come(visits: Visits, server: Server) -> None:
    page = visits.open("about:blank")
    page.route("**/static/js/**", lambda route: route.abort())
    for path in ("/", "/chat", "/library", "/system"):
        page.goto(f"{server.url}{path}", wait_until="domcontentloaded")
        assert page.title() == "kb-assistant"
        assert page.get_by_role("status", name="Opening").is_visible()
    page.unroute("**/static/js/**")
    page.goto(server.url)
    page.get_by_text("What would you like to know?").wait_for()
    assert page.locator("#opening").count() == 0


def test_a_pdf_shows_its_page(visit: Callable[..., Any]) -> None:
    page = visit()
    ask(page, "How often is the pump serviced?")
    turn = answered(page)
    turn.locator("[data-mark]").first.wait_for()
    turn.locator("[data-mark]").first.click()
    page.locator(".passage").wait_for()
    assert "pump-manual.pdf" in page.locator(".passage").inner_text()
    image = page.locator(".st-key-passage img")
    image.wait_for()
    page.wait_for_function("image => image.naturalWidth > 500", arg=image.element_handle())


def test_a_document_is_looked_through_searched_and_downloaded(visit: Callable[..., Any]) -> None:
    page = visit("/library")
    page.get_by_role("button", name="pump-manual.pdf").click()
    panel = page.locator(".st-key-passage")
    panel.get_by_text("Page 1 of pump-manual.pdf").wait_for()
    panel.get_by_role("button", name="Next").click()
    panel.get_by_text("Page 2 of pump-manual.pdf").wait_for()
    assert axe(page) == []
    panel.get_by_placeholder("Search in this document").fill("impeller")
    page.keyboard.press("Enter")
    panel.locator("mark").first.wait_for()
    assert {one.lower() for one in panel.locator("mark").all_inner_texts()} == {"impeller"}
    with page.expect_download() as waiting:
        panel.get_by_text("Download", exact=True).click()
    assert waiting.value.suggested_filename == "pump-manual.pdf"
    assert Path(waiting.value.path()).read_bytes().startswith(b"%PDF")
    panel.get_by_text("Overview", exact=True).click()
    panel.get_by_text("Contents").wait_for()
    panel.get_by_text("In its own words").wait_for()
    panel.get_by_text(re.compile("BP-7.+pump", re.DOTALL)).first.wait_for()
    panel.get_by_role("button", name="Close").click()
    page.get_by_text("What is in it", exact=True).click()
    page.get_by_role("button", name="Sum up all documents").click()
    page.locator(".question", has_text="overview of all documents").wait_for()
    assert answered(page).locator(".chip").count() >= 9


def test_a_refusal_looks_different_and_shows_what_lies_nearest(visit: Callable[..., Any]) -> None:
    page = visit()
    ask(page, "How do I bake a chocolate cake with walnuts in an oven?")
    turn = answered(page)
    assert "refused" in str(turn.get_attribute("class"))
    assert "don't seem to hold this" in turn.inner_text()
    assert turn.locator(".nearest li").count() == 3
    turn.locator(".nearest button").first.click()
    page.locator(".passage").wait_for()


def test_hostile_documents_stay_text(visit: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "balloon <img src=x onerror=alert(1)>.md"
    file.write_text(HOSTILE)
    page = visit("/library")
    upload(page, file)
    page.get_by_role("link", name="Chat").click()
    ask(page, "When is the weather balloon Albatross-9 launched, and how long does it fly?")
    turn = answered(page)
    said = turn.inner_text()
    assert "<script>window.hacked=1</script>" in said
    turn.locator("[data-mark]").first.click()
    page.locator(".passage .text").wait_for()
    assert "![pixel](https://tracker.invalid/p.png)" in page.locator(".passage .text").inner_text()
    assert "\u202e" not in page.locator(".passage .text").inner_text()
    page.get_by_role("link", name="Knowledge base").click()
    page.get_by_label("Search documents").fill("balloon")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="balloon").click()
    page.get_by_text("Albatross-9 is launched").wait_for()
    assert page.evaluate("window.hacked") is None
    assert (
        page.locator("a[href^=javascript], img[src*=tracker], img[src=x], script:has-text('hacked')").count() == 0
    )


def test_too_many_files_at_once_are_refused_in_words(visit: Callable[..., Any], tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.md" for number in range(MOST_FILES + 1)]
    for file in files:
        file.write_text("# Note\n")
    page = visit("/library")
    page.get_by_text("Add documents", exact=True).click()
    page.locator("input[type=file]:not([webkitdirectory])").first.set_input_files([str(file) for file in files])
    page.get_by_text(f"{len(files)} files are too many: at most {MOST_FILES} at once.").wait_for()
    assert page.locator("[class*='st-key-job-']").count() == 0


def test_a_dropped_file_serves_its_conversation_alone(visit: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "recipe.md"
    file.write_text(
        "# Grandmother's soup\n\n## Salt\n\nThe soup of grandmother Ottilie takes eleven grams of salt.\n"
    )
    page = visit()
    with page.expect_response(lambda answer: "upload_file" in answer.url and answer.request.method == "PUT"):
        page.locator("[data-testid=stChatInput] input[type=file]").set_input_files(str(file))
    page.get_by_text("recipe.md").first.wait_for()
    put(page, "How much salt does the soup of grandmother Ottilie take?")
    page.get_by_role("button", name="For this conversation only").click()
    assert "eleven grams" in answered(page).inner_text()
    page.get_by_role("button", name="New conversation").click()
    page.get_by_text("What would you like to know?").wait_for()
    ask(page, "How much salt does the soup of grandmother Ottilie take?")
    assert "eleven grams" not in answered(page).inner_text()


def test_copy_rate_edit_ask_again_and_export(visit: Callable[..., Any]) -> None:
    page = visit()
    ask(page, FOUNDER)
    turn = answered(page)
    turn.get_by_role("button", name="Copy").click()
    assert "Miriam Okafor" in page.evaluate("navigator.clipboard.readText()")
    turn.get_by_role("button", name="Good answer").click()
    page.locator(".turn [aria-pressed=true]").wait_for()
    turn.get_by_role("button", name="Edit the question").click()
    page.locator(".editor textarea").fill("Who runs the Aldersea Station now?")
    page.locator(".editor .primary").click()
    page.locator(".question", has_text="now").wait_for()
    assert "Tomas Lindqvist" in answered(page).locator(".body").inner_text()
    assert page.locator(".turn").count() == 1
    page.get_by_role("button", name="Good answer").click()
    page.locator(".turn [aria-pressed=true]").wait_for()
    page.locator(".turn").get_by_role("button", name="Ask again").click()
    page.locator(".turn [aria-pressed=true]").wait_for(state="detached")  # the new answer isn't rated yet
    assert "Tomas Lindqvist" in answered(page).locator(".body").inner_text()
    assert page.locator(".turn").count() == 1
    page.get_by_role("button", name="This conversation").click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Save as JSON").click()
    saved = json.loads(Path(waiting.value.path()).read_text(encoding="utf-8"))
    assert len(saved["turns"]) == 1
    assert saved["turns"][0]["question"] == "Who runs the Aldersea Station now?"


FOCUSED = """() => {
    let one = document.activeElement;
    while (one.shadowRoot && one.shadowRoot.activeElement) one = one.shadowRoot.activeElement;
    window.focused = one;
    const name = one.getAttribute("aria-label") || one.labels?.[0]?.innerText || one.innerText || one.placeholder;
    const box = (one.closest("label") || one).getBoundingClientRect();
    return {name: (name || "").trim(), kind: `${one.tagName} ${one.className}`,
            clip: {x: box.x - 8, y: box.y - 8, width: box.width + 16, height: box.height + 16}};
}"""


class Keys:
    """Somebody who has no mouse."""

    def __init__(self, page: Any) -> None:
        self.page, self.press, self.type = page, page.keyboard.press, page.keyboard.type

    def name(self) -> str:
        """What has the focus is called so."""
        return str(self.page.evaluate(FOCUSED)["name"])

    def kind(self) -> str:
        return str(self.page.evaluate(FOCUSED)["kind"])

    def go(self, name: str, key: str = "Tab", kind: str = "") -> None:
        """On to the next thing of that name, whose focus must be seen."""
        self.page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
        passed = []
        for _ in range(90):
            self.press(key)
            now = self.page.evaluate(FOCUSED)
            passed.append(now["name"][:40])
            scrolled = now["kind"].startswith(("BODY", "MAIN", "SECTION", "DIV"))
            if re.search(name, now["name"]) and now["kind"].startswith(kind) and not scrolled:
                self._seen()
                return
        pytest.fail(f"{name!r} can't be reached: {passed}")

    def _seen(self) -> None:
        self.page.wait_for_timeout(300)  # smooth scrolling, and rings that grow
        clip = {side: max(0, value) for side, value in self.page.evaluate(FOCUSED)["clip"].items()}
        with_focus = self.page.screenshot(clip=clip, animations="disabled", caret="initial")
        self.page.evaluate("window.focused.blur()")
        self.page.wait_for_timeout(200)
        without = self.page.screenshot(clip=clip, animations="disabled", caret="initial")
        self.page.evaluate("window.focused.focus()")
        same = f"() => {{ const before = window.focused; ({FOCUSED})(); return before === window.focused; }}"
        assert self.page.evaluate(same)
        assert with_focus != without, f"the focus of {self.name()!r} isn't to be seen"


def test_a_conversation_by_keyboard_alone(visit: Callable[..., Any]) -> None:
    page = visit()
    page.get_by_text("What would you like to know?").wait_for()
    keys = Keys(page)
    keys.go("^Ask your documents", kind="TEXTAREA")
    keys.type(FOUNDER)
    keys.press("Enter")
    answered(page).locator(".chip").first.wait_for()

    keys.go(r"^\[1\]", "Shift+Tab")
    assert page.locator(".card").first.is_visible()
    keys.press("Escape")
    assert not page.locator(".card").first.is_visible()
    keys.press("Enter")
    page.locator(".passage mark").first.wait_for()
    assert keys.kind().startswith("H2")
    keys.press("Escape")
    page.locator(".passage").wait_for(state="detached")
    page.wait_for_function(f"() => ({FOCUSED})().kind.includes('chip')")
    keys.press("Space")
    page.locator(".passage mark").first.wait_for()
    keys.go("^Close$")
    keys.press("Enter")
    page.locator(".passage").wait_for(state="detached")
    page.wait_for_function(f"() => ({FOCUSED})().kind.includes('chip')")

    keys.go("^Good answer$")
    keys.press("Enter")
    page.locator(".turn [aria-pressed=true]").wait_for()
    assert keys.name() == "Good answer"
    keys.go("^Edit the question$")
    keys.press("Enter")
    page.locator(".editor").wait_for()
    keys.press("Escape")
    page.locator(".editor").wait_for(state="detached")
    assert keys.name() == "Edit the question"
    keys.press("Enter")
    keys.press("Control+a")
    keys.type("Who runs the Aldersea Station now?")
    keys.go("^Ask$")
    keys.press("Enter")
    page.locator(".question", has_text="now").wait_for()
    assert "Tomas Lindqvist" in answered(page).locator(".body").inner_text()

    keys.go("^English$")
    keys.go("中文", "ArrowRight")
    keys.press("Space")
    page.get_by_placeholder("向你的文档提问……").wait_for()
    assert keys.name() == "中文"
    keys.go("English", "ArrowLeft")
    keys.press("Space")
    page.get_by_placeholder("Ask your documents …").wait_for()


def test_a_knowledge_base_by_keyboard_alone(visit: Callable[..., Any], tmp_path: Path, server: Server) -> None:
    (tmp_path / "otter.md").write_text("# The otter\n\n## Food\n\nThe otter of the bay eats crabs at dusk.\n")
    page = visit()
    page.on("filechooser", lambda _: None)  # catches choosers from now on: later may be too late
    page.get_by_text("What would you like to know?").wait_for()
    keys = Keys(page)
    keys.go("Knowledge base$", kind="A ")
    keys.press("Enter")
    page.get_by_text("faq.md", exact=True).wait_for()
    keys.go("Create, rename", "Shift+Tab", kind="SUMMARY")
    keys.press("Enter")
    keys.go("^New knowledge base")
    keys.type("by-hand")
    keys.go("^Create$")
    keys.press("Enter")
    page.get_by_role("heading", name="by-hand").wait_for()
    page.get_by_text("No documents.").wait_for()

    keys.go("(?s)^(?!Help).*Upload", kind="BUTTON")  # not the button that tells which formats are read
    with page.expect_file_chooser() as chooser:
        keys.press("Enter")
    chooser.value.set_files(str(tmp_path / "otter.md"))
    page.locator(".st-key-last-job").get_by_text("1 added").wait_for()
    keys.go("^otter.md$", kind="BUTTON")
    keys.press("Enter")
    page.get_by_text("The otter of the bay eats crabs").wait_for()
    keys.go("Close$", kind="BUTTON")
    keys.press("Enter")
    page.get_by_text("The otter of the bay eats crabs").wait_for(state="detached")
    keys.go("^Select: otter.md$", "Shift+Tab", kind="INPUT")
    keys.press("Space")
    page.get_by_role("button", name="Remove").wait_for()
    keys.go("Remove$", "Shift+Tab")
    keys.press("Enter")
    page.get_by_text("No documents.").wait_for()
    assert not list((server.home / "uploads").glob("*/otter.md"))

    keys.go("Knowledge base", kind="INPUT")
    keys.press("ArrowDown")
    page.get_by_role("option", name="default").wait_for()
    if page.locator("[role=option][data-focused]").inner_text() != "default":
        keys.press("ArrowDown")
    assert page.locator("[role=option][data-focused]").inner_text() == "default"
    keys.press("Enter")
    page.get_by_role("heading", name="default").wait_for()


@pytest.fixture(scope="module")
def slow(models_home: Path, sample_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Its model takes ten minutes for an answer: longer than a page takes to load beside other programs."""
    home = sample_copy(models_home, sample_home, tmp_path_factory.mktemp("slow"))
    text = " ".join(f"word{number}" for number in range(4000))
    running = start_server(home, KB_SLOW_MODEL=text, KB_SLOW_SECONDS="0.15")
    yield running
    running.stop()


def test_an_answer_outlives_a_reload_and_a_stop_keeps_it(visits: Visits, slow: Server) -> None:
    page = visits.open(slow.url)
    ask(page, FOUNDER)
    page.locator(".body", has_text="word3").wait_for()
    page.reload()
    page.locator(".body", has_text="word9").wait_for()
    page.get_by_role("button", name="Stop").click()
    said = answered(page).inner_text()
    assert "Stopped" in said
    assert "word9" in said
    assert "word3999" not in said
    page.reload()
    assert "word9" in answered(page).inner_text()
    answered(page).get_by_role("button", name="Ask again").click()
    page.get_by_role("button", name="Stop").wait_for()
    page.locator(".body", has_text="word3").wait_for()
    page.get_by_role("button", name="Stop").click()
    answered(page)
    assert page.locator(".turn").count() == 1


def test_what_is_typed_and_sent_while_an_answer_comes_is_asked_after_it(visits: Visits, slow: Server) -> None:
    page = visits.open(slow.url)
    field = page.get_by_placeholder("Ask your documents …")
    queued = page.locator(".turn.live", has_text="Waits for the answer before it")
    ask(page, FOUNDER)
    page.locator(".body", has_text="word3").wait_for()
    ask(page, "Who runs it now?")
    queued.wait_for()
    page.reload()
    queued.wait_for()
    field.click()
    page.keyboard.type("And in which ye")
    page.get_by_role("button", name="Stop").click()
    page.locator(".turn.stopped", has_text=FOUNDER).wait_for()
    page.locator(".turn.live", has_text="Who runs it now?").locator(".body", has_text="word3").wait_for()
    assert field.input_value() == "And in which ye"
    field.press("End")
    page.keyboard.type("ar?")
    page.keyboard.press("Enter")
    page.locator(".turn.live", has_text="And in which year?").wait_for()
    page.get_by_role("button", name="Don't ask those that wait").click()
    page.locator(".turn.live", has_text="And in which year?").wait_for(state="detached")
    page.get_by_role("button", name="Stop").click()
    answered(page, 3)
    asked = page.locator(".turn .question").all_inner_texts()
    assert asked == [FOUNDER, "Who runs it now?", "And in which year?"]


def test_an_answer_that_a_crash_broke_off_is_kept_and_asked_again(
    visits: Visits, models_home: Path, sample_home: Path, tmp_path: Path
) -> None:
    home = sample_copy(models_home, sample_home, tmp_path)
    first = start_server(home, KB_SLOW_MODEL="one two three " + "word " * 100, KB_SLOW_SECONDS="0.3")
    page = visits.open(first.url)
    ask(page, FOUNDER)
    page.locator(".body", has_text="three word word").wait_for()
    chat = page.url.removeprefix(first.url)
    first.kill()
    second = start_server(home, "--model", "extract")
    page = visits.open(second.url + chat)
    turn = answered(page)
    assert "one two three" in turn.inner_text()
    assert "Broken off: the program ended before the answer did" in turn.inner_text()
    turn.get_by_role("button", name="Ask again").click()
    page.locator(".turn.interrupted").wait_for(state="detached")
    assert "Miriam Okafor" in answered(page).inner_text()
    assert page.locator(".turn").count() == 1
    second.stop()


def test_an_error_in_the_middle_of_an_answer_keeps_what_was_said(
    visits: Visits, models_home: Path, sample_home: Path, tmp_path: Path
) -> None:
    home = sample_copy(models_home, sample_home, tmp_path)
    running = start_server(home, KB_SLOW_MODEL="The station was FAIL founded", KB_SLOW_SECONDS="0.1")
    page = visits.open(running.url)
    ask(page, FOUNDER)
    turn = answered(page)
    assert "The station was" in turn.locator(".body").inner_text()
    assert "The answer broke off." in turn.locator(".status").inner_text()
    assert "the model's file is gone" in turn.locator(".status").inner_text()
    assert "No answer" not in turn.inner_text()
    turn.get_by_role("button", name="Ask again").wait_for()
    ask(page, "And who runs it now?")
    answered(page, 2)
    running.stop()


def test_a_knowledge_base_answers_in_its_own_way_and_the_prompt_can_be_seen(
    visits: Visits, models_home: Path, sample_home: Path, tmp_path: Path
) -> None:
    home = sample_copy(models_home, sample_home, tmp_path)
    running = start_server(home, KB_SLOW_MODEL="The station was founded", KB_SLOW_SECONDS="0.01")
    page = visits.open(f"{running.url}/library")
    page.get_by_text("How it answers").click()
    field = page.get_by_label("Who answers, in one sentence")
    field.wait_for()
    assert axe(page) == []
    field.fill("You are the keeper of the lighthouse.")
    field.press("Enter")
    page.get_by_text("Saved. It holds from the next question").wait_for()
    assert (home / "kbs" / "default" / "kb.toml").read_text() == 'role = "You are the keeper of the lighthouse."\n'
    page.get_by_role("link", name="Chat").click()
    ask(page, FOUNDER)
    turn = answered(page)
    turn.locator("summary").click()
    turn.get_by_role("button", name="What the model was given").click()
    prompt = page.get_by_role("dialog").locator("code")
    prompt.get_by_text("You are the keeper of the lighthouse.").wait_for()
    assert FOUNDER in prompt.inner_text()
    assert axe(page) == []
    running.stop()


def test_two_browsers_do_not_mix(visits: Visits, server: Server) -> None:
    one, two = visits.open(server.url), visits.open(server.url, locale="zh-CN")
    two.get_by_text("你想了解什么？").wait_for()
    ask(one, FOUNDER)
    ask(two, "白鹭洲有观鸟塔吗？")
    assert "Miriam Okafor" in answered(one).inner_text()
    assert "观鸟塔" in answered(two).inner_text()
    assert one.locator(".turn").count() == two.locator(".turn").count() == 1
    assert one.url != two.url
    assert one.get_by_placeholder("Ask your documents …").is_visible()


@pytest.fixture(scope="module")
def guarded(models_home: Path, sample_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A page that asks for tokens, with those of two users."""
    home = sample_copy(models_home, sample_home, tmp_path_factory.mktemp("guarded"))
    access = Access(home)
    tokens = {"ann": access.add("ann"), "bob": access.add("bob", "read")}
    running = start_server(home, "--model", "extract", "--login")
    yield running, tokens
    running.stop()


def test_tokens_open_the_page_and_users_do_not_mix(visits: Visits, guarded: Any) -> None:
    running, tokens = guarded

    def enter(name: str) -> Any:
        page = visits.open(running.url)
        page.get_by_label("Token").fill(tokens[name])
        page.keyboard.press("Enter")
        page.get_by_text("What would you like to know?").wait_for()
        return page

    stranger = visits.open(f"{running.url}/library")
    assert stranger.locator("#root").count() == 0
    stranger.get_by_label("Token").fill("guess")
    stranger.keyboard.press("Enter")
    stranger.get_by_text("isn't valid, or has expired").wait_for()

    ann = enter("ann")
    ask(ann, FOUNDER)
    answered(ann)
    bob = enter("bob")
    assert bob.get_by_role("button", name=FOUNDER).count() == 0
    bob.goto(ann.url)
    bob.get_by_text("What would you like to know?").wait_for()
    assert "Miriam Okafor" not in bob.locator("body").inner_text()
    bob.get_by_role("link", name="Knowledge base").click()
    bob.get_by_text("faq.md", exact=True).wait_for()
    assert bob.get_by_text("Add documents").count() == 0
    bob.get_by_role("button", name="Sign out").click()
    bob.get_by_label("Token").wait_for()
    log = running.log.read_text()
    assert not any(token in log or token in ann.url for token in tokens.values())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_is_accessible_and_has_its_picture(visit: Callable[..., Any], width: int, scheme: str) -> None:
    """The pictures go to docs/pictures where KB_PICTURES names a folder (see conftest.py)."""
    keep = bool(os.environ.get("KB_PICTURES"))
    page = visit(width=width, height=820, scheme=scheme)
    ask(page, FOUNDER)
    answered(page).locator(".chip").first.click()
    page.locator(".passage mark").first.wait_for()
    problems = {"passage": axe(page)}
    shots = {"chat": picture(page)}
    page.locator(".passage").press("Escape")
    page.locator(".passage").wait_for(state="detached")
    problems["chat"] = axe(page)
    page.mouse.move(0, 0)
    page.locator(".chip").first.hover()
    page.locator(".card").first.wait_for()
    shots["answer"] = picture(page)
    for name, mark in (("library", "Documents"), ("system", "Settings")):
        page.goto(re.sub(r"(http://[^/]+)/.*", rf"\1/{name}", page.url))
        page.get_by_role("heading", name=mark, exact=True).first.wait_for()
        if name == "system":
            page.get_by_text("Advanced").click()
            page.get_by_text("chunk_tokens").wait_for()
        shots[name] = picture(page)
        problems[name] = axe(page)
    if keep:
        PICTURES.mkdir(exist_ok=True)
        for name, shot in shots.items():
            small = Image.open(io.BytesIO(shot)).convert("RGB").quantize(64, dither=Image.Dither.NONE)
            small.save(PICTURES / f"{name}-{width}-{scheme}.png", optimize=True)
    told = {
        name: [(one["id"], [node["target"] for node in one["nodes"]][:3]) for one in found]
        for name, found in problems.items()
        if found
    }
    assert told == {}
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width


def test_the_chinese_page_has_chinese_fields_for_uploads(visit: Callable[..., Any]) -> None:
    page = visit("/library", locale="zh-CN")
    page.get_by_text("添加文档", exact=True).click()
    for name in ("选择文件", "选择文件夹"):
        page.get_by_role("button", name=re.compile(f"{name}$")).wait_for()
    fields = page.locator("[data-testid=stFileUploader]")
    assert fields.count() == 2
    for field in fields.all():
        limit = field.locator("[data-testid=stFileUploaderDropzoneInstructions] span").last
        assert "100 MB" in limit.evaluate("one => getComputedStyle(one, '::after').content")
    assert axe(page) == []
