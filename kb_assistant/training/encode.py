"""Conversations as token ids and labels: the prompt that the chat will use, and the answer that is learned.

Only the answer and its end are learned. Nothing is cut: what is longer than the limit is left out whole. A prompt
cut at its end lacks the words after which the answer begins, and a cut answer teaches the model to break off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kb_assistant.answering.prompts import PromptForm, instruction_parts, render
from kb_assistant.chatglm2.checkpoint import TOKENIZER, Checkpoint, read_checkpoint
from kb_assistant.chatglm2.prompt import ChatTemplate
from kb_assistant.chatglm2.tokenizer import build_tokenizer, read_tokenizer
from kb_assistant.llm.base import RoleText, role_texts
from kb_assistant.llm.gguf_header import is_large, read_gguf_header
from kb_assistant.model_folder import Model
from kb_assistant.settings import Settings
from kb_assistant.text.language import language_of
from kb_assistant.text.prompt_template import DEFAULT, fill
from kb_assistant.training.data import Conversation, Passage
from kb_assistant.training.loss import IGNORED
from kb_assistant.training.network import require_trainable
from kb_assistant.types import Hit, Locator, Turn

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

LARGE = PromptForm(native_history=True, full_answers=True)
"""How ChatGLM2 is asked, with no setting changed."""


class Template(Protocol):
    """What a model makes of conversations: `ChatTemplate` of ChatGLM2, `FileTemplate` of a GGUF file."""

    def prompt(self, messages: Sequence[RoleText]) -> list[int]:
        """Token ids of the prompt for messages."""

    def answer(self, text: str) -> list[int]:
        """Token ids of an answer as the model is to write it after the prompt, with the token that ends it."""

    def token_bytes(self, i: int) -> bytes:
        """The bytes that a token of these stands for; none for control tokens."""

    def control_name(self, i: int) -> str:
        """The name of a control token; "" for others."""


@dataclass(frozen=True, slots=True)
class Example:
    """One answer to learn.

    Attributes:
        ids: Token ids of the prompt, the answer and its end.
        prompt: How many of them are the prompt.
        source: Where it is from, as in the conversation.
    """

    ids: tuple[int, ...]
    prompt: int
    source: str = ""

    @property
    def labels(self) -> tuple[int, ...]:
        """The ids that are learned, as long as `ids`; IGNORED over the prompt."""
        return (IGNORED,) * self.prompt + self.ids[self.prompt :]

    @property
    def learned(self) -> int:
        """Number of tokens that are learned."""
        return len(self.ids) - self.prompt


@dataclass(frozen=True, slots=True)
class TooLong:
    """An answer that isn't learned, because it is longer than the limit with its prompt.

    Attributes:
        tokens: Length of both.
    """

    tokens: int
    source: str = ""


@dataclass(frozen=True, slots=True)
class Encoder:
    """Makes examples of conversations.

    Args:
        template: The model's.
        form: How prompts are written, as settings and model want it: `form_of`.
        limit: Most tokens of prompt, answer and end together; 0 for any.
    """

    template: Template
    form: PromptForm = field(default=LARGE)
    limit: int = 0

    def encode(self, conversation: Conversation) -> Iterator[Example | TooLong]:
        """An example for each learned answer, the turns before it being its prompt.

        It ends at the first that is too long: a prompt only grows, so that all that follow would be, too.
        """
        turns = conversation.turns
        first = len(turns) - 1 if conversation.learned == "last" else 0
        for place in range(first, len(turns)):
            ids = self.template.prompt(self.messages(conversation, place))
            whole = (*ids, *self.template.answer(turns[place][1]))
            if self.limit and len(whole) > self.limit:
                yield TooLong(len(whole), conversation.source)
                return
            yield Example(whole, len(ids), conversation.source)

    def chat_messages(self, conversation: Conversation) -> list[BaseMessage]:
        """The messages for the last question, as a chat model of LangChain takes them."""
        from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

        kinds = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
        return [kinds[role](content) for role, content in self.messages(conversation)]

    def messages(self, conversation: Conversation, place: int = -1) -> list[RoleText]:
        """The messages that the model is given for the question at that place of the conversation.

        The prompt that the last one was answered with is taken as it was, if the model is still asked so.
        """
        turns = conversation.turns
        place %= len(turns)
        before, question = turns[:place], turns[place][0]
        system: list[RoleText] = [("system", conversation.system)] if conversation.system else []
        if conversation.style == "plain":
            spoken = [one for asked, said in before for one in (("user", asked), ("assistant", said))]
            return [*system, *spoken, ("user", question)]
        last = place == len(turns) - 1
        hits = [_hit(n, one) for n, one in enumerate(conversation.passages)] if last else []
        if last and conversation.prompt and self._asks_as(conversation.prompt, question, hits):
            return [*system, *conversation.prompt]
        history = [Turn(asked, said, cited=()) for asked, said in before]
        return [*system, *role_texts(render(question, hits, history, form=self.form))]

    def _asks_as(self, prompt: Sequence[RoleText], question: str, hits: Sequence[Hit]) -> bool:
        """Whether a prompt asks as this form does: for an answer of that length, in that role and language."""
        known = dict.fromkeys(("passages", "question", "rules"), "")
        asked = fill(self.form.template, instruction_parts(language_of(question), hits, self.form) | known)
        said = "\n".join(text for _role, text in prompt)
        return all(line.strip() in said for line in asked.splitlines())


def encoded(conversations: Iterable[Conversation], encoder: Encoder) -> tuple[list[Example], list[TooLong]]:
    """All examples, in order, and what was left out."""
    made = [one for conversation in conversations for one in encoder.encode(conversation)]
    return [one for one in made if isinstance(one, Example)], [one for one in made if isinstance(one, TooLong)]


def encoder_for(checkpoint: Checkpoint, settings: Settings | None = None, limit: int = 0) -> Encoder:
    """The encoder of an official ChatGLM2 or ChatGLM3 folder.

    Args:
        settings: Those of the knowledge base that the model is to answer from; None for none changed.

    Raises:
        ModelError: its tokenizer is damaged.
    """
    tokenizer = build_tokenizer(checkpoint.folder / TOKENIZER, checkpoint.generation)
    template = ChatTemplate(tokenizer, checkpoint.generation)
    return Encoder(template, form_of(settings) if settings else LARGE, limit)


def encoder_of(model: Model, settings: Settings, limit: int = 0) -> Encoder:
    """The encoder of an installed ChatGLM, whichever engine it is for, or of a GGUF file of a plain Llama.

    Raises:
        ModelError: it is another model, or its tokenizer is missing or damaged.
    """
    if not model.template:
        from kb_assistant.llm.file_template import FileTemplate

        require_trainable(model)
        large = is_large(read_gguf_header(model.path))
        return Encoder(FileTemplate(model.path), form_of(settings, large), limit)
    if model.path.is_dir():
        return encoder_for(read_checkpoint(model.path), settings, limit)
    tokenizer = read_tokenizer(model.path.with_name("tokenizer.json"))
    return Encoder(ChatTemplate(tokenizer, 3 if model.template == "chatglm3" else 2), form_of(settings), limit)


def marked(example: Example, template: Template) -> str:
    """An example as text for people: between ⟦ and ⟧ the tokens that are learned, parted by ·."""
    prompt = "".join(_spelled(example.ids[: example.prompt], template))
    return f"{prompt}⟦{'·'.join(_spelled(example.ids[example.prompt :], template))}⟧"


def _spelled(ids: Sequence[int], template: Template) -> list[str]:
    """Tokens as texts; bytes of one character are joined, control tokens are named."""
    spelled, held = [], b""
    for i in ids:
        name = template.control_name(i)
        held += b"" if name else template.token_bytes(i)
        try:
            text = held.decode()
        except UnicodeDecodeError:
            if len(held) < 4 and not name:
                continue
            text = held.decode(errors="replace")
        spelled += [one for one in (text, name) if one]
        held = b""
    return spelled


def form_of(settings: Settings, large: bool = True) -> PromptForm:
    """How a model is asked with these settings: ChatGLM2, or another large one, or a small one."""
    return PromptForm(
        large,
        large,
        settings.prompt_template or DEFAULT,
        settings.role,
        settings.answer_length,
        settings.answer_language,
    )


def _hit(n: int, passage: Passage) -> Hit:
    """A passage as a prompt shows it."""
    locator = Locator(heading=passage.heading or None)
    return Hit(str(n), passage.text, str(Path(passage.source)) if passage.source else "", locator, 0.0)
