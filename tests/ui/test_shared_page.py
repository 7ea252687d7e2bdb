"""What the page shows at addresses of their own: shared conversations, plain and escaped, and downloads. Each is
closed to whoever it isn't for."""

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
from kb_assistant.workspace.desk import Desk
from kb_assistant.workspace.rights import LOCAL_USER
from kb_assistant.workspace.workspace import Workspace
from tests.fakes import HashEmbeddings
from tests.serve.running import ModelledWorkspace
from tests.waiting import until
from ui import app_state as states
from ui import downloads, gate, shared_page
from ui.gate import AuthMiddleware, Sessions
from ui.options import Options, options, set_options

ROUTES = [*shared_page.routes(), *downloads.routes()]
HOST = "http://127.0.0.1:8501"
EVIL = '<script>alert(1)</script> <img src=x onerror="alert(2)">'
ANSWER = f"The **pump** is red [1].\n\n{EVIL}\n\n[x](javascript:alert(3)) ![y](http://evil.example/y.png)\n"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    from kb_assistant.settings import Settings

    settings = Settings(home=tmp_path / "home", model="extract", answer_reader="off", readers=1)
    made = ModelledWorkspace(settings, HashEmbeddings())
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
    inside = Starlette(routes=ROUTES)
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


SECRET = "xylograph"


@pytest.mark.engine
@pytest.mark.parametrize(("who", "sees"), [("board", True), ("reader", False), ("stranger", False), ("", False)])
def test_no_address_tells_what_may_not_be_read(
    workspace: Workspace, visitor: Callable[[], TestClient], who: str, sees: bool
) -> None:
    """Each address of the page, for each knowledge base: `notes` has one document for the board alone, `vault` is
    the board's."""
    workspace.create_base("vault")
    secret = [("cellar.md", f"# Cellar\n\nIt keeps the {SECRET}.".encode())]
    places = {}
    for name in ("notes", "vault"):
        base = Desk(workspace, LOCAL_USER).base(name)
        workspace.jobs.wait(base.upload(secret).id)
        (source,) = base.sources()
        places[name] = base.pieces(source.path)[0].id
        if name == "notes":
            workspace.base(name).set_readers([source.path], ["group:board"])
        workspace.access.grant(name, "group:board", "read")
    workspace.access.put_user("board", ["board"])
    for name in ("reader", "stranger"):
        workspace.access.put_user(name)
    workspace.access.grant("notes", "user:reader", "read")
    desk = Desk(workspace, workspace.access.principal(workspace.access.new_token("board", "owner")) or LOCAL_USER)
    chat = desk.conversations.create("vault").id
    desk.conversations.ask(chat, "What does the cellar keep?")
    until(lambda: not workspace.answers.running(chat))
    key = desk.conversations.share(chat).key
    browser = visitor()
    if who:
        browser.post("/login", data={"token": workspace.access.new_token(who)})
    telling = set()
    for route in ROUTES:
        for name, chunk in places.items():
            known = {"form": "json", "chat": chat, "base": name, "chunk": chunk, "key": key}
            answer = browser.get(route.path.format(**known))
            assert answer.status_code < 500
            if SECRET in answer.text:
                telling.add(route.path)
    assert telling == ({route.path for route in ROUTES} if sees else set())
