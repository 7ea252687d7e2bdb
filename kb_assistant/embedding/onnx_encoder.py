"""BERT encoders by ONNX Runtime, for single texts: less than half of torch's time, and torch isn't loaded.

torch embeds many passages in batches; both compute in float32 (see
`kb_assistant.embedding.local.COSINE_TOLERANCE`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kb_assistant.embedding.onnx_graph import EncoderGraph, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxruntime import InferenceSession


class OnnxEncoder:
    """Vectors of token ids. Safe to share between threads.

    Args:
        folder: The folder of `shape`.
        threads: Threads for one text; 0 leaves the runtime's own choice.

    Raises:
        Exception: the runtime refuses the graph or the weights; it has no common error class.
    """

    def __init__(self, folder: Path, shape: Shape, threads: int = 0) -> None:
        self._shape = shape
        self._session = open_session(EncoderGraph(shape), folder, threads)

    def encode(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The pooled vector of one text, special tokens included: float32 (dimension,), not normalised."""
        first = self._shape.first_position
        feed = {
            "ids": np.array([ids], np.int64),
            "positions": np.arange(first, first + len(ids), dtype=np.int64)[None],
        }
        (hidden,) = self._session.run(["hidden"], feed)
        pooled: NDArray[np.float32] = hidden[0].mean(axis=0) if self._shape.mean else hidden[0, 0]
        return pooled


def open_session(graph: EncoderGraph, folder: Path, threads: int) -> InferenceSession:
    """ONNX Runtime's session of a graph whose weights lie in a folder."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Beside other programs a spinning thread takes the processor from the one that it waits for.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    return onnxruntime.InferenceSession(graph.serialized(), options, providers=["CPUExecutionProvider"])
