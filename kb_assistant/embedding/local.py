"""Embeds texts with a local sentence-transformers model, as LangChain `Embeddings`.

Importing this module, counting tokens and reading the fingerprint load neither torch nor transformers. Nor does
embedding, where ONNX Runtime can run the model and no GPU computes. Nothing here uses the network.

All arithmetic is float32, on every device, so that one index can hold vectors made on two machines; see
COSINE_TOLERANCE. A model whose name says so embeds passages in 8-bit integers (`onnx_int8.py`), which gives other
vectors: the name is part of the fingerprint. Questions are embedded in float32 all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import lru_cache
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kb_assistant.embedding.base import TextEmbeddings
from kb_assistant.embedding.batches import at_once, pack
from kb_assistant.embedding.network import load_network
from kb_assistant.embedding.onnx_encoder import BATCH_TOKENS
from kb_assistant.embedding.tokenizer import TextTokenizer, load_tokenizer
from kb_assistant.errors import ModelError
from kb_assistant.lock import survive_forks
from kb_assistant.messages import _
from kb_assistant.model_folder import INT8, Model, embedding_dimension
from kb_assistant.once import once, one_at_a_time
from kb_assistant.processor import usable_cores
from kb_assistant.torch_runtime import Device, import_torch, no_gpu_in_a_fork, torch_device

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from kb_assistant.embedding.onnx_encoder import OnnxEncoder

_log = logging.getLogger(__name__)

Vectors = NDArray[np.float32]

COSINE_TOLERANCE = 1e-5
"""Largest change of a cosine of two vectors of one model, whatever the batch, the engine (torch or ONNX Runtime)
and the processor that embedded either text."""

QUESTIONS = 512
"""Most cached vectors of questions: a conversation searches for its earlier questions again."""

FEW = 64
"""Up to this many passages ONNX Runtime is quicker than loading torch for a GPU."""

_TORCH_TOKENS = {"cpu": 2048, "cuda": 65536}


_of_the_parent: list[object] = []
"""Sessions that a forked child inherited. Freeing one would wait for threads that don't exist."""


class LocalEmbeddings(TextEmbeddings):
    """Embeds passages and questions, each with the model's prefix. Safe to share between threads.

    Args:
        model: An embedder (see `kb_assistant.models.home.ModelHome.get`).
        device: `auto` (CUDA if available), `cpu` or `cuda`.
        threads: Threads for one batch, and torch's for this process; 0 leaves the libraries' own choice.
        batch_tokens: Most tokens in one batch, padding included; 0 takes a value for the device and the library.
        by_torch: Whether torch embeds even what ONNX Runtime could.
    """

    def __init__(
        self, model: Model, device: str = "auto", threads: int = 0, batch_tokens: int = 0, by_torch: bool = False
    ) -> None:
        self.model = model
        self._device = device
        self._threads = threads
        self._batch_tokens = batch_tokens
        self._by_torch = by_torch
        self._lock = RLock()
        self._question = lru_cache(maxsize=QUESTIONS)(self._encode_question)
        survive_forks(self)

    def before_fork(self) -> None:
        """Do nothing: weights are only read."""

    def after_fork(self) -> None:
        """Continue in a forked child, which has one thread: ONNX Runtime's session is reopened."""
        self._lock = RLock()
        for name in {"_encoder", "_int8_encoder"} & vars(self).keys():
            _of_the_parent.append(vars(self).pop(name))

    @once
    def dimension(self) -> int:
        """Length of a vector."""
        return embedding_dimension(self.model.path)

    @property
    def fingerprint(self) -> dict[str, str | int]:
        """Identifies everything that affects the vectors; vectors of two fingerprints must not share an index."""
        return {
            "name": self.model.name,
            "sha256": self.model.sha256,
            "dimension": self.dimension,
            "query_prefix": self.model.query_prefix,
            "passage_prefix": self.model.passage_prefix,
        }

    @property
    def background_cosines(self) -> tuple[float, float] | None:
        return self.model.background_cosines

    def load(self) -> None:
        self._tokenizer.load()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text by the model's tokenizer, without special tokens, prefix and
        truncation."""
        plain = [_clean(text) for text in texts]
        encodings = self._tokenizer.encode_batch(plain, add_special_tokens=False, placed=False)
        return [len(encoding) for encoding in encodings]

    def encode_batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], Vectors]]:
        """As TextEmbeddings.encode_batches.

        Yields:
            Positions in `texts`, and their vectors: float32 (number of positions, dimension).

        Raises:
            ModelError: the model, or torch if it needs it, can't be loaded.
        """
        if not texts:
            return
        if self.model.int8:
            encoder: OnnxEncoder | None = self._int8_encoder
        else:
            encoder = None if self._on_gpu(len(texts)) else self._encoder
        ids = self._ids(texts, self.model.passage_prefix)
        batches = self._batches([len(row) for row in ids], BATCH_TOKENS if encoder else _TORCH_TOKENS[self._on])
        if encoder is None:
            for rows in batches:
                yield rows, self._encode([texts[row] for row in rows], self.model.passage_prefix)
            return
        made = at_once(
            lambda rows: encoder.encode([ids[row] for row in rows]), batches, self._lanes if self.model.int8 else 1
        )
        for rows, raw in zip(batches, made, strict=True):
            yield rows, self._normalised(raw)

    @property
    def _lanes(self) -> int:
        """How many batches are embedded at once, each by one thread: as many as there are cores at this moment."""
        return self._threads or usable_cores()

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of n questions: float32 (n, dimension), rows of length 1, in the order of `texts`."""
        return np.array([self._question(text) for text in texts], np.float32).reshape(len(texts), self.dimension)

    def _encode_question(self, text: str) -> Vectors:
        """float32 (dimension,), of length 1."""
        if "_encoder" not in vars(self):  # beside the tokenizer
            Thread(target=lambda: self._encoder, name="open-encoder", daemon=True).start()
            _ = self._tokenizer
        if (encoder := self._encoder) is None:
            return np.asarray(self._encode([text], self.model.query_prefix)[0], np.float32)
        ids = self._ids([text], self.model.query_prefix)
        return np.asarray(self._normalised(encoder.encode(ids))[0], np.float32)

    def _ids(self, texts: Sequence[str], prefix: str) -> list[list[int]]:
        """The token ids that the network reads for each text. Of a long one the closing token stays."""
        encodings = self._tokenizer.encode_batch([prefix + _clean(text) for text in texts], placed=False)
        rows, longest = [encoding.ids for encoding in encodings], self._longest
        return [ids if len(ids) <= longest else [*ids[: longest - 1], ids[-1]] for ids in rows]

    def _on_gpu(self, count: int) -> bool:
        """Whether a GPU embeds this many passages."""
        if self._device != "cuda" and count <= FEW and not self._loaded:
            return False
        return self._on == "cuda"

    @once
    def _encoder(self) -> OnnxEncoder | None:
        """Embeds without torch, in half its time; None for kinds of models that it can't run."""
        if self._by_torch:
            return None
        try:
            return self._opened(int8=False)
        except Exception as error:  # of many classes; torch reports better what is wrong with a folder
            _log.debug("ONNX Runtime can't run %s: %s", self.model.name, error)
            return None

    @once
    def _int8_encoder(self) -> OnnxEncoder:
        without = _("Name it without {suffix}.", suffix=INT8)
        try:
            found = self._opened(int8=True)
        except Exception as error:
            reason, name, path = str(error).partition("\n")[0], self.model.name, self.model.path
            raise ModelError(
                _("{name} can't be loaded from {path}: {reason}", name=name, path=path, reason=reason), without
            ) from error
        if found is None:
            raise ModelError(
                _("{name} can't compute in 8-bit integers: only BERT and XLM-RoBERTa can.", name=self.model.name),
                without,
            )
        return found

    def _opened(self, int8: bool) -> OnnxEncoder | None:
        from kb_assistant.embedding.onnx_encoder import OnnxEncoder
        from kb_assistant.embedding.shape import Shape

        shape = Shape.read(self.model.path)
        return OnnxEncoder(self.model.path, shape, 1 if int8 else self._threads, int8) if shape else None

    def _batches(self, lengths: Sequence[int], most_tokens: int) -> list[list[int]]:
        """Positions of texts, given by the tokens of each, batch by batch."""
        return pack(lengths, self._batch_tokens or most_tokens)

    @property
    def _longest(self) -> int:
        """Number of tokens at which the model truncates a text."""
        return self.model.context_tokens or 512

    @once
    def _tokenizer(self) -> TextTokenizer:
        file = self.model.path / "tokenizer.json"
        try:
            return load_tokenizer(self.model.path)
        except Exception as error:  # the library raises plain Exception
            raise ModelError(
                _("{path} can't be read: {reason}", path=file, reason=error),
                _("Install {name} again.", name=self.model.name),
            ) from error

    @once
    def _on(self) -> Device:
        return torch_device(self._device)

    @property
    def _loaded(self) -> bool:
        return "_network" in self.__dict__

    @once
    def _network(self) -> SentenceTransformer:
        if self._threads:
            import_torch().set_num_threads(self._threads)
        network: SentenceTransformer = load_network(
            "SentenceTransformer", self.model, self._on, _("Install it again, or choose another embedder.")
        )
        return network

    def _encode(self, texts: list[str], prefix: str) -> Vectors:
        """One forward pass; the batch is halved as often as the device's memory requires."""
        with self._lock:
            network, torch = self._network, import_torch()
            try:
                with no_gpu_in_a_fork():
                    raw = network.encode(
                        [_clean(text) for text in texts],
                        prompt=prefix,
                        batch_size=len(texts),
                        show_progress_bar=False,
                        convert_to_tensor=True,
                    )
            except torch.OutOfMemoryError as error:
                if len(texts) == 1:
                    raise ModelError(
                        _("A single text doesn't fit the device's memory."), _('Set device = "cpu".')
                    ) from error
                torch.cuda.empty_cache()
                half = len(texts) // 2
                return np.concatenate((self._encode(texts[:half], prefix), self._encode(texts[half:], prefix)))
        return self._normalised(raw.cpu().numpy())

    def _normalised(self, raw: NDArray[Any]) -> Vectors:
        if raw.shape[1] != self.dimension or not np.isfinite(raw).all():
            raise ModelError(
                _(
                    "{name} gave vectors of length {given} instead of {dimension}, or numbers that aren't finite.",
                    name=self.model.name,
                    given=raw.shape[1],
                    dimension=self.dimension,
                ),
                _("Its folder is damaged or not an embedder's: install it again."),
            )
        lengths = np.linalg.norm(raw, axis=1, keepdims=True)
        return np.asarray(raw / np.maximum(lengths, 1e-12), np.float32)


@one_at_a_time
@lru_cache(maxsize=2)
def open_embeddings(model: Model, device: str = "auto", threads: int = 0) -> LocalEmbeddings:
    """The model's embeddings, loaded once for all knowledge bases of this process."""
    return LocalEmbeddings(model, device, threads)


def _clean(text: str) -> str:
    """The text without lone surrogates, as in undecodable file names and arguments; no tokenizer accepts them."""
    return text.encode("utf-8", "replace").decode("utf-8")
