"""Vectors of two machines meet in one index: this processor's instructions against AVX2 alone.

On a processor that has no more than AVX2 both sides are the same; from there the other kind can't be tried.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kb_assistant.embedding.local import LocalEmbeddings
from kb_assistant.models.home import ModelHome
from tests.cosines import assert_same_vectors
from tests.processors import AVX2

E5 = "multilingual-e5-small"
TEXTS = [
    "Who maintains the pump?",
    "水泵由谁维护？",
    "",
    "很长的段落。" * 400,
    *("word " * n for n in range(1, 90, 7)),
]
ROOT = Path(__file__).resolve().parents[2]


def test_a_processor_with_avx2_alone_gives_the_same_vectors(models_home: Path, tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
import numpy as np
from kb_assistant.embedding.local import LocalEmbeddings
from kb_assistant.models.home import ModelHome
model = ModelHome(Path({str(models_home / "models")!r})).get({E5!r}, "embedder")
vectors = LocalEmbeddings(model, "cpu", by_torch=True).encode_passages({TEXTS!r})
np.save({str(tmp_path / "passages.npy")!r}, vectors)
import torch
print(torch.backends.cpu.get_cpu_capability())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | AVX2, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "AVX2\n"), done.stderr
    here = LocalEmbeddings(ModelHome(models_home / "models").get(E5, "embedder"), "cpu", by_torch=True)
    assert_same_vectors(np.load(tmp_path / "passages.npy"), here.encode_passages(TEXTS))


@pytest.mark.engine
@pytest.mark.timeout(1800)
def test_tests_that_compare_vectors_pass_with_avx2_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "vectors", "tests/embedding"],
        env=os.environ | AVX2,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
