"""Who answers a turn: the documents, or the model by itself where they hold no answer or nothing is searched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, cast

from kb_assistant.errors import QuestionError
from kb_assistant.llm.capabilities import languages, quotes_only
from kb_assistant.messages import Message, _
from kb_assistant.settings import CHOICES
from kb_assistant.text.language import Language

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

Answers = Literal["documents", "documents-first", "model"]
"""Where answers may come from: see the setting `answers`."""

Origin = Literal["documents", "model", "none"]
"""Where an answer is from; "none" for a refusal and for what is said without either."""

NAMES: Mapping[Language, Message] = {"zh": _("Chinese"), "ja": _("Japanese"), "ko": _("Korean")}
"""Languages with a script of their own: whether a model reads them is known."""

HINT = _("Choose a chat model (`kb models list`, --model), or answers = documents.")


def checked(answers: str) -> Answers:
    """The mode by its name.

    Raises:
        QuestionError: there is none of this name.
    """
    known = CHOICES["answers"]
    if answers not in known:
        raise QuestionError(
            _("answers = {value} is not possible.", value=repr(answers)),
            _("It must be {wanted}.", wanted=_("{names} or {last}", names=", ".join(known[:-1]), last=known[-1])),
        )
    return cast(Answers, answers)


def reads(model: BaseChatModel, language: Language) -> bool:
    """Whether a model reads and writes a language, as far as is known."""
    spoken = languages(model)
    return not spoken or language not in NAMES or language in spoken


def why_not_alone(model: BaseChatModel, *spoken: Language) -> Message | None:
    """Why a model can't answer by itself; None if it can.

    Args:
        spoken: The languages of question and answer.
    """
    if quotes_only(model):
        return _("No chat model is in use: quotes come from documents alone.")
    for language in spoken:
        if not reads(model, language):
            return _("The model can't answer in {language} by itself.", language=NAMES[language])
    return None
