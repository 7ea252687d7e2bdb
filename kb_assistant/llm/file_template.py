"""Chat template and tokenizer of a GGUF file, as llama.cpp applies them: the ids that its chat reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kb_assistant.errors import ModelError
from kb_assistant.llm.gguf_header import read_gguf_header
from kb_assistant.llm.llama_server import open_server
from kb_assistant.messages import _

# Tokens that the engine could answer with; here it only reads texts.
_CONTEXT = 128
_ENDS = ("tokenizer.ggml.eot_token_id", "tokenizer.ggml.eos_token_id")


class FileTemplate:
    """Conversations as token ids, and ids as text.

    Args:
        path: The file. It is loaded.

    Raises:
        ModelError: xllamacpp is missing, the file can't be loaded, or tells no token that ends an answer.
    """

    def __init__(self, path: Path) -> None:
        fields = read_gguf_header(path).fields
        ends = [end for name in _ENDS if isinstance(end := fields.get(name), int)]
        if not ends:
            raise ModelError(
                _("{path} tells no token that ends an answer.", path=path), _("Get the model as a newer file.")
            )
        self._end = ends[0]
        self._server = open_server(path, _CONTEXT, 1)
        self._bytes: dict[int, bytes] = {}

    def prompt(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """Token ids of the prompt for (role, content) messages. Control tokens in a content stay text."""
        escape = self._server.escape_control
        said = [{"role": role, "content": escape(content)} for role, content in messages]
        return self._ids(self._server.prompt(said), control=True)

    def answer(self, text: str) -> list[int]:
        """Token ids of an answer as the model is to write it after `prompt`, with the token that ends it."""
        return [*self._ids(text.encode("utf-8", "replace").decode("utf-8"), control=False), self._end]

    def token_bytes(self, i: int) -> bytes:
        """The bytes of a token that this template has given before; none for control tokens."""
        return b"" if self.control_name(i) else self._bytes.get(i, b"")

    def control_name(self, i: int) -> str:
        """The name of a control token, such as "<|im_end|>"; "" for others."""
        if i == self._end and i not in self._bytes:
            return "</s>"
        name = self._bytes.get(i, b"").decode("utf-8", "replace")
        return name if name and self._server.escape_control(name) != name else ""

    def _ids(self, text: str, *, control: bool) -> list[int]:
        pieces = self._server.pieces(text, control=control)
        self._bytes.update(pieces)
        return [i for i, _piece in pieces]
