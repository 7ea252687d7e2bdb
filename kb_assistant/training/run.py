"""One training, from data to a finished adapter; broken off at any moment, the same call goes on.

While it runs, its folder holds `run.json` (what it is made of), `log.jsonl` and checkpoints. What is finished gets
its name by one rename.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_assistant.errors import ModelError, SettingsError
from kb_assistant.lock import writing
from kb_assistant.messages import _
from kb_assistant.models.adapters import Adapter, AdapterHome
from kb_assistant.small_file import write_whole
from kb_assistant.torch_runtime import gpu_errors
from kb_assistant.training import checkpoints
from kb_assistant.training.base_model import adapted
from kb_assistant.training.job import Job, begin
from kb_assistant.training.network import DECODER_LAYERS, network_of
from kb_assistant.training.plan import dtype_of, precision_for
from kb_assistant.training.publish import described, published

if TYPE_CHECKING:
    from peft import PeftModel

    from kb_assistant.training.trainer import AdapterTrainer

_FINISHED = "finished.json"


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
        SettingsError: the name is taken, the training that is to go on had other data or settings, or the adapter
            that it begins with has another shape.
        ModelError: the model can't be trained; or a loss was no number.
        StoreError: a checkpoint can't be written, such as on a full disk.
        BusyError: it is being trained by another process.
    """
    if home.holds(job.name):
        raise SettingsError(
            _("There is an adapter {name!r} already.", name=job.name),
            _("Give another name, or: kb train rm {name}", name=job.name),
        )
    job.require_start()
    run = home.run_folder(job.name)
    with _alone(run, job.name):
        args = _arguments(job, run)
        with args.main_process_first():
            resume = begin(run, job.name, job.made_of())
        if not _finished(run):
            trainer = _trainer(job, args, adapted(job), say, stopped)
            if not _run_to_end(trainer, run, resume, job):
                return None
        return published(job, run, _finished(run), home, say) if _is_first() else None


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


def _arguments(job: Job, run: Path) -> Any:
    from kb_assistant.training.trainer import arguments

    network = network_of(job.base)
    dtype = dtype_of(precision_for(network, job.recipe, job.device), job.device)
    cuda, measured = job.device == "cuda", bool(job.validation)
    shared = DECODER_LAYERS[type(network)] if job.fsdp else ""
    return arguments(job.recipe, run, cuda=cuda, dtype=dtype, measured=measured, shared=shared)


def _trainer(
    job: Job, args: Any, model: PeftModel, say: Callable[[str], None], stopped: Callable[[], bool]
) -> AdapterTrainer:
    from transformers import EarlyStoppingCallback, PrinterCallback

    from kb_assistant.training.progress import Progress
    from kb_assistant.training.trainer import AdapterTrainer, Examples, collated

    trainer = AdapterTrainer(
        model=model,
        args=args,
        train_dataset=Examples(job.train),
        eval_dataset=Examples(job.validation) if job.validation else None,
        data_collator=collated,
    )
    trainer.describe = lambda folder: described(job, folder, {})
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


def _finished(run: Path) -> dict[str, Any]:
    """What a training that came to its end has written; empty before."""
    try:
        state: dict[str, Any] = json.loads((run / _FINISHED).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return state
