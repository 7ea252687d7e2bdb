"""Whether two arrays hold the same vectors as far as the product promises it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from kb_assistant.embedding.local import COSINE_TOLERANCE


def assert_same_vectors(found: ArrayLike, expected: ArrayLike) -> None:
    """No cosine can differ by more than COSINE_TOLERANCE, whichever unit vector the other one is.

    A cosine of two vectors of length 1 changes by at most the sum of the distances that the two have moved.
    """
    moved = np.linalg.norm(np.asarray(found, np.float64) - np.asarray(expected, np.float64), axis=-1)
    assert moved.max() <= COSINE_TOLERANCE / 2
