"""Finds and opens the chat model named by a setting."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kb_assistant.errors import ModelError
from kb_assistant.llm.capabilities import answer_tokens, context_of
from kb_assistant.messages import _
from kb_assistant.models.adapters import Adapter, AdapterHome
from kb_assistant.once import once
from kb_assistant.settings import Settings
from kb_assistant.torch_runtime import is_installed

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

    from kb_assistant.llm.base import LocalChat
    from kb_assistant.model_folder import Model
    from kb_assistant.models.home import ModelHome

_PROVIDER = re.compile(r"(?P<provider>[a-z][a-z0-9_-]+):(?P<name>.+)")
SMALLEST = 200_000_000
"""Bytes of weights below which a model answers only if it is named."""

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class ChatModels:
    """The chat models of one knowledge base, each opened when first needed. A file is loaded at the first
    question, not before.

    Args:
        settings: `model` and what goes with it.
        models: Where installed models are looked up.
        embeddings: Helps the quoting model compare meanings.
        given: Used instead of the model named by the settings.
    """

    def __init__(
        self,
        settings: Settings,
        models: ModelHome,
        embeddings: object | None,
        given: BaseChatModel | None = None,
    ) -> None:
        self._settings, self._models, self._embeddings = settings, models, embeddings
        self._given = given

    @once
    def answering(self) -> BaseChatModel:
        """The model that answers.

        Raises:
            ModelError: as for open_chat_model.
        """
        if self._given is not None:
            return self._given
        return open_chat_model(self._settings, self._models, self._embeddings)

    @once
    def quoting(self) -> BaseChatModel:
        """The quoting model, for languages that the answering model can't read."""
        return open_chat_model(self._settings.but(model="extract", adapter=""), self._models, self._embeddings)


def open_chat_model(settings: Settings, models: ModelHome, embeddings: object | None) -> BaseChatModel:
    """The chat model named by `settings.model`. A file is loaded at the first question, not here.

    Args:
        settings: `model`, `adapter` and what goes with them.
        models: Where installed models are looked up.
        embeddings: Helps the quoting model compare meanings.

    Raises:
        ModelError: there is no such model or adapter, they don't go together, or a package or an API key is
            missing.
    """
    from kb_assistant.llm.extract import ExtractChat

    model, adapter = chosen(settings, models)
    if model:
        return _open_file(model, settings, adapter)
    if match := _PROVIDER.fullmatch(settings.model):
        return _open_provider(match["provider"], match["name"], settings)
    return ExtractChat(embeddings=embeddings)


def chosen(settings: Settings, models: ModelHome) -> tuple[Model | None, Adapter | None]:
    """The model on this machine that the settings choose, and its adapter; None for others, and for quotes.

    With an adapter, `model = "auto"` means the model that it was trained on.

    Raises:
        ModelError: there is no such model or adapter, or they don't go together.
    """
    adapter = AdapterHome(settings.home).get(settings.adapter) if settings.adapter else None
    if adapter:
        adapter.require("lora", "prefix")
    elsewhere = settings.model == "extract" or is_provider(settings.model)
    if adapter and elsewhere:
        raise ModelError(
            _("The model {model!r} takes no adapter.", model=settings.model),
            _('Choose the model that it was trained on, or model = "auto"; or set adapter = "".'),
        )
    if elsewhere:
        return None, None
    if settings.model != "auto":
        model = models.get(settings.model, "chat")
        if adapter:
            adapter.require_base(model)
        return model, adapter
    best = best_installed(models, adapter.base_sha256 if adapter else "")
    if adapter and best is None:
        raise ModelError(
            _(
                "The adapter {name!r} was trained on {base!r}, which isn't installed.",
                name=adapter.name,
                base=adapter.base,
            ),
            _("Add that model: kb models add FOLDER; kb models list shows what is installed."),
        )
    return best, adapter


def who_answers(settings: Settings, models: ModelHome) -> tuple[str, str]:
    """Name and engine of the model chosen by `settings.model`.

    The engine is "llama.cpp", "torch", "quotes", or the name of a provider.

    Raises:
        ModelError: there is no such model.
    """
    if match := _PROVIDER.fullmatch(settings.model):
        return match["name"], match["provider"]
    model, adapter = chosen(settings, models)
    if model is None:
        return "extract", "quotes"
    return _named(model, adapter), "torch" if model.path.is_dir() else "llama.cpp"


def is_provider(name: str) -> bool:
    """Whether a model's name is `provider:model`, for LangChain's init_chat_model."""
    return _PROVIDER.fullmatch(name) is not None


def best_installed(models: ModelHome, base_sha256: str = "") -> Model | None:
    """The installed chat model with the largest weights, because more parameters answer better.

    None if no installed chat model can be run by an engine here, or all are smaller than SMALLEST: what they write
    holds the answer less often than quotes do (docs/evaluation.md).

    Args:
        base_sha256: Only of models with this `base_sha256`, however small; "" for any.
    """
    llama, torch = is_installed("xllamacpp"), is_installed("torch")
    ready = {
        model.name: (_weight_bytes(model.path), model)
        for model in models.installed()
        if model.kind == "chat"
        and base_sha256 in ("", model.base_sha256)
        and ((torch and model.template and model.path.is_dir()) or (llama and model.path.is_file()))
    }
    size, best = max(ready.values(), key=lambda found: found[0], default=(0, None))
    return best if base_sha256 or size >= SMALLEST else None


def _weight_bytes(path: Path) -> int:
    files = [path] if path.is_file() else [*path.glob("*.safetensors"), *path.glob("*.bin")]
    return sum(file.stat().st_size for file in files)


def _named(model: Model, adapter: Adapter | None) -> str:
    return f"{model.name}+{adapter.name}" if adapter else model.name


def _open_file(model: Model, settings: Settings, adapter: Adapter | None) -> BaseChatModel:
    options: dict[str, Any] = {
        "model_name": _named(model, adapter),
        "adapter": adapter,
        "languages": model.languages,
        "context_tokens": context_of(model, settings),
        "temperature": settings.temperature,
        "seed": settings.seed,
        "threads": settings.threads,
    }
    if model.template and model.path.is_dir():
        from kb_assistant.llm.torch_chat import TorchChat

        options |= {"quantize": settings.quantize, "device": settings.device}
        return _limited(TorchChat(folder=model.path, **options), settings)
    if model.path.suffix != ".gguf":
        raise ModelError(
            _("{name!r} is no GGUF file, so it can't be run here.", name=model.name), _("Give a .gguf file.")
        )
    if not is_installed("xllamacpp"):
        raise ModelError(_("Package xllamacpp is missing."), _('pip install "kb-assistant[llama]"'))
    from kb_assistant.llm.llamacpp import LlamaCppChat
    from kb_assistant.models.native_engine import prefer

    prefer(settings.home)
    if model.template:
        options["tokenizer_path"] = model.path.with_name("tokenizer.json")
        options["generation"] = 3 if model.template == "chatglm3" else 2
    return _limited(LlamaCppChat(model_path=model.path, **options), settings)


def _limited(chat: LocalChat, settings: Settings) -> LocalChat:
    """The model with the longest answer that goes with it."""
    chat.max_tokens = answer_tokens(chat, settings)
    return chat


def _open_provider(provider: str, name: str, settings: Settings) -> BaseChatModel:
    options: dict[str, Any] = {
        "temperature": settings.temperature or 0.0,
        "max_tokens": answer_tokens(None, settings),
    }
    if settings.base_url:
        options["base_url"] = settings.base_url
        if provider == "openai":
            options["stream_usage"] = True  # off by default for other addresses, but these servers count too
    try:
        from langchain.chat_models import init_chat_model

        if provider == "openai" and urlsplit(settings.base_url).hostname in _LOOPBACK:
            options |= _on_this_machine()
        model: BaseChatModel = init_chat_model(name, model_provider=provider, **options)
        return model
    except ImportError as error:
        install = re.search(r"pip install [\w-]+", str(error))
        hint = _('pip install "kb-assistant[openai]"') if provider == "openai" else install[0] if install else ""
        raise ModelError(_("The package for {provider!r} models is missing.", provider=provider), hint) from error
    except Exception as error:  # each provider raises errors of its own
        raise _unusable(provider, name, error) from error


def _on_this_machine() -> dict[str, Any]:
    """Options for a server on this machine: requests use no proxy, and most such servers need no key."""
    import httpx

    key = {} if os.environ.get("OPENAI_API_KEY") else {"api_key": "none"}
    return key | {
        "http_client": httpx.Client(trust_env=False),
        "http_async_client": httpx.AsyncClient(trust_env=False),
    }


def _unusable(provider: str, name: str, error: Exception) -> ModelError:
    if variable := re.search(r"\b[A-Z_]+_API_KEY\b", str(error)):
        return ModelError(
            _("{provider}:{name} wants an API key.", provider=provider, name=name),
            _("Set the variable {variable}.", variable=variable[0]),
        )
    reason = str(error).strip().split("\n")[0]
    return ModelError(
        _("{provider}:{name} can't be used: {reason}", provider=provider, name=name, reason=reason),
        _("See LangChain's init_chat_model."),
    )
