"""RTF: paragraphs and tables. Fonts determine the character sets; pictures and hidden parts are left out.

Follows the RTF specification 1.9.1 for text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingest.readers.blocks import HEADING_CHARS, Content, Context, one_line
from ingest.readers.code_pages import CODE_PAGES_OF_FONTS, codec_of_code_page
from ingest.readers.encoding import normalize_text
from ingest.readers.hidden_text import hidden_note
from ingest.readers.office.docx_styles import kind_of_name
from ingest.readers.office.rtf_text import PROPERTIES, Paragraph, Text, set_property
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_TOKEN = re.compile(
    rb"\\([A-Za-z]{1,32})(-?\d{1,10})? ?|\\'([0-9A-Fa-f]{2})|\\([^A-Za-z])|([{}])|[\r\n]+|([^\\{}\r\n]+)"
)
# Groups whose text isn't the document's.
_LEFT_OUT = frozenset(
    "fonttbl colortbl stylesheet listtable listoverridetable rsidtbl generator info pict object themedata "
    "colorschememapping datastore latentstyles header headerl headerr headerf footer footerl footerr footerf "
    "xmlnstbl fldinst filetbl revtbl pgdsctbl listpicture nonshppict wgrffmtfilter mmathPr annotation atnid "
    "atnauthor atrfstart atrfend atndate bkmkstart bkmkend xe tc do shpinst panose falt userprops docvar "
    "blipuid".split()
)
_MARKS = {
    "tab": "\t", "line": "\n", "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”", "bullet": "•",
    "endash": "–", "emdash": "—", "emspace": " ", "enspace": " ", "page": "\n", "column": "\n", "softline": "\n",
}  # fmt: skip
_SYMBOLS = {b"~": "\u00a0", b"_": "-", b"\\": "\\", b"{": "{", b"}": "}", b"\n": "\n", b"\r": "\n"}
_NUMBERS = ("listtext", "pntext")  # the number of a paragraph, as the writer computed it
_LIST_TABLES = ("listtable", "listoverridetable")
_DEEPEST = 2_000


@dataclass(slots=True)
class _GroupState:
    """The state of a group, restored at its end."""

    left_out: bool = False
    hidden: bool = False
    deleted: bool = False
    font: int = -1
    after_unicode: int = 1
    part: str = ""


def read(data: bytes, context: Context) -> Content:
    """The paragraphs and tables. The title is from the properties, else the first heading.

    Raises:
        ReadError: its groups are nested too deep, or it isn't RTF.
    """
    data = data.lstrip()
    if not data.startswith(b"{\\rtf"):
        raise ReadError(_("This isn't an RTF file, whatever its name."), _("Give it the suffix of its format."))
    return _Reader(data).read()


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._text = Text()
        self._state = _GroupState()
        self._stack: list[_GroupState] = []
        self._codec = "cp1252"
        self._fonts: dict[int, str] = {}
        self._defining = -1
        self._bytes = bytearray()
        self._skip = 0
        self._high = 0
        self._title: list[str] = []
        self._label: list[str] = []
        self._level_text: list[str] = []
        self._style = 0  # the one that is being defined
        self._hidden: list[str] = []
        self._comments: list[str] = []

    def read(self) -> Content:
        place = 0
        data = self._data
        while match := _TOKEN.match(data, place):
            place = match.end()
            word, number, code, symbol, brace, plain = match.groups()
            if code is not None:
                self._byte(int(code, 16))
                continue
            if plain is not None:
                self._plain(plain)
                continue
            if symbol == b"'" or (word is None and symbol is None and brace is None):
                continue
            self._flush()
            if brace == b"{":
                self._open()
            elif brace == b"}":
                self._close()
            elif symbol is not None:
                if symbol == b"*":
                    self._state.left_out = True
                else:
                    self._say(_SYMBOLS.get(symbol, ""))
            elif word is not None:
                name = word.decode("ascii")
                if name == "bin":
                    place += max(int(number or 0), 0)
                else:
                    self._control(name, None if number is None else int(number))
        self._flush()
        self._text.end_paragraph()
        self._text.in_table = False
        self._text.end_paragraph()
        self._text.end_row()
        self._text.end_table()
        self._text.end_list()
        title = one_line("".join(self._title))[:HEADING_CHARS] or self._text.first_heading
        notes = (*hidden_note(_("marked as hidden"), " ".join(self._hidden), always=True),
                 *hidden_note(_("a comment"), "".join(self._comments)))  # fmt: skip
        return Content(title, self._text.outline.finish(), {}, notes)

    def _open(self) -> None:
        if len(self._stack) >= _DEEPEST:
            raise ReadError(_("The RTF file is nested too deep."), _("Open and save it in a word processor."))
        self._stack.append(self._state)
        old = self._state
        self._state = _GroupState(old.left_out, old.hidden, old.deleted, old.font, old.after_unicode, old.part)

    def _close(self) -> None:
        self._skip = 0
        part = self._state.part
        if self._stack:
            self._state = self._stack.pop()
        if part in _NUMBERS and self._state.part not in _NUMBERS:
            self._text.paragraph.label, self._label = one_line("".join(self._label)), []
        elif part == "leveltext" and self._state.part != "leveltext":
            self._text.lists.level_text("".join(self._level_text))
            self._level_text = []

    def _control(self, name: str, number: int | None) -> None:
        if self._begins_part(name, number) or self._sets_characters(name, number):
            return
        state = self._state
        if state.part == "leveltext" or name == "leveltext":
            state.part = "leveltext"
        elif state.part in _LIST_TABLES:
            self._text.lists.control(name, number)
        elif state.part == "stylesheet":
            self._define_style(name, number)
        elif state.part in _NUMBERS:
            self._say(_MARKS.get(name, ""))
        elif not state.left_out:
            self._lay_out(name, number)

    def _begins_part(self, name: str, number: int | None) -> bool:
        """Whether it begins a part of the file, or says whether a part belongs to the text."""
        state = self._state
        if name in _LEFT_OUT:
            state.left_out, state.part = True, name
            self._text.lists.control(name, number)
        elif name in _NUMBERS:
            state.part = name
        elif name == "title" and state.part == "info":
            state.part = "title"
        elif name == "upr":
            state.left_out = True
        elif name == "shptxt":  # a text box, in the middle of its drawing
            self._text.end_paragraph()
            state.left_out = False
        elif name == "ud":
            state.left_out = False
        else:
            return False
        return True

    def _sets_characters(self, name: str, number: int | None) -> bool:
        """Whether it is a character, or sets how characters are encoded or shown."""
        state = self._state
        if name == "u" and number is not None:
            self._unicode(number)
        elif name == "uc":
            state.after_unicode = max(number or 0, 0)
        elif name == "f" and number is not None:
            self._defining = number
            state.font = number
        elif name == "fcharset" and number in CODE_PAGES_OF_FONTS:
            self._fonts[self._defining] = codec_of_code_page(CODE_PAGES_OF_FONTS[number])
        elif name == "ansicpg" and number:
            self._codec = codec_of_code_page(number) or "cp1252"
        elif name in ("mac", "pc"):
            self._codec = {"mac": "mac-roman", "pc": "cp437"}[name]
        elif name == "v":
            state.hidden = number != 0
        elif name == "deleted":
            state.deleted = number != 0
        elif name == "plain":
            state.hidden = state.deleted = False
        else:
            return False
        return True

    def _lay_out(self, name: str, number: int | None) -> None:
        """A control word of paragraphs and tables, or a mark."""
        text = self._text
        if name in ("par", "sect"):
            text.end_paragraph()
        elif name == "pard":
            text.in_table = False
            text.paragraph = Paragraph(label=text.paragraph.label)
        elif name == "intbl":
            text.in_table = True
        elif name in ("cell", "nestcell"):
            text.end_cell()
        elif name in ("row", "nestrow"):
            text.end_row()
        elif name == "trowd":
            text.merges, text.merge = [], ""
        elif name in ("clmrg", "clvmrg"):
            text.merge = name
        elif name == "cellx":
            text.merges.append(text.merge)
            text.merge = ""
        elif name == "trhdr":
            text.is_header = True
        elif name in PROPERTIES:
            set_property(text.paragraph, name, number)
        elif name in _MARKS:
            self._say(_MARKS[name])

    def _define_style(self, name: str, number: int | None) -> None:
        """A control word within a style of paragraphs, or of anything else, which has no number here."""
        styles = self._text.styles
        if name == "s" and number is not None:
            self._style = number
            styles[number] = Paragraph()
        elif name in ("cs", "ds", "ts"):
            self._style = 0
        elif name in PROPERTIES and self._style in styles:
            set_property(styles[self._style], name, number)

    def _unicode(self, number: int) -> None:
        code = number + 0x10000 if number < 0 else number
        if 0xD800 <= code < 0xDC00:
            self._high = code
        elif 0xDC00 <= code < 0xE000:
            if self._high:
                self._say(chr(0x10000 + (self._high - 0xD800) * 0x400 + code - 0xDC00))
            self._high = 0
        elif 0 < code < 0x110000:
            self._say(chr(code))
        self._skip = self._state.after_unicode

    def _plain(self, plain: bytes) -> None:
        skipped = min(self._skip, len(plain))
        self._skip -= skipped
        self._bytes += plain[skipped:]

    def _byte(self, value: int) -> None:
        if self._skip:
            self._skip -= 1
        else:
            self._bytes.append(value)

    def _flush(self) -> None:
        if self._bytes:
            codec = self._fonts.get(self._state.font, self._codec)
            text = self._bytes.decode(codec, "replace")
            self._bytes.clear()
            self._say(text if self._state.part == "leveltext" else normalize_text(text))

    def _say(self, text: str) -> None:
        state = self._state
        if state.part == "title":
            self._title.append(text)
        elif state.part == "annotation":
            self._comments.append(text)
        elif state.part == "leveltext":
            self._level_text.append(text)
        elif state.part in _NUMBERS and not state.left_out:
            self._label.append(text)
            return
        elif state.part == "stylesheet" and self._style in self._text.styles:
            kind = kind_of_name(text.strip(" ;"))
            style = self._text.styles[self._style]
            style.level = style.level or (kind if isinstance(kind, int) else 0)
        elif state.hidden and not state.left_out:
            self._hidden.append(text)
        if not (state.left_out or state.deleted):
            self._text.words.append(text)
