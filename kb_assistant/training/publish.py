"""What a training leaves: checkpoints that say what they are, and the finished adapter, named by one rename."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kb_assistant.chatglm2.lora import CONFIG, WEIGHTS
from kb_assistant.errors import ModelError
from kb_assistant.messages import _
from kb_assistant.model_folder import file_digest
from kb_assistant.models.adapters import GGUF, LEARNED, Adapter, AdapterHome
from kb_assistant.models.staging import temporary
from kb_assistant.small_file import write_whole
from kb_assistant.torch_runtime import is_installed
from kb_assistant.training import checkpoints
from kb_assistant.training.job import Job
from kb_assistant.training.network import Network, network_of


def published(
    job: Job, run: Path, finished: Mapping[str, Any], home: AdapterHome, say: Callable[[str], None]
) -> Adapter:
    """Give the finished adapter its name, and delete the checkpoints.

    Args:
        run: The folder of the training.
        finished: How it ended: its `steps`, and the name of the `best` checkpoint, "" for the last.

    Raises:
        ModelError: it can't be written.
    """
    from kb_assistant.training.progress import LOG, PLOT, plot, read_log

    rows = read_log(run)
    best = run / finished["best"] if finished.get("best") else checkpoints.last_whole(run)
    work = temporary(home.folder)
    try:
        work.mkdir(parents=True)
        for file in (CONFIG, WEIGHTS):
            shutil.copy2(Path(best or run) / file, work / file)
        shutil.copy2(run / LOG, work / LOG)
        if not plot(rows, work / PLOT):
            say(_('There is no plot of the losses: pip install "kb-assistant[eval]"'))
        add_gguf(work, network_of(job.base), say)
        described(job, work, _facts(job, finished["steps"], rows))
        checkpoints.seal(work)  # flushed to the disk
        work.rename(home.folder / job.name)
    except OSError as error:
        raise ModelError(
            _("{name} can't be written: {reason}.", name=job.name, reason=error),
            _("Make room. The training is done; the same command writes its adapter."),
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(run, ignore_errors=True)
    return home.get(job.name)


def described(job: Job, folder: Path, facts: dict[str, Any]) -> None:
    """Write what the adapter in a folder is; that of a checkpoint can be used, and begun with, too."""
    if job.learned:
        write_whole(folder / LEARNED, "\n".join(sorted(job.learned)))
    names = (CONFIG, WEIGHTS, GGUF, LEARNED)
    files = {name: file_digest(folder / name) for name in names if (folder / name).is_file()}
    Adapter(folder, "lora", job.base.name, job.base.base_sha256, job.style, files, facts).write()


def add_gguf(folder: Path, network: Network, say: Callable[[str], None]) -> None:
    """Write an adapter's file for llama.cpp beside it, if the package gguf is installed.

    Raises:
        ModelError: it can't be written.
    """
    from kb_assistant.training.gguf_adapter import write_gguf_adapter

    if is_installed("gguf"):
        write_gguf_adapter(folder, network, folder / GGUF)
    else:
        say(
            _(
                'There is no file for llama.cpp: pip install "kb-assistant[llama]"; '
                "then: kb train export NAME --gguf"
            )
        )


def _facts(job: Job, steps: int, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    measured = [row["validation_loss"] for row in rows if "validation_loss" in row]
    return {
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "examples": len(job.train),
        "validation_examples": len(job.validation),
        "data": job.data,
        "data_sha256": job.data_sha256,
        "start": job.start.name if job.start else "",
        "steps": steps,
        "loss": next((row["loss"] for row in reversed(rows) if "loss" in row), None),
        "validation_loss": min(measured, default=None),
        "recipe": job.recipe.to_json(),
    }
