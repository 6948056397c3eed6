"""Editing an XMP packet: sizes, orientation, and removal of stale or private properties (ISO 16684-1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set
from typing import Any
from xml.dom import Node, minidom
from xml.dom.minidom import Attr, Comment, Document, Element
from xml.parsers.expat import ExpatError, ParserCreate

from vdsr_app.core.image_io.private import is_kept_in_xmp

TIFF = "http://ns.adobe.com/tiff/1.0/"
EXIF = "http://ns.adobe.com/exif/1.0/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

_WIDTHS = frozenset({(TIFF, "ImageWidth"), (EXIF, "PixelXDimension")})
_HEIGHTS = frozenset({(TIFF, "ImageLength"), (EXIF, "PixelYDimension")})

_ACROSS, _DOWN = (TIFF, "XResolution"), (TIFF, "YResolution")

_ORIENTATION = f"{TIFF} Orientation"
"""As the parser names it."""

_STALE = frozenset({(_XMP, "Thumbnails"), ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP")})
_STALE_NAMESPACES = frozenset(
    {
        # These describe a gain map or a video attached to the source file and not part of the result.
        "http://ns.adobe.com/hdr-gain-map/1.0/",
        "http://ns.google.com/photos/1.0/container/",
        "http://ns.apple.com/HDRGainMap/1.0/",
    }
)
_STALE_PREFIXES = (("http://ns.google.com/photos/1.0/camera/", ("MotionPhoto", "MicroVideo")),)

MAX_PACKET_BYTES = 16 << 20
MAX_PARTS = 150_000
"""Elements, attributes and the like in a packet that can be edited: each takes half a kilobyte and 15 microseconds.
Packets of a megabyte and more are not rare, because Photoshop lists all that was ever pasted into a picture."""
_MAX_SCANNED_PARTS = 1_000_000

_WHITE_SPACE = re.compile("&#(?:0*(9|10|13)|x0*([9ADad]));")
"""References to tab, line feed and carriage return: what they stand for is lost where it is written as it is, which
`minidom` does, because parsers turn it into spaces in attributes, and carriage returns into line feeds elsewhere."""
_STAND_INS = {9: "\ufdd0", 10: "\ufdd1", 13: "\ufdd2"}
"""What takes the place of these references in the tree: characters that Unicode reserves for use inside programs."""
_REFERENCES = str.maketrans({stand_in: f"&#{code};" for code, stand_in in _STAND_INS.items()})

_Name = tuple[str, str]


class XmpError(ValueError):
    """The packet cannot be used; its `str` says why and completes the phrase "it is …"."""


def orientation_of(packet: bytes) -> int | None:
    """`tiff:Orientation`, 1 to 8, even if a packet has too many parts for `XmpPacket`; None if absent or unusable."""
    try:
        return _Scan(_text_of(packet), _MAX_SCANNED_PARTS).orientation
    except XmpError:
        return None


class XmpPacket:
    """A packet that can be edited; everything that is not edited is kept."""

    def __init__(self, packet: bytes) -> None:
        self._original = packet
        self._changed = False
        self._document = _parse(packet)

    def to_bytes(self) -> bytes:
        """The packet in UTF-8, or the original bytes if nothing was changed."""
        if not self._changed:
            return self._original
        try:
            return "".join(node.toxml() for node in self._document.childNodes).translate(_REFERENCES).encode()
        except (RecursionError, UnicodeEncodeError) as exc:
            raise XmpError("damaged") from exc

    def set_upright(self) -> None:
        """Set `tiff:Orientation` to 1 if it is present."""
        self._set(frozenset({(TIFF, "Orientation")}), "1")

    def turn_resolution(self) -> None:
        """Swap the horizontal and vertical resolutions, as for a picture rotated by 90 degrees."""
        across, down = next(self._find(_ACROSS.__eq__), None), next(self._find(_DOWN.__eq__), None)
        if across is not None and down is not None:
            first, second = _text(across), _text(down)
            self._set(frozenset({_ACROSS}), second)
            self._set(frozenset({_DOWN}), first)

    def set_size(self, width: int, height: int) -> None:
        """Update every property that states the picture's size; none is added."""
        self._set(_WIDTHS, str(width))
        self._set(_HEIGHTS, str(height))

    def drop_stale(self) -> None:
        """Remove thumbnails and anything that refers to parts of the source file that are not carried over."""
        self._remove(_is_stale)

    def drop_private(self) -> None:
        """Remove all but what `private.py` lists, and thus location, serial numbers, people's names, editing history.

        Raises:
            XmpError: the packet is not XMP at all, so nothing is known about its content.
        """
        root = self._document.documentElement
        if root is None or not is_kept_in_xmp(*_name(root)):
            raise XmpError("no XMP")
        self._remove(lambda name: not is_kept_in_xmp(*name))
        self._set(frozenset({(_RDF, "about")}), "")  # may identify one particular copy
        self._remove_comments()

    def _set(self, names: frozenset[_Name], text: str) -> None:
        for node in list(self._find(lambda name: name in names)):
            if _text(node) == text:
                continue
            self._changed = True
            if isinstance(node, Attr):
                node.value = text
                continue
            while node.firstChild is not None:
                node.removeChild(node.firstChild)
            node.appendChild(self._document.createTextNode(text))

    def _remove(self, unwanted: Callable[[_Name], bool]) -> None:
        parents: dict[Node, set[Node]] = {}
        for node in list(self._find(unwanted)):
            self._changed = True
            if isinstance(node, Attr):
                if node.ownerElement is not None:
                    node.ownerElement.removeAttributeNode(node)
            elif node.parentNode is not None:
                parents.setdefault(node.parentNode, set()).add(node)
        for parent, gone in parents.items():
            _remove_children(parent, gone)

    def _remove_comments(self) -> None:
        waiting: list[Document | Element] = [self._document]
        while waiting:
            parent = waiting.pop()
            comments = {node for node in parent.childNodes if isinstance(node, Comment)}
            if comments:
                self._changed = True
                _remove_children(parent, comments)
            waiting += [node for node in parent.childNodes if isinstance(node, Element)]

    def _find(self, wanted: Callable[[_Name], bool]) -> Iterator[Attr | Element]:
        """Find properties, stored as attributes or as elements, by namespace and name."""
        # A stack, not recursion: the packet determines the depth.
        waiting: list[Element] = [self._document.documentElement] if self._document.documentElement else []
        while waiting:
            element = waiting.pop()
            # All at once: asking for one by index builds a list of all.
            for attribute in list(element.attributes.values()) if element.hasAttributes() else ():
                if isinstance(attribute, Attr) and wanted(_name(attribute)):
                    yield attribute
            for child in element.childNodes:
                if isinstance(child, Element):
                    if wanted(_name(child)):
                        yield child
                    else:
                        waiting.append(child)


def _remove_children(parent: Any, gone: Set[Node]) -> None:
    """Remove children all at once, since removing one shifts all that follow; sibling links, now unused, go stale."""
    parent.childNodes[:] = [child for child in parent.childNodes if child not in gone]


class _Scan:
    """A single pass over a packet that builds no tree.

    Attributes:
        orientation: what `orientation_of` returns.

    Raises:
        XmpError: the packet is not XML, declares a document type, or has more than `most` parts.
    """

    def __init__(self, text: str, most: int) -> None:
        self.orientation: int | None = None
        self._left = most
        self._value: list[str] | None = None
        parser = ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        for handler in ("CommentHandler", "ProcessingInstructionHandler", "StartCdataSectionHandler"):
            setattr(parser, handler, self._count)
        parser.StartDoctypeDeclHandler = self._refuse
        try:
            parser.Parse(text.encode(), True)
        except (ExpatError, UnicodeError) as exc:
            raise XmpError("damaged") from exc

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._left -= len(attributes)
        self._count()
        self._take(attributes.get(_ORIENTATION, ""))
        self._value = [] if name == _ORIENTATION else None

    def _end(self, name: str) -> None:
        if name == _ORIENTATION and self._value is not None:
            self._take("".join(self._value))
        self._value = None

    def _characters(self, text: str) -> None:
        if self._value is not None:
            self._value.append(text)

    def _take(self, text: str) -> None:
        if self.orientation is None and text.strip() in {"1", "2", "3", "4", "5", "6", "7", "8"}:
            self.orientation = int(text)

    def _count(self, *_: object) -> None:
        self._left -= 1
        if self._left < 0:
            raise XmpError("too large")

    def _refuse(self, *_: object) -> None:
        # Entities could expand a few bytes to gigabytes, and XMP never uses them.
        raise XmpError("damaged")


def _parse(packet: bytes) -> Document:
    text = _text_of(packet)
    _Scan(text, MAX_PARTS)
    try:
        return minidom.parseString(_WHITE_SPACE.sub(_stand_in, text).encode())
    except (ExpatError, UnicodeError, ValueError, RecursionError) as exc:
        raise XmpError("damaged") from exc


def _stand_in(reference: re.Match[str]) -> str:
    decimal, hexadecimal = reference.groups()
    return _STAND_INS[int(decimal) if decimal else int(hexadecimal, 16)]


def _text_of(packet: bytes) -> str:
    if len(packet) > MAX_PACKET_BYTES:
        raise XmpError("too large")
    try:
        return _decode(packet)
    except UnicodeError as exc:
        raise XmpError("damaged") from exc


def _decode(packet: bytes) -> str:
    text = packet.decode("utf-16" if packet[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    # Trailing spaces are legitimate padding; trailing zeros are a common mistake.
    return text.strip().rstrip("\0").rstrip()


def _name(node: Attr | Element) -> _Name:
    return node.namespaceURI or "", node.localName or ""


def _text(node: Attr | Element) -> str:
    if isinstance(node, Attr):
        return str(node.value)
    return "".join(str(child.nodeValue or "") for child in node.childNodes if child.nodeType == Node.TEXT_NODE)


def _is_stale(name: _Name) -> bool:
    space, local = name
    if name in _STALE or space in _STALE_NAMESPACES:
        return True
    return any(space == prefix_space and local.startswith(starts) for prefix_space, starts in _STALE_PREFIXES)
