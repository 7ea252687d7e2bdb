"""How quick the page is: first text, a rerun, a citation in a long conversation, and clicks in the library, in the
system's Chromium.

    python benchmarks/page.py --home DIR [--turns 60] [--rounds 5]

DIR is a data home with a knowledge base of any size; a conversation of so many turns is made in it for a while.
The last line is the time that 95 of 100 clicks take at most, over all kinds of clicks.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kb_assistant import ChatStore, KnowledgeBase

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]


CLICKS = ("open a citation", "close it (a rerun)")


def long_conversation(home: Path, turns: int) -> str:
    """A conversation whose answers quote real passages."""
    chats = ChatStore(home / "chats.sqlite")
    with KnowledgeBase.open(home=home) as base:
        hits = base.search("station", 5)
        kb = base.settings.kb
    chat = chats.create("local", kb)
    answer = "\n\n".join(f"{hit.text.split('. ')[0]}. [{n}]" for n, hit in enumerate(hits, 1))
    reply = {
        "hits": [hit.to_json() for hit in hits],
        "citations": [
            {"n": n, "source": hit.source, "locator": hit.locator.to_json(), "supported": True}
            for n, hit in enumerate(hits, 1)
        ],
    }
    for number in range(turns):
        chats.save(chats.begin(chat.id, f"Question {number} about the station"), answer, "done", reply)
    return chat.id


def timed(action: Callable[[], Any]) -> float:
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


def typing(page: Any) -> float:
    """Longest of 40 keystrokes, in ms, from the key to the next frame."""
    field = page.locator("[data-testid=stChatInput] textarea")
    field.click()
    frame = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"

    def press() -> None:
        page.keyboard.press("a")
        page.evaluate(frame)

    return max(timed(press) for _ in range(40))


def scrolling(page: Any) -> float:
    """Longest frame while the whole conversation is scrolled through, in ms."""
    return float(
        page.evaluate(
            """async () => {
                const main = document.querySelector('main');
                let longest = 0, last = performance.now();
                for (let at = main.scrollHeight; at > 0; at -= 400) {
                    main.scrollTop = at;
                    await new Promise(requestAnimationFrame);
                    const now = performance.now();
                    longest = Math.max(longest, now - last);
                    last = now;
                }
                return longest;
            }"""
        )
    )


def measure(browser: Any, url: str, chat: str, rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    for _ in range(rounds):
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        hello = page.get_by_text("What would you like to know?")
        note("empty page: first text", timed(lambda p=page, h=hello: (p.goto(url), h.wait_for())))
        paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime || 0"
        note("empty page: first paint", page.evaluate(paint))
        chip = page.locator(".chip").last
        note(
            "conversation: first text", timed(lambda p=page, c=chip: (p.goto(f"{url}/?chat={chat}"), c.wait_for()))
        )
        _show_all(page)
        chip, panel = page.locator(".chip").last, page.locator(".passage .text")
        note("open a citation", timed(lambda c=chip, p=panel: (c.click(), p.wait_for())))
        note("close it (a rerun)", timed(lambda p=page: _closed(p)))
        note("key to frame, longest of 40", typing(page))
        note("scroll through, longest frame", scrolling(page))
        library(page, url, note)
        page.close()
    return found


def library(page: Any, url: str, note: Callable[[str, float], None]) -> None:
    """The list of documents: its first text, another order, the next page, and a document opened and closed."""
    table, panel = page.locator(".frame table"), page.locator(".st-key-passage")
    note("library: first text", timed(lambda: (page.goto(f"{url}/library"), table.wait_for())))
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    for column in ("date", "name"):
        sort, sorted_ = page.locator(f"thead th.{column} button"), page.locator(f"thead th.{column}[aria-sort]")
        if not sorted_.count():
            note("click: another order", timed(lambda s=sort, d=sorted_: (s.click(), d.wait_for())))
    turn = page.get_by_role("button", name="Next")
    if turn.count() and turn.is_enabled():
        first = page.locator(".frame .open").first.inner_text()
        note("click: the next page", timed(lambda: (turn.click(), _seen(page, first))))
    row = page.locator(".frame .open").first
    note("click: open a document", timed(lambda: (row.click(), panel.wait_for())))
    note("click: close it", timed(lambda: (_close_document(page), panel.wait_for(state="detached"))))


def _seen(page: Any, before: str) -> None:
    while page.locator(".frame .open").first.inner_text() == before:
        page.wait_for_timeout(5)


def _close_document(page: Any) -> None:
    page.locator(".st-key-passage").get_by_role("button", name="Close").click()


def _show_all(page: Any) -> None:
    """Turns before the last thirty are shown when they are asked for."""
    earlier = page.locator(".st-key-earlier button")
    while earlier.count():
        count = page.locator(".turn").count()
        earlier.click()
        page.locator(".turn").nth(count).wait_for(state="attached")
        page.wait_for_timeout(500)


def _closed(page: Any) -> None:
    page.keyboard.press("Escape")
    page.locator(".passage").wait_for(state="detached")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--turns", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chat = long_conversation(given.home, given.turns)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = "from kb_assistant.cli import main; main()"
    flags = ["ui", "--no-browser", "--port", str(port), "--home", str(given.home), "--model", "extract"]
    server = subprocess.Popen([sys.executable, "-c", code, *flags])
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                urllib.request.urlopen(f"{url}/_stcore/health")
                break
            except OSError:
                time.sleep(0.1)
        path = shutil.which("chromium") or shutil.which("google-chrome")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
            found = measure(browser, url, chat, given.rounds)
            browser.close()
    finally:
        server.terminate()
        ChatStore(given.home / "chats.sqlite").delete(chat)
    for name, values in found.items():
        print(f"{name:>32}: median {statistics.median(values):.0f} ms, longest {max(values):.0f} ms")
    clicks = sorted(
        one for name, values in found.items() if name in CLICKS or name[:6] == "click:" for one in values
    )
    print(f"{'all clicks':>32}: p95 {clicks[int(len(clicks) * 0.95)]:.0f} ms of {len(clicks)}")


if __name__ == "__main__":
    main()
