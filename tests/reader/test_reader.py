"""The reader that comes along: what it says of passages, in both languages, and within its time."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from kb_assistant.errors import ModelError
from kb_assistant.reader.reader import WEIGHTS, Reader, Reading, _logits, open_reader
from tests.samples import SAMPLE_DOCS
from tests.waiting import until

pytestmark = pytest.mark.engine

STATION = (
    "Harbour > History",
    "The station was founded by Marta Keel in 1871. Its lamp is seen from 18 miles away.",
)
TICKETS = ("Harbour > Visits", "Tickets cost four pounds, children under six pay nothing. Dogs stay outside.")
TEA = ("茶园简介", "茶园面积八百亩，海拔六百米。园长是李国华，共有员工三十人。")


@pytest.fixture(scope="module")
def folder(models_home: Path) -> Path:
    return models_home / "models" / "multilingual-e5-small"


@pytest.fixture(scope="module")
def reader(folder: Path) -> Reader:
    return open_reader(folder)


def told(
    reader: Reader, question: str, *passages: tuple[str, str], earlier: tuple[str, ...] = ()
) -> list[Reading]:
    return [one for one in reader.read(question, passages, earlier) if one]


@pytest.mark.parametrize(
    ("question", "passage", "answer"),
    [
        ("who founded the station", STATION, "Marta Keel"),
        ("how much is a ticket?", TICKETS, "four pounds"),
        ("园长是谁", TEA, "李国华"),
        ("茶园面积多大？", TEA, "八百亩"),
    ],
)
def test_the_answer_is_marked(reader: Reader, question: str, passage: tuple[str, str], answer: str) -> None:
    (found,) = told(reader, question, passage)
    start, end = found.span
    assert answer in passage[1][start:end]
    assert end - start <= 3 * len(answer)
    assert found.span_score > 0


def test_another_answer_that_is_nearly_as_likely_is_told(reader: Reader) -> None:
    history = (SAMPLE_DOCS / "en" / "history.md").read_text(encoding="utf-8")
    text = next(line for line in history.splitlines() if "Colin Brae" in line)
    heading = "History of Aldersea Station > Directors"
    (found,) = told(reader, "Who is the director of Aldersea Station?", (heading, text))
    assert found.also is not None
    assert {text[slice(*found.span)], text[slice(*found.also)]} == {"Colin Brae", "Tomas Lindqvist"}
    (sure,) = told(reader, "who founded the station", STATION)
    assert sure.also is None


def test_what_answers_is_more_relevant_than_what_does_not(reader: Reader) -> None:
    founder, price, tea = told(reader, "who founded the station", STATION, TICKETS, TEA)
    assert founder.relevance > max(price.relevance, tea.relevance)
    assert founder.answer > max(price.answer, tea.answer)


def test_an_off_topic_question_after_another_stays_off_topic(reader: Reader) -> None:
    earlier = ("who founded the station", "The station was founded by Marta Keel in 1871.")
    (on,) = told(reader, "and when was that?", STATION, earlier=earlier)
    (off,) = told(reader, "what is the capital of France?", STATION, earlier=earlier)
    assert on.relevance > off.relevance + 1
    assert on.answer > 0 > off.answer


def test_the_integer_graph_says_what_the_trained_network_says(reader: Reader, folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from kb_assistant.training.reader.network import ReaderNetwork
    from kb_assistant.training.reader.train import filled

    network = ReaderNetwork(folder).eval()
    missing, unknown = network.load_state_dict(load_file(WEIGHTS), strict=False)
    assert [*unknown, *(name for name in missing if name.endswith((".up", ".down")))] == []
    passages = [STATION, TICKETS, TEA]
    made = [windows[0] for windows in reader._encoder.encode("who founded the station", (), passages)]
    ids, mask = filled(made)
    with torch.no_grad():
        kinds, first, _ = network(ids, mask)
    for row, one in enumerate(made):
        logits = _logits(reader._session, one.ids)
        assert np.abs(logits[0, :2] - kinds[row].numpy()).max() < 0.3
        assert np.abs(logits[:, 2] - first[row, : len(one.ids)].numpy()).max() < 1
        assert row or logits[:, 2].argmax() == first[0].argmax()


def test_a_reading_does_not_depend_on_what_else_is_read_nor_on_who_else_asks(reader: Reader) -> None:
    long = ("Log", "The harbour is quiet in winter. " * 60)
    asked = [("who founded the station", STATION), ("how much is a ticket?", TICKETS), ("园长是谁", TEA)]
    alone = [told(reader, *one) for one in asked]
    with ThreadPoolExecutor(12) as askers:
        together = list(askers.map(lambda one: told(reader, one[0], one[1], long, STATION), asked * 4))
    assert [one[:1] for one in together] == alone * 4


def test_the_last_sentence_of_a_long_passage_is_read(reader: Reader) -> None:
    text = "The harbour is quiet in winter. " * 60 + "The porter is called Anselm Brook."
    (found,) = told(reader, "what is the porter called", ("", text))
    assert "Anselm Brook" in text[slice(*found.span)]


def test_without_time_the_first_ones_are_read(reader: Reader) -> None:
    readings = reader.read("who founded the station", [STATION] * 40, seconds=0)
    assert readings[0] is not None
    assert readings[-1] is None


def test_empty_and_odd_texts_are_read(reader: Reader) -> None:
    readings = told(reader, "", ("", ""), ("", "\udcff"), ("x" * 5000, " \n "), ("", "</s>" * 900))
    assert [math.isfinite(one.relevance) for one in readings] == [True] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_reads_too(reader: Reader) -> None:
    told(reader, "who founded the station", STATION)
    child = os.fork()
    if not child:
        try:
            os._exit(0 if told(reader, "who founded the station", STATION)[0].span_score > 0 else 1)
        finally:
            os._exit(2)
    ended = (0, 0)

    def has_ended() -> bool:
        nonlocal ended
        ended = os.waitpid(child, os.WNOHANG)
        return ended[0] == child

    try:
        until(has_ended, 60)
    finally:
        if ended[0] != child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(ended[1]) == 0


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="reader"):
        Reader(tmp_path).read("a", [STATION])


def test_the_graph_is_the_same_whatever_the_number_of_threads(folder: Path) -> None:
    """Its rounded weights must not depend on the order of sums, which numpy's library of matrices lets threads
    decide."""
    code = (
        "import hashlib, sys; from pathlib import Path; from safetensors.numpy import load_file;"
        "from kb_assistant.embedding.shape import Shape; from kb_assistant.reader.graph import ReaderGraph;"
        "from kb_assistant.reader.reader import WEIGHTS; folder = Path(sys.argv[1]);"
        "graph = ReaderGraph(folder, Shape.read(folder), load_file(WEIGHTS));"
        "print(hashlib.sha256(graph.serialized()).hexdigest())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code, str(folder)],
            env=os.environ | {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2", "5")
    }
    assert len(said) == 1
