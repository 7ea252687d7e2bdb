"""`kb doctor`: what the assistant can use on this machine, what is missing, and what to install."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from kb_assistant.embedding.model_server import is_served, served_model, server_key
from kb_assistant.embedding.served import open_encoder
from kb_assistant.errors import KBError
from kb_assistant.llm.capabilities import context_of
from kb_assistant.llm.open import best_installed, chosen, is_provider
from kb_assistant.messages import _
from kb_assistant.model_folder import Model, ModelKind
from kb_assistant.models.home import ModelHome
from kb_assistant.models.native_engine import import_engine, prefer
from kb_assistant.openmp import waiting_asleep
from kb_assistant.processor import cpu_flags
from kb_assistant.settings import Settings, home_option

_SERVER_S = 5.0
# Linux's and llama.cpp's names of instruction sets.
_FASTER = {
    "avx512f": "AVX512",
    "avx512_vnni": "AVX512_VNNI",
    "avx512_bf16": "AVX512_BF16",
    "avx_vnni": "AVX_VNNI",
    "amx_int8": "AMX_INT8",
    "asimddp": "DOTPROD",
    "i8mm": "MATMUL_INT8",
    "sve": "SVE",
}
NATIVE_BUILD = _("kb models build-engine (needs a C++ compiler, CMake and some eleven minutes of one core)")

FindingState = Literal["ok", "missing", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. "missing" is optional or can be installed; "broken" stops the assistant from working."""

    subject: str
    state: FindingState
    detail: str
    advice: str = ""

    def to_json(self) -> dict[str, str]:
        return asdict(self)


def examine(settings: Settings) -> list[Finding]:
    """All checks. Loads faiss and, if installed, torch and llama.cpp; no model."""
    prefer(settings.home)
    return [_python(), _home(settings.home), _faiss(), _torch(), _llama(), *_models(settings)]


def _python() -> Finding:
    found = _(
        "Python {python}, SQLite {sqlite}, {cores} cores",
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        cores=os.cpu_count(),
    )
    with sqlite3.connect(":memory:") as db:
        options = {row[0] for row in db.execute("PRAGMA compile_options")}
    if "ENABLE_FTS5" not in options:
        return Finding(
            _("python"),
            "broken",
            _("{found}, without FTS5", found=found),
            _("Use a Python whose SQLite has FTS5."),
        )
    return Finding(_("python"), "ok", found)


def _home(home: Path) -> Finding:
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free / 1e9
    if not os.access(there, os.W_OK):
        return Finding(
            _("home"),
            "broken",
            _("{path} can't be written", path=home),
            _("Choose another with --home or KB_HOME."),
        )
    return Finding(_("home"), "ok", _("{path}, {free:.0f} GB free", path=home, free=free))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _faiss() -> Finding:
    cpu, gpu = _version("faiss-cpu"), _version("faiss-gpu")
    if cpu and gpu:
        return Finding(
            _("faiss"),
            "broken",
            _(
                "faiss-cpu {cpu} and faiss-gpu {gpu} are both installed; they overwrite each other's files",
                cpu=cpu,
                gpu=gpu,
            ),
            _(
                "{executable} -m pip uninstall -y faiss-cpu faiss-gpu, then install one of the two again",
                executable=sys.executable,
            ),
        )
    if not cpu and not gpu:
        return Finding(
            _("faiss"), "broken", _("not installed"), _('pip install "kb-assistant[cpu]", or [gpu] with CUDA')
        )
    from kb_assistant.index.vector_index import import_faiss

    try:
        faiss = import_faiss()
    except KBError as error:
        return Finding(
            _("faiss"),
            "broken",
            error.message,
            _("pip install --force-reinstall the same package, with its dependencies"),
        )
    name = _("faiss-gpu {version}", version=gpu) if gpu else _("faiss-cpu {version}", version=cpu)
    gpus = getattr(faiss, "get_num_gpus", int)()
    if gpu and not gpus:
        return Finding(
            _("faiss"),
            "ok",
            _("{name}, which sees no GPU and works on the CPU", name=name),
            _("Check the NVIDIA driver with nvidia-smi."),
        )
    return Finding(_("faiss"), "ok", _("{name}, {count} GPUs", name=name, count=gpus) if gpus else name)


def _torch() -> Finding:
    try:
        with waiting_asleep():
            import torch
    except ModuleNotFoundError:
        return Finding(
            _("torch"),
            "missing",
            _("not installed: ChatGLM2 by torch, rerankers and other embedders than the built-in one need it"),
            _('pip install "kb-assistant[torch]"'),
        )
    except Exception as error:
        return Finding(_("torch"), "broken", _("can't be loaded: {reason}", reason=error), _("pip install torch"))
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        return Finding(
            _("torch"),
            "ok",
            _(
                "{version}, {name} with {gigabytes:.0f} GB",
                version=torch.__version__,
                name=card.name,
                gigabytes=card.total_memory / 1e9,
            ),
        )
    return Finding(_("torch"), "ok", _("{version}, CPU", version=torch.__version__))


def _llama() -> Finding:
    if find_spec("xllamacpp") is None:
        return Finding(
            _("llama.cpp"),
            "missing",
            _("xllamacpp is not installed: answers are quotes"),
            _('pip install "kb-assistant[llama]"'),
        )
    detail = _("xllamacpp {version}", version=_version("xllamacpp"))
    if unused := _unused_instructions():
        without = _("{found}, built without this CPU's {flags}", found=detail, flags=", ".join(unused))
        return Finding(_("llama.cpp"), "ok", without, NATIVE_BUILD)
    return Finding(_("llama.cpp"), "ok", detail)


def _unused_instructions() -> list[str]:
    """Instruction sets that speed up INT4 and that this CPU has, but the installed llama.cpp doesn't use."""
    with waiting_asleep():
        engine = import_engine()
    parts = engine.get_system_info().partition(":")[2].split("|")
    used = {part.strip().removesuffix(" = 1") for part in parts}
    there = cpu_flags()
    return sorted({name for flag, name in _FASTER.items() if flag in there} - used)


def _models(settings: Settings) -> list[Finding]:
    home = ModelHome(settings.models_dir)
    return [*_embedder_and_chat(home, settings), *_adapter(home, settings)]


def _adapter(home: ModelHome, settings: Settings) -> list[Finding]:
    """Whether the adapter goes with the model, if there is one."""
    if not settings.adapter:
        return []
    try:
        model, adapter = chosen(settings, home)
    except KBError as error:
        return [Finding(_("adapter"), "broken", error.message, error.hint)]
    if model is None or adapter is None:
        return []
    return [Finding(_("adapter"), "ok", _("{name} on {model}", name=adapter.name, model=model.name))]


def _embedder_and_chat(home: ModelHome, settings: Settings) -> list[Finding]:
    chat = settings.model
    if chat == "auto":
        return [_embedder(home, settings), *_best_chat(home, settings)]
    if chat == "extract":
        found = Finding(_("chat model"), "ok", _("extract: quotes passages, no language model"))
    elif is_provider(chat):
        where = (
            _("{name} at {address}; not tried", name=chat, address=settings.base_url)
            if settings.base_url
            else _("{name} at its provider; not tried", name=chat)
        )
        found = Finding(_("chat model"), "ok", where)
    else:
        return [_embedder(home, settings), *_chat(home, chat, settings)]
    return [_embedder(home, settings), found]


def _embedder(home: ModelHome, settings: Settings) -> Finding:
    """The embedder; a server is asked for a vector, because nothing can be found without it."""
    if not is_served(settings.embedder):
        return _installed(home, "embedder", settings.embedder)
    try:
        served = served_model(settings.embedder, settings.base_url)
        seconds = min(settings.server_seconds, _SERVER_S)
        numbers = open_encoder(served, server_key("embedder"), seconds).dimension
    except KBError as error:
        return Finding(_("embedder"), "broken", error.message, error.hint)
    told = _(
        "{name} at {address}, {numbers} numbers a text", name=served.model, address=served.url, numbers=numbers
    )
    return Finding(_("embedder"), "ok", told)


def _chat(home: ModelHome, name: str, settings: Settings) -> list[Finding]:
    """The chat model, and whether it fits the memory."""
    found = _installed(home, "chat", name)
    return [found, *([] if found.state == "broken" else _memory(home.get(name, "chat"), settings))]


def _memory(model: Model, settings: Settings) -> list[Finding]:
    from kb_assistant.llm.memory import estimate, free_bytes

    try:
        needed = estimate(model, settings)
    except KBError as error:
        return [Finding(_("memory"), "broken", error.message, error.hint)]
    if needed is None:
        return []
    free = free_bytes(needed.place)
    detail = _(
        "{name} with a context of {context:,} tokens takes about "
        "{total:.1f} GB of {place} (weights {weights:.1f}, "
        "cache {cache:.2f}, work {work:.1f}); {free:.1f} GB are free",
        name=model.name,
        context=context_of(model, settings),
        total=needed.total / 1e9,
        place=needed.place,
        weights=needed.weights / 1e9,
        cache=needed.cache / 1e9,
        work=needed.work / 1e9,
        free=free / 1e9,
    )
    if needed.total <= free:
        return [Finding(_("memory"), "ok", detail)]
    advice = _("Close other programs, lower context_tokens, or use the INT4 folder of the model.")
    return [Finding(_("memory"), "missing", detail, advice)]


def _installed(home: ModelHome, kind: ModelKind, name: str) -> Finding:
    subject = {"embedder": _("embedder"), "chat": _("chat model"), "reranker": _("reranker")}[kind]
    try:
        model = home.get(name, kind)
    except KBError as error:
        return Finding(subject, "broken", error.message, error.hint)
    return Finding(subject, "ok", _("{name} at {path}", name=model.name, path=model.path))


def _best_chat(home: ModelHome, settings: Settings) -> list[Finding]:
    try:
        best = best_installed(home)
    except KBError as error:  # one model's description is damaged
        return [Finding(_("chat model"), "broken", error.message, error.hint)]
    chats = [model.name for model in home.installed() if model.kind == "chat"]
    if best is None and chats:
        detail = _("auto: quotes; installed, for --model NAME: {names}", names=", ".join(chats))
        return [Finding(_("chat model"), "ok", detail)]
    if best is None:
        hint = _("kb models add FILE.gguf{home}, or a ChatGLM2 folder", home=home_option(settings.home))
        return [Finding(_("chat model"), "missing", _("none installed: answers are quotes"), hint)]
    found = Finding(
        _("chat model"), "ok", _("auto: {name}; installed: {names}", name=best.name, names=", ".join(chats))
    )
    return [found, *_memory(best, settings)]


def memory_use() -> tuple[int, int]:
    """Bytes of memory used by this process and its children, and bytes free for programs."""
    import psutil

    me = psutil.Process()
    held = 0
    for process in (me, *me.children(recursive=True)):
        try:
            held += process.memory_info().rss
        except psutil.Error:  # ended meanwhile
            continue
    return held, int(psutil.virtual_memory().available)
