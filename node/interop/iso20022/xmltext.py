"""XML of a bank as a tree of plain values, and back. Knows no message.

Must always hold: no document type, so no entity, reaches a value; nothing outside the bytes is fetched; size, depth,
number of elements and length of a text are bounded before they are kept. Only UTF-8 (RFC 3629): a file that says or is
something else is refused, not guessed. Comments and processing instructions are passed over.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from node.interop.iso20022.errors import MessageError

MAX_BYTES: Final = 8 * 2**20
"""A statement of 10,000 bookings takes about 7 MB; banks send larger days in parts."""
MAX_DEPTH: Final = 32
"""The deepest element that is read stands at depth 11; the published messages end at about 20."""
MAX_ELEMENTS: Final = 400_000
"""Elements of one file: 10,000 bookings with 40 elements each."""
MAX_TEXT: Final = 2_100
"""Characters of one value. The longest text type of the published messages has 2,048."""
MAX_ATTRIBUTES: Final = 8
SEPARATOR: Final = " "
"""Between namespace and name; neither can contain it."""


@dataclass(slots=True)
class Element:
    """One element. `tag` is without its namespace; `text` is what stands in it directly, without spaces around."""

    tag: str
    namespace: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    children: "list[Element]" = field(default_factory=list)
    text: str = ""

    def all(self, *tags: str) -> "Iterator[Element]":
        """Elements at this path below, in their order."""
        found = (child for child in self.children if child.tag == tags[0])
        if len(tags) == 1:
            yield from found
            return
        for child in found:
            yield from child.all(*tags[1:])

    def first(self, *tags: str) -> "Element | None":
        """The first element at this path, None if there is none."""
        return next(self.all(*tags), None)

    def value(self, *tags: str) -> str | None:
        """Its text; None if there is no such element or it is empty."""
        found = self.first(*tags)
        return found.text or None if found is not None else None


def read_xml(data: bytes) -> Element:
    """The root element. Raises MessageError `xml_size`, `xml_encoding`, `xml_doctype`, `xml_form`, `xml_bounds`."""
    if len(data) > MAX_BYTES:
        raise MessageError("xml_size", "", f"{len(data)} bytes, at most {MAX_BYTES}")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MessageError("xml_encoding", "", f"byte {error.start} is no UTF-8; ask the bank for UTF-8") from None
    builder = _Builder()
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        text = expat.ErrorString(error.code)
        raise MessageError("xml_form", "", f"line {error.lineno}, column {error.offset}: {text}") from None
    return builder.root()


def write_xml(root: Element) -> bytes:
    """UTF-8 bytes of a tree, one element a line. The same tree gives the same bytes."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    _write(root, 0, lines, root.namespace)
    return "\n".join([*lines, ""]).encode("utf-8")


def _write(element: Element, depth: int, lines: list[str], namespace: str | None) -> None:
    attributes = {"xmlns": namespace, **element.attributes} if namespace else element.attributes
    opening = element.tag + "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    space = "  " * depth
    if not element.children:
        lines.append(f"{space}<{opening}>{escape(element.text)}</{element.tag}>")
        return
    lines.append(f"{space}<{opening}>")
    for child in element.children:
        _write(child, depth + 1, lines, None)
    lines.append(f"{space}</{element.tag}>")


class _Builder:
    """Handlers of one parse. Raising in a handler stops the parser at once."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate("utf-8", SEPARATOR)
        self.parser.buffer_text = True
        self.parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        self.parser.XmlDeclHandler = self._declare
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.parser.EntityDeclHandler = self._refuse_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._root: Element | None = None
        self._count = 0

    def root(self) -> Element:
        """The root of a document that was parsed to its end."""
        if self._root is None:
            raise MessageError("xml_form", "", "no element")
        return self._root

    def _declare(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "us-ascii"):
            raise MessageError("xml_encoding", "", "the file declares another encoding than UTF-8; ask the bank for it")

    def _refuse_doctype(self, *_: Any) -> None:
        raise MessageError("xml_doctype", "", "a payment message has no document type and no entities")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) >= MAX_DEPTH or self._count > MAX_ELEMENTS or len(attributes) > MAX_ATTRIBUTES:
            bounds = f"at most {MAX_DEPTH} deep, {MAX_ELEMENTS} elements, {MAX_ATTRIBUTES} attributes each"
            raise MessageError("xml_bounds", "", bounds)
        namespace, _, tag = name.rpartition(SEPARATOR)
        element = Element(tag, namespace, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._root = element
        self._open.append(element)
        self._texts.append([])

    def _end(self, _: str) -> None:
        element = self._open.pop()
        text = "".join(self._texts.pop()).strip()
        if len(text) > MAX_TEXT:
            raise MessageError("xml_bounds", element.tag, f"{len(text)} characters, at most {MAX_TEXT}")
        element.text = text

    def _text(self, text: str) -> None:
        self._texts[-1].append(text)
