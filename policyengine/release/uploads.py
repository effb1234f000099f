"""Files for a model: their real type, and the texts in them."""

from __future__ import annotations

import html
import io
import re
import zipfile
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

# The most bytes that one file expands to, and the most parts in it.
EXPANDED = 50_000_000
PARTS = 5_000
PAGES = 2_000
# For a PDF: the most bytes, the most bytes that its pages draw with, the most operators in them, and the deepest
# nesting of forms.
PDF_SIZE = 50_000_000
DRAWN = 10_000_000
OPERATORS = 1_000_000
FORMS_DEEP = 16
# The cost of a form, however small it is.
_FORM = 100

PLAIN, UNKNOWN, ZIP, PDF = "text/plain", "application/octet-stream", "application/zip", "application/pdf"
_OFFICE = {
    "word/": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xl/": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ppt/": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"),
         (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))  # fmt: skip
_TAG = re.compile(r"<[^>]*>")
# Parts of an office file that contain text, and parts that contain none.
_TEXT_PART = re.compile(r".*\.(?:xml|rels|vml)\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class File:
    """A file, as the caller gave it."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """`type` is the type of the bytes, `expanded` is their number after unpacking; `encoding` is empty if the file is
    not text. `plain` is whether the file consists of its one text, so that it can be written again."""

    name: str
    type: str
    size: int
    expanded: int
    encoding: str = ""
    scannable: bool = False
    texts: tuple[str, ...] = field(default=(), repr=False)
    plain: bool = False


def open_file(file: File) -> Opened:
    """Reads a file. Never raises because of its content."""
    type_, size = content_type(file.data), len(file.data)
    try:
        if type_ == PLAIN:
            return _text(file, size)
        if type_ == PDF:
            return _pdf(file, size)
        if type_ == ZIP:
            return _zip(file, size)
    except Exception:  # noqa: BLE001 - a damaged file, whatever its reader raises, counts as unreadable
        return Opened(file.name, type_, size, size)
    return Opened(file.name, type_, size, size)


def content_type(data: bytes) -> str:
    """The media type of the bytes; `application/octet-stream` if it is unknown."""
    if data.startswith(b"%PDF-"):
        return PDF
    if data.startswith(b"PK\x03\x04"):
        return ZIP
    if (known := _magic(data)) and not known.startswith("text/"):
        return known
    encoding = encoding_of(data)
    return PLAIN if encoding and b"\0" not in (data if encoding == "utf-8" else b"") else known or UNKNOWN


def encoding_of(data: bytes) -> str:
    """`utf-8`, `utf-16` or `utf-32` by the byte order mark; empty if the bytes are in none of these encodings."""
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), "utf-8")
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return ""
    return encoding


def _magic(data: bytes) -> str:
    if find_spec("puremagic") is None:
        return ""
    import puremagic

    try:
        best = max(puremagic.magic_string(data[:4096]), key=lambda match: match.confidence)
    except (puremagic.PureError, ValueError):
        return ""
    return str(best.mime_type) if best.confidence >= 0.4 else ""


def _text(file: File, size: int) -> Opened:
    encoding = encoding_of(file.data)
    text = file.data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    return Opened(file.name, PLAIN, size, size, encoding, True, (text,), plain=encoding == "utf-8")


def _pdf(file: File, size: int) -> Opened:
    if find_spec("pypdf") is None:
        return Opened(file.name, PDF, size, size)
    from pypdf import PdfReader

    if size > PDF_SIZE:
        return Opened(file.name, PDF, size, size)
    pages = PdfReader(io.BytesIO(file.data)).pages
    if len(pages) > PAGES:
        return Opened(file.name, PDF, size, size)
    # What a page draws is unpacked and measured before it is read: reading takes far longer than unpacking.
    drawn = 0
    for page in pages:
        drawn += _drawn(page, frozenset())
        if drawn > DRAWN:
            return Opened(file.name, PDF, size, max(size, drawn))
    budget = _Budget(OPERATORS)
    texts = [page.extract_text(visitor_operand_before=budget.spend) for page in pages]
    # A picture may contain anything.
    scannable = sum(map(len, texts)) <= EXPANDED and not any(page.images for page in pages)
    return Opened(file.name, PDF, size, max(size, drawn), "", scannable, tuple(texts))


class _Budget:
    """The work that a file may take, in operators: a page can draw one form any number of times."""

    def __init__(self, left: int) -> None:
        self._left = left

    def spend(self, *_: Any) -> None:
        self._left -= 1
        if self._left < 0:
            raise ValueError("more than is read")


def _drawn(part: Any, above: frozenset[int]) -> int:
    """How many bytes a page or form draws with, unpacked, including those of the forms in it. A form that contains
    itself, or is nested too deeply, exceeds every bound."""
    if len(above) > FORMS_DEEP or id(part) in above:
        return DRAWN + 1
    contents = part.get_contents() if hasattr(part, "get_contents") else part
    total = _FORM + (0 if contents is None else len(contents.get_data()))
    resources: Any = part["/Resources"].get_object() if "/Resources" in part else {}
    forms: Any = resources["/XObject"].get_object() if "/XObject" in resources else {}
    for name in forms:
        if total > DRAWN:
            break
        form = forms[name].get_object()
        if form.get("/Subtype") == "/Form":
            total += _drawn(form, above | {id(part)})
    return total


def _zip(file: File, size: int) -> Opened:
    with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
        parts = archive.infolist()
        office = next((t for start, t in _OFFICE.items() if any(p.filename.startswith(start) for p in parts)), None)
        type_ = office if office is not None else ZIP
        scannable = office is not None and len(parts) <= PARTS
        texts: list[str] = []
        expanded = 0
        for part in parts[:PARTS]:
            # The sizes that an archive states are not trusted.
            with archive.open(part) as opened:
                data = opened.read(EXPANDED - expanded + 1)
            expanded += len(data)
            if expanded > EXPANDED:
                return Opened(file.name, type_, size, expanded)
            if _TEXT_PART.match(part.filename):
                texts.append(html.unescape(_TAG.sub(" ", data.decode("utf-8"))))
            elif data:
                scannable = False
    return Opened(file.name, type_, size, expanded, "", scannable, tuple(texts) if office is not None else ())
