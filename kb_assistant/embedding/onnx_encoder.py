"""BERT encoders by ONNX Runtime: in less time than by torch, which needn't even be installed.

Both compute in float32 (see `kb_assistant.embedding.local.COSINE_TOLERANCE`), unless 8-bit integers are chosen.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kb_assistant.embedding.onnx_graph import EncoderGraph
from kb_assistant.embedding.onnx_int8 import PassageGraph
from kb_assistant.embedding.shape import Shape
from kb_assistant.processor import multiplies_int8
from kb_assistant.torch_runtime import is_installed, torch_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxruntime import InferenceSession

    from kb_assistant.model_folder import Model

BATCH_TOKENS = 512
"""Tokens of a batch, padding included: enough for short texts, and what fits the processor's cache. In batches of
8,192 the same texts take half as long again."""

_SLOW = ["SkipLayerNormFusion"]
"""Optimisations that slow it down: the fused kernel takes eight times as long as a sum and a normalisation."""


class OnnxEncoder:
    """Vectors of token ids. Safe to share between threads.

    Args:
        folder: The folder of `shape`.
        threads: Threads for one batch; 0 leaves the runtime's own choice.
        int8: Whether it computes in 8-bit integers.

    Raises:
        Exception: the runtime refuses the graph or the weights; it has no common error class.
    """

    def __init__(self, folder: Path, shape: Shape, threads: int = 0, int8: bool = False) -> None:
        self._shape = shape
        self._session = open_session((PassageGraph if int8 else EncoderGraph)(folder, shape), folder, threads)

    def encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """The pooled vectors of n texts, given by their token ids with special tokens: float32 (n, dimension), not
        normalised."""
        longest = max(map(len, texts))
        ids, mask = (np.zeros((len(texts), longest), np.int64) for _ in range(2))
        for row, text in enumerate(texts):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        first = self._shape.first_position
        positions = np.tile(np.arange(first, first + longest, dtype=np.int64), (len(texts), 1))
        (hidden,) = self._session.run(["hidden"], {"ids": ids, "positions": positions, "mask": mask})
        if not self._shape.mean:
            return np.asarray(hidden[:, 0], np.float32)
        sums = np.stack([tokens[: len(text)].sum(axis=0) for tokens, text in zip(hidden, texts, strict=True)])
        return np.asarray(sums / mask.sum(axis=1, keepdims=True), np.float32)


def open_session(graph: EncoderGraph, folder: Path, threads: int) -> InferenceSession:
    """ONNX Runtime's session of a graph whose weights lie in a folder."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Beside other programs a spinning thread takes the processor from the one that it waits for.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.disable_quant_qdq", "1")  # what is packed is unpacked only once
    options.enable_mem_pattern = False  # it would keep a block of memory for each length of text
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    session = onnxruntime.InferenceSession(
        graph.serialized(), options, providers=["CPUExecutionProvider"], disabled_optimizers=_SLOW
    )
    _give_back_memory()
    return session


def _give_back_memory() -> None:
    """Give the system what opening a session freed, up to 100 MB: GNU's C library keeps it otherwise."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def better_in_int8(model: Model, device: str) -> bool:
    """Whether passages are embedded in less time in 8-bit integers: no GPU does it, the processor has instructions
    for them, and ONNX Runtime can run the model."""
    if not multiplies_int8() or torch_device(device) != "cpu":
        return False
    return all(map(is_installed, ("onnx", "onnxruntime"))) and Shape.read(model.path) is not None
