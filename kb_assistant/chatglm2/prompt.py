"""The prompt ChatGLM2 was trained on, byte for byte, and its form for ChatGLM3."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from kb_assistant.chatglm2.tokenizer import END, PREFIX, control_tokens
from kb_assistant.errors import ModelError
from kb_assistant.messages import _

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Pair = tuple[str, str]
"""A question and its answer."""


def render(turns: Sequence[Pair], question: str) -> str:
    """The prompt of ChatGLM2 for a question after earlier turns, without the `[gMASK] sop` in front."""
    rounds = [f"[Round {i}]\n\n问：{asked}\n\n答：{answer}" for i, (asked, answer) in enumerate(turns, start=1)]
    return "\n\n".join([*rounds, f"[Round {len(turns) + 1}]\n\n问：{question}\n\n答："])


def pairs(messages: Sequence[tuple[str, str]]) -> tuple[list[Pair], str]:
    """Earlier turns and the question from a list of (role, content).

    There is no system role: a system message is put before the last question. Consecutive messages of one role are
    joined.

    Args:
        messages: Roles are "system", "user" and "assistant".

    Raises:
        ModelError: the last message isn't the user's.
    """
    system = [content for role, content in messages if role == "system"]
    spoken: list[tuple[str, str]] = []
    for role, content in messages:
        if role == "system":
            continue
        if spoken and spoken[-1][0] == role:
            spoken[-1] = (role, f"{spoken[-1][1]}\n\n{content}")
        elif role == "assistant" and not spoken:
            spoken += [("user", ""), (role, content)]
        else:
            spoken.append((role, content))
    if not spoken and system:
        spoken = [("user", "")]
    if not spoken or spoken[-1][0] != "user":
        raise ModelError(
            _("The last message must be a question."), _("End the conversation with a human message.")
        )
    turns = [(spoken[i][1], spoken[i + 1][1]) for i in range(0, len(spoken) - 1, 2)]
    question = spoken[-1][1]
    return turns, "\n\n".join([*system, question] if question else system)


class ChatTemplate:
    """Conversations as token ids of ChatGLM2 or ChatGLM3, and ids as text.

    Args:
        tokenizer: A tokenizer from `build_tokenizer`.
        generation: 2 or 3.
    """

    def __init__(self, tokenizer: Tokenizer, generation: Literal[2, 3]) -> None:
        self._tokenizer, self._generation = tokenizer, generation

    def prompt(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """Token ids of the prompt for (role, content) messages."""
        if self._generation == 3:
            return self._roles(messages)
        return self._prefix + self.encode(render(*pairs(messages)))

    def answer(self, text: str) -> list[int]:
        """Token ids of an answer as the model is to write it after `prompt`, with the token that ends it.

        An answer is encoded by itself, as in the training of both generations: joined to the prompt it would lack
        the blank that SentencePiece puts before its first piece. ChatGLM3 ends the line of the role first.
        """
        head = self.encode("\n") if self._generation == 3 else []
        return [*head, *self.encode(text), self._id(END)]

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without any prefix; lone surrogates are read as "?"."""
        text = text.encode("utf-8", "replace").decode("utf-8")
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """Ids that end an answer."""
        names = (END,) if self._generation == 2 else (END, "<|user|>", "<|observation|>")
        return frozenset(self._id(name) for name in names)

    @cached_property
    def vocabulary_size(self) -> int:
        """The first id that is mere padding of the output layer, without a text."""
        return int(self._tokenizer.get_vocab_size())

    def token_bytes(self, i: int) -> bytes:
        """The bytes a token stands for; none for control tokens. A leading blank belongs to it."""
        piece: str | None = self._tokenizer.id_to_token(i)
        if piece is None or i in self._silent:
            return b""
        if len(piece) == 6 and piece.startswith("<0x"):
            return bytes([int(piece[3:5], 16)])
        return piece.replace("▁", " ").encode()

    def control_name(self, i: int) -> str:
        """The name of a control token, such as "</s>"; "" for others."""
        return self._tokenizer.id_to_token(i) or "" if i in self._silent else ""

    @cached_property
    def _silent(self) -> frozenset[int]:
        return frozenset(range(3)) | {self._id(name) for name in control_tokens(self._generation)}

    @cached_property
    def _prefix(self) -> list[int]:
        return [self._id(name) for name in PREFIX]

    def _roles(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """For ChatGLM3: each message follows a control token with its role; the answer's token is the last."""
        ids = list(self._prefix)
        for role, content in messages:
            ids += [self._id(f"<|{role}|>"), *self.encode("\n"), *self.encode(content)]
        return [*ids, self._id("<|assistant|>")]

    def _id(self, name: str) -> int:
        i = self._tokenizer.token_to_id(name)
        if i is None:
            raise ModelError(_("The tokenizer has no {name}.", name=name), _("Add the model again."))
        return int(i)
