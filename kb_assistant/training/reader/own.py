"""A reader on one's own questions: trained from the one that comes along, mixed with what that was made with,
measured before and after, and kept only if it has gained."""

from __future__ import annotations

import math
import random
import shutil
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb_assistant.errors import DatasetError, ModelError, SettingsError
from kb_assistant.evaluate.metrics import Estimate, estimate
from kb_assistant.lock import writing
from kb_assistant.messages import _
from kb_assistant.model_folder import Model, file_digest
from kb_assistant.models.adapters import LEARNED, WEIGHTS, Adapter, AdapterHome
from kb_assistant.models.staging import temporary
from kb_assistant.reader.inputs import InputEncoder
from kb_assistant.reader.reader import WEIGHTS as SHIPPED
from kb_assistant.reader.reader import Reader
from kb_assistant.small_file import write_whole
from kb_assistant.torch_runtime import is_installed
from kb_assistant.training import checkpoints
from kb_assistant.training.job import begin
from kb_assistant.training.prepare import DataSet
from kb_assistant.training.reader.asked import Asked, asked_in, groups_of
from kb_assistant.training.reader.examples import examples, held_out, tfidf_nearest
from kb_assistant.training.reader.measure import Measured, Scores, asked_of_set, scores
from kb_assistant.training.reader.pairs import Group

ITEMS = Path(__file__).with_name("items")
"""What the reader that comes along was made with, apart from the tenth of the documents that it is measured on."""

FEWEST_LEARNED, FEWEST_HELD = 20, 10
_USUAL_SHARE = 0.4
"""Of the groups of an epoch."""
_DRAWN = 0.3
"""Share of the documents of ITEMS whose questions are mixed in."""
_LOST = 0.01
"""Most that may be lost on the questions that come along."""
_CALIBRATED = 128
"""Number of groups by which the scores keep their meaning."""
MEASURED = 100
"""Number of the questions that come along which are measured, of those with an answer and of those without."""
_SECONDS_A_PAIR, _SECONDS_A_PASSAGE = 0.1, 0.045
"""On one core of an EPYC of 2024, roughly."""


@dataclass(frozen=True, slots=True)
class ReaderJob:
    """What the training of a reader is made of.

    Attributes:
        base: The embedder that readers stand on.
        learned: Questions to learn.
        held: Questions to measure with.
        data_sha256: Fingerprint of the data.
        epochs: How often each question is learned, each time in another form.
        rate: Largest learning rate.
        keys: Of the questions that are learned; see duplicates.py.
        weights: Those that it begins with.
        measured: Number of the questions that come along which are measured, of each kind.
    """

    name: str
    base: Model
    learned: Sequence[Asked]
    held: Sequence[Asked]
    data_sha256: str
    epochs: int = 3
    rate: float = 2e-4
    seed: int = 0
    keys: Collection[str] = ()
    weights: Path = SHIPPED
    measured: int = MEASURED

    def made_of(self) -> dict[str, Any]:
        """What must stay the same for a training to go on."""
        return {
            "base": self.base.base_sha256,
            "data": self.data_sha256,
            "weights": file_digest(self.weights),
            "epochs": self.epochs,
            "rate": self.rate,
            "seed": self.seed,
        }

    @property
    def seconds(self) -> float:
        """Roughly what it takes on one core."""
        pairs = 2 * self.epochs * len(self.learned) / (1 - _USUAL_SHARE) + 3 * _CALIBRATED
        passages = 2 * (9 * self.measured + sum(len(one.passages) for one in self.held))
        return _SECONDS_A_PAIR * pairs + _SECONDS_A_PASSAGE * passages


@dataclass(frozen=True, slots=True)
class Change:
    """Figures before and after, and the gain question by question: the mean of the span's F1 and of whether the
    right passage comes first."""

    before: Measured
    after: Measured
    gain: Estimate

    def to_json(self) -> dict[str, Any]:
        return {"before": self.before.to_json(), "after": self.after.to_json(), "gain": self.gain.to_json()}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training came to.

    Attributes:
        adapter: The reader; None if it wasn't kept.
        own: On one's own questions that were kept back.
        usual: On those that come along.
    """

    adapter: Adapter | None
    own: Change
    usual: Change

    def to_json(self) -> dict[str, Any]:
        folder = str(self.adapter.folder) if self.adapter else None
        return {"folder": folder, "own": self.own.to_json(), "usual": self.usual.to_json()}


def require_packages() -> None:
    """Check that what the training computes with is installed.

    Raises:
        ModelError: a package is missing.
    """
    missing = [name for name in ("torch", "transformers", "sklearn") if not is_installed(name)]
    if missing:
        raise ModelError(
            _("Package {package} is missing.", package=missing[0]), _('pip install "kb-assistant[train]"')
        )


def asked_of(content: DataSet) -> tuple[list[Asked], list[Asked]]:
    """The questions of training data to learn, and those to measure with.

    Raises:
        DatasetError: there are too few of either that a reader can learn from.
    """
    learned = asked_in(content.train)
    held = asked_in([*content.validation, *content.test])
    if len(learned) < FEWEST_LEARNED:
        raise DatasetError(
            _("{count} questions with passages are too few to learn from: {fewest} at least.",
              count=len(learned), fewest=FEWEST_LEARNED),
            _("They come from documents and chats: kb train data --from-kb --from-chats"),
        )  # fmt: skip
    if sum(one.right is not None for one in held) < FEWEST_HELD:
        raise DatasetError(
            _("{count} questions with an answer are kept back, too few to measure with: {fewest} at least.",
              count=sum(one.right is not None for one in held), fewest=FEWEST_HELD),
            _("Keep more back: kb train data … --test 0.3"),
        )  # fmt: skip
    return learned, held


def train_reader(
    job: ReaderJob,
    home: AdapterHome,
    say: Callable[[str], None] = print,
    stopped: Callable[[], bool] = lambda: False,
) -> Outcome | None:
    """Train a reader, or go on with its training; None if it was stopped.

    Raises:
        SettingsError: the name is taken, or the training that is to go on was begun with something else.
        ModelError: a loss was no number, or the reader can't be written.
        StoreError: a checkpoint can't be written.
        BusyError: it is being trained by another process.
    """
    if home.holds(job.name):
        raise SettingsError(
            _("There is an adapter {name!r} already.", name=job.name),
            _("Give another name, or: kb train rm {name}", name=job.name),
        )
    run = home.run_folder(job.name)
    run.mkdir(parents=True, exist_ok=True)
    with writing(run, patience=0, what=_("the adapter {name!r}", name=job.name)):
        begin(run, job.name, job.made_of())
        weights = run / WEIGHTS
        if not _trained(job, run, weights, say, stopped):
            return None
        say(_("measuring"))
        own, usual = _changes(job, weights)
        kept = own.gain.mean > 0 and usual.gain.mean >= -_LOST
        adapter = _published(job, weights, Outcome(None, own, usual), home) if kept else None
    shutil.rmtree(run, ignore_errors=True)
    return Outcome(adapter, own, usual)


def _trained(
    job: ReaderJob, run: Path, weights: Path, say: Callable[[str], None], stopped: Callable[[], bool]
) -> bool:
    """Write the new weights; False if it was stopped before."""
    import torch
    from transformers.utils import logging

    from kb_assistant.training.reader.network import ReaderNetwork
    from kb_assistant.training.reader.train import batches, write
    from kb_assistant.training.reader.tune import load, put_between, tune, values_of

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    encoder = InputEncoder(job.base.path)
    usual = _usual(job.seed)
    made = [batch for epoch in range(job.epochs) for batch in _epoch(job, usual, encoder, epoch)]
    torch.manual_seed(job.seed)
    network = ReaderNetwork(job.base.path)
    load(network, job.weights)
    before = values_of(network)
    if not tune(network, made, run, say, stopped, rate=job.rate):
        return False
    same = list(batches(usual[-_CALIBRATED:], encoder, random.Random(job.seed)))
    put_between(network, before, same, "cpu")
    write(network, weights, {"from": file_digest(job.weights), "data": job.data_sha256})
    return True


def _usual(seed: int) -> list[Group]:
    """Groups of the documents that come along, without those that are measured."""

    def kept(name: str, title: str) -> bool:
        drawn = random.Random(f"{seed} {title}").random() < _DRAWN
        return drawn and not held_out(name, title)

    made = list(examples([ITEMS], tfidf_nearest, random.Random(seed), kept))
    random.Random(seed).shuffle(made)
    return made


def _epoch(job: ReaderJob, usual: Sequence[Group], encoder: InputEncoder, epoch: int) -> list[Any]:
    from kb_assistant.training.reader.train import batches

    drawn = random.Random(f"{job.seed} {epoch}")
    own = list(groups_of(job.learned, drawn))
    count = min(len(usual), math.ceil(len(own) * _USUAL_SHARE / (1 - _USUAL_SHARE)))
    return list(batches([*own, *drawn.sample(usual, count)], encoder, drawn))


def _changes(job: ReaderJob, weights: Path) -> tuple[Change, Change]:
    """On one's own questions, and on those that come along."""
    usual = asked_of_set(ITEMS, job.measured, held_out, job.seed)
    readers = [Reader(job.base.path, one) for one in (job.weights, weights)]
    own, other = ([scores(reader, asked) for reader in readers] for asked in (job.held, usual))
    return _change(*own), _change(*other)


def _change(before: Scores, after: Scores) -> Change:
    gains = [later - one for one, later in zip(before.values, after.values, strict=True)]
    return Change(before.summed(), after.summed(), estimate(gains))


def _published(job: ReaderJob, weights: Path, outcome: Outcome, home: AdapterHome) -> Adapter:
    """Give the reader its name.

    Raises:
        ModelError: it can't be written.
    """
    work = temporary(home.folder)
    try:
        work.mkdir(parents=True)
        shutil.copy2(weights, work / WEIGHTS)
        write_whole(work / LEARNED, "\n".join(sorted(job.keys)))
        files = {name: file_digest(work / name) for name in (WEIGHTS, LEARNED)}
        facts = {
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "examples": len(job.learned),
            "held": len(job.held),
            "own": outcome.own.to_json(),
            "usual": outcome.usual.to_json(),
            "made_of": job.made_of(),
        }
        Adapter(work, "reader", job.base.name, job.base.base_sha256, "", files, facts).write()
        checkpoints.seal(work)
        work.rename(home.folder / job.name)
    except OSError as error:
        raise ModelError(
            _("{name} can't be written: {reason}.", name=job.name, reason=error),
            _("Make room. The training is done; the same command writes its adapter."),
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return home.get(job.name)
