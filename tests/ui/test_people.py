"""Users, tokens and rights on the page, as `kb user`, `kb token` and `kb grant` have them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit
from streamlit.testing.v1 import AppTest

from kb_assistant.workspace.access import Access
from kb_assistant.workspace.rights import Principal
from tests.ui.pages import one_page, texts
from tests.waiting import PATIENCE
from ui.app_state import app_state
from ui.options import Options, options, set_options


@pytest.fixture
def access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Access]:
    """Two knowledge bases; root, who looks at the page, manages all of them."""
    streamlit.cache_resource.clear()
    before = options()
    flags = {"home": tmp_path / "home", "model": "extract", "embedder": "hash/hash"}
    set_options(Options(flags, login=True, folders=()))
    here = app_state()
    here.create_base("notes")
    here.access.put_user("root")
    here.access.grant("*", "user:root", "manage")
    monkeypatch.setattr("ui.app_state.user_of", lambda _: user("root"))
    yield here.access
    for name in ("default", "notes"):
        here.close(name)
    set_options(before)
    streamlit.cache_resource.clear()


def user(name: str) -> Principal:
    return app_state().access.register().user(name)


def press(app: AppTest, label: str, key: str = "") -> AppTest:
    """A button, or the button of the form that holds `key`."""
    found = [one for one in app.button if one.label == label and (not key or key in str(one.proto.form_id))]
    return found[0].click().run()


def test_a_user_gets_a_right_and_a_token_that_is_shown_once(access: Access) -> None:
    app = one_page("people")
    app.text_input(key="new-user").set_value("ann")
    app.text_input(key="new-groups").set_value("board, editors，board")
    app = press(app, "Add user")
    assert not app.exception
    assert access.register().users["ann"] == ("board", "editors")

    app.text_input(key="grant-to-*").set_value("ann")
    app.selectbox(key="grant-right-*").select("write")
    app.selectbox(key="grant-base").select("notes")
    app = press(app, "Grant")
    assert user("ann").right_on("notes") == "write"

    app.text_input(key="label-ann").set_value("laptop")
    app.selectbox(key="lives-ann").select(30)
    app.selectbox(key="most-ann").select("read")
    app.multiselect(key="bases-ann").select("notes")
    app = press(app, "Make token", "token-form-ann")
    (token,) = [block.value for block in app.code]
    principal = access.principal(token)
    assert principal
    assert (principal.name, principal.right_on("notes"), principal.bases) == ("ann", "read", {"notes"})
    (known,) = access.register().tokens
    assert known.label == "laptop"
    assert known.expires
    app = app.button(key="token-seen").click().run()
    assert [block.value for block in app.code] == []
    shown = "\n".join(one.value for one in app.text)
    assert known.id in shown
    assert "last used" in shown
    assert token not in str(app)

    app = app.button(key=f"revoke-{known.id}").click().run()
    assert access.principal(token) is None
    assert access.register().tokens == ()


def test_what_cannot_be_is_said(access: Access) -> None:
    app = one_page("people")
    for name, said in (("a b", "can't name a user"), ("root", "is a user"), ("", "can't name a user")):
        app.text_input(key="new-user").set_value(name)
        app = press(app, "Add user")
        assert said in texts(app).replace("\\", "")
    app.text_input(key="grant-to-*").set_value("nobody")
    app = press(app, "Grant")
    assert "There is no user" in texts(app)
    assert list(access.register().users) == ["root"]


def test_users_are_removed_but_not_by_themselves(access: Access) -> None:
    access.put_user("ann")
    app = one_page("people")
    assert "sure-root" not in {str(button.key) for button in app.button}
    app.button(key="sure-ann").click().run()
    assert list(access.register().users) == ["root"]


def test_rights_are_taken_back(access: Access) -> None:
    access.grant("notes", "anyone", "read")
    app = one_page("people")
    assert "everybody with a token · read · notes" in "\n".join(one.value for one in app.text)
    app.button(key="take-back-*-1").click().run()
    assert [grant.base for grant in access.register().grants] == ["*"]


@pytest.mark.parametrize("name", ["reader", "manager"])
def test_it_is_for_who_manages_all_alone(access: Access, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    access.put_user(name)
    access.put_user("secretary")
    access.grant("notes", f"user:{name}", "manage" if name == "manager" else "read")
    app = one_page("people")
    app.text_input(key="new-user").set_value("mallory")
    monkeypatch.setattr("ui.app_state.user_of", lambda _: user(name))
    app = press(app, "Add user")  # on a page that was drawn before
    assert "mallory" not in access.register().users
    shown = one_page("people")
    assert "secretary" not in texts(shown)
    assert "manages all knowledge bases may do this" in texts(shown)
    assert not shown.button


def test_who_manages_one_knowledge_base_says_who_may_use_it(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    access.put_user("mia")
    access.put_user("ann")
    access.grant("notes", "user:mia", "manage")
    access.grant("default", "group:others", "read")
    monkeypatch.setattr("ui.app_state.user_of", lambda _: user("mia"))
    app = library("notes")
    assert "others" not in "\n".join(one.value for one in app.text)
    app.text_input(key="grant-to-notes").set_value("ann")
    app = press(app, "Grant")
    assert user("ann").right_on("notes") == "read"
    access.grant("notes", "user:mia", "read")
    app.text_input(key="grant-to-notes").set_value("group:all")
    press(app, "Grant")
    assert user("ann").right_on("notes") == "read"
    assert not [grant for grant in access.register().grants if grant.to == "group:all"]


def library(kb: str) -> AppTest:
    app = AppTest.from_string("from ui import library\nlibrary.page()", default_timeout=PATIENCE)
    app.session_state["kb"] = kb
    return app.run()
