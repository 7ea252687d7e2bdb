"""Finds texts in another language than the question where a knowledge base has both.

Vectors of one language lie together, so that whatever is in the question's language seems nearer to it. The
question's vector is therefore also moved from the centre of its language to that of the other one (mean-centring:
Libovický, Rosa and Fraser, 2020), and what is nearest there is read besides; the reader decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kb_assistant.index.sample import Sample
from kb_assistant.text.language import Language

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST = 0.02
"""Least share of the texts in another language that are searched by themselves."""

ACROSS = 3
"""Most texts in another language that are read besides."""


def moved(vector: NDArray[np.float32], sample: Sample, language: Language) -> NDArray[np.float32] | None:
    """A question's unit vector, shape (d,), as if it were asked in the other language of the index, of which most
    texts are; None if all texts are in one language, or none is in the question's.
    """
    import numpy as np

    own = sample.centres.get(language)
    others = {name: centre for name, centre in sample.centres.items() if name != language}
    if own is None or not others:
        return None
    other = max(others.values(), key=lambda centre: centre.count)
    if other.count < LEAST * sum(centre.count for centre in sample.centres.values()):
        return None
    there = vector + other.mean - own.mean
    unit: NDArray[np.float32] = (there / max(float(np.linalg.norm(there)), 1e-12)).astype(np.float32)
    return unit
