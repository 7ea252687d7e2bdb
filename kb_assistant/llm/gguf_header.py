"""The header of a GGUF file: a model's own description. Reads no weights.

Layout: the GGUF specification, versions 2 and 3, little endian. Whatever the bytes, reading returns a header or
raises ModelError, which names the field.

Why not the reader of the package gguf: it makes four arrays for each entry of a vocabulary, which took 1.8 s of
processor time for 49,152 entries and their merges, against 0.02 s here; its only hooks are private methods; and
damaged bytes end in many kinds of errors, or in a loop over 2**62 entries.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb_assistant.errors import ModelError
from kb_assistant.messages import _

_NUMBERS = {
    code: struct.Struct(f"<{letter}")
    for code, letter in {
        **{0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i"},
        **{6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"},
    }.items()
}
_MAGIC = b"GGUF"
_ARCHITECTURE = "general.architecture"
_STRING, _ARRAY = 8, 9
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
# Longer arrays, such as the vocabulary, are skipped.
_LONGEST_KEPT = 4096
_LONGEST = 10_000_000
_DIMENSIONS = 4
_ALIGNMENT = "general.alignment"
_ALIGNED = 32
# Number of weights, however many bits each has. Models named "1B" have 0.9 to 1.5 billion.
_LARGE = 900_000_000
# Most characters of an invalid value in a message.
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class GGUFHeader:
    """The fields of a GGUF file by name.

    Attributes:
        path: The file.
        architecture: The kind of network, such as "llama". The fields that describe it have this prefix.
        fields: Numbers, texts, and arrays of numbers as tuples; other arrays are None.
        shapes: The sizes of each tensor by its name, the one that changes fastest first: (in, out) of a matrix.
    """

    path: Path
    architecture: str
    fields: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]

    @property
    def parameters(self) -> int:
        """Number of weights in all tensors."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def count(self, key: str, default: int = 0) -> int:
        """A whole number of the architecture; the largest of an array, which has one for each layer.

        Raises:
            ModelError: the field holds something else.
        """
        return max(self._counts(key), default=0) or default

    def total(self, key: str, layers: int, default: int = 0) -> int:
        """The sum of such a number over all layers.

        Raises:
            ModelError: the field holds something else.
        """
        counts = self._counts(key)
        if len(counts) > 1 and len(counts) != layers:
            raise _odd(self.path, f"{self.architecture}.{key}", self.fields)
        return sum(counts) if len(counts) > 1 else layers * (self.count(key) or default)

    def _counts(self, key: str) -> tuple[int, ...]:
        name = f"{self.architecture}.{key}"
        if name not in self.fields:
            return ()
        value = self.fields[name]
        counts = value if isinstance(value, tuple) else (value,)
        if not all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in counts):
            raise _odd(self.path, name, self.fields)
        return counts


def is_large(header: GGUFHeader) -> bool:
    """Whether a model has a billion weights or more: smaller ones lose the thread and drift off."""
    return header.parameters >= _LARGE


def read_gguf_header(path: Path) -> GGUFHeader:
    """The header of the file, checked against its size.

    Raises:
        ModelError: it can't be read, isn't a GGUF file, or is damaged or incomplete.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ModelError(
                    _("{path} is no GGUF file.", path=path), _("Give a chat model in llama.cpp's format, *.gguf.")
                )
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                fields, shapes = _Reader(path, data).header()
    except OSError as error:
        raise ModelError(
            _("{path} can't be read: {reason}.", path=path, reason=error), _("Check the path.")
        ) from error
    architecture = fields.get(_ARCHITECTURE)
    if not isinstance(architecture, str) or not 0 < len(architecture) <= _SHOWN:
        raise _odd(path, _ARCHITECTURE, fields)
    return GGUFHeader(path, architecture, fields, shapes)


class _Reader:
    """A cursor over the header that refuses to read past the file's end."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._path, self._data = path, data
        self._position = len(_MAGIC)
        self._at: str = _("its first numbers")

    def header(self) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
        """All fields, and the tensors' shapes, after checking that the tensors lie within the file."""
        version = self._number(_U32)
        if version not in (2, 3):
            raise _unusable(self._path, _("it is of GGUF version {version}; 2 and 3 are known", version=version))
        tensors, count = self._number(_U64), self._number(_U64)
        fields: dict[str, Any] = {}
        for __ in range(count):
            name = self._text()
            self._at = name[:_SHOWN]
            if name in fields:
                raise _unusable(self._path, _("{name} is there twice", name=self._at))
            fields[name] = self._value(self._number(_U32))
        return fields, self._shapes(tensors, fields.get(_ALIGNMENT, _ALIGNED))

    def _shapes(self, count: int, alignment: Any) -> dict[str, tuple[int, ...]]:
        """The shapes of the tensors.

        Raises:
            ModelError: a tensor begins beyond the file's end, as in an incomplete download.
        """
        if not isinstance(alignment, int) or alignment < 1:
            raise _unusable(
                self._path, _("{name} is {value}", name="general.alignment", value=repr(alignment)[:_SHOWN])
            )
        starts: dict[str, int] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        for __ in range(count):
            name = self._at = self._text()[:_SHOWN]
            dimensions = self._number(_U32)
            if dimensions > _DIMENSIONS:
                raise _unusable(self._path, _("{name} has {count} dimensions", name=name, count=dimensions))
            shapes[name] = tuple(self._number(_U64) for __ in range(dimensions))
            self._skip(_U32.size)
            starts[name] = self._number(_U64)
        data = -(-self._position // alignment) * alignment
        for name, start in starts.items():
            if data + start >= len(self._data):
                raise _unusable(self._path, _("it ends before the tensor {name}", name=name))
        return shapes

    def _value(self, kind: int) -> Any:
        if kind in _NUMBERS:
            return self._number(_NUMBERS[kind])
        if kind == _STRING:
            return self._text()
        if kind == _ARRAY:
            return self._array()
        raise _unusable(self._path, _("{name} is of type {kind}, which is unknown", name=self._at, kind=kind))

    def _array(self) -> tuple[Any, ...] | None:
        kind, count = self._number(_U32), self._number(_U64)
        if count > _LONGEST:
            raise _unusable(self._path, _("{name} has {count} entries", name=self._at, count=count))
        if kind == _STRING:
            for __ in range(count):
                self._skip(self._number(_U64))
            return None
        if kind not in _NUMBERS:
            raise _unusable(
                self._path, _("{name} is a list of type {kind}, which is unknown", name=self._at, kind=kind)
            )
        if count > _LONGEST_KEPT:
            self._skip(count * _NUMBERS[kind].size)
            return None
        return tuple(self._number(_NUMBERS[kind]) for __ in range(count))

    def _text(self) -> str:
        return self._take(self._number(_U64)).decode(errors="replace")

    def _number(self, form: struct.Struct) -> Any:
        return form.unpack(self._take(form.size))[0]

    def _take(self, size: int) -> bytes:
        start = self._position
        self._skip(size)
        return self._data[start : self._position]

    def _skip(self, size: int) -> None:
        self._position += size
        if self._position > len(self._data):
            raise _unusable(self._path, _("it ends amid {name}", name=self._at))


def _odd(path: Path, name: str, fields: dict[str, Any]) -> ModelError:
    if name not in fields:
        return _unusable(path, _("{name} is missing", name=name))
    if fields[name] is None:
        return _unusable(path, _("{name} is a list", name=name))
    return _unusable(path, _("{name} is {value}", name=name, value=repr(fields[name])[:_SHOWN]))


def _unusable(path: Path, reason: str) -> ModelError:
    return ModelError(
        _("{path} can't be loaded: {reason}.", path=path, reason=reason),
        _("The file is damaged or incomplete, or no language model: get it again."),
    )
