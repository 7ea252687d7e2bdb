"""Weights in 4 bits, which take less than a third of a folder's float16 file and give the same numbers.

A folder holds PACKED in place of WEIGHTS. Of each matrix there it has the integers, two a byte, and the scales of
their blocks (Q4_0 of ggml), each product rounded to float16. What needs WEIGHTS has them by `with_weights`; a
folder's fingerprint is that of WEIGHTS either way, since nothing that is computed differs.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WEIGHTS = "model.safetensors"
PACKED = "model.int4.safetensors"
SCALES = ".scales"
"""Behind a matrix's name: float16 (rows, columns / BLOCK)."""
BLOCK = 32


def unpacked(integers: NDArray[np.uint8], scales: NDArray[np.float16]) -> NDArray[np.float16]:
    """A matrix (rows, columns).

    Args:
        integers: (rows, columns / 2): -8 to 7 in two's complement, the earlier one in the lower half of a byte.
        scales: (rows, columns / BLOCK).
    """
    halves = np.stack((integers << 4, integers), axis=-1).view(np.int8) >> 4
    blocks = halves.reshape(*scales.shape, BLOCK)
    products = np.empty(blocks.shape, np.float16)
    np.multiply(blocks, scales[..., None], out=products)
    return products.reshape(len(integers), -1)


@contextmanager
def with_weights(folder: Path) -> Iterator[Path]:
    """A folder with the same files and WEIGHTS: itself, or a temporary one.

    Raises:
        OSError: the disk is too full.
        Exception: the packed file is damaged, in one of many ways.
    """
    if (folder / WEIGHTS).exists() or not (folder / PACKED).exists():
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="kb-weights-") as made:
        for file in folder.iterdir():
            if file.name != PACKED:
                (Path(made) / file.name).symlink_to(file.resolve(), file.is_dir())
        _unpack(folder / PACKED, Path(made) / WEIGHTS)
        yield Path(made)


def unpacked_digest(packed: Path) -> str:
    """SHA-256 of the WEIGHTS that a packed file stands for, in hexadecimal."""
    with tempfile.TemporaryDirectory(prefix="kb-weights-") as made:
        _unpack(packed, Path(made) / WEIGHTS)
        with (Path(made) / WEIGHTS).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack(packed: Path, target: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(packed)
    for name in [name for name in tensors if name.endswith(SCALES)]:
        matrix = name.removesuffix(SCALES)
        tensors[matrix] = unpacked(tensors[matrix], tensors.pop(name))
    save_file(tensors, target, metadata={"format": "pt"})
