"""A reader on one's own questions: what is learned of them, and kept only where it gains."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from kb_assistant.errors import DatasetError, ModelError, SettingsError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.llm.open import open_chat_model
from kb_assistant.model_folder import file_digest
from kb_assistant.models.adapters import WEIGHTS, Adapter, AdapterHome
from kb_assistant.models.home import ModelHome
from kb_assistant.reader.reader import BASE
from kb_assistant.reader.reader import WEIGHTS as SHIPPED
from kb_assistant.settings import Settings
from kb_assistant.text.wording import wording
from kb_assistant.training.data import Conversation, Passage
from kb_assistant.training.prepare import DataSet
from kb_assistant.training.reader.asked import asked_in, groups_of
from kb_assistant.training.reader.own import ReaderJob, asked_of, train_reader
from tests.embedding.encoders import random_encoder

NAMES = "Ann Bob Cid Dan Eve Fay Gus Hal Ida Jon Kim Lea Max Ned Ona Pia Quin Roy Sue Tom Una Vic Wim Xia".split()


def conversation(place: int, answer: str = "", **changes: object) -> Conversation:
    """Who keeps a tower, asked on its passage and two others."""
    others = [(place + step) % len(NAMES) for step in (1, 2)]
    texts = {n: f"The keeper of tower {n} is {NAMES[n]}. It is old." for n in (place, *others)}
    passages = tuple(Passage(text, f"/docs/towers/tower{n}.md") for n, text in texts.items())
    said = answer or f"The keeper of tower {place} is {NAMES[place]}. [1]"
    messages = (("user", f"who keeps tower {place}"), ("assistant", said))
    made = Conversation(messages, "grounded", f"{place}", passages)  # type: ignore[arg-type]
    return replace(made, **changes)  # type: ignore[arg-type]


def data(learned: int, held: int) -> DataSet:
    rows = [conversation(place) for place in range(learned + held)]
    return DataSet(rows[:learned], rows[learned : learned + 1], rows[learned + 1 :], [], "data")


def test_a_question_is_asked_of_the_passage_that_its_answer_cites() -> None:
    (one,) = asked_in([conversation(3)])
    assert (one.right, one.wrong, one.answers) == (0, (1, 2), ("The keeper of tower 3 is Dan.",))
    assert one.passages[0] == ("towers > tower3", "The keeper of tower 3 is Dan. It is old.")
    (later,) = asked_in([conversation(3, "It is Eve, I think [2].")])
    assert (later.right, later.wrong, later.answers) == (1, (0, 2), ())
    (refused,) = asked_in([conversation(3, wording("en").refusal)])
    assert (refused.right, refused.wrong) == (None, (0, 1, 2))
    assert asked_in([conversation(3, "Dan."), replace(conversation(3), style="chat", passages=())]) == []


def test_turns_before_and_headings_that_ask_the_same() -> None:
    one = conversation(3)
    before = (("user", "what is old?"), ("assistant", "The tower [1]. And more."))
    passages = (replace(one.passages[0], heading="Towers > Who keeps tower 3"), *one.passages[1:])
    (asked,) = asked_in([replace(one, messages=(*before, *one.messages), passages=passages)])
    assert asked.earlier == ("what is old?", "The tower.")
    assert asked.passages[0][0] == "tower3 > Towers"


def test_groups_hold_the_right_passage_a_wrong_one_and_what_is_unanswered() -> None:
    asked = asked_in([conversation(3), conversation(4, wording("en").refusal)])
    pairs = [pair for seed in range(30) for group in groups_of(asked, random.Random(seed)) for pair in group]
    marked = {pair.body[slice(*pair.span)] for pair in pairs if pair.span}
    assert marked == {"The keeper of tower 3 is Dan."}
    assert {pair.relevant for pair in pairs if "Dan" in pair.body and "4" not in pair.question} == {True}
    assert not any(pair.relevant or pair.answered for pair in pairs if "tower 4" in pair.question)
    assert list(groups_of(asked, random.Random(1))) == list(groups_of(asked, random.Random(1)))


@pytest.mark.parametrize(("learned", "held", "said"), [(19, 4, "too few to learn"), (20, 4, "too few to measure")])
def test_too_few_questions_are_refused(learned: int, held: int, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        asked_of(data(learned, held))


@pytest.fixture(scope="module")
def job(models_home: Path, tmp_path_factory: pytest.TempPathFactory) -> ReaderJob:
    """On a tiny random encoder, which learns its questions by heart."""
    import torch

    from kb_assistant.training.reader.network import ReaderNetwork
    from kb_assistant.training.reader.train import write

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tiny")
    e5 = ModelHome(models_home / "models").get(BASE, "embedder")
    pooling = {"pooling_mode_mean_tokens": True}
    base = random_encoder(folder / "base", e5, "bert", pooling, num_hidden_layers=5, max_position_embeddings=300)
    torch.manual_seed(0)
    write(ReaderNetwork(base.path), folder / "weights.safetensors", {})
    learned = asked_in(map(conversation, range(20)))
    weights = folder / "weights.safetensors"
    return ReaderJob("own", base, learned, learned[:12], "data", 8, 5e-3, weights=weights, measured=0)


@pytest.mark.engine
def test_what_gains_is_kept_and_is_the_same_after_a_stop(job: ReaderJob, tmp_path: Path) -> None:
    said: list[str] = []
    whole = train_reader(job, AdapterHome(tmp_path / "whole"), said.append)
    assert whole
    assert whole.adapter
    assert whole.own.gain.mean > 0
    assert whole.adapter.facts["own"]["after"]["f1"] > whole.adapter.facts["own"]["before"]["f1"]
    assert "left" in said[0]
    home, asked = AdapterHome(tmp_path / "stopped"), iter(range(1000))
    assert train_reader(job, home, stopped=lambda: next(asked) == 5) is None
    assert home.unfinished() == ["own"]
    with pytest.raises(SettingsError, match="other rate"):
        train_reader(replace(job, rate=1e-3), home)
    assert train_reader(job, home)
    assert home.get("own").sha256 == whole.adapter.sha256
    assert home.unfinished() == []
    with pytest.raises(SettingsError, match="already"):
        train_reader(job, home)


@pytest.mark.engine
def test_what_gains_nothing_is_not_kept(job: ReaderJob, tmp_path: Path) -> None:
    home = AdapterHome(tmp_path)
    outcome = train_reader(replace(job, rate=1e-9, epochs=1), home)
    assert outcome
    assert (outcome.adapter, outcome.own.gain.mean) == (None, 0.0)
    assert (home.trained(), home.unfinished()) == ([], [])


@pytest.mark.engine
def test_a_reader_of_ones_own_is_used_by_its_name_and_is_no_adapter(home: Path) -> None:
    base = ModelHome(home / "models").get(BASE, "embedder")
    folder = home / "adapters" / "own"
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(SHIPPED.read_bytes())
    files = {WEIGHTS: file_digest(folder / WEIGHTS)}
    made = Adapter(folder, "reader", base.name, base.base_sha256, files=files)
    made.write()
    passages = [("", "The tide is high."), ("", "The keeper of tower 3 is Dan.")]
    settings = Settings(home=home, answer_reader="own", model="extract")
    with KnowledgeBase(settings) as own, KnowledgeBase(settings.but(answer_reader="on")) as usual:
        assert own.reader
        assert usual.reader
        assert own.reader is not usual.reader
        assert own.reader.read("who keeps tower 3?", passages) == usual.reader.read("who keeps tower 3?", passages)
    with pytest.raises(ModelError, match="is a reader, and no adapter"):
        open_chat_model(settings.but(model="auto", adapter="own"), ModelHome(home / "models"), None)
    for spoil, said in (
        (lambda: (folder / WEIGHTS).write_bytes(b"x"), "damaged"),
        (lambda: replace(made, base_sha256="0").write(), "isn't that model"),
        (lambda: replace(made, method="lora").write(), "and no reader"),
    ):
        spoil()
        with KnowledgeBase(settings) as damaged, pytest.raises(ModelError, match=said):
            _ = damaged.reader
    with (
        KnowledgeBase(settings.but(answer_reader="other")) as other,
        pytest.raises(ModelError, match="no adapter"),
    ):
        _ = other.reader
