"""A Python without torch: passages are embedded all the same, or an error says what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kb_assistant.embedding.local import FEW, LocalEmbeddings
from kb_assistant.embedding.reranker import Reranker
from kb_assistant.errors import ModelError
from kb_assistant.model_folder import Model
from kb_assistant.models.home import ModelHome
from tests.cosines import assert_same_vectors
from tests.embedding.encoders import random_encoder

E5 = "multilingual-e5-small"
TEXTS = ["Who maintains the pump?", "水泵由谁维护？", "", "很长的段落。" * 400]
HIDDEN = """
import sys
sys.modules["torch"] = sys.modules["sentence_transformers"] = sys.modules["transformers"] = None
"""

pytestmark = pytest.mark.engine


@pytest.fixture
def e5(models_home: Path) -> Model:
    return ModelHome(models_home / "models").get(E5, "embedder")


@pytest.mark.vectors
def test_many_passages_have_the_vectors_that_torch_gives(e5: Model, models_home: Path, tmp_path: Path) -> None:
    code = f"""{HIDDEN}
from pathlib import Path
import numpy as np
from kb_assistant.embedding.local import LocalEmbeddings
from kb_assistant.models.home import ModelHome
model = ModelHome(Path({str(models_home / "models")!r})).get({E5!r}, "embedder")
np.save({str(tmp_path / "passages.npy")!r}, LocalEmbeddings(model).encode_passages({TEXTS!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert_same_vectors(
        np.load(tmp_path / "passages.npy"), LocalEmbeddings(e5, by_torch=True).encode_passages(TEXTS)
    )


def test_a_folder_is_ingested_and_searched(home: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(FEW + 2):
        (docs / f"{number}.md").write_text(f"Pump {number} is maintained by team {number * 7}.")
    code = f"""{HIDDEN}
from kb_assistant.cli import main
sys.argv = ["kb", *sys.argv[1:], "--home", {str(home)!r}]
main()
"""
    for command in (["ingest", str(docs)], ["search", "Who maintains pump 61?"]):
        done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "team 427" in done.stdout


def test_a_model_that_needs_it_says_what_to_install(
    e5: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_encoder(tmp_path / "model", e5, "mpnet", {"pooling_mode_mean_tokens": True})
    monkeypatch.setitem(sys.modules, "torch", None)
    for device in ("auto", "cpu"):
        with pytest.raises(ModelError, match="torch") as caught:
            LocalEmbeddings(model, device).encode_passages(["x"])
        assert caught.value.hint == 'pip install "kb-assistant[torch]"'
        with pytest.raises(ModelError, match="torch"):
            LocalEmbeddings(model, device).encode_queries(["x"])
    with pytest.raises(ModelError, match="torch"):
        LocalEmbeddings(e5, "cuda").encode_passages(["x"])
    with pytest.raises(ModelError, match="torch"):
        Reranker(model).scores("x", ["y"])


def test_sentence_transformers_alone_may_be_missing(
    e5: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_encoder(tmp_path / "model", e5, "mpnet", {"pooling_mode_mean_tokens": True})
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ModelError, match="sentence_transformers"):
        LocalEmbeddings(model, "cpu").encode_passages(["x"])
