"""A request's messages: the question, the turns before it, and what is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict, Field

from kb_assistant.answering import modes
from kb_assistant.errors import NotFoundError, QuestionError
from kb_assistant.messages import _
from kb_assistant.retrieval.filters import parse_conditions
from kb_assistant.serve.errors import NoSuchModelError
from kb_assistant.serve.service import Service
from kb_assistant.text.marks import unmarked
from kb_assistant.workspace.desk import Desk
from kb_assistant.workspace.view import View

PLAIN = "plain"
"""The model that answers without documents."""

PREFIX = "kb/"
"""A model of this prefix is a knowledge base, or several: `kb/A+B`."""

MOST_BASES = 8
MOST_TURNS = 100
"""Messages of a conversation that count; those before the last of them are left out."""

HOUSEKEEPING = "### Task:"
"""How a client begins what it asks for itself, such as a title; no document is searched for that."""

_TEXT_PARTS = ("text", "input_text", "output_text")


class Options(BaseModel):
    """Options of this server's own, in a request's object `kb`."""

    k: int | None = Field(default=None, ge=1, le=100, description="How many passages.")
    where: list[str] = Field(default=[], max_length=50, description='Conditions on sources, such as "type=pdf".')
    history_turns: int | None = Field(
        default=None, ge=0, description="How many earlier turns count; all without it."
    )
    answers: str = Field(default="", description='"documents", "documents-first" or "model"; else as set.')

    def check(self) -> None:
        """
        Raises:
            QuestionError: a condition has the wrong form, or `answers` is none of these.
        """
        parse_conditions(self.where)
        if self.answers:
            modes.checked(self.answers)


class Part(BaseModel):
    """A part of a message."""

    model_config = ConfigDict(extra="allow")
    type: str
    text: str | None = None


class Message(BaseModel):
    """A message. `user` and `assistant` make the conversation; `system` and `developer` are obeyed by `plain`
    alone."""

    model_config = ConfigDict(extra="allow")
    role: str
    content: str | list[Part] | None = None

    def text(self) -> str:
        """
        Raises:
            QuestionError: it isn't text.
        """
        if not isinstance(self.content, list):
            return self.content or ""
        for part in self.content:
            if part.type not in _TEXT_PARTS:
                raise QuestionError(
                    _("Messages with {kind!r} aren't read.", kind=part.type), _("Send text; add documents first.")
                )
        return "\n".join(part.text or "" for part in self.content)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be answered.

    Attributes:
        model: As named in the request.
        views: Searched together; none if no document is searched for.
        chat_model: Opens the model for an answer without documents.
        messages: For a model that answers without documents.
        sampling: Options for such a model.
    """

    model: str
    chat_model: Callable[[], BaseChatModel]
    views: Sequence[View] = ()
    question: str = ""
    history: Sequence[dict[str, str]] = ()
    options: Options = field(default_factory=Options)
    messages: Sequence[BaseMessage] = ()
    sampling: dict[str, Any] = field(default_factory=dict)


def understood(
    service: Service,
    desk: Desk,
    model: str,
    messages: Sequence[Message],
    options: Options,
    sampling: dict[str, Any],
) -> Asked:
    """What a request asks for.

    Raises:
        NoSuchModelError: the caller has no such model.
        QuestionError: there is no question, or a condition or option is impossible.
    """
    options.check()
    views = named_views(desk, model)
    chat_model = partial(service.model_of, views)
    said = [(one.role, one.text()) for one in messages if one.role not in ("tool", "function")]
    question = said[-1][1].strip() if said and said[-1][0] == "user" else ""
    if not question:
        raise QuestionError(_("The last message isn't a question."), _("It must have the role `user`, and text."))
    if not views or question.startswith(HOUSEKEEPING):
        made = [_ROLES.get(role, HumanMessage)(content=text) for role, text in said]
        return Asked(model, chat_model, messages=made, sampling=sampling)
    before = [(role, text) for role, text in said[:-1] if role in ("user", "assistant")][-MOST_TURNS:]
    history = [{"role": role, "text": unmarked(text) if role == "assistant" else text} for role, text in before]
    if options.history_turns is not None:
        history = history[max(0, len(history) - 2 * options.history_turns) :]
    return Asked(model, chat_model, views, question, history, options)


_ROLES: dict[str, type[BaseMessage]] = {
    "system": SystemMessage,
    "developer": SystemMessage,
    "assistant": AIMessage,
    "user": HumanMessage,
}


def named_views(desk: Desk, model: str) -> list[View]:
    """The knowledge bases that a model stands for; none for `plain`.

    Raises:
        NoSuchModelError: there is no such model, or the caller may not read one of them.
    """
    if model == PLAIN and desk.bases():
        return []
    names = list(dict.fromkeys(model.removeprefix(PREFIX).split("+")))
    if not model.startswith(PREFIX) or len(names) > MOST_BASES:
        raise NoSuchModelError(model)
    try:
        return [desk.base(name) for name in names]
    except NotFoundError:
        raise NoSuchModelError(model) from None
