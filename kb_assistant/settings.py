"""Every setting with its default, once. Read from: defaults < kb.toml < KB_* variables < flags.

`kb.toml` lies in the home and holds plain `name = value` lines. None is read from the working folder: a
downloaded folder must not be able to send questions to another model.
"""

from __future__ import annotations

import inspect
import os
import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any

from kb_assistant.deprecation import renamed_arguments, renamed_attribute
from kb_assistant.errors import SettingsError
from kb_assistant.lock import writing
from kb_assistant.messages import _
from kb_assistant.small_file import decode_text, unwritable, write_whole
from kb_assistant.text.prompt_template import PLACEHOLDERS, REQUIRED, placeholders

CHOICES = {
    "answers": ("documents", "documents-first", "model"),
    "rewrite": ("off", "model"),
    "device": ("auto", "cpu", "cuda"),
    "quantize": ("auto", "none", "int4", "nf4"),
    "index": ("local", "server"),
}
"""Settings that take one of a few words."""

LENGTHS = ("short", "medium", "long")
"""Lengths of answers by name; the setting also takes a number of words."""

OLD_NAMES = {"floor": "refuse_below", "certain": "uncertain_below"}
"""Settings by the names they had before, which still work in every place. Where a file or the environment has both
names of one, the new one counts."""

_LOCK_S = 10.0
_KB_NAME = re.compile(r"[\w-][\w.-]{0,63}")
_LANGUAGE = re.compile(r"([^\W\d_][\w ()-]{0,39})?")
_LEAST_CONTEXT = 64
_PLAIN = dict.fromkeys("“”„＂", '"') | dict.fromkeys("‘’＇", "'") | {"＝": "="}
_LOOK_ALIKES = re.compile(f"[{''.join(_PLAIN)}]")
_FEWEST_WORDS, _MOST_WORDS = 5, 10_000
_TEMPLATE = _(
    "a text with {{passages}} and {{question}}, and besides at most {{role}}, {{rules}} and {{task}};"
    " other braces are doubled"
)


def _is_template(text: str) -> bool:
    try:
        names = placeholders(text)
    except ValueError:
        return False
    return set(REQUIRED) <= set(names) <= set(PLACEHOLDERS)


def _is_address(text: str) -> bool:
    return not text or re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", text) is not None


def _has_password(address: str) -> bool:
    """Whether the address of a server has one, in either place."""
    place, _mark, options = address.partition("?")
    user, at, _host = place.partition("://")[2].rpartition("@")
    return (bool(at) and ":" in user) or "password=" in options.casefold()


def default_home() -> Path:
    """Folder for knowledge bases and models: the platform's place for user data."""
    from platformdirs import user_data_path

    return user_data_path("kb-assistant", appauthor=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one knowledge base.

    Attributes:
        home: Folder that holds knowledge bases, models and caches.
        kb: Name of the knowledge base in that home.
        embedder: Installed model's name or folder (see `kb models list`); or `openai:MODEL@URL`, a server that
            speaks the OpenAI API. `:int8` or `:float32` behind a name says how passages are embedded; without it
            the processor decides for a new knowledge base.
        query_prefix: What a server's embedder wants before a question, such as "query: "; multilingual-e5-small's
            is known.
        passage_prefix: The same before a passage.
        server_seconds: Time after which one request to the server of an embedder has failed.
        model: Chat model: `auto` (the largest one installed; quotes where none is, or all are very small),
            `extract` (quotes, no language model), an installed model's name, a .gguf file, or `provider:model`
            for LangChain's init_chat_model.
        adapter: What was trained on the model: a name of `kb train list`, or a folder; unset, none. With it,
            `model = "auto"` is the model that it was trained on.
        base_url: Address of an OpenAI-compatible server, with `model = "openai:NAME"`; also of an embedder or
            reranker without `@URL`.
        answers: `documents`: only the documents answer. `documents-first`: where they hold no answer, the chat
            model answers by itself, which is marked. `model`: a plain chat, nothing is searched.
        answer_length: `short`, `medium` (as the question needs), `long`, or a number of words, in Chinese of
            characters. Very small models answer `short` and `medium` in a sentence.
        answer_language: Language of the answers, a code or a name: `en`, `zh`, `zh-Hant`, `German`; unset, the
            question's. The quoting model doesn't translate.
        role: A sentence at the head of each prompt, such as "You are the help desk of a tea farm."
        prompt_template: Prompt with {passages} and {question}, and any of {role}, {rules} and {task}; unset, the
            one that `kb ask --show-prompt` shows. Other braces are doubled. Used where there are passages.
        k: Passages given to the model.
        rewrite: `off`, or `model`: the chat model puts a follow-up as a question of its own, to be searched, too.
        rewrite_seconds: Time after which the search goes on without.
        reranker: Cross-encoder that orders the best passages anew: an installed name or a folder, or
            `openai:MODEL@URL`, a server with `/rerank`; unset, none.
        rerank_seconds: Time after which it reads no further passages.
        answer_reader: `on`: before an answer the reader reads the question together with the best passages, if
            multilingual-e5-small is installed; `off`; or one that `kb train reader` made, by its name.
        answer_reader_seconds: Time after which no further passage is read.
        refuse_below: Evidence, from 0 to 1, below which a question is refused. Unset, the one that `kb eval
            --keep-floor` kept with the index; without it 0.5 for the embedder that comes along, 0 for those that
            were never measured. `floor` is its old name.
        uncertain_below: Evidence below which an answer is marked uncertain. Unset, kept, 0.75 or 0 in the same
            way. `certain` is its old name.
        chunk_tokens: Longest chunk, in tokens of the embedder.
        overlap: Sentences of the chunk before that a chunk begins with, 0 to 3. They take at most a quarter of it.
        context_tokens: Longest prompt and answer together, in tokens of the chat model; unset, as long as it
            was trained for.
        max_tokens: Longest answer, in tokens; unset, as `answer_length` needs, 512 for `medium` and 256 for
            very small models, at most half the context. A longer answer is cut, which it says.
        temperature: Of sampling; 0 takes the most probable token. Unset, the model's own: 0.8 for ChatGLM2, 0
            for others.
        seed: For sampling: the same seed gives the same answer.
        threads: Threads for models; 0 takes all cores.
        device: `auto`, `cpu` or `cuda`: where torch computes embeddings, and answers where it is the engine.
        quantize: ChatGLM2 by torch: `auto` (INT4 as it is, fp16 to NF4), `none`, `int4` or `nf4`.
        readers: Reader processes; 0 takes one a core.
        read_seconds: Longest time for reading one file, or one page of it by OCR.
        read_megabytes: Most memory for a reader process.
        file_megabytes: Largest file that is read.
        ocr_pages: Most pages of a file that are read by OCR; the report names the others.
        ocr_seconds: Time after which OCR begins no other page of a file; 0 for no limit.
        archive_megabytes: Largest zip or tar archive that is read, packed and unpacked.
        archive_members: Most files in such an archive.
        lock_seconds: How long a second writer waits for the first.
        store: `sqlite`: a file for each knowledge base in the home. `postgresql://USER@HOST/DATABASE`: a schema
            for each in that database, which several machines may fill and search. A password isn't part of it:
            name a file with `?passfile=FILE`, or by PGPASSFILE.
        index: Where vectors are searched. `local`: each machine that answers holds an index of all of them.
            `server`: pgvector on the PostgreSQL server of `store` does it, where they don't fit a machine.
        uploads: Folder of the uploaded files; unset, `uploads` in the home. Machines that share a `store` on a
            server share this folder, too, under the same path.
        telemetry: Address of an OpenTelemetry receiver (OTLP over HTTP) that is told what takes how long, such as
            `http://127.0.0.1:4318`; unset, none.
    """

    home: Path
    kb: str = "default"
    embedder: str = "multilingual-e5-small"
    query_prefix: str = ""
    passage_prefix: str = ""
    server_seconds: float = 60.0
    model: str = "auto"
    adapter: str = ""
    base_url: str = ""
    answers: str = "documents"
    answer_length: str = "medium"
    answer_language: str = ""
    role: str = ""
    prompt_template: str = ""
    k: int = 5
    rewrite: str = "off"
    rewrite_seconds: float = 10.0
    reranker: str = ""
    rerank_seconds: float = 2.0
    answer_reader: str = "on"
    answer_reader_seconds: float = 2.0
    refuse_below: float | None = None
    uncertain_below: float | None = None
    chunk_tokens: int = 256
    overlap: int = 0
    context_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int = 0
    threads: int = 0
    device: str = "auto"
    quantize: str = "auto"
    readers: int = 0
    read_seconds: float = 60.0
    read_megabytes: int = 2048
    file_megabytes: int = 100
    ocr_pages: int = 200
    ocr_seconds: float = 600.0
    archive_megabytes: int = 1000
    archive_members: int = 10_000
    lock_seconds: float = 10.0
    store: str = "sqlite"
    index: str = "local"
    uploads: str = ""
    telemetry: str = ""

    def __post_init__(self) -> None:
        if not _KB_NAME.fullmatch(self.kb):
            raise SettingsError(
                _("{name!r} can't name a knowledge base.", name=self.kb),
                _("Use up to 64 letters, digits, '-', '_' or '.', not starting with '.'."),
            )
        for name in (
            "k",
            "read_megabytes",
            "file_megabytes",
            "ocr_pages",
            "archive_megabytes",
            "archive_members",
        ):
            self._require(name, getattr(self, name) >= 1, _("at least {number}", number=1))
        self._require(
            "max_tokens", self.max_tokens is None or self.max_tokens >= 1, _("at least {number}", number=1)
        )
        for name in ("refuse_below", "uncertain_below"):
            self._require(
                name, 0 <= (getattr(self, name) or 0) <= 1, _("from {lowest} to {highest}", lowest=0, highest=1)
            )
        self._require("chunk_tokens", self.chunk_tokens >= 32, _("at least {number}", number=32))
        self._require("overlap", 0 <= self.overlap <= 3, _("from {lowest} to {highest}", lowest=0, highest=3))
        self._require(
            "context_tokens",
            (self.context_tokens or _LEAST_CONTEXT) >= _LEAST_CONTEXT,
            _("at least {number}", number=_LEAST_CONTEXT),
        )
        room = self.context_tokens is None or self.context_tokens > (self.max_tokens or 0)
        self._require("context_tokens", room, _("more than max_tokens"))
        for name, words in CHOICES.items():
            self._require(
                name,
                getattr(self, name) in words,
                _("{names} or {last}", names=", ".join(words[:-1]), last=words[-1]),
            )
        self._require_prompt()
        self._require(
            "telemetry", _is_address(self.telemetry), _("an address that begins with http:// or https://")
        )
        self._require("server_seconds", self.server_seconds > 0, _("more than 0"))
        self._require_store()
        for name in (
            "temperature",
            "threads",
            "readers",
            "read_seconds",
            "ocr_seconds",
            "lock_seconds",
            "rewrite_seconds",
            "rerank_seconds",
            "answer_reader_seconds",
        ):
            self._require(name, (getattr(self, name) or 0) >= 0, _("0 or more"))

    def _require_store(self) -> None:
        if _has_password(self.store):  # which no message shows
            raise SettingsError(
                _("A password stands in the setting {name!r}.", name="store"),
                _("Write it into a file as PostgreSQL's .pgpass; name that with ?passfile=FILE or by PGPASSFILE."),
            )
        address = re.fullmatch(r"postgres(ql)?://[^\s#]*", self.store) is not None
        self._require("store", self.store == "sqlite" or address, _("sqlite, or postgresql://USER@HOST/DATABASE"))
        if self.index == "server" and not address:
            raise SettingsError(
                _(
                    "index = 'server' needs a store on a PostgreSQL server, and store is {store!r}.",
                    store=self.store,
                ),
                _(
                    "Set `kb settings index local`, or name the server: `kb settings store postgresql://USER@HOST/DATABASE`."
                ),
            )
        whole = not self.uploads or Path(self.uploads).expanduser().is_absolute()
        self._require("uploads", whole and "\0" not in self.uploads, _("the whole path of a folder"))

    def _require_prompt(self) -> None:
        length = self.answer_length
        words = length.isdecimal() and _FEWEST_WORDS <= int(length) <= _MOST_WORDS
        wanted = _(
            "{names} or a number of words from {lowest} to {highest}",
            names=", ".join(LENGTHS),
            lowest=_FEWEST_WORDS,
            highest=_MOST_WORDS,
        )
        self._require("answer_length", length in LENGTHS or words, wanted)
        self._require(
            "answer_language",
            _LANGUAGE.fullmatch(self.answer_language) is not None,
            _("a language's code or name"),
        )
        self._require("role", "\n" not in self.role, _("one line"))
        if self.prompt_template:
            self._require("prompt_template", _is_template(self.prompt_template), _TEMPLATE)

    def _require(self, name: str, holds: bool, wanted: str) -> None:
        if not holds:
            raise SettingsError(
                _("{name} = {value} is not possible.", name=name, value=repr(getattr(self, name))),
                _("It must be {wanted}.", wanted=wanted),
            )

    floor = renamed_attribute("floor", "refuse_below")
    certain = renamed_attribute("certain", "uncertain_below")

    @property
    def kb_dir(self) -> Path:
        return self.home / "kbs" / self.kb

    @property
    def uploads_dir(self) -> Path:
        return Path(self.uploads).expanduser() if self.uploads else self.home / "uploads"

    @property
    def models_dir(self) -> Path:
        return self.home / "models"

    @classmethod
    @renamed_arguments(**OLD_NAMES)
    def load(cls, **flags: Any) -> Settings:
        """Settings from all places. `flags` win; those that are None were not given.

        Raises:
            SettingsError: an unknown name or an impossible value, with the place it came from.
        """
        home, layers = _layers(flags)
        return cls(**_values(layers) | {"home": home})

    @renamed_arguments(**OLD_NAMES)
    def but(self, **changes: Any) -> Settings:
        """A copy with some settings changed."""
        return replace(self, **changes)


Settings.__init__ = renamed_arguments(**OLD_NAMES)(Settings.__init__)  # type: ignore[method-assign]

TYPES: dict[str, type] = {
    field.name: {"Path": Path, "str": str, "int": int, "float": float}[str(field.type).removesuffix(" | None")]
    for field in fields(Settings)
}
"""What a setting's value is, apart from None where it may be unset."""

_KINDS = {Path: _("a path"), str: _("a text"), int: _("a whole number"), float: _("a number")}


def defaults() -> dict[str, Any]:
    """Every setting's default, in the order of the class; that of `home` depends on the platform."""
    return {one.name: default_home() if one.default is MISSING else one.default for one in fields(Settings)}


def meanings() -> dict[str, str]:
    """What every setting means, in the same order: the class's own docstring."""
    told = inspect.cleandoc(Settings.__doc__ or "").split("Attributes:\n", 1)[1]
    found = dict(re.findall(r"^    (\w+): (.+?)(?=^    \w+: |\Z)", told, re.MULTILINE | re.DOTALL))
    return {name: " ".join(found[name].split()) for name in defaults()}


def origins(**flags: Any) -> dict[str, str]:
    """Where settings that aren't at their defaults come from: "arguments", "environment", or the path of kb.toml.

    Raises:
        SettingsError: as `Settings.load`, but for impossible values.
    """
    return {name: source for source, layer in _layers(flags)[1].items() for name in layer}


def write_setting(home: Path, name: str, value: Any, /, **flags: Any) -> None:
    """Write one setting into the home's kb.toml; None takes it out, so that its default holds. The other lines and
    the comments stay as they are.

    Args:
        flags: With which settings will be loaded; they and the environment count for more.

    Raises:
        SettingsError: an unknown name, an impossible value, or one that doesn't go with the others.
        BusyError: another process is writing settings.
        StoreError: the home can't be written.
    """
    path = home / "kb.toml"
    name = new_name(name)
    if name == "home":
        raise SettingsError(_("'home' can't be set in {path}.", path=path), _("Set KB_HOME or pass --home."))
    _reject_unknown({name: value}, _("the arguments"))
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(home, error) from error
    with writing(home, _LOCK_S, _("the settings")):
        new = None if value is None else _convert(name, value, _("the arguments"))
        layers = _layers(flags | {"home": home})[1]
        if new is not None:
            layers[str(path)][name] = new
            Settings(**_values(layers))
            Settings(home=home, **_values({str(path): layers[str(path)]}))
        write_line(path, name, new)


def new_name(name: str) -> str:
    """A setting's name, where it may be given by its old one."""
    return OLD_NAMES.get(name, name)


def write_line(path: Path, name: str, value: Any) -> None:
    """Write one setting into a kb.toml; None takes it out. Hold the lock of the home."""
    text = decode_text(path.read_bytes()) if path.exists() else ""
    write_whole(path, with_line(text, name, value))


def with_line(text: str, name: str, value: Any) -> str:
    """The text of a kb.toml with one setting; None takes it out."""
    import tomlkit

    document = tomlkit.parse(_with_line_feeds(text))
    for old in [old for old, new in OLD_NAMES.items() if new == name and old in document]:
        if name in document:
            document.pop(old)
        else:
            place = next(at for at, (key, _value) in enumerate(document.body) if key and key.key == old)
            document.body[place] = (tomlkit.key(name), document.body[place][1])
            document = tomlkit.parse(document.as_string())
    if value is None:
        document.pop(name, None)
    else:
        document[name] = value
    written = tomlkit.dumps(document)
    return written.replace("\n", "\r\n") if "\r\n" in text else written


def _layers(flags: Mapping[str, Any]) -> tuple[Path, dict[str, dict[str, Any]]]:
    """The home, and the settings of each place by its name; later places win."""
    given = _by_new_names({name: value for name, value in flags.items() if value is not None})
    _reject_unknown(given, _("the arguments"))
    environment = _from_environment(os.environ)
    home = home_of(given.get("home"))
    path = home / "kb.toml"
    return home, {str(path): read_settings(path), "environment": environment, "arguments": given}


def _by_new_names(layer: Mapping[str, Any]) -> dict[str, Any]:
    return {new_name(name): value for name, value in layer.items() if OLD_NAMES.get(name) not in layer}


def _values(layers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """All that is set, of the right types; what a later layer says counts."""
    return {
        name: _convert(name, value, source) for source, layer in layers.items() for name, value in layer.items()
    }


def home_of(home: Path | None = None) -> Path:
    """The home, as given, by KB_HOME, or the usual one. Nothing else is looked at."""
    return Path(home or os.environ.get("KB_HOME") or default_home()).expanduser().absolute()


def home_option(home: Path) -> str:
    """What a command that is told to the user needs to reach this home: " --home DIR", or "" for the one that
    commands take anyway."""
    return "" if home.absolute() == home_of() else f" --home {shlex.quote(str(home.absolute()))}"


def _reject_unknown(layer: Mapping[str, Any], source: str) -> None:
    unknown = sorted(set(layer) - set(TYPES))
    if unknown:
        raise SettingsError(
            _("Unknown setting {name!r} in {source}.", name=unknown[0], source=source),
            _("Known settings: {names}.", names=", ".join(sorted(TYPES))),
        )


def read_settings(path: Path) -> dict[str, Any]:
    """What a kb.toml says; nothing if there is none. Raises SettingsError as Settings.load."""
    try:
        text = decode_text(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise _unreadable(path, error, _("Mend or delete the file.")) from error
    except ValueError as error:
        raise _unreadable(path, error, _("Save it as UTF-8, or delete it.")) from error
    return parsed_settings(text, path)


def parsed_settings(text: str, path: Path | str) -> dict[str, Any]:
    """What the text of a kb.toml says; `path` tells where it lies. Raises SettingsError as Settings.load."""
    text = _with_line_feeds(text)
    try:
        layer = _by_new_names(tomllib.loads(text))
    except ValueError as error:
        raise _unreadable(path, error, _look_alike(text, error) or _("Mend or delete the file.")) from error
    if "home" in layer:
        raise SettingsError(_("'home' can't be set in {path}.", path=path), _("Set KB_HOME or pass --home."))
    _reject_unknown(layer, str(path))
    return layer


def _unreadable(path: Path | str, error: Exception, hint: str) -> SettingsError:
    return SettingsError(_("{path} can't be read: {reason}.", path=path, reason=error), hint)


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _look_alike(text: str, error: ValueError) -> str:
    """Which character in the line of the error only looks like one of TOML's, as word processors and input methods
    write it, in words; or ""."""
    place = re.search(r"at line (\d+)", str(error))
    number = int(place[1]) if place else 0
    found = _LOOK_ALIKES.search(text.split("\n")[number - 1]) if number else None
    if found is None:
        return ""
    return _(
        "Line {line} has {character} in place of {plain}.", line=number, character=found[0], plain=_PLAIN[found[0]]
    )


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """KB_MODEL=… and so on. Other KB_* names may belong to somebody else and are left alone."""
    names = (*TYPES, *OLD_NAMES)
    return _by_new_names({name: environ[key] for name in names if environ.get(key := f"KB_{name.upper()}")})


def _convert(name: str, value: Any, source: str) -> Any:
    wanted = TYPES[name]
    try:
        if isinstance(value, bool) or (wanted is int and isinstance(value, float)):
            raise ValueError
        return Path(value).expanduser() if wanted is Path else wanted(value)
    except (TypeError, ValueError):
        raise SettingsError(
            _("{name} = {value} in {source} is not possible.", name=name, value=repr(value), source=source),
            _("It must be {wanted}.", wanted=_KINDS[wanted]),
        ) from None
