"""The page of a shared conversation: plain, escaped, and closed to whoever it isn't for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from kb_assistant import Chat, Hit, Locator, SavedTurn
from kb_assistant.workspace.access import Access
from kb_assistant.workspace.chats import ChatStore
from kb_assistant.workspace.workspace import Workspace
from ui import app_state as states
from ui import downloads, gate, shared_page
from ui.gate import AuthMiddleware, Sessions
from ui.options import Options, options, set_options

HOST = "http://127.0.0.1:8501"
EVIL = '<script>alert(1)</script> <img src=x onerror="alert(2)">'
ANSWER = f"The **pump** is red [1].\n\n{EVIL}\n\n[x](javascript:alert(3)) ![y](http://evil.example/y.png)\n"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    from kb_assistant.settings import Settings

    made = Workspace(Settings(home=tmp_path / "home", model="extract"))
    made.create_base("notes")
    before = options()
    set_options(Options(login=True))
    monkeypatch.setattr(states, "app_state", lambda: made)
    fresh = Sessions()
    monkeypatch.setattr(gate, "sessions", fresh)
    monkeypatch.setattr(states, "sessions", fresh)
    yield made
    set_options(before)
    made.close("notes")


@pytest.fixture
def visitor(workspace: Workspace) -> Callable[[], TestClient]:
    inside = Starlette(routes=[*shared_page.routes(), *downloads.routes()])
    app = AuthMiddleware(inside, access=workspace.access, any_host=True)
    return lambda: TestClient(app, base_url=HOST, follow_redirects=False)


def conversation(workspace: Workspace, owner: str) -> str:
    chats: ChatStore = workspace.chats
    chat = chats.create(owner, "notes").id
    hit = Hit("c1", f"The pump is red. {EVIL}", "/home/ann/docs/pump.md", Locator(lines=(3, 4)), 1.0)
    reply: Any = {"hits": [hit.to_json()], "citations": [{"n": 1, "supported": True}]}
    chats.save(chats.begin(chat, f"What is red? {EVIL}"), ANSWER, "done", reply)
    return chat


def user(access: Access, name: str, right: str = "read") -> str:
    access.put_user(name)
    access.grant("notes", f"user:{name}", right)  # type: ignore[arg-type]
    return access.new_token(name)


def test_a_link_asks_for_a_token_and_leads_back(workspace: Workspace, visitor: Callable[[], TestClient]) -> None:
    user(workspace.access, "ann")
    token = user(workspace.access, "bob")
    chat = workspace.chats.get("ann", conversation(workspace, "ann"))
    assert chat
    key = workspace.links.make(chat, False).key
    browser = visitor()
    first = browser.get(f"/shared/{key}")
    assert (first.status_code, first.headers["location"]) == (303, f"/login?next=/shared/{key}")
    assert f"/login?next=/shared/{key}" in browser.get(first.headers["location"]).text
    signed = browser.post(first.headers["location"], data={"token": token})
    assert signed.headers["location"] == f"/shared/{key}"
    shown = browser.get(signed.headers["location"])
    assert shown.status_code == 200
    assert "<strong>pump</strong> is red" in shown.text
    workspace.links.end(chat.id)
    assert browser.get(f"/shared/{key}").status_code == 404


@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example", "/shared/../x", "/shared/a/b", "/x"])
def test_signing_in_leads_nowhere_else(
    workspace: Workspace, visitor: Callable[[], TestClient], wanted: str
) -> None:
    token = user(workspace.access, "ann")
    assert visitor().post(f"/login?next={wanted}", data={"token": token}).headers["location"] == "/"


def test_an_open_link_shows_text_alone_and_opens_nothing_else(
    workspace: Workspace, visitor: Callable[[], TestClient]
) -> None:
    user(workspace.access, "ann", "manage")
    chat = workspace.chats.get("ann", conversation(workspace, "ann"))
    assert chat
    browser = visitor()
    shown = browser.get(f"/shared/{workspace.links.make(chat, True).key}")
    assert shown.status_code == 200
    for markup in ("<script", "<img", 'href="javascript', 'href="http', "/home/ann"):
        assert markup not in shown.text
    assert "&lt;script&gt;alert(1)" in shown.text
    assert "pump.md, lines 3–4" in shown.text
    assert shown.headers["cache-control"] == "no-store"
    assert "script-src" in shown.headers["content-security-policy"]
    assert browser.get(f"/download/chats/md/{chat.id}").status_code == 401
    assert browser.post(f"/shared/{chat.id}").status_code == 401
    assert browser.get("/shared/guess").status_code == 404


def test_a_conversation_is_saved_by_its_owner_alone(
    workspace: Workspace, visitor: Callable[[], TestClient]
) -> None:
    tokens = {name: user(workspace.access, name) for name in ("ann", "bob")}
    chat = conversation(workspace, "ann")
    for name, status in (("ann", 200), ("bob", 404)):
        browser = visitor()
        browser.post("/login", data={"token": tokens[name]})
        for form in ("md", "json"):
            got = browser.get(f"/download/chats/{form}/{chat}")
            assert (got.status_code, "pump" in got.text) == (status, status == 200)
            assert "/home/ann" not in got.text
    assert got.headers.get("content-disposition") is None


def test_a_withheld_answer_says_why_in_the_readers_language() -> None:
    from kb_assistant.messages import _

    reply = {"error": _("This answer rests on documents that you may not read any more.")}
    turn = SavedTurn(1, "x", "", "Why?", "", "failed", reply)
    shown = shared_page.shown(Chat("x", "ann", "notes", "", "", ""), [turn], "zh")
    assert "may not read" not in shown
    assert "由 ann 共享，只读" in shown
