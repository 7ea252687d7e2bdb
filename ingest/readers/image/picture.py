"""Pictures (PNG, JPEG, TIFF, …): their text by OCR, if installed. Frames of a TIFF are pages."""

from __future__ import annotations

import io
from importlib.util import find_spec
from typing import Any

from ingest.readers.blocks import Block, Content, Context
from ingest.readers.image import ocr
from kb_assistant.errors import ReadError
from kb_assistant.messages import _, join

_MOST_PIXELS = 100_000_000
_HEIC = (b"heic", b"heix", b"hevc", b"mif1")
_SMALLEST = 32  # pixels of the shorter side: a smaller picture is an icon


def read(data: bytes, context: Context) -> Content:
    """The text of a picture; without OCR none, and a note.

    Raises:
        ReadError: it is damaged or too large.
    """
    if not ocr.available() or find_spec("PIL") is None:
        return Content("", (), {}, (join((_("It is a picture: no text was found without OCR."), ocr.HINT)),))
    import PIL.Image

    if data[4:8] == b"ftyp" and data[8:12] in _HEIC:
        raise ReadError(_("Pictures of the format HEIC can't be read."), _("Save it as JPEG or PNG."))
    PIL.Image.MAX_IMAGE_PIXELS = None  # the size is checked here
    try:
        with PIL.Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            if width * height > _MOST_PIXELS:
                raise ReadError(
                    _("The picture has {width} × {height} pixels: too many.", width=width, height=height),
                    _("Make it smaller."),
                )
            frames = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
            blocks = []
            left = []
            for frame in range(frames):
                if not context.ocr.allows():
                    left.append(frame + 1)
                    continue
                if frame:
                    image.seek(frame)
                context.heartbeat()
                if min(image.size) < _SMALLEST:
                    continue
                with context.ocr.page():
                    text = ocr.recognize(_pixels(image))
                if text:
                    blocks.append(Block(text, page=frame + 1 if frames > 1 else None))
    except (ReadError, MemoryError):
        raise
    except Exception as error:  # Pillow raises any error on a damaged picture
        raise ReadError(_("The picture is damaged."), _("Save it anew and try again.")) from error
    notes = (ocr.left_note(left, context.ocr),) if left else ()
    return Content("", tuple(blocks), {}, notes)


def _pixels(image: Any) -> Any:
    """RGB as the picture is meant to be seen: rotated as the camera says, transparent parts on white."""
    import numpy as np
    import PIL.Image
    import PIL.ImageOps

    if image.mode[0] in "IF":  # more than 8 bits per pixel, which Pillow would clip rather than scale
        values = np.asarray(image, dtype=np.float64)
        values = (values - values.min()) * (255 / max(float(np.ptp(values)), 1e-9))
        image = PIL.Image.fromarray(values.astype(np.uint8))
    turned = PIL.ImageOps.exif_transpose(image).convert("RGBA")
    ground = PIL.Image.new("RGBA", turned.size, "white")
    return np.asarray(PIL.Image.alpha_composite(ground, turned).convert("RGB"))
