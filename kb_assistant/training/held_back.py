"""What an adapter is measured on: questions and neutral prompts that it wasn't trained with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kb_assistant.errors import DatasetError
from kb_assistant.messages import _
from kb_assistant.models.adapters import Adapter
from kb_assistant.training.data import Conversation, Style
from kb_assistant.training.duplicates import learned_questions, measured_question
from kb_assistant.training.neutral import ALL, neutral_prompts
from kb_assistant.training.prepare import DataSet, open_data


@dataclass(frozen=True, slots=True)
class HeldBack:
    """What can be measured on.

    Attributes:
        data: The folder or file that the questions are of.
        questions: Conversations whose last question the adapter wasn't trained with.
        learned: Number of questions that are left out, because it was.
        neutral: Prompts about something else.
    """

    data: Path
    questions: Sequence[Conversation]
    learned: int
    neutral: Sequence[str]


def held_back(adapter: Adapter, data: Path | None, neutral: int) -> HeldBack:
    """What an adapter can be measured on.

    Args:
        data: A folder of training data, whose test part is meant; a file of questions; or None for the folder that
            it was trained on.
        neutral: Number of neutral prompts, at most.

    Raises:
        DatasetError: there is nothing, or all of it was learned.
    """
    path, opened = (data, open_data(data, style_of(adapter))) if data else _own(adapter)
    questions = opened.test if path.is_dir() else opened.train
    if not questions:
        raise DatasetError(
            _("{folder} keeps no questions back to measure with.", folder=path),
            _("Make it with --test 0.1 or --test-file FILE, or name a file of other questions."),
        )
    learned = set(adapter.learned())
    if path.is_dir():
        learned |= keys((*opened.train, *opened.validation))
    elif opened.sha256 == adapter.facts.get("data_sha256"):
        learned |= keys(opened.train)
    fresh = [one for one in questions if measured_question(one) not in learned]
    if not fresh:
        raise DatasetError(
            _("{path} is what {name!r} was trained on.", path=path, name=adapter.name),
            _("Measure on other questions: kb train data keeps some back."),
        )
    return HeldBack(path, fresh, len(questions) - len(fresh), _neutral(opened.neutral, learned, neutral))


def style_of(adapter: Adapter) -> Style:
    """How questions without passages are asked, where nothing else is said."""
    return "plain" if adapter.plain else "chat"


def keys(conversations: Iterable[Conversation]) -> set[str]:
    """The keys of all questions that are learned of them."""
    return {key for one in conversations for key in learned_questions(one)}


def _own(adapter: Adapter) -> tuple[Path, DataSet]:
    """The data that an adapter was trained on, if it is still as it was."""
    wanted, path = adapter.facts.get("data_sha256"), adapter.facts.get("data")
    hint = _("Name a folder of kb train data, or a file of other questions: kb train eval {name} DATA",
             name=adapter.name)  # fmt: skip
    if not isinstance(path, str) or not path:
        raise DatasetError(_("It isn't known which data {name!r} was trained on.", name=adapter.name), hint)
    gone = DatasetError(
        _("The data that {name!r} was trained on is gone or has changed: {path}", name=adapter.name, path=path),
        hint,
    )
    try:
        opened = open_data(Path(path))
    except DatasetError as error:
        raise gone from error
    if opened.sha256 != wanted:
        raise gone
    return Path(path), opened


def _neutral(kept: Sequence[Conversation], learned: set[str], count: int) -> list[str]:
    """Neutral prompts that weren't learned, each once: first those that the data keeps back."""
    prompts = [*(one.question for one in kept), *neutral_prompts(ALL)]
    fresh = {measured_question(Conversation((("user", one), ("assistant", "")))): one for one in prompts}
    return [prompt for key, prompt in fresh.items() if key not in learned][:count]
