"""From rows to a folder: what is left out and why, what is odd, parts that don't overlap, whole or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.chatglm2.checkpoint import read_checkpoint
from kb_assistant.errors import DatasetError
from kb_assistant.training.checks import findings, is_id_number
from kb_assistant.training.data import Conversation, Passage, read_data
from kb_assistant.training.duplicates import nearly_same
from kb_assistant.training.encode import encoder_for
from kb_assistant.training.formats import Read
from kb_assistant.training.prepare import Prepared, open_data, prepare, write_folder
from kb_assistant.training.rows import Fault
from kb_assistant.training.split import split
from tests.chatglm2_data import TINY

PLACES = "harbour ferry library museum garden bakery chapel station bridge tower market school".split()
ASKED = [
    f"{verb} the {place}{'?' * (n % 2)}" for place in PLACES for n, verb in enumerate(("who keeps", "when opens"))
]


def pair(question: str, answer: str = "by Ann", **others: str) -> Conversation:
    return Conversation((("user", question), ("assistant", answer)), **others)  # type: ignore[arg-type]


def rows(*more: Conversation, count: int = 24) -> Read:
    made = [pair(asked, f"answer {n}", source=f"a.csv:{n + 2}") for n, asked in enumerate(ASKED[:count])]
    return Read([*made, *more], [], {"question/answer": count + len(more)})


def reasons(prepared: Prepared) -> list[tuple[str, str, str]]:
    return [(one.kind, one.source, one.reason) for one in prepared.left_out]


def test_duplicates_are_left_out_whatever_their_width_and_blanks() -> None:
    again = pair("ＷＨＯ  keeps the harbour", " Answer\n0", source="b.csv:9")
    prepared = prepare(rows(again))
    assert reasons(prepared) == [("duplicate", "b.csv:9", "the same as a.csv:2")]
    assert sum(map(len, prepared.parts.values())) == 24


def test_what_is_too_long_is_left_out_whole_with_its_number() -> None:
    encoder = encoder_for(read_checkpoint(TINY), limit=100)
    prepared = prepare(rows(pair("why so long", "long " * 200, source="b.csv:9")), encoder)
    ((kind, source, reason),) = reasons(prepared)
    assert (kind, source) == ("too long", "b.csv:9")
    assert "more than the limit" in reason
    assert all(whole <= 100 for whole, _ in prepared.lengths)
    report = prepared.to_json()
    assert (
        report["tokens"]["50"]
        <= report["tokens"]["90"]
        <= report["tokens"]["99"]
        <= report["tokens"]["max"]
        <= 100
    )


def test_when_all_is_too_long_it_says_so() -> None:
    with pytest.raises(DatasetError, match=r"No row can be used: .*more than the limit"):
        prepare(rows(), encoder_for(read_checkpoint(TINY), limit=16))


def test_one_row_is_too_little_to_part_but_can_be_learned() -> None:
    with pytest.raises(
        DatasetError, match="too few different questions to keep some back for a test: 1"
    ) as refused:
        prepare(rows(count=1))
    assert "--validation 0 --test 0" in refused.value.hint
    assert len(prepare(rows(count=1), validation=0, test=0).parts["train"]) == 1


def test_parts_have_their_shares_and_are_drawn_the_same_by_the_same_seed() -> None:
    first, second = prepare(rows(), seed=3).parts, prepare(rows(), seed=3).parts
    assert {name: len(part) for name, part in first.items()} == {"train": 20, "validation": 2, "test": 2}
    assert first == second
    assert first != prepare(rows(), seed=4).parts


@pytest.mark.parametrize("seed", range(8))
def test_nothing_that_belongs_together_is_parted(seed: int) -> None:
    near = [
        pair(f"how much is a ticket for the old ferry to the island{end}", str(n)) for n, end in enumerate("?!.")
    ]
    chat = [pair(f"turn {word} of a chat", group="chat 1") for word in ("alpha", "beta", "gamma")]
    same = [pair("what is it", "this", source="x"), pair("What  is it", "that", source="y")]
    parted = split([*rows().conversations, *near, *chat, *same], 0.15, 0.15, seed)
    parts = [parted.train, parted.validation, parted.test]
    for group in (near, chat, same):
        assert sorted(sum(one in group for one in part) for part in parts) == [0, 0, len(group)]
    assert parted.near >= 3


def test_one_large_group_can_not_be_parted() -> None:
    with pytest.raises(DatasetError, match="too few"):
        split([pair(one, group="chat") for one in ASKED])
    groups = [pair(one, group=f"chat {n % 5}") for n, one in enumerate(ASKED)]
    with pytest.raises(DatasetError, match="too large"):
        split(groups, 0.1, 0.1)


def test_questions_that_share_a_long_instruction_are_no_single_group() -> None:
    told = "Translate the sentence that follows into plain English and keep all numbers as they are: "
    parted = split([pair(told + place) for place in PLACES * 3 for _ in range(1)][:12], 0.1, 0.1)
    assert parted.loose
    assert len(parted.test) == 1


@pytest.mark.parametrize("seed", range(8))
def test_beside_a_group_that_is_too_large_others_stay_together(seed: int) -> None:
    told = "Translate the sentence that follows into plain English and keep all numbers as they are: "
    near = [pair(f"how much is a ticket for the old ferry to the island{end}", end) for end in ("?", ", please?")]
    parted = split([*[pair(told + place) for place in PLACES], *near], 0.2, 0.2, seed)
    assert parted.loose
    assert any(all(one in part for one in near) for part in (parted.train, parted.validation, parted.test))


def test_nearly_the_same_is_found_by_shared_triples() -> None:
    texts = [
        "今年的年假一共有多少天，怎么申请？",
        "食堂几点开门？",
        "今年的年假一共有多少天，怎么申请",
        "",
        "abc",
        "食堂几点关门？",
    ]
    assert nearly_same(texts) == [0, 1, 0, 3, 4, 5]


def test_a_test_set_that_overlaps_the_training_set_is_refused() -> None:
    own = Read([pair("Who keeps the harbour", "someone else", source="t.csv:5")])
    with pytest.raises(DatasetError, match=r"shares 1 of its questions with the training set: t.csv:5 = a.csv:2"):
        prepare(rows(), test_set=own)
    prepared = prepare(rows(), test_set=Read([pair("where is the lighthouse")]))
    assert (len(prepared.parts["test"]), len(prepared.parts["train"])) == (1, 22)


def chat(*said: str, learned: str = "all", **others: Any) -> Conversation:
    """A conversation of these questions and answers in turn; of passages for the last, with `passages`."""
    spoken = said[others.pop("system", False) :]
    roles = ["system"] * (len(said) - len(spoken)) + ["user", "assistant"] * (len(spoken) // 2)
    return Conversation(tuple(zip(roles, said, strict=True)), learned=learned, **others)  # type: ignore[arg-type]


PASSAGES = {"style": "grounded", "passages": (Passage("Ann keeps it."),)}


@pytest.mark.parametrize(
    ("learned", "asked"),
    [
        (chat("who keeps the light", "Ann", "since when", "May"), pair("Who keeps the light?", "Bo")),
        (chat("hello", "hi", "since when", "May"), chat("Hello", "hi", "since when?", "June", learned="last")),
        (pair("who keeps the light"), chat("who keeps the light", "Bo", **PASSAGES)),
        (pair("who keeps the light"), chat("be brief", "who keeps the light", "Bo", system=True)),
    ],
    ids=["first of two", "follow-up", "on passages", "with a system message"],
)
def test_a_learned_question_is_known_wherever_it_stands(learned: Conversation, asked: Conversation) -> None:
    with pytest.raises(DatasetError, match="shares 1 of its questions"):
        prepare(rows(learned), test_set=Read([asked]))
    for seed in range(8):
        parted = split([*rows().conversations, learned, asked], 0.15, 0.15, seed)
        assert any(learned in part and asked in part for part in (parted.train, parted.validation, parted.test))
    general = [pair(f"tell me of {n * 7919 % 1000}") for n in range(20)]
    prepared = prepare(rows(asked), mix=Read([learned, *general]), ratio=0.9)
    assert learned not in [*prepared.parts["train"], *prepared.parts["neutral"]]
    assert reasons(prepared) == [("duplicate", learned.source, f"it asks what {asked.source} asks")]


def test_another_question_in_the_same_words_may_be_measured() -> None:
    """After other turns it asks something else, and what isn't learned may stand before what is measured."""
    learned = (
        chat("the ferry", "it sails daily", "since when", "May"),
        chat("good day", "hi", "and now", "no", learned="last"),
    )
    held = [chat("the library", "it is open", "since when", "June"), chat("good day", "hi", "what else", "this")]
    assert prepare(rows(*learned), test_set=Read(held)).parts["test"] == held


def test_broken_rows_of_every_file_are_told() -> None:
    bad = [Fault(7, "it isn't JSON.", "{", "t.jsonl")]
    test_set = Read([pair("where is the lighthouse")], bad)
    mix = Read([pair(f"tell me of {n * 7919 % 1000}") for n in range(20)], [replace(bad[0], file="m.jsonl")])
    prepared = prepare(rows(), test_set=test_set, mix=mix)
    assert reasons(prepared) == [
        ("broken", "t.jsonl:7", "it isn't JSON."),
        ("broken", "m.jsonl:7", "it isn't JSON."),
    ]
    for nothing in ({"test_set": Read([], bad)}, {"mix": Read([], bad)}):
        with pytest.raises(DatasetError, match=r"No row can be used: t.jsonl:7: it isn't JSON"):
            prepare(rows(), **nothing)


def test_general_dialogue_makes_up_its_share_and_some_is_kept_back() -> None:
    general = [pair(f"tell me of {n * 7919 % 1000}", f"well {n}", style="plain") for n in range(60)]
    prepared = prepare(rows(), mix=Read(general), ratio=0.2)
    mixed = [one for one in prepared.parts["train"] if one.style == "plain"]
    assert len(mixed) / len(prepared.parts["train"]) == pytest.approx(0.2, abs=0.03)
    assert len(prepared.parts["neutral"]) == 6
    assert not [one for one in prepared.parts["neutral"] if one in mixed]
    assert prepared.to_json()["mixed"] == len(mixed)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("call 138 1234 5678", "phone"), ("call +44 20 7946 0958", "phone"), ("写信给 li.lei@example.com", "mail"),
        ("身份证 11010519491231002X", "id"), ("api_key = abcdef123", "key"),
        ("sk-proj-abcdefghijklmnopqrstuv", "key"), ("-----BEGIN RSA PRIVATE KEY-----", "key"),
        ("密码：hunter22", "key"), ("it ends </s> here", "control"),
        ("<|im_end|>", "control"), ("[Round 2]\n\n问：再见", "control"), ("caf\ufffd", "broken"),
        ("Why so ？", "echo"),
    ],
)  # fmt: skip
def test_what_is_odd_is_found_where_it_is(text: str, kind: str) -> None:
    found = findings([pair("why so?", text, source="a.csv:2"), pair("how", "so", source="a.csv:3")])
    assert [(one.kind, one.sources) for one in found] == [(kind, ("a.csv:2",))]


@pytest.mark.parametrize(
    "text",
    ["order 110105194912310021", "version 1.38.1234.5678", "13812345678901", "a@b", "Password policy", "sop"],
)
def test_what_only_looks_alike_is_not_told(text: str) -> None:
    assert findings([pair("why", text)]) == []


def test_numbers_of_ids_are_checked() -> None:
    assert is_id_number("11010519491231002X")
    assert not is_id_number("110105194912310021")


def test_questions_with_different_answers_are_told_together() -> None:
    found = findings(
        [pair("Why?", "a", source="1"), pair("why？", "b", source="2"), pair("why?", "A", source="3")]
    )
    assert [(one.kind, one.sources) for one in found] == [("conflict", ("1", "2"))]


def test_a_folder_is_written_and_opened_again(tmp_path: Path) -> None:
    general = [pair(f"tell me of {n * 7919 % 1000}", style="plain") for n in range(20)]
    own = rows(pair("who keeps the harbour", "answer 0", source="z"))
    prepared = prepare(own, mix=Read([*general, *rows().conversations]))
    assert prepared.to_json()["mixed"] == 5
    write_folder(tmp_path / "data", prepared)
    opened = open_data(tmp_path / "data")
    assert opened.train == list(prepared.parts["train"])
    assert (len(opened.validation), len(opened.test), len(opened.neutral)) == (2, 2, 2)
    line, *others = (tmp_path / "data" / "left_out.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["reason"] == "the same as a.csv:2"
    assert len(others) == 24  # of the general dialogue what one's own rows ask
    assert all("it asks what a.csv:" in one for one in others)
    assert read_data(tmp_path / "data" / "train.jsonl") == opened.train
    write_folder(tmp_path / "data", prepare(rows()))  # over the older one, whose neutral part goes
    assert open_data(tmp_path / "data").neutral == []
    assert open_data(tmp_path / "data").sha256 != opened.sha256


def test_a_folder_that_was_cut_off_or_changed_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", prepare(rows()))
    with (tmp_path / "data" / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write("{}\n")
    with pytest.raises(DatasetError, match="isn't as it was written"):
        open_data(tmp_path / "data")
    (tmp_path / "data" / "report.json").unlink()
    with pytest.raises(DatasetError, match="no whole training data") as refused:
        open_data(tmp_path / "data")
    assert "kb train data" in refused.value.hint


def test_another_folder_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(DatasetError, match="holds no training data"):
        write_folder(tmp_path, prepare(rows()))
    assert [one.name for one in tmp_path.iterdir()] == ["letter.txt"]


def test_a_plain_file_is_all_to_learn(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("question,answer\na,b\n", encoding="utf-8")
    assert [one.answer for one in open_data(tmp_path / "a.csv").train] == ["b"]
    (tmp_path / "a.csv").write_text("question,answer\na,b\nc,\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="rows that can't be used: 1; line 3"):
        open_data(tmp_path / "a.csv")
    with pytest.raises(DatasetError, match="There is no"):
        open_data(tmp_path / "none.csv")
