"""`kb doctor` says what is wrong with a machine and what to do; the faults here are made."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from kb_assistant.errors import KBError
from kb_assistant.maintenance import doctor
from kb_assistant.maintenance.doctor import Finding, examine
from kb_assistant.settings import Settings
from tests.shell import kb

SMOL = "smollm2-135m-instruct"


def distribution(folder: Path, name: str, version: str) -> None:
    """An installed package as pip leaves it, as far as its version is concerned."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def finding(settings: Settings, subject: str) -> Finding:
    return next(found for found in examine(settings) if found.subject == subject)


def test_both_kinds_of_faiss_are_a_fault(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path / "packages", "faiss-cpu", "1.15.0")
    distribution(tmp_path / "packages", "faiss-gpu", "1.15.1")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    done = kb("doctor", "--json", home=home)
    (found,) = [row for row in done.json if row["subject"] == "faiss"]
    assert (found["state"], done.code) == ("broken", 1)
    assert "faiss-cpu 1.15.0 and faiss-gpu 1.15.1 are both installed" in found["detail"]
    assert "pip uninstall -y faiss-cpu faiss-gpu" in found["advice"]
    told = kb("doctor", home=home)
    assert "are both installed" in told.stdout
    assert "→" in told.stdout
    assert told.code == 1


def test_without_faiss_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    found = doctor._faiss()
    assert (found.state, found.detail) == ("broken", "not installed")
    assert 'pip install "kb-assistant[cpu]"' in found.advice
    assert "[gpu]" in found.advice


@pytest.mark.parametrize(("gpus", "state"), [(0, "sees no GPU"), (2, "2 GPUs")])
def test_faiss_for_the_gpu_says_how_many_it_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: int, state: str
) -> None:
    distribution(tmp_path, "faiss-gpu", "1.15.1")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    fake = SimpleNamespace(get_num_gpus=lambda: gpus)
    monkeypatch.setattr("kb_assistant.index.vector_index.import_faiss", lambda: fake)
    found = doctor._faiss()
    assert found.state == "ok"
    assert state in found.detail


def test_a_faiss_that_cannot_be_loaded_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path, "faiss-gpu", "1.15.1")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    def broken() -> None:
        raise KBError("faiss can't be loaded: libcublas.so.12 is missing.")

    monkeypatch.setattr("kb_assistant.index.vector_index.import_faiss", broken)
    found = doctor._faiss()
    assert found.state == "broken"
    assert "libcublas" in found.detail
    assert "--force-reinstall" in found.advice


def test_a_sound_machine(home: Path) -> None:
    done = kb("doctor", "--json", home=home)
    rows = {row["subject"]: row for row in done.json}
    assert list(rows) == ["python", "home", "faiss", "torch", "llama.cpp", "embedder", "chat model"]
    assert {tuple(row) for row in done.json} == {("subject", "state", "detail", "advice")}
    assert {row["state"] for row in done.json} == {"ok"}, done.stdout
    assert done.code == 0
    assert "multilingual-e5-small at" in rows["embedder"]["detail"]
    assert rows["chat model"]["detail"] == "auto: quotes; installed, for --model NAME: smollm2-135m-instruct"
    assert str(home) in rows["home"]["detail"]


def test_memory_is_estimated_for_a_model_and_a_context(home: Path) -> None:
    def memory(*options: str) -> dict[str, str]:
        return next(
            row
            for row in kb("doctor", "--json", "--model", SMOL, *options, home=home).json
            if row["subject"] == "memory"
        )

    # 30 layers, 3 heads of 64 for keys and values, 16 bits: 23,040 bytes a token.
    assert "takes about 0.6 GB" in memory()["detail"]
    assert "context of 8,192 tokens" in memory()["detail"]
    assert "cache 0.19" in memory()["detail"]
    assert "cache 0.02" in memory("--context", "1024")["detail"]


def test_too_little_memory_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kb_assistant.llm.memory.free_bytes", lambda _: 200_000_000)
    found = finding(Settings(home=home, model=SMOL), "memory")
    assert (found.state, "0.2 GB are free" in found.detail) == ("missing", True)
    assert "context_tokens" in found.advice


@pytest.mark.engine
def test_a_faster_build_is_recommended_where_the_cpu_would_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    used = "CPU : AVX2 = 1 | AVX512 = 1 | REPACK = 1 | "
    monkeypatch.setattr("xllamacpp.get_system_info", lambda: used)
    monkeypatch.setattr(doctor, "cpu_flags", lambda: {"avx2", "avx512f", "avx512_vnni"})
    found = doctor._llama()
    assert "without this CPU's AVX512_VNNI" in found.detail
    assert "kb models build-engine" in found.advice
    monkeypatch.setattr(doctor, "cpu_flags", lambda: {"avx2", "avx512f"})
    assert doctor._llama().advice == ""


@pytest.mark.engine
def test_missing_models_are_named_with_the_command_that_brings_them(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "not" / "there")
    embedder, chat = finding(settings, "embedder"), finding(settings, "chat model")
    home = f" --home {settings.home}"
    assert (embedder.state, embedder.advice) == ("broken", f"kb models pull multilingual-e5-small{home}")
    assert (chat.state, chat.advice) == ("missing", f"kb models add FILE.gguf{home}, or a ChatGLM2 folder")
    assert not settings.home.exists(), "looking makes nothing"


@pytest.mark.engine
@pytest.mark.parametrize(
    ("model", "state", "detail"),
    [
        ("extract", "ok", "quotes passages"),
        ("openai:chatglm2-6b", "ok", "openai:chatglm2-6b at http://127.0.0.1:8000/v1"),
        ("/nowhere/x.gguf", "broken", "/nowhere/x.gguf"),
        ("other", "broken", "'other' isn't installed"),
    ],
)
def test_the_chat_model_that_is_chosen_is_looked_at(tmp_path: Path, model: str, state: str, detail: str) -> None:
    found = finding(Settings(home=tmp_path, model=model, base_url="http://127.0.0.1:8000/v1"), "chat model")
    assert found.state == state
    assert detail in found.detail


def test_without_llama_cpp_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda _: None)
    found = finding(Settings(home=tmp_path), "llama.cpp")
    assert (found.state, found.advice) == ("missing", 'pip install "kb-assistant[llama]"')


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_home_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    found = finding(Settings(home=tmp_path / "home"), "home")
    assert found.state == "broken"
    assert "KB_HOME" in found.advice
