"""One training, from data to a finished adapter; broken off at any moment, the same call goes on.

While it runs, its folder holds `run.json` (what it is made of), `log.jsonl` and checkpoints. What is finished gets
its name by one rename.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_assistant.chatglm2.checkpoint import Checkpoint, read_checkpoint
from kb_assistant.chatglm2.lora import CONFIG, WEIGHTS, LoraShape, attach, load_lora, translated
from kb_assistant.errors import ModelError, SettingsError
from kb_assistant.lock import writing
from kb_assistant.messages import _
from kb_assistant.model_folder import Model, file_digest
from kb_assistant.models.adapters import GGUF, Adapter, AdapterHome
from kb_assistant.models.staging import temporary
from kb_assistant.small_file import write_whole
from kb_assistant.torch_runtime import Device, gpu_errors, is_installed
from kb_assistant.training import checkpoints
from kb_assistant.training.encode import Example
from kb_assistant.training.plan import precision_for
from kb_assistant.training.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from peft import PeftModel

    from kb_assistant.training.trainer import AdapterTrainer

_RUN, _FINISHED = "run.json", "finished.json"


@dataclass(frozen=True, slots=True)
class Job:
    """What a training is made of.

    Attributes:
        name: Of the adapter.
        base: The model, a folder of ChatGLM2.
        train: What is learned.
        validation: What is measured meanwhile; none for no early end.
        data_sha256: Fingerprint of both.
        style: How questions became prompts.
        start: An adapter that it begins with; None for a new one.
        fsdp: Share the model out between the processes of torchrun.
    """

    name: str
    base: Model
    train: Sequence[Example]
    validation: Sequence[Example]
    data_sha256: str
    recipe: Recipe
    style: str
    device: Device
    start: Adapter | None = None
    fsdp: bool = False

    def made_of(self) -> dict[str, Any]:
        """What must stay the same for a training to go on."""
        return {
            "base": self.base.base_sha256,
            "data": self.data_sha256,
            "start": self.start.sha256 if self.start else "",
            **self.recipe.to_json(),
        }


def train(
    job: Job,
    home: AdapterHome,
    say: Callable[[str], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Adapter | None:
    """Train an adapter, or go on with its training.

    Args:
        say: Called with a line for people: progress, and what else is worth knowing.
        stopped: Asked after each step; once it is true, a checkpoint is written and the training ends.

    Returns:
        The adapter, or None if it was stopped, and in all processes of torchrun but the first.

    Raises:
        SettingsError: the name is taken, or the training that is to go on had other data or settings.
        ModelError: the model can't be trained; or a loss was no number.
        StoreError: a checkpoint can't be written, such as on a full disk.
        BusyError: it is being trained by another process.
    """
    if home.holds(job.name):
        raise SettingsError(
            _("There is an adapter {name!r} already.", name=job.name),
            _("Give another name, or: kb train rm {name}", name=job.name),
        )
    run = home.run_folder(job.name)
    with _alone(run, job.name):
        args = _arguments(job, run)
        with args.main_process_first():
            resume = _begun(run, job)
        if not _finished(run):
            trainer = _trainer(job, args, _model(job), say, stopped)
            if not _run_to_end(trainer, run, resume, job):
                return None
        return _published(job, run, home, say) if _is_first() else None


def dtype_of(precision: str, device: Device) -> torch.dtype:
    """The type of the arithmetic: 16 bits on a GPU, 32 on a CPU, which is slow in less."""
    import torch

    named = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
    if precision in named:
        return named[precision]
    if device == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.get_device_capability() >= (8, 0) else torch.float16


def load_base(checkpoint: Checkpoint, recipe: Recipe, device: Device) -> Any:
    """The base model as the recipe wants it, ready for an adapter.

    Raises:
        ModelError: it can't be loaded, or has a prefix of its own.
    """
    from kb_assistant.chatglm2.model import load_model

    if checkpoint.prefix_tokens:
        raise ModelError(
            _("{folder} has a prefix of P-Tuning v2 of its own.", folder=checkpoint.folder),
            _("Train on the model without one."),
        )
    precision = precision_for(checkpoint, recipe, device)
    quantize: Any = precision if precision in ("int4", "nf4") else None
    with gpu_errors():
        return load_model(
            checkpoint.folder, dtype_of(precision, device), quantize, _own_device(device), trainable=True
        )


def _own_device(device: Device) -> str:
    """The device of this process: of several of torchrun each has a GPU of its own."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if device == "cuda" else "cpu"


@contextmanager
def _alone(run: Path, name: str) -> Iterator[None]:
    """Hold the folder of a training; of several processes of one training the first does."""
    if not _is_first():
        yield
        return
    run.mkdir(parents=True, exist_ok=True)
    with writing(run, patience=0, what=_("the adapter {name!r}", name=name)):
        yield


def _is_first() -> bool:
    """Whether this is the first of the processes of torchrun, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def _begun(run: Path, job: Job) -> Path | None:
    """Look at what an earlier run has left, or begin; the checkpoint from which it goes on.

    Raises:
        SettingsError: it was made of something else.
    """
    try:
        before = json.loads((run / _RUN).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        before = None
    made_of = job.made_of()
    if before is None:
        write_whole(run / _RUN, json.dumps(made_of, indent=2))
    elif changed := sorted(key for key in made_of | before if made_of.get(key) != before.get(key)):
        raise SettingsError(
            _(
                "The training of {name!r} was begun with other {changed}.",
                name=job.name,
                changed=", ".join(changed),
            ),
            _("Go on with the same, or begin anew: kb train rm {name}", name=job.name),
        )
    return checkpoints.last_whole(run)


def _arguments(job: Job, run: Path) -> Any:
    from kb_assistant.training.trainer import arguments

    dtype = dtype_of(precision_for(read_checkpoint(job.base.path), job.recipe, job.device), job.device)
    cuda, measured = job.device == "cuda", bool(job.validation)
    return arguments(job.recipe, run, cuda=cuda, dtype=dtype, measured=measured, fsdp=job.fsdp)


def _model(job: Job) -> PeftModel:
    """The base with a new adapter, or with the one that it begins with."""
    import torch

    model = load_base(read_checkpoint(job.base.path), job.recipe, job.device)
    model.config.use_cache = False
    torch.manual_seed(job.recipe.seed)  # of the first A
    if job.start:
        for file in (CONFIG, WEIGHTS):
            job.start.path(file)
        return load_lora(model, job.start.folder, trainable=True)
    recipe = job.recipe
    return attach(model, LoraShape(recipe.rank, recipe.alpha, translated(recipe.targets), recipe.dropout))


def _trainer(
    job: Job, args: Any, model: PeftModel, say: Callable[[str], None], stopped: Callable[[], bool]
) -> AdapterTrainer:
    import transformers
    from transformers import EarlyStoppingCallback, PrinterCallback

    from kb_assistant.training.progress import Progress
    from kb_assistant.training.trainer import AdapterTrainer, Examples, collated

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    trainer = AdapterTrainer(
        model=model,
        args=args,
        train_dataset=Examples(job.train),
        eval_dataset=Examples(job.validation) if job.validation else None,
        data_collator=collated,
    )
    trainer.describe = lambda folder: _described(job, folder, {})
    trainer.remove_callback(PrinterCallback)
    if job.validation and job.recipe.patience:
        trainer.add_callback(EarlyStoppingCallback(job.recipe.patience))
    processes = trainer.accelerator.num_processes
    trainer.add_callback(
        Progress(
            Path(args.output_dir) if _is_first() else None, lambda: processes * trainer.tokens_seen, say, stopped
        )
    )
    return trainer


def _run_to_end(trainer: AdapterTrainer, run: Path, resume: Path | None, job: Job) -> bool:
    """Train; whether it came to its end.

    Raises:
        ModelError: a loss was no number.
    """
    from kb_assistant.training.progress import Progress, cut_log
    from kb_assistant.training.trainer import NotFinite

    if _is_first():
        cut_log(run, checkpoints.step_of(resume) if resume else 0)
    try:
        with gpu_errors():
            trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    except NotFinite:
        raise _not_finite(trainer.state.global_step, run, job) from None
    if any(one.ended_early for one in trainer.callback_handler.callbacks if isinstance(one, Progress)):
        return False
    best = trainer.state.best_model_checkpoint
    state = {"steps": trainer.state.global_step, "best": Path(best).name if best else ""}
    if _is_first():
        write_whole(run / _FINISHED, json.dumps(state))
    return True


def _not_finite(step: int, run: Path, job: Job) -> ModelError:
    kept = checkpoints.last_whole(run)
    hint = _("Begin anew with a lower learning_rate: kb train rm {name}", name=job.name)
    if kept:
        hint = _(
            "The last good checkpoint is kept. Go on from it with a lower learning_rate, under another name: "
            "--start {path}",
            path=kept,
        )
    return ModelError(_("After {step} steps the loss was no number: the training has stopped.", step=step), hint)


def _published(job: Job, run: Path, home: AdapterHome, say: Callable[[str], None]) -> Adapter:
    """Give the finished adapter its name, and delete the checkpoints.

    Raises:
        ModelError: it can't be written.
    """
    from kb_assistant.training.progress import LOG, PLOT, plot, read_log

    state, rows = _finished(run), read_log(run)
    best = run / state["best"] if state.get("best") else checkpoints.last_whole(run)
    work = temporary(home.folder)
    try:
        work.mkdir(parents=True)
        for file in (CONFIG, WEIGHTS):
            shutil.copy2(Path(best or run) / file, work / file)
        shutil.copy2(run / LOG, work / LOG)
        if not plot(rows, work / PLOT):
            say('There is no plot of the losses: pip install "kb-assistant[eval]"')
        add_gguf(work, read_checkpoint(job.base.path), say)
        _described(job, work, _facts(job, state["steps"], rows))
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


def _described(job: Job, folder: Path, facts: dict[str, Any]) -> None:
    """Write what the adapter in a folder is; that of a checkpoint can be used, and begun with, too."""
    files = {name: file_digest(folder / name) for name in (CONFIG, WEIGHTS, GGUF) if (folder / name).is_file()}
    Adapter(folder, "lora", job.base.name, job.base.base_sha256, job.style, files, facts).write()


def add_gguf(folder: Path, checkpoint: Checkpoint, say: Callable[[str], None]) -> None:
    """Write an adapter's file for llama.cpp beside it, if the package gguf is installed.

    Raises:
        ModelError: it can't be written.
    """
    from kb_assistant.training.gguf_adapter import write_gguf_adapter

    if is_installed("gguf"):
        write_gguf_adapter(folder, checkpoint, folder / GGUF)
    else:
        say('There is no file for llama.cpp: pip install "kb-assistant[llama]"; then: kb train export NAME --gguf')


def _facts(job: Job, steps: int, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    measured = [row["validation_loss"] for row in rows if "validation_loss" in row]
    return {
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "examples": len(job.train),
        "validation_examples": len(job.validation),
        "data_sha256": job.data_sha256,
        "start": job.start.name if job.start else "",
        "steps": steps,
        "loss": next((row["loss"] for row in reversed(rows) if "loss" in row), None),
        "validation_loss": min(measured, default=None),
        "recipe": job.recipe.to_json(),
    }


def _finished(run: Path) -> dict[str, Any]:
    """What a training that came to its end has written; empty before."""
    try:
        state: dict[str, Any] = json.loads((run / _FINISHED).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return state
