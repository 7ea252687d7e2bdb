"""From rows to a folder of training data: checked, without duplicates and what is too long, parted, and reported.

FOLDER/train.jsonl, validation.jsonl, test.jsonl    see data.py
FOLDER/neutral.jsonl    what serves to measure forgetting, if general dialogue was mixed in
FOLDER/left_out.jsonl   each row that isn't used, with the reason
FOLDER/report.json      counts, lengths, findings; written last, with the digests of the others
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kb_assistant.errors import DatasetError
from kb_assistant.messages import _, to_json
from kb_assistant.small_file import unwritable, write_whole
from kb_assistant.training.checks import Finding, findings
from kb_assistant.training.data import Conversation, Style, read_data, write_data
from kb_assistant.training.duplicates import asked, folded, learned_questions, measured_question, same_as_before
from kb_assistant.training.encode import Encoder, Example, TooLong
from kb_assistant.training.formats import Read, read_file
from kb_assistant.training.split import PARTS, Split, near_questions, refuse_overlap, split

REPORT, LEFT_OUT, WRONG, NEUTRAL = "report.json", "left_out.jsonl", "wrong.jsonl", "neutral"
_SHOWN = 3
_NEUTRAL_SHARE, _MOST_NEUTRAL = 0.1, 50


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that isn't used."""

    kind: str
    source: str
    reason: str
    row: Any = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """Training data, ready to be written.

    Attributes:
        parts: Conversations by part: train, validation, test, and perhaps neutral.
        lengths: Of each answer to learn in the training part, its tokens with the prompt and by itself; empty
            without a tokenizer.
        left_out: The rows that aren't used.
        facts: What else the report says: see `to_json`.
    """

    parts: Mapping[str, Sequence[Conversation]]
    lengths: Sequence[tuple[int, int]]
    left_out: Sequence[LeftOut]
    findings: Sequence[Finding]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The report: counts of rows, what was left out and why, what is odd, lengths, sizes of the parts."""
        reasons = {one.kind: one for one in self.left_out}
        return {
            **self.facts,
            "parts": {name: len(rows) for name, rows in self.parts.items()},
            "left_out": {
                kind: [{"source": one.source, "reason": one.reason} for one in self.left_out if one.kind == kind]
                for kind in reasons
            },
            "findings": {
                kind: [list(one.sources) for one in self.findings if one.kind == kind]
                for kind in dict.fromkeys(one.kind for one in self.findings)
            },
            "tokens": percentiles([whole for whole, _learned in self.lengths]),
            "answer_tokens": percentiles([learned for _whole, learned in self.lengths]),
        }


@dataclass(frozen=True, slots=True)
class DataSet:
    """Training data to train with.

    Attributes:
        sha256: Fingerprint of the training and validation parts: other data, another fingerprint.
    """

    train: list[Conversation]
    validation: list[Conversation]
    test: list[Conversation]
    neutral: list[Conversation]
    sha256: str


def prepare(
    read: Read,
    encoder: Encoder | None = None,
    *,
    test_set: Read | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    mix: Read | None = None,
    ratio: float = 0.2,
    seed: int = 0,
) -> Prepared:
    """Check rows, leave out what can't be learned, and part the rest.

    Args:
        encoder: Counts tokens, and leaves out what is longer than its limit; None leaves that to the training.
        test_set: Questions of one's own to test with, in place of a drawn share.
        mix: General dialogue against forgetting: `ratio` of the training part, a tenth of it kept back to measure.

    Raises:
        DatasetError: nothing is left of a file, too little to part, or a question to test with is in the training
            set.
    """
    left: list[LeftOut] = []
    kept = _usable(read, encoder, left)
    if test_set is not None:
        held = _usable(test_set, encoder, left)
        refuse_overlap(kept, held)
        parted = replace(split(kept, validation, 0.0, seed), test=held)
    else:
        parted = split(kept, validation, test, seed)
    parts: dict[str, Sequence[Conversation]] = {name: parted.part(name) for name in PARTS}
    if mix is not None:
        general = _usable(mix, encoder, left)
        drawn = _others(general, [one for part in parts.values() for one in part], left)
        parts["train"], parts[NEUTRAL] = _mixed(parted.train, drawn, ratio, seed)
    lengths = [length for one in parts["train"] for length in _lengths(one, encoder)]
    facts = _facts(read, encoder, parted, seed)
    facts |= {"used": len(kept), "mixed": len(parts["train"]) - len(parted.train)}
    facts |= {"near_test": near_questions(parts["train"], parted.test)}
    return Prepared(parts, lengths, left, findings(kept), facts)


def _facts(read: Read, encoder: Encoder | None, parted: Split, seed: int) -> dict[str, Any]:
    return {
        "rows": len(read.conversations) + len(read.faults),
        "forms": read.forms,
        "limit": encoder.limit if encoder else None,
        "groups": parted.groups,
        "near": parted.near,
        "near_parted": parted.loose,
        "seed": seed,
    }


def _usable(read: Read, encoder: Encoder | None, left: list[LeftOut]) -> list[Conversation]:
    """Those that say something new and aren't too long; the others, and broken rows, go to `left`.

    Raises:
        DatasetError: none is left.
    """
    conversations, begin = read.conversations, len(left)
    left += [LeftOut("broken", f"{one.file}:{one.line}", one.reason, one.row) for one in read.faults]
    before = same_as_before([(asked(one), folded(one.answer)) for one in conversations])
    kept = []
    for one, first in zip(conversations, before, strict=True):
        if first is not None:
            reason = _("the same as {source}", source=conversations[first].source)
            left.append(LeftOut("duplicate", one.source, reason, one.to_json()))
        elif encoder and isinstance(found := next(encoder.encode(one)), TooLong):
            reason = _("{tokens:,} tokens, {over:,} more than the limit",
                       tokens=found.tokens, over=found.tokens - encoder.limit)  # fmt: skip
            left.append(LeftOut("too long", one.source, reason, one.to_json()))
        else:
            kept.append(one)
    if not kept:
        long = any(one.kind == "too long" for one in left[begin:])
        raise DatasetError(
            _("No row can be used: {reasons}", reasons=_reasons(left[begin:])),
            _("Allow longer ones: --max-tokens N; or shorten them.") if long else _("Look at the rows named."),
        )
    return kept


def _others(
    general: Sequence[Conversation], own: Sequence[Conversation], left: list[LeftOut]
) -> list[Conversation]:
    """General dialogue that asks nothing of one's own data, each question once; the rest goes to `left`."""
    known = {key: one.source for one in own for key in learned_questions(one)}
    kept = []
    for one in general:
        keys = learned_questions(one)
        if same := next((key for key in keys if key in known), None):
            reason = _("it asks what {source} asks", source=known[same])
            left.append(LeftOut("duplicate", one.source, reason, one.to_json()))
        else:
            kept.append(one)
            known.setdefault(measured_question(one), one.source)
    return kept


def _lengths(conversation: Conversation, encoder: Encoder | None) -> list[tuple[int, int]]:
    examples = encoder.encode(conversation) if encoder else ()
    return [(len(one.ids), one.learned) for one in examples if isinstance(one, Example)]


def _mixed(
    own: Sequence[Conversation], general: Sequence[Conversation], ratio: float, seed: int
) -> tuple[list[Conversation], list[Conversation]]:
    """The training part with general dialogue in it, up to the ratio; and what is kept back of that."""
    drawn = list(general)
    random.Random(seed).shuffle(drawn)
    held = min(_MOST_NEUTRAL, max(1, round(len(drawn) * _NEUTRAL_SHARE))) if len(drawn) > 1 else 0
    wanted = round(len(own) * ratio / (1 - ratio))
    train = [*own, *drawn[held : held + wanted]]
    learned = {key for one in train for key in learned_questions(one)}
    return train, [one for one in drawn[:held] if measured_question(one) not in learned]


def _reasons(left: Sequence[LeftOut]) -> str:
    shown = [f"{one.source}: {one.reason}" for one in left[:_SHOWN]]
    return "; ".join([*shown, *(["…"] if len(left) > _SHOWN else [])]) or "-"


def percentiles(values: Sequence[int]) -> dict[str, int] | None:
    """Median, 90th and 99th percentile, and maximum; None without values."""
    import numpy as np

    if not values:
        return None
    found = np.percentile(np.array(values), (50, 90, 99, 100), method="higher")
    return dict(zip(("50", "90", "99", "max"), map(int, found), strict=True))


def write_folder(folder: Path, prepared: Prepared, wrong: Sequence[Mapping[str, Any]] = ()) -> None:
    """Write a folder. The report comes last: a folder that was cut off is told by the digests in it.

    Args:
        wrong: Answers that people marked as wrong.

    Raises:
        DatasetError: there is a folder that holds something else.
        StoreError: it can't be written.
    """
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / REPORT).is_file())):
        raise DatasetError(
            _("{folder} is there and holds no training data.", folder=folder), _("Name another by --out.")
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / REPORT).unlink(missing_ok=True)
        for older in (folder / f"{NEUTRAL}.jsonl", folder / WRONG):
            older.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    for name, rows in prepared.parts.items():
        write_data(folder / f"{name}.jsonl", rows)
    left = [{"source": one.source, "reason": one.reason, "row": one.row} for one in prepared.left_out]
    _write_lines(folder / LEFT_OUT, left)
    if wrong:
        _write_lines(folder / WRONG, wrong)
    report = prepared.to_json() | {"files": {name: _digest(folder / f"{name}.jsonl") for name in prepared.parts}}
    write_whole(folder / REPORT, json.dumps(to_json(report), ensure_ascii=False, indent=2))


def _write_lines(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_whole(file, text.encode("utf-8", "replace").decode())


def open_data(path: Path, style: Style = "chat") -> DataSet:
    """The data to train with: a folder that `write_folder` made, or a file in any known form, all of it to learn.

    Args:
        style: How the questions of a file are asked, where a row doesn't say.

    Raises:
        DatasetError: it is neither, a row can't be used, or a test question is in the training set.
    """
    if path.is_dir():
        return _open_folder(path)
    if not path.exists():
        raise DatasetError(_("There is no {path}.", path=path), _("Make it with: kb train data FILE"))
    read = read_file(path, style=style)
    if read.faults:
        first = read.faults[0]
        raise DatasetError(
            _("{path} has rows that can't be used: {count}; line {line}: {reason}",
              path=path, count=len(read.faults), line=first.line, reason=first.reason),
            _("kb train data {path} leaves them out and lists them.", path=path),
        )  # fmt: skip
    if not read.conversations:
        raise DatasetError(
            _("{path} holds no conversation.", path=path), _("Give a file with questions and answers.")
        )
    return DataSet(read.conversations, [], [], [], _digest(path))


def _open_folder(folder: Path) -> DataSet:
    again = _("Make it anew with: kb train data FILE --out {folder}", folder=folder)
    try:
        files = json.loads((folder / REPORT).read_text(encoding="utf-8"))["files"]
        whole = all(_digest(folder / f"{name}.jsonl") == digest for name, digest in files.items())
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(_("{folder} holds no whole training data.", folder=folder), again) from error
    if not whole or not set(PARTS) <= files.keys():
        raise DatasetError(_("A file of {folder} isn't as it was written.", folder=folder), again)
    parts = {name: _part(folder / f"{name}.jsonl") for name in (*PARTS, NEUTRAL)}
    refuse_overlap([*parts["train"], *parts["validation"]], parts["test"])
    both = hashlib.sha256(f"{files['train']}{files['validation']}".encode()).hexdigest()
    return DataSet(**parts, sha256=both)


def _part(file: Path) -> list[Conversation]:
    return read_data(file) if file.is_file() and file.stat().st_size else []


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
