"""`kb train MODEL DATA` and what is done with its adapters, as a user calls them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from kb_assistant.errors import ModelError
from kb_assistant.llm.open import open_chat_model
from kb_assistant.models.adapters import Adapter, AdapterHome
from kb_assistant.models.home import ModelHome
from kb_assistant.settings import Settings
from tests.chatglm2_data import TINY
from tests.shell import KB, Done, kb
from tests.trained import home_with_models, pairs_file
from tests.waiting import PATIENCE

pytestmark = pytest.mark.engine

SHORT = (
    *("--epochs", "3", "--batch", "2", "--accumulation", "2", "--learning-rate", "0.01"),
    *("--save-steps", "3", "--precision", "int4"),
)
STEPS = 15


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    home = home_with_models(tmp_path_factory.mktemp("home"))
    pairs_file(home / "pairs.jsonl")
    done = kb("train", "tiny", home / "pairs.jsonl", "--name", "mine", *SHORT, home=home)
    assert done.code == 0, done.stderr
    return home


def train(home: Path, *options: str | Path, model: str = "tiny", data: Path | None = None) -> Done:
    return kb("train", model, data or home / "pairs.jsonl", *options, home=home)


def test_it_is_trained_listed_used_exported_and_removed(home: Path, tmp_path: Path) -> None:
    rows = json.loads(kb("train", "list", "--json", home=home).stdout)
    assert [row["name"] for row in rows["adapters"]] == ["mine"]
    assert rows["adapters"][0]["steps"] == STEPS
    assert "mine" in kb("train", "list", home=home).stdout
    assert kb("train", "export", "mine", tmp_path / "out", home=home).code == 0
    assert kb("train", "export", "mine", tmp_path / "out", home=home).code == 2
    from peft import PeftConfig

    assert PeftConfig.from_pretrained(str(tmp_path / "out")).r == 8
    assert kb("doctor", "--model", "auto", home=home).code in (0, 1)
    train(home, "--name", "gone", *SHORT)
    assert kb("train", "rm", "gone", home=home).code == 0
    assert kb("train", "rm", "gone", home=home).code == 2


def test_a_converted_model_is_trained_from_its_folder(home: Path) -> None:
    done = train(home, "--name", "converted", *SHORT, model="tiny-llama")
    assert done.code == 0, done.stderr
    first, second = (AdapterHome(home).get(name) for name in ("mine", "converted"))
    assert first.base_sha256 == second.base_sha256
    assert first.sha256 == second.sha256  # the same model, data and settings


def test_what_was_learned_is_never_measured_on(home: Path, tmp_path: Path) -> None:
    """Its own data is found again; of the file that this was made of, and of other draws, the new is measured."""
    data, again = tmp_path / "data", tmp_path / "again"
    rows = home / "pairs.jsonl"
    assert kb("train", "data", rows, "--out", data, "--model", "tiny", home=home).code == 0
    assert train(home, "--name", "parted", *SHORT, data=data).code == 0
    started = (*SHORT, "--start", "parted")
    assert kb("train", "data", rows, "--out", again, "--seed", "5", "--model", "tiny", home=home).code == 0
    assert train(home, "--name", "began", *started, data=again).code == 0
    held = {json.loads(line)["source"] for line in (data / "test.jsonl").read_text().splitlines()}
    assert len(held) == 2
    options = ("--neutral", "0", "--json")
    found = kb("train", "eval", "parted", *options, home=home)
    assert found.code == 0, found.stderr
    assert found.json["model"] == "tiny"  # rather than tiny-llama, which gives no probabilities
    assert found.json["perplexity"]["adapted"] > 1
    assert (found.json["data"], found.json["learned"]) == (str(data), 0)
    assert {one["source"] for one in found.json["answers"]} == held
    found = kb("train", "eval", "parted", rows, *options, home=home)
    assert {one["source"] for one in found.json["answers"]} == held
    assert found.json["learned"] == 18
    assert "Left out, because parted was trained with them: 18 questions." in found.stderr
    done = kb("train", "eval", "began", *options, home=home)  # what it began with had learned these
    assert (done.code, "trained on" in done.json["error"]) == (2, True)
    assert kb("train", "export", "parted", tmp_path / "out", home=home).code == 0
    # Where the data lies isn't told.
    assert str(tmp_path) not in (tmp_path / "out" / "adapter.json").read_text()
    found = kb("train", "eval", str(tmp_path / "out"), rows, *options, home=home)
    assert found.json["learned"] == 18


def test_a_dry_run_says_what_it_takes_and_shows_what_is_learned(home: Path) -> None:
    done = train(home, "--name", "dry", "--dry-run")
    assert done.code == 0, done.stderr
    assert done.stdout.count("--- example ") == 3
    assert done.stdout.count("</s>⟧") == 3
    assert "steps" in done.stderr
    assert json.loads(train(home, "--name", "dry", "--dry-run", "--json").stdout)["steps"] > 0
    assert "dry" not in AdapterHome(home).unfinished()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--name", "mine"), "There is an adapter 'mine' already"),
        (("--name", "../x"), "can't name an adapter"),
        (("--name", "x", "--rank", "0"), "rank"),
        (("--name", "x", "--precision", "int5"), "precision"),
        (("--name", "x", "--max-tokens", "20"), "all examples are longer than 20 tokens"),
        (("--name", "x", "--start", "nothing"), "no adapter 'nothing'"),
        (("--name", "x", "--precision", "fp32", "--fsdp"), "there is one"),
    ],
)
def test_what_cannot_be_trained_is_told(home: Path, options: tuple[str, ...], said: str) -> None:
    done = train(home, *options)
    assert done.code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "x" not in AdapterHome(home).unfinished()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"question,answer\n", "holds no conversation"),
        ("question,answer\n问,答\n".encode("gb18030"), "isn't UTF-8"),
        (b"question,answer\nwhy,\n", "rows that can't be used: 1; line 2"),
        (b"\x00" * 100, "no columns of questions and answers"),
    ],
)
def test_files_that_cannot_be_learned_are_told(home: Path, tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "odd.csv").write_bytes(content)
    done = train(home, "--name", "x", data=tmp_path / "odd.csv")
    assert done.code == 2
    assert said in done.stderr
    assert "x" not in AdapterHome(home).unfinished()


def test_a_single_pair_can_be_learned(home: Path, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("question,answer\nwhy,because\n")
    assert train(home, "--name", "one", *SHORT, data=tmp_path / "one.csv").code == 0
    assert AdapterHome(home).get("one").facts["examples"] == 1


def test_a_reader_is_no_adapter_of_a_chat_model(home: Path) -> None:
    folder = AdapterHome(home).folder / "read"
    folder.mkdir()
    Adapter(folder, "reader", "multilingual-e5-small", "0").write()
    for command in (
        ("export", "read", "--gguf"),
        ("merge", "read", "--as", "other"),
        ("eval", "read", home / "pairs.jsonl", "--model", "tiny"),
        ("tiny", home / "pairs.jsonl", "--name", "x", "--start", "read"),
    ):
        done = kb("train", *command, home=home)
        assert done.code == 2, command
        assert "is a reader" in done.stderr, (command, done.stderr)
    assert "reader" in kb("train", "list", home=home).stdout
    assert kb("train", "rm", "read", home=home).code == 0


def test_packed_weights_are_not_shared_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "int4 weights can't be shared out" in train(home, "--name", "x", "--precision", "int4", "--fsdp").stderr


def test_other_models_and_folders_without_weights_are_told(home: Path, tmp_path: Path) -> None:
    empty = tmp_path / "official"
    empty.mkdir()
    for file in TINY.iterdir():
        if file.suffix not in (".bin", ".safetensors"):
            (empty / file.name).write_bytes(file.read_bytes())
    assert "has no weights" in train(home, "--name", "x", model=str(empty)).stderr
    other = kb("models", "add", TINY, "--name", "other", "--engine", "torch", home=home)
    assert other.code == 0, other.stderr
    assert "was trained on 'tiny'" in train(home, "--name", "x", "--start", "mine", model="other").stderr
    assert "no whole training data" in train(home, "--name", "x", data=tmp_path).stderr


def test_merging_says_what_is_lost_and_refuses_four_bits(home: Path) -> None:
    refused = kb("train", "merge", "mine", "--as", "merged", "--precision", "q4_0", home=home)
    assert refused.code == 2
    assert "rounding to 4 bits takes all of it away" in refused.stderr
    done = kb("train", "merge", "mine", "--as", "merged", "--precision", "f16", home=home)
    assert done.code == 0, done.stderr
    assert "of the update's norm" in done.stderr
    settings = Settings(home=home, model="merged", temperature=0.0, max_tokens=12, threads=1, context_tokens=512)
    models = ModelHome(settings.models_dir)
    assert open_chat_model(settings, models, None).invoke("what is part 1?").content
    with pytest.raises(ModelError, match="isn't that model"):
        open_chat_model(settings.but(adapter="mine"), models, None)


def command(home: Path, name: str, *options: str, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    environment = os.environ | {"KB_HOME": str(home), "OMP_NUM_THREADS": "1", "KB_DEVICE": "cpu"}
    return subprocess.Popen(
        [*(before or (str(KB),)), "train", "tiny", str(home / "pairs.jsonl"), "--name", name, *SHORT, *options],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_step(home: Path, name: str, step: int) -> None:
    log = AdapterHome(home).run_folder(name) / "log.jsonl"
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if log.exists() and log.read_text().count("\n") >= step:
            return
        time.sleep(0.01)
    raise AssertionError(f"no step {step}")


def test_ctrl_c_keeps_what_is_learnt(home: Path) -> None:
    running = command(home, "stopped")
    wait_for_step(home, "stopped", 2)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=PATIENCE)
    assert running.returncode == 130, said
    assert "The same command goes on." in said
    assert "Traceback" not in said
    assert "unfinished" in kb("train", "list", home=home).stdout
    assert train(home, "--name", "stopped", *SHORT).code == 0
    assert AdapterHome(home).get("stopped").sha256 == AdapterHome(home).get("mine").sha256


@pytest.mark.slow
def test_killed_at_five_random_steps_it_ends_bit_for_bit_alike(home: Path) -> None:
    for step in random.sample(range(1, STEPS), 5):
        running = command(home, f"killed-{step}")
        wait_for_step(home, f"killed-{step}", step)
        running.kill()
        running.communicate()
        assert train(home, "--name", f"killed-{step}", *SHORT).code == 0
        assert AdapterHome(home).get(f"killed-{step}").sha256 == AdapterHome(home).get("mine").sha256, step


def shared(home: Path, name: str, *options: str) -> subprocess.Popen[str]:
    """`kb train` in two processes of torchrun, with gloo."""
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    return command(home, name, *options, before=(*launcher, "-m", "kb_assistant"))


def ended(running: subprocess.Popen[str]) -> None:
    _, said = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, said


def kill_with_children(running: subprocess.Popen[str]) -> None:
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    for one in (running.pid, *map(int, children)):
        os.kill(one, signal.SIGKILL)
    running.communicate()


def losses(home: Path, name: str) -> list[float]:
    log = AdapterHome(home).get(name).folder / "log.jsonl"
    return [json.loads(line)["loss"] for line in log.read_text().splitlines()]


def weights(home: Path, name: str) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = load_file(AdapterHome(home).get(name).path("adapter_model.safetensors"))
    return tensors


def require_same(home: Path, one: str, other: str) -> None:
    assert losses(home, one) == pytest.approx(losses(home, other), abs=1e-5)
    ours, theirs = weights(home, one), weights(home, other)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_two_processes_take_the_same_steps_as_one(home: Path) -> None:
    ended(shared(home, "ddp"))
    require_same(home, "ddp", "mine")


@pytest.mark.slow
def test_a_model_that_is_shared_out_takes_the_same_steps_also_after_a_kill(home: Path) -> None:
    options = ("--precision", "fp32", "--fsdp")
    ended(shared(home, "fsdp", *options))
    require_same(home, "fsdp", "mine")  # the INT4 numbers are the same in fp32
    running = shared(home, "killed", *options)
    wait_for_step(home, "killed", 5)
    kill_with_children(running)
    kept = AdapterHome(home).run_folder("killed").glob("checkpoint-*/*")
    assert not {file.suffix for file in kept} & {".bin", ".pt", ".pth", ".pkl"}  # nothing pickled
    ended(shared(home, "killed", *options))
    assert AdapterHome(home).get("killed").sha256 == AdapterHome(home).get("fsdp").sha256
