"""Sources with readers: what others find, see and are told doesn't tell that they exist."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.errors import ForbiddenError, KBError, NotFoundError, SettingsError, StoreError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from kb_assistant.types import Turn
from kb_assistant.workspace import workspace as workspaces
from kb_assistant.workspace.chat_export import to_markdown
from kb_assistant.workspace.chats import SavedTurn
from kb_assistant.workspace.desk import Desk, View
from kb_assistant.workspace.jobs import Job
from kb_assistant.workspace.rights import LOCAL_USER
from kb_assistant.workspace.workspace import Workspace
from tests.fakes import HashEmbeddings
from tests.waiting import PATIENCE, until

MARKER = "xylograph"
SHARED = "The ferry to the island leaves at seven and comes back at noon."
VERSION = (
    "The tide gauge of the old harbour is read every morning by the keeper of the lamp who writes height and hour"
    " into the long green book beside the door of the shed"
)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """Two folders; the files of `closed` have names and texts of `open`, and what nobody else may know."""
    made = tmp_path / "docs"
    for folder, said in (("open", "The pump is red."), ("closed", f"The pump is a {MARKER}.")):
        (made / folder).mkdir(parents=True)
        (made / folder / f"{folder}-pump.md").write_text(f"# Pump {folder}\n\n{said}\n")
        (made / folder / f"{folder}-ferry.md").write_text(SHARED)
        (made / folder / f"{folder}-gauge.md").write_text(f"{VERSION} in {folder}.")
    (made / "closed" / f"{MARKER}.md").write_text(f"# The {MARKER}\n\nThe {MARKER} is sold in March.\n")
    return made


@pytest.fixture
def workspace(tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """ann reads, wes writes, bea reads and is of the board, mia manages."""
    embedder: Any = HashEmbeddings()
    monkeypatch.setattr(workspaces, "KnowledgeBase", lambda settings: KnowledgeBase(settings, embedder=embedder))
    made = Workspace(Settings(home=tmp_path / "home", readers=1, lock_seconds=0.2, model="extract"))
    made.create_base("default")
    base = made.base("default")
    base.set_readers([docs / "closed"], ["group:board"])
    base.ingest(docs)
    base.add([("report.md", b"# Report\n\nThe report of the board.")], readers=["bea", "group:board"])
    for name, right in (("ann", "read"), ("wes", "write"), ("bea", "read"), ("mia", "manage")):
        made.access.put_user(name, ["board"] if name == "bea" else [])
        made.access.grant("default", f"user:{name}", right)  # type: ignore[arg-type]
    yield made
    made.jobs.end(base, PATIENCE)
    made.close("default")


@pytest.fixture
def view(workspace: Workspace) -> Callable[[str], View]:
    def opened(name: str) -> View:
        principal = workspace.access.principal(workspace.access.new_token(name))
        assert principal
        return Desk(workspace, principal).base("default")

    return opened


def everything_said(view: View) -> str:
    """All that a reader can be told, as one text."""
    questions = (
        f"What is the {MARKER}?",
        "pump",
        "ferry island",
        "tide gauge harbour keeper",
        MARKER,
        "report board",
    )
    said: list[Any] = [view.status()]
    for question in questions:
        found = view.retrieve(question, k=50, read=True)
        said += [found.queries, *(hit.to_json() for hit in found.hits), view.ask(question).to_json()]
        said += [(around.before, around.after) for hit in found.hits if (around := view.surroundings(hit))]
        said += [view.retrieve(question, where=[f"path=*{MARKER}*"]).hits]
    for talk in ("What documents do you have?", "Which documents are newest?", f"Summarize {MARKER}.md"):
        said.append(view.ask(talk).to_json())
    first = view.ask("Where is the ferry?")
    said.append(view.ask("Tell me more.", [first.turn]).to_json())
    said += [source.to_json() for source in view.sources()] + [view.sources(MARKER), view.count_sources()]
    said += [view.pieces(source.path) for source in view.sources()]
    said += [view.example_questions(50, seed) for seed in range(5)]
    said += [vars_of(job) for job in view.jobs()]
    return json.dumps(said, default=str, ensure_ascii=False).replace(f"What is the {MARKER}?", "").lower()


def vars_of(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in ("paths", "note", "result", "error", "hint")}


def test_nothing_of_them_is_told_to_others(view: Callable[[str], View]) -> None:
    said = everything_said(view("ann")).replace(f'"{MARKER}', '"').replace(f"*{MARKER}*", "")
    for secret in (f"a {MARKER}", f"{MARKER} is", "closed", "report.md", "sold in march"):
        assert secret not in said
    assert "open-ferry" in said
    assert view("ann").status()["sources"] == 3


@pytest.mark.parametrize("who", ["bea", "mia"])
def test_their_readers_find_them_and_who_manages_does(view: Callable[[str], View], who: str) -> None:
    assert view(who).search(MARKER)[0].text.startswith(f"The {MARKER}")
    assert view(who).count_sources() == 8
    ferry = next(hit for hit in view(who).search("ferry island") if hit.text == SHARED)
    assert [Path(path).name for path in (ferry.source, *ferry.also_in)] == ["closed-ferry.md", "open-ferry.md"]


def test_a_text_of_both_is_found_at_the_place_that_may_be_read(view: Callable[[str], View]) -> None:
    found = view("ann").search("ferry island", k=20)
    ferry = next(hit for hit in found if hit.text == SHARED)
    assert (Path(ferry.source).name, ferry.also_in) == ("open-ferry.md", ())
    gauge = next(hit for hit in found if hit.text.startswith("The tide"))
    assert (Path(gauge.source).name, gauge.near_in) == ("open-gauge.md", ())
    assert view("bea").search("tide gauge harbour keeper")[0].near_in


def test_their_ids_and_paths_open_nothing(view: Callable[[str], View]) -> None:
    secret, ann = view("bea").search(MARKER)[0], view("ann")
    for open_it in (lambda: ann.chunk(secret.id), lambda: ann.source(secret.source),
                    lambda: ann.page_image(secret.source, 1)):  # fmt: skip
        with pytest.raises(NotFoundError) as hidden:
            open_it()  # type: ignore[no-untyped-call]
        assert MARKER not in hidden.value.message.replace(secret.source, "")
    assert ann.pieces(secret.source) == []
    assert ann.surroundings(secret) is None


def test_who_writes_changes_nothing_that_it_may_not_read(view: Callable[[str], View], docs: Path) -> None:
    wes = view("wes")
    secret = str(docs / "closed" / f"{MARKER}.md")
    assert wes.remove([secret, "document:report.md"]) == []
    with pytest.raises(ForbiddenError):
        wes.add([("report.md", b"Mine now.")])
    copy = wes.add([("copy.md", (docs / "closed" / f"{MARKER}.md").read_bytes())])
    assert [(row.status, row.reason) for row in copy.files] == [("added", "")]
    assert "closed" not in everything_said(wes).replace(MARKER, "")
    assert view("bea").count_sources() == 9


def test_a_job_names_them_only_to_who_may_read_them(
    workspace: Workspace, view: Callable[[str], View], docs: Path
) -> None:
    (docs / "closed" / "new.md").write_text(SHARED)
    job = view("wes").ingest([docs])
    workspace.jobs.wait(job.id)
    seen = view("wes").job(job.id)
    assert "closed" not in json.dumps(vars_of(seen), default=str)
    assert (seen.result["added"], seen.result["unchanged"]) == (0, 3)
    assert view("mia").job(job.id).result["duplicate"] == 1


def test_a_rule_holds_at_once_and_for_what_comes_later(
    workspace: Workspace, view: Callable[[str], View], docs: Path
) -> None:
    base, ann = workspace.base("default"), view("ann")
    assert ann.search("pump red")
    base.set_readers([docs / "open" / "open-pump.md"], ["group:board"])
    assert "red" not in json.dumps([hit.text for hit in ann.search("pump red")])
    base.set_readers([docs / "open" / "open-pump.md"], None)
    assert ann.search("pump red")[0].text == "The pump is red."
    (docs / "closed" / "later.md").write_text("The lamp is lit at dusk.")
    base.ingest(docs)
    assert "dusk" not in json.dumps([hit.text for hit in ann.search("lamp dusk")])
    assert view("bea").search("lamp dusk")[0].text == "The lamp is lit at dusk."


def test_the_nearest_rule_counts(workspace: Workspace, view: Callable[[str], View], docs: Path) -> None:
    base, ann = workspace.base("default"), view("ann")
    base.set_readers([docs], ["group:nobody"])
    assert ann.search("pump ferry") == ()
    assert ann.ask("What documents do you have?").answer
    base.set_readers([docs / "open" / "open-ferry.md"], ["anyone"])
    assert [Path(source.path).name for source in ann.sources()] == ["open-ferry.md"]
    assert f"{docs}2/x.md" not in base.reader_rules.rules[0][0]
    assert base.reader_rules.readers_of(f"{docs}2/x.md") == ("anyone",)


def test_a_new_text_keeps_a_documents_readers(workspace: Workspace, view: Callable[[str], View]) -> None:
    base = workspace.base("default")
    base.add([("report.md", b"The report is new.")])
    assert "report" not in json.dumps([hit.text for hit in view("ann").search("report new")])
    base.add([("report.md", b"The report is new.")], readers=["anyone"])
    assert view("ann").search("report new")[0].text == "The report is new."


@pytest.mark.parametrize("readers", [[], ["team:x"], ["a b"], ["group:"], [""]])
def test_readers_that_cannot_be(workspace: Workspace, readers: list[str]) -> None:
    base = workspace.base("default")
    with pytest.raises(SettingsError):
        base.add(["A text."], readers=readers)
    assert base.search("A text.")[0].text != "A text."


@pytest.mark.parametrize("damage", ["", "[", "[]", '{"rules": 3}', '{"rules": {"/x": null}}'])
def test_damaged_rules_hide_everything_from_whom_they_may_concern(
    workspace: Workspace, view: Callable[[str], View], damage: str
) -> None:
    (workspace.base("default").settings.kb_dir / "readers.json").write_text(damage)
    for ask in (lambda: view("ann").search("pump"), lambda: view("ann").sources(), lambda: view("ann").status()):
        with pytest.raises(StoreError):
            ask()
    assert view("mia").search("pump")


def test_rules_follow_a_new_name_and_end_with_the_knowledge_base(
    workspace: Workspace, view: Callable[[str], View]
) -> None:
    view("mia").rename("moved")
    principal = workspace.access.principal(workspace.access.new_token("ann"))
    assert principal
    assert Desk(workspace, principal).base("moved").count_sources() == 3
    workspace.close("moved")


def test_the_counts_of_work_are_of_what_may_be_read(
    workspace: Workspace, view: Callable[[str], View], docs: Path
) -> None:
    job = workspace.jobs.ingest(workspace.base("default"), [docs])
    workspace.jobs.wait(job.id)
    told = {name: view(name).job(job.id) for name in ("ann", "mia")}
    assert [one.result["unchanged"] for one in told.values()] == [3, 7]
    assert [len(one.result["files"]) for one in told.values()] == [3, 7]
    assert "all_files" not in told["ann"].note


def test_an_upload_takes_no_hidden_files_place(workspace: Workspace, view: Callable[[str], View]) -> None:
    base = workspace.base("default")
    job = view("mia").upload([("plan.md", b"The plan is secret.")])
    workspace.jobs.wait(job.id)
    (plan,) = [source.path for source in base.sources("plan.md")]
    base.set_readers([plan], ["group:board"])
    with pytest.raises(ForbiddenError):
        view("wes").upload([("other.md", b"x"), ("plan.md", b"The plan is mine.")])
    assert Path(plan).read_bytes() == b"The plan is secret."
    assert not Path(plan).with_name("other.md").exists()


def test_no_error_names_them(view: Callable[[str], View]) -> None:
    for do in (lambda: view("ann").chunk("x"), lambda: view("ann").search("")):
        with pytest.raises(KBError) as raised:
            do()
        assert "closed" not in raised.value.full_message


def test_a_turn_that_cites_them_opens_nothing(view: Callable[[str], View]) -> None:
    secret = view("bea").search(MARKER)[0]
    turn = Turn("What is sold?", "Something.", (replace(secret, text="Something."),), (1,))
    for asked in ("Tell me more.", "Summarize it.", "What else does it say?"):
        assert MARKER not in view("ann").ask(asked, [turn]).answer
    assert MARKER in view("bea").ask("Tell me more.", [turn]).answer


def talked(workspace: Workspace, desk: Desk, *questions: str) -> str:
    """A conversation in which these were asked and answered."""
    chat = desk.conversations.create("default").id
    for question in questions:
        desk.conversations.ask(chat, question)
        until(lambda: not workspace.answers.running(chat))
    return chat


def of_turns(turns: list[SavedTurn]) -> str:
    return json.dumps([turn.to_json() | {"question": ""} for turn in turns], default=str).lower()


def test_a_stored_answer_is_withheld_once_what_it_rests_on_may_not_be_read(
    workspace: Workspace, docs: Path
) -> None:
    base = workspace.base("default")
    bea = desk_of(workspace, "bea")
    chat = talked(
        workspace, bea, "What is sold in March?", "What documents do you have?", "Where is the pump?", "Thanks!"
    )
    before = bea.conversations.turns(chat)
    assert [turn.state for turn in before] == ["done"] * 4
    assert MARKER in of_turns(before[:1])
    assert f"{MARKER}.md" in of_turns(before[1:2])

    assert [one.id for one in bea.conversations.all(MARKER)] == [chat]
    workspace.access.put_user("bea", [])
    assert desk_of(workspace, "bea").conversations.all(MARKER) == [], "search reads no withheld answers"
    assert [one.id for one in desk_of(workspace, "bea").conversations.all("sold march")] == [chat]
    for desk in (desk_of(workspace, "bea"), desk_of(workspace, "bea", bases=["default"])):
        after = desk.conversations.turns(chat)
        assert [turn.question for turn in after] == [turn.question for turn in before]
        assert "closed" not in of_turns(after)
        assert MARKER not in of_turns(after)
        assert [turn.state for turn in after] == ["failed", "failed", "failed", "done"]
        assert after[0].reply["error"]
        assert MARKER not in to_markdown(desk.conversations.get(chat), after)

    talked_on = desk_of(workspace, "bea")
    talked_on.conversations.ask(chat, "Tell me more.")
    until(lambda: not workspace.answers.running(chat))
    assert MARKER not in of_turns(talked_on.conversations.turns(chat)[4:])

    workspace.access.put_user("bea", ["board"])
    assert of_turns(desk_of(workspace, "bea").conversations.turns(chat)[:4]) == of_turns(before)
    base.set_readers([docs / "open"], ["group:others"])
    assert "open-" not in of_turns(desk_of(workspace, "bea").conversations.turns(chat))


def test_a_conversation_about_what_may_not_be_read_any_more(workspace: Workspace) -> None:
    ann = desk_of(workspace, "ann")
    chat = talked(workspace, ann, "What is red?", "What documents do you have?")
    assert "pump" in of_turns(ann.conversations.turns(chat))
    workspace.access.withdraw("default", "user:ann")
    after = desk_of(workspace, "ann").conversations
    assert "pump" not in of_turns(after.turns(chat))
    for do in (lambda: after.ask(chat, "And now?"), lambda: after.create("default")):
        with pytest.raises(NotFoundError):
            do()
    assert len(after.turns(chat)) == 2, "nothing was asked"


def test_a_conversation_is_its_owners_alone(workspace: Workspace) -> None:
    chat = talked(workspace, desk_of(workspace, "bea"), "What is sold in March?")
    for other in (desk_of(workspace, "mia"), Desk(workspace, LOCAL_USER)):
        theirs = other.conversations
        assert theirs.all() == []
        for do in (theirs.get, theirs.turns, theirs.attached, theirs.beside, partial(theirs.ask, question="?")):
            with pytest.raises(NotFoundError):
                do(chat)


def test_a_conversations_own_files_are_searched_too(workspace: Workspace) -> None:
    ann = desk_of(workspace, "ann")
    chat = ann.conversations.create("default").id
    assert ann.conversations.beside(chat) == []
    ann.conversations.attached(chat).add([("own.md", b"The gauge of the shed is green.")])
    ann.conversations.ask(chat, "Which gauge is green?")
    until(lambda: not workspace.answers.running(chat))
    (turn,) = ann.conversations.turns(chat)
    assert "green" in turn.answer
    workspace.delete_chat(chat)


def desk_of(workspace: Workspace, name: str, **limits: Any) -> Desk:
    principal = workspace.access.principal(workspace.access.new_token(name, **limits))
    assert principal
    return Desk(workspace, principal)


@pytest.mark.parametrize("ingested", ["docs", "moved"])
def test_what_moved_keeps_its_readers(workspace: Workspace, docs: Path, ingested: str) -> None:
    base = workspace.base("default")
    moved = docs / "moved"
    (docs / "closed").rename(moved)
    base.ingest(docs if ingested == "docs" else moved)
    assert {base.reader_rules.readers_of(str(path)) for path in moved.iterdir()} == {("group:board",)}
    assert base.reader_rules.readers_of(str(docs / "open" / "open-pump.md")) == ("anyone",)
    assert all(MARKER not in hit.text for hit in base.search(MARKER, 20, audience=("user:ann",)))


def test_what_the_model_was_given_is_for_who_may_read_everything(workspace: Workspace) -> None:
    """Earlier turns in it may tell of what was taken away since."""
    told = {}
    for name in ("ann", "mia"):
        desk = Desk(workspace, workspace.access.register().user(name))  # type: ignore[arg-type]
        chat = desk.conversations.create("default").id
        turn = workspace.chats.begin(chat, "?")
        workspace.chats.keep_prompt(turn, [("user", "The pump is red.")])
        told[name] = desk.conversations.prompt(chat, turn)
    assert told == {"ann": "", "mia": "--- user\nThe pump is red."}
