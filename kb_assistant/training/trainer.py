"""transformers' Trainer for adapters: logits of answers alone, whole checkpoints, an end at the first NaN."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import DistributedType
from safetensors import SafetensorError
from transformers import Trainer, TrainingArguments, logging

from kb_assistant.chatglm2.lora import checkpointing, read_tensors
from kb_assistant.errors import SettingsError, StoreError
from kb_assistant.messages import _
from kb_assistant.training import checkpoints
from kb_assistant.training.encode import Example
from kb_assistant.training.loss import IGNORED, answer_loss
from kb_assistant.training.recipe import Recipe
from kb_assistant.training.shares import shared_as, whole

_PADDING = 0


class NotFinite(Exception):
    """A loss or gradient that is no number."""


def arguments(recipe: Recipe, run: Path, *, cuda: bool, dtype: torch.dtype, measured: bool, shared: str) -> Any:
    """The recipe in the Trainer's terms. Several processes share the batches of each step, so that one process and
    many take the same steps.

    Args:
        run: Folder of the checkpoints.
        measured: There is a validation set.
        shared: The class of the layers that processes share out by FSDP; "" for none.

    Raises:
        SettingsError: the batches of a step can't be shared evenly.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if recipe.accumulation % processes:
        raise SettingsError(
            _("{count} processes can't share {batches} batches.", count=processes, batches=recipe.accumulation),
            _("Set accumulation to a multiple of {count}.", count=processes),
        )
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    recomputed = checkpointing()
    recomputing: dict[str, Any] = {
        recomputed: recipe.checkpointing,
        f"{recomputed}_kwargs": {"use_reentrant": False} if recipe.checkpointing else None,
    }
    made = TrainingArguments(
        output_dir=str(run),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch,
        per_device_eval_batch_size=recipe.batch,
        gradient_accumulation_steps=recipe.accumulation // processes,
        # FSDP's own doesn't draw the same dropout again.
        **recomputing,
        fp16=cuda and dtype == torch.float16,  # scales losses, so that small gradients aren't zero in fp16
        logging_steps=1,
        logging_nan_inf_filter=False,
        use_cpu=not cuda,
        dataloader_pin_memory=cuda,
        remove_unused_columns=False,
        label_names=["labels"],
        disable_tqdm=True,
        report_to=[],
        **_steps(recipe),
        **_saving(recipe, measured),
        **_sharing(processes, cuda, shared),
    )
    if shared and not cuda:
        # accelerate shares a model out between what it takes for GPUs only, though gloo does so on CPUs.
        made.distributed_state.distributed_type = DistributedType.MULTI_GPU
    return made


def _steps(recipe: Recipe) -> dict[str, Any]:
    """How the weights change."""
    return {
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": "constant_with_warmup" if recipe.schedule == "constant" else recipe.schedule,
        "warmup_steps": recipe.warmup,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "optim": "adamw_torch",
        "seed": recipe.seed,
        "data_seed": recipe.seed,
    }


def _saving(recipe: Recipe, measured: bool) -> dict[str, Any]:
    """When checkpoints are written, and the validation set is measured."""
    options: dict[str, Any] = {
        "save_strategy": "steps",
        "save_steps": recipe.save_steps,
        "save_total_limit": 2,
        "restore_callback_states_from_checkpoint": True,
    }
    if measured:
        options |= {"eval_strategy": "steps", "eval_steps": recipe.save_steps, "prediction_loss_only": True}
        options |= {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss"}
        options |= {"greater_is_better": False}
    return options


def _sharing(processes: int, cuda: bool, shared: str) -> dict[str, Any]:
    """How several processes share batches, and perhaps the model."""
    options: dict[str, Any] = {}
    if processes > 1:
        options |= {"ddp_backend": "nccl" if cuda else "gloo", "ddp_find_unused_parameters": False}
    if shared:
        options |= {"fsdp": True, "fsdp_config": {"transformer_layer_cls_to_wrap": [shared]}}
    return options


class Examples(torch.utils.data.Dataset[Example]):
    """Examples by number."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Example:
        return self._examples[index]


def collated(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """A batch, padded at the right, where nothing attends to: `input_ids` and `labels`, each [batch, tokens]."""
    longest = max(len(one.ids) for one in examples)
    ids = [[*one.ids, *[_PADDING] * (longest - len(one.ids))] for one in examples]
    labels = [[*one.labels, *[IGNORED] * (longest - len(one.ids))] for one in examples]
    return {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels)}


class AdapterTrainer(Trainer):
    """Trains the adapter of a peft model.

    Attributes:
        tokens_seen: Tokens that this process has read since it began.
        describe: Called with the folder of an adapter that was just written.
    """

    tokens_seen = 0
    describe: Callable[[Path], None] = staticmethod(lambda _folder: None)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The mean over all learned tokens of one step, in all its batches and processes."""
        del return_outputs
        total = answer_loss(model, inputs["input_ids"], inputs["labels"])
        self.tokens_seen += inputs["input_ids"].numel()
        if num_items_in_batch is None:
            return total / (inputs["labels"][:, 1:] != IGNORED).sum()
        # Gradients of several processes are averaged, not summed.
        return total * self.accelerator.num_processes / num_items_in_batch

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The schedule of the learning rate. It rises in whole steps, rounded down: the first of them has a rate
        of zero, and a training of a few steps has none to give away."""
        if self.args.warmup_steps < 1:
            self.args.warmup_steps = int(num_training_steps * self.args.warmup_steps)
        return super().create_scheduler(num_training_steps, optimizer)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        loss = super().training_step(model, inputs, num_items_in_batch)
        self._require_finite(loss)
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)  # type: ignore[no-untyped-call]
        # Scaled gradients of fp16 may overflow: that step is left out, and the next are scaled less.
        if norm is not None and self.accelerator.scaler is None:
            self._require_finite(torch.as_tensor(norm))
        return norm

    def _require_finite(self, value: torch.Tensor) -> None:
        """End in all processes if the number of one is none."""
        wrong = (~torch.isfinite(whole(value.detach()))).float()
        if self.accelerator.num_processes > 1:
            wrong = self.accelerator.reduce(wrong.to(self.args.device), "sum")
        if bool(wrong):
            raise NotFinite

    @torch.no_grad()
    def prediction_step(self, model: Any, inputs: Any, *_options: Any, **_more: Any) -> tuple[Any, None, None]:
        inputs = self._prepare_inputs(inputs)
        total = answer_loss(model, inputs["input_ids"], inputs["labels"])
        return total / (inputs["labels"][:, 1:] != IGNORED).sum(), None, None

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint, sealed when it is whole.

        Raises:
            StoreError: it can't be written; the one before it is kept.
        """
        folder = Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                checkpoints.seal(folder)
        except (OSError, SafetensorError, StoreError) as error:
            with suppress(OSError):
                shutil.rmtree(folder)
            raise StoreError(
                _("The checkpoint {path} can't be written: {reason}.", path=folder, reason=error),
                _("Make room. The checkpoint before it is kept; the same command goes on from there."),
            ) from error

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the adapter. All processes take part: each may have a share of it."""
        state = {name: whole(weight.detach()) for name, weight in self._trained()}
        if self.args.should_save:
            folder = Path(str(output_dir or self.args.output_dir))
            self.accelerator.unwrap_model(self.model).save_pretrained(folder, state_dict=state)
            (folder / "README.md").unlink(missing_ok=True)  # peft's template of a description
            self.describe(folder)

    def _trained(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        for name, weight in self.accelerator.unwrap_model(self.model).named_parameters():
            if weight.requires_grad:
                yield name, weight

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        state = checkpoints.whole_state(self.optimizer)
        if self.args.should_save:
            checkpoints.write_optimizer(Path(output_dir), state, self.lr_scheduler, self.accelerator.scaler)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint:
            checkpoints.read_optimizer(
                Path(checkpoint), self.optimizer, self.lr_scheduler, self.accelerator.scaler
            )

    def _save_scaler(self, output_dir: str) -> None:
        """Nothing: it is part of the optimizer's state."""

    def _load_scaler(self, checkpoint: str | None) -> None:
        """Nothing, likewise."""

    def _save_rng_state(self, output_dir: str) -> None:
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        checkpoints.write_random(Path(output_dir), self.args.process_index)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint:
            checkpoints.read_random(Path(checkpoint), self.args.process_index)

    @torch.no_grad()
    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        del model  # the same
        tensors = read_tensors(Path(resume_from_checkpoint))
        for name, weight in self._trained():
            weight.copy_(shared_as(weight, tensors[name.replace(".default.", ".")]))

    def _load_best_model(self) -> None:
        if best := self.state.best_model_checkpoint:
            self._load_from_checkpoint(best)
