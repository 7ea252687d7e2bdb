"""The pages as Streamlit's own test runs them: no browser, the real core, quotes for answers."""

from __future__ import annotations

import importlib
import sqlite3
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas
from streamlit.testing.v1 import AppTest

from kb_assistant import KBError
from kb_assistant.llm.open import who_answers
from kb_assistant.models.adapters import Adapter, AdapterHome
from kb_assistant.models.home import ModelHome
from kb_assistant.settings import defaults
from kb_assistant.store import Source
from kb_assistant.store import snapshot as snapshots
from kb_assistant.workspace import bases as workspace_bases
from kb_assistant.workspace.desk import Desk
from kb_assistant.workspace.rights import EVERY_BASE, LOCAL_USER, Grant, Principal, Right
from tests.ui.pages import FOUNDER, Table, answered, library, system, texts
from tests.waiting import PATIENCE, until
from ui import components, uploads
from ui.app_state import app_state
from ui.options import MEGABYTE, MOST_FILES, MOST_MEGABYTES, Options, set_options
from ui.settings import _PLACES
from ui.uploads import too_much

pytestmark = pytest.mark.engine

CUT, CUT_ZH = "Cut: the answer is as long as may be.", "已截断：回答达到了最大长度。"


def sign_in(monkeypatch: pytest.MonkeyPatch, right: Right, kb: str = EVERY_BASE) -> None:
    """From now on whoever uses the page is bob, who has this right."""
    bob = Principal("bob", grants=(Grant(kb, "user:bob", right),))
    monkeypatch.setattr("ui.app_state.user_of", lambda _: bob)


def test_an_empty_one_says_how_to_begin(start: Callable[..., AppTest]) -> None:
    app = start()
    assert not app.exception
    assert "Three steps to your first answer" in texts(app)
    assert [button.key for button in app.button if button.key == "use-samples"]


def test_examples_come_from_the_documents_and_can_be_asked(filled: Callable[..., AppTest]) -> None:
    app = filled()
    examples = [button for button in app.button if str(button.key).startswith("example-")]
    assert len(examples) == 3
    answered(examples[0].click().run())
    (turn,) = app_state().chats.turns(app.session_state["chat"])
    assert turn.question == examples[0].label.replace("\\", "")
    assert turn.state == "done"


def test_a_question_is_answered_saved_and_found_again(filled: Callable[..., AppTest]) -> None:
    app = filled()
    app = answered(app.chat_input[0].set_value(FOUNDER).run())
    assert not app.exception
    (turn,) = app_state().chats.turns(app.session_state["chat"])
    assert "Miriam Okafor" in turn.answer
    again = filled(chat=app.session_state["chat"])
    assert again.session_state["chat"] == app.session_state["chat"]
    assert FOUNDER in texts(again)


def test_where_answers_come_from_is_chosen_for_the_next_questions(filled: Callable[..., AppTest]) -> None:
    app = filled()
    app.selectbox(key="answers").select("model").run()
    app = answered(app.chat_input[0].set_value(FOUNDER).run())
    (turn,) = app_state().chats.turns(app.session_state["chat"])
    assert turn.state == "failed"
    assert "No chat model is in use" in turn.reply["error"]
    app.selectbox(key="answers").select("documents").run()
    app = answered(app.chat_input[0].set_value(FOUNDER).run())
    assert app_state().chats.turns(app.session_state["chat"])[-1].reply["origin"] == "documents"


@pytest.mark.parametrize(("lang", "go_on"), [("en", "Go on"), ("zh", "继续")])
def test_a_cut_answer_says_so_and_a_button_goes_on(
    filled: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch, lang: str, go_on: str
) -> None:
    store = app_state().chats
    chat = store.create("local", "default")
    reply = {"cut": True, "origin": "model", "note": "By itself.", "hits": [], "citations": []}
    store.save(store.begin(chat.id, FOUNDER), "It was founded", "done", reply)
    drawn: list[Any] = []
    monkeypatch.setattr(components, "conversation", lambda data, **_: drawn.append(data))
    app = filled(chat=chat.id, lang=lang)
    (shown,) = drawn[-1]["turns"]
    assert shown["note"] == "By itself."
    assert shown["remarks"] == (
        ["Not from your documents.", CUT] if lang == "en" else ["不是来自你的文档。", CUT_ZH]
    )
    app = answered(app.button(key="go-on").click().run())
    _first, second = store.turns(chat.id)
    assert (second.question, second.state, second.reply["cut"]) == (go_on, "done", False)
    assert "Miriam Okafor" in second.answer, "it goes on with the question before"
    assert not [button for button in app.button if button.key == "go-on"]


def test_a_conversation_of_somebody_else_is_not_shown(filled: Callable[..., AppTest]) -> None:
    other = app_state().chats.create("bob", "default")
    app_state().chats.begin(other.id, "a secret question")
    app = filled(chat=other.id)
    assert app.session_state["chat"] is None
    assert "secret" not in texts(app)
    assert not [button for button in app.button if button.key == f"chat-{other.id}"]


def test_no_session_question_or_rerun_opens_anything_again(
    filled: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Store, index and models are opened before the first page, by `begin`, and by nothing after it but the answer
    model, at the first question."""
    opened: list[str] = []

    def counted(place: str, name: str) -> None:
        made = getattr(importlib.import_module(place), name)
        monkeypatch.setattr(
            f"{place}.{name}", lambda *given, **named: opened.append(name) or made(*given, **named)
        )

    counted("kb_assistant.store.held_store", "open_store")
    counted("kb_assistant.index.vector_index", "_of")  # makes every index, read from disk or built
    counted("kb_assistant.embedding.local", "open_embeddings")
    counted("kb_assistant.llm.open", "open_chat_model")
    monkeypatch.setattr("ui.app_state.follow_folders", lambda *_: None)
    app_state().begin()
    assert sorted(opened) == ["_of", "open_embeddings", "open_store"]
    app = answered(filled().chat_input[0].set_value(FOUNDER).run())
    assert sorted(opened) == ["_of", "open_chat_model", "open_embeddings", "open_store"]
    app = answered(app.chat_input[0].set_value("Who runs it now?").run())
    answered(filled().chat_input[0].set_value(FOUNDER).run())
    assert sorted(opened) == ["_of", "open_chat_model", "open_embeddings", "open_store"]
    assert len(app_state().chats.turns(app.session_state["chat"])) == 2


def test_the_language_follows_the_address_and_the_switch(filled: Callable[..., AppTest]) -> None:
    app = filled(lang="zh")
    assert "你想了解什么？" in texts(app)
    app.segmented_control[0].set_value("en").run()
    assert "What would you like to know?" in texts(app)


def test_a_conversation_is_renamed_searched_and_deleted(filled: Callable[..., AppTest]) -> None:
    app = filled()
    app = answered(app.chat_input[0].set_value(FOUNDER).run())
    chat = app.session_state["chat"]
    app.session_state[f"head-menu-{chat}"] = app.session_state[f"list-menu-{chat}"] = True
    app.run()
    app.text_input(key=f"title-list-{chat}").set_value("Pumps").run()
    app.button(key=f"rename-list-{chat}").click().run()
    assert app_state().chats.of("local")[0].title == "Pumps"
    app.text_input(key=f"title-head-{chat}").set_value("<b>Pumps</b>").run()
    app.button(key=f"rename-head-{chat}").click().run()
    assert app_state().chats.of("local")[0].title == "<b>Pumps</b>"
    assert "<b>" not in texts(app)
    app.text_input(key="search").set_value("miriam").run()
    assert ":yellow-background[Miriam] Okafor" in texts(app), "the line that was found, with the word marked"
    app.text_input(key="search").set_value("nowhere").run()
    assert "No conversation found." in texts(app)
    app.button(key=f"delete-head-{chat}").click().run()
    assert app_state().chats.of("local") == []
    app.text_input(key="search").set_value("").run()
    app.button(key="undo-button-chats").click().run()
    assert app_state().chats.of("local")[0].id == app.session_state["chat"] == chat


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.usefixtures("filled")
def test_models_and_settings_are_shown(lang: str) -> None:
    app = AppTest.from_string(
        f"import streamlit as st\nfrom ui import system\nst.session_state.lang = '{lang}'\nsystem.page()",
        default_timeout=PATIENCE,
    ).run()
    assert not app.exception
    shown = texts(app).replace("\\", "")
    assert "multilingual-e5-small" in shown
    app.session_state["advanced"] = True
    app.run()
    assert not app.exception
    drawn = {
        str(one.key) for kind in (app.selectbox, app.number_input, app.text_input, app.text_area) for one in kind
    }
    strictness = {"set-refuse_below", "set-uncertain_below"}
    assert {f"set-{name}" for name in defaults()} - drawn - strictness == {f"set-{name}" for name in _PLACES}


@pytest.mark.usefixtures("start")
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_models_and_settings_are_shown_where_no_model_is_installed(lang: str, tmp_path: Path) -> None:
    set_options(Options({"home": tmp_path / "empty"}))
    streamlit.cache_resource.clear()
    app = AppTest.from_string(
        f"import streamlit as st\nfrom ui import system\nst.session_state.lang = '{lang}'\nsystem.page()",
        default_timeout=PATIENCE,
    ).run()
    app.session_state["advanced"] = app.session_state["more-models"] = True
    app.run()
    assert not app.exception
    assert app.selectbox(key="set-embedder").value == "multilingual-e5-small"
    assert [button.key for button in app.button if button.key == "install-multilingual-e5-small"]
    app.number_input(key="set-k").set_value(7).run()
    assert (tmp_path / "empty" / "kb.toml").read_text() == "k = 7\n"


@pytest.mark.usefixtures("filled")
def test_a_setting_is_changed_for_good_and_holds_at_once(home: Path) -> None:
    before = app_state().base("default")
    model = weakref.ref(before.chat_model)
    assert len(before.search("station")) == 5
    del before
    app = system()
    app.number_input(key="set-k").set_value(2).run()
    assert not app.exception
    assert (home / "kb.toml").read_text() == "k = 2\n"
    assert len(app_state().base("default").search("station")) == 2
    assert model() is None, "the model that answered before still takes its memory"
    app.button(key="unset-k").click().run()
    assert (home / "kb.toml").read_text() == ""
    assert app_state().base("default").settings.k == 5
    app.select_slider(key="set-strictness").set_value("strict_less").run()
    assert app_state().base("default").settings.refuse_below == 0.3
    app.select_slider(key="set-strictness").set_value("strict_measured").run()
    assert app_state().base("default").settings.refuse_below is None
    assert (home / "kb.toml").read_text() == ""


@pytest.mark.usefixtures("filled")
def test_a_setting_that_is_impossible_or_comes_at_the_wrong_time_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = system()
    app.number_input(key="set-k").set_value(-5).run()
    assert "at least 1" in texts(app)
    assert app.number_input(key="set-k").value == 5
    monkeypatch.setattr(app_state().answers, "busy", lambda: True)
    app.number_input(key="set-k").set_value(4).run()
    assert "Work is going on" in texts(app)
    assert app.number_input(key="set-k").value == 5
    assert not (home / "kb.toml").exists()


@pytest.mark.usefixtures("filled")
def test_a_model_that_is_gone_is_said_and_another_can_be_chosen(home: Path) -> None:
    set_options(Options({"home": home}))
    (home / "kb.toml").write_text("model = 'gone'\n")
    streamlit.cache_resource.clear()
    app = system()
    assert "gone" in texts(app)
    app.selectbox(key="set-model").select("extract").run()
    assert not app.exception
    assert "no language model" in texts(app)
    assert (home / "kb.toml").read_text() == 'model = "extract"\n'
    app.button(key="use-smollm2-135m-instruct").click().run()
    assert (home / "kb.toml").read_text() == 'model = "smollm2-135m-instruct"\n'


@pytest.mark.usefixtures("filled")
def test_an_adapter_is_chosen_with_the_model_that_it_was_trained_on(home: Path) -> None:
    model = ModelHome(home / "models").get("smollm2-135m-instruct", "chat")
    for name, method in (("tone", "lora"), ("marks", "reader")):
        folder = AdapterHome(home).folder / name
        folder.mkdir(parents=True)
        Adapter(folder, method, model.name, model.base_sha256, "chat").write()  # type: ignore[arg-type]
    set_options(Options({"home": home}))
    streamlit.cache_resource.clear()
    app = system()
    app.session_state["advanced"] = True
    app.run()
    assert "tone" in app.selectbox(key="set-adapter").options
    assert "marks" not in app.selectbox(key="set-adapter").options
    app.selectbox(key="set-adapter").select("tone").run()
    assert not app.exception
    assert (home / "kb.toml").read_text() == 'adapter = "tone"\n'
    settings = app_state().base("default").settings
    assert who_answers(settings, ModelHome(settings.models_dir)) == ("smollm2-135m-instruct+tone", "llama.cpp")


@pytest.mark.usefixtures("filled")
def test_settings_that_were_given_are_not_changed_on_the_page() -> None:
    app = system()
    assert app.selectbox(key="set-model").disabled
    assert "Given as a flag" in str(app.selectbox(key="set-model").help)
    assert app.selectbox(key="set-embedder").options == ["multilingual-e5-small"]
    assert not app.selectbox(key="set-embedder").disabled


@pytest.mark.usefixtures("filled")
def test_documents_are_opened_removed_and_brought_back(table: Table, sample_home: Path) -> None:
    path = str(sample_home.parent / "docs" / "en" / "history.md")
    app = library()
    app.session_state["document"] = {"path": path, "chunk": "", "part": None}
    app.run()
    assert "founded by Miriam Okafor" in table.document
    table.select("history.md")
    app.run().button(key="remove-sources").click().run()
    assert not app.exception
    assert "history.md" not in table.names
    assert len(table.names) > 15
    assert Path(path).exists()
    app.button(key="undo-button-sources").click().run()
    base = app_state().base("default")
    until(lambda: not app_state().jobs.busy(base))
    assert base.count_sources("history.md") == 1


@pytest.mark.usefixtures("start", "table")
def test_what_could_not_be_read_is_told_by_reason_and_tried_again(tmp_path: Path) -> None:
    for name in ("one.docx", "two.docx"):
        (tmp_path / name).write_bytes(b"PK\3\4 junk")
    library()
    base = app_state().base("default")
    base.ingest(tmp_path)
    app = library()
    assert "Couldn't be read: 2" in texts(app).replace("\\", "")
    assert "2 ×" in texts(app).replace("\\", "")
    (tmp_path / "one.docx").unlink()
    (tmp_path / "two.docx").write_bytes(b"now it is a text")
    app.button(key="retry-all").click().run()
    until(lambda: not app_state().jobs.busy(base))
    (job, *_) = app_state().jobs.of(base)
    assert (job.state, [Path(path).name for path in job.paths]) == ("done", ["two.docx"])


@pytest.mark.usefixtures("start")
def test_a_redraw_of_many_sources_reads_those_it_shows(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    library()
    with app_state().base("default").store.write() as transaction:
        for number in range(1000):
            failed = number % 100 == 99
            source = Source(f"/docs/{number:04}.md", "d", "r", f"Note {number}", "broken" * failed, failed, "now")
            transaction.put_source(source, [], {})
    app = library()
    read: list[str] = []
    made = snapshots._source
    monkeypatch.setattr(snapshots, "_source", lambda row: read.append(row[0]) or made(row))
    app.button(key="page-next").click().run()
    assert table.names == [f"{number:04}.md" for number in range(50, 100)]
    assert len(read) == 50 + 10, "a page, and those that failed"
    app.text_input(key="filter").set_value("NOTE 99").run()
    app.segmented_control(key="which").set_value("only_failed").run()
    assert table.names == ["0099.md", "0999.md"]
    table.select(*table.names)
    app.segmented_control(key="which").set_value("all").run()
    app.text_input(key="filter").set_value("").run()
    table.select(*table.names)
    app.run().checkbox(key="every-found").check().run()
    app.button(key="remove-sources").click().run()
    assert app_state().base("default").count_sources() == 0


@pytest.mark.usefixtures("filled")
def test_a_run_of_the_page_lists_the_knowledge_bases_and_opens_the_conversations_once(
    filled: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = answered(filled().chat_input[0].set_value(FOUNDER).run())
    listed, opened = [], []
    names, connect = workspace_bases._names, sqlite3.connect

    def counting(file: Any, *given: Any, **named: Any) -> Any:
        opened.extend([file] if str(file).endswith("chats.sqlite") else [])
        return connect(file, *given, **named)

    monkeypatch.setattr(workspace_bases, "_names", lambda settings: listed.append(1) or names(settings))
    monkeypatch.setattr(sqlite3, "connect", counting)
    app_state().chats.close()
    app.run()
    assert not app.exception
    assert len(listed) == 1
    assert len(opened) == 1


@pytest.mark.usefixtures("filled")
def test_knowledge_bases_are_made_renamed_and_deleted() -> None:
    app = library()
    app.text_input(key="new-kb").set_value("notes").run()
    app.button(key="create-kb").click().run()
    assert app.session_state["kb"] == "notes"
    app.text_input(key="name-notes").set_value("diary").run()
    app.button(key="rename-kb").click().run()
    assert app.session_state["kb"] == "diary"
    app.checkbox(key="sure-diary").check().run()
    app.button(key="delete-kb").click().run()
    assert app.session_state["kb"] == "default"
    app.text_input(key="new-kb").set_value("../x").run()
    app.button(key="create-kb").click().run()
    assert "name a knowledge base" in texts(app).replace("\\", "")


@pytest.mark.usefixtures("start")
def test_a_folder_is_named_and_read(tmp_path: Path, table: Table) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "boat.md").write_text("# Boat\n\nThe boat is blue.\n")
    app = library()
    app.text_input(key="folder").set_value(str(tmp_path / "docs")).run()
    next(button for button in app.button if button.label == "Sync").click().run()
    job = app_state().jobs.of(app_state().base("default"))[0]
    app_state().jobs.wait(job.id)
    assert job.result["added"] == 1
    app = library()
    assert table.names == ["boat.md"]
    table.select("boat.md")
    app.run().button(key="remove-sources").click().run()
    app = library()
    next(button for button in app.button if button.label == "Sync again").click().run()
    app_state().jobs.wait(app_state().jobs.of(app_state().base("default"))[0].id)
    table.selected = []
    library()
    assert table.names == ["boat.md"]


@pytest.mark.usefixtures("start")
@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ([MOST_MEGABYTES * MEGABYTE], ""),
        ([MOST_MEGABYTES * MEGABYTE + 1], "larger than"),
        ([MOST_MEGABYTES * MEGABYTE] * 5, ""),
        ([MOST_MEGABYTES * MEGABYTE] * 5 + [1], "are too much"),
        ([1] * (MOST_FILES + 1), "are too many"),
    ],
)
def test_uploads_have_limits_that_are_told(sizes: list[int], said: str) -> None:
    files: list[Any] = [SimpleNamespace(name=f"{number}.md", size=size) for number, size in enumerate(sizes)]
    told = too_much(files)
    assert said in told
    assert bool(said) == bool(told)


@pytest.mark.usefixtures("start")
def test_an_upload_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class State(dict[str, Any]):
        __getattr__ = dict.__getitem__
        __setattr__ = dict.__setitem__

    file = SimpleNamespace(name="a.md", size=1, getvalue=lambda: b"a")
    monkeypatch.setattr(uploads.st, "session_state", State(uploads=0, field=[file]))
    taken: list[Any] = []
    base: Any = SimpleNamespace(upload=lambda files: taken.append(list(files)))
    for _ in range(2):  # a click while the page is drawn anew
        uploads.take(base, "field")
    assert taken == [[("a.md", b"a")]]


@pytest.mark.usefixtures("start", "table")
def test_a_locked_document_is_read_with_its_password(tmp_path: Path) -> None:
    sheet = Canvas(str(tmp_path / "locked.pdf"), encrypt=StandardEncryption("oar", strength=128))
    sheet.drawString(72, 720, "The ferry Selkie leaves at 4:17.")
    sheet.save()
    library()
    base = app_state().base("default")
    base.ingest(tmp_path)
    app = library()
    for password, failed in (("bow", True), ("oar", False)):
        app.text_input(key="password").set_value(password)
        next(button for button in app.button if button.form_id == "password-form").click().run()
        until(lambda: not app_state().jobs.busy(base))
        assert base.count_sources(failed=True) == failed
        app = library()
    assert "oar" not in (base.settings.kb_dir / "jobs.json").read_text()


@pytest.mark.usefixtures("filled", "table")
def test_a_text_that_is_pasted_becomes_a_document() -> None:
    app = library()
    for _ in range(2):  # a second one of this title is another document
        app.text_input(key="paste-title").set_value("Boat / times")
        app.text_area(key="paste-body").set_value("The ferry Selkie leaves at 4:17.")
        next(button for button in app.button if button.label == "Save and read").click()
        app.run()
        assert not app.error
    base = app_state().base("default")
    until(lambda: not app_state().jobs.busy(base))
    assert {Path(one.path).name for one in base.sources("Boat")} == {"Boat times.md", "Boat times (2).md"}
    assert base.search("When does the ferry Selkie leave?")[0].text == "The ferry Selkie leaves at 4:17."
    assert app.text_area(key="paste-body").value == ""
    next(button for button in app.button if button.label == "Save and read").click()
    app.run()
    assert "There is no text." in texts(app)


@pytest.mark.usefixtures("filled")
def test_readers_cannot_change_anything(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, "read")
    app = system()
    assert not [one for kind in (app.selectbox, app.number_input, app.text_input) for one in kind]
    assert not [button.key for button in app.button]
    app = library()
    assert not app.exception
    keys = {str(button.key) for button in app.button}
    assert not keys & {"create-kb", "rename-kb", "delete-kb", "upload"}
    assert not table.data["may_select"]


@pytest.mark.usefixtures("filled")
def test_who_may_no_longer_write_does_not_do_so_by_an_open_page(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = system()
    sign_in(monkeypatch, "read")
    app.number_input(key="set-k").set_value(2).run()
    assert "Only who manages all knowledge bases" in texts(app)
    assert not (home / "kb.toml").exists()


@pytest.mark.usefixtures("start")
def test_the_chinese_page_says_why_a_file_failed_and_what_was_found_in_chinese(tmp_path: Path) -> None:
    (tmp_path / "broken.docx").write_bytes(b"PK\3\4 junk")
    base = app_state().base("default")
    library()
    base.ingest(tmp_path / "broken.docx")
    in_chinese = "import streamlit as st\nst.session_state.lang = 'zh'\n"
    shown = texts(
        AppTest.from_string(f"{in_chinese}from ui import library\nlibrary.page()", default_timeout=PATIENCE).run()
    )
    assert "已损坏，或者不是这种格式。" in shown
    assert "damaged" not in shown
    app = AppTest.from_string(f"{in_chinese}from ui import system\nsystem.page()", default_timeout=PATIENCE).run()
    next(button for button in app.button if button.label == "检查本机").click().run()
    assert "✓ 向量模型: multilingual-e5-small，位于" in texts(app)


@pytest.mark.usefixtures("start")
def test_folders_outside_those_allowed_are_barred(home: Path, tmp_path: Path) -> None:
    from ui import adding as page

    (tmp_path / "open").mkdir()
    base = Desk(app_state(), LOCAL_USER).base("default")
    set_options(Options({"home": home, "model": "extract"}, login=True, folders=(tmp_path / "open",)))
    for wrong in ("/etc", str(tmp_path / "open" / ".." / "home")):
        with pytest.raises(KBError, match="can't be named"):
            page._keep(base, wrong)


@pytest.mark.usefixtures("start")
def test_hostile_names_and_texts_are_escaped(table: Table, tmp_path: Path) -> None:
    name = "![x](https:evil.example) <b>a `c` :red[d].md"
    (tmp_path / name).write_text("# <script>alert(1)</script>\n\n[x](javascript:alert(1)) text\n")
    library()
    app_state().base("default").ingest(tmp_path / name)
    app = library()
    app.session_state["document"] = {"path": str(tmp_path / name), "chunk": "", "part": None}
    app.run()
    markdown: list[Any] = [*app.markdown, *app.caption]
    for element in markdown:
        assert "<b>" not in element.value.replace("\\<b\\>", "")
        assert "![" not in element.value.replace("\\!\\[", "")
        assert "](" not in element.value.replace("\\]\\(", "")
    assert "javascript:alert(1)" in table.document


def test_an_answer_that_ends_while_the_page_is_drawn_is_shown_whole(
    filled: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page once read the turn before, and whether it was running after, the very moment it was saved."""
    app = answered(filled().chat_input[0].set_value(FOUNDER).run())
    here, chat = app_state(), app.session_state["chat"]
    order: list[str] = []
    turns, running = here.chats.turns, here.answers.running
    monkeypatch.setattr(here.chats, "turns", lambda one: order.append("turns") or turns(one))
    monkeypatch.setattr(here.answers, "running", lambda one: order.append("running") or running(one))
    app.run()
    assert turns(chat)[0].state == "done"
    assert order.index("running") < order.index("turns")
