"""Identifying a file by its first bytes, whatever its name says."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import PurePath

from vdsr_app.core.formats import READABLE_TITLES, TITLES, SourceFormat, format_of_suffix
from vdsr_app.errors import UnreadablePictureError, UnsupportedFormatError

HEAD_BYTES = 4096
"""How much of a file `identify` needs."""

_READABLE = (
    (0, b"\xff\xd8\xff", SourceFormat.JPEG),
    (0, b"\x89PNG\r\n\x1a\n", SourceFormat.PNG),
    (0, b"GIF87a", SourceFormat.GIF),
    (0, b"GIF89a", SourceFormat.GIF),
    (0, b"BM", SourceFormat.BMP),
    (0, b"\xff\x0a", SourceFormat.JXL),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", SourceFormat.JXL),
    (8, b"CR\x02\0", None),  # Canon CR2 is a TIFF as well: it must not reach the next line
    (0, b"II*\0", SourceFormat.TIFF),
    (0, b"MM\0*", SourceFormat.TIFF),
    (0, b"II+\0", SourceFormat.TIFF),
    (0, b"MM\0+", SourceFormat.TIFF),
)

_KNOWN_BUT_NOT_READ = (
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript or EPS document"),
    (0, b"\xc5\xd0\xd3\xc6", "an EPS document"),
    (0, b"8BPS", "a Photoshop (PSD) file"),
    (0, b"gimp xcf", "a GIMP (XCF) file"),
    (0, b"icns", "an Apple icon (ICNS)"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 codestream"),
    (0, b"DDS ", "a DirectDraw (DDS) texture"),
    (0, b"v/1\x01", "an OpenEXR picture"),
    (0, b"#?RADIANCE", "a Radiance (HDR) picture"),
    (0, b"#?RGBE", "a Radiance (HDR) picture"),
    (0, b"SIMPLE  =", "a FITS picture"),
    (0, b"qoif", "a QOI picture"),
    (0, b"BLP1", "a Blizzard (BLP) texture"),
    (0, b"BLP2", "a Blizzard (BLP) texture"),
    (0, b"\x01\xda", "a Silicon Graphics (SGI) picture"),
    (0, b"\x59\xa6\x6a\x95", "a Sun raster picture"),
    (0, b"DanM", "a Microsoft Paint (MSP) picture"),
    (0, b"LinS", "a Microsoft Paint (MSP) picture"),
    (4, b"\x11\xaf", "an Autodesk FLI animation"),
    (4, b"\x12\xaf", "an Autodesk FLC animation"),
    (0, b"GRIB", "a GRIB weather file"),
    (0, b"BPG\xfb", "a BPG picture"),
    (0, b"II\xbc\x01", "a JPEG XR picture"),
    (0, b"IIRO", "a camera raw file"),
    (0, b"IIU\0", "a camera raw file"),
    (8, b"CR\x02\0", "a camera raw file"),
    (0, b"FUJIFILMCCD-RAW", "a camera raw file"),
    (128, b"DICM", "a DICOM picture"),
    (36, b"acsp", "a colour profile"),
    (0, b"\x8aMNG", "an MNG animation"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (0, b"PK\x03\x04", "a ZIP archive or office document"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf", "a 7-Zip archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the picture itself"),
    (0, b"{\\rtf", "a text document"),
)

_PORTABLE_ANYMAP = frozenset(b"P%d" % digit for digit in range(1, 8))

_BY_NAME_ONLY = {
    ".tga": "a Targa (TGA) picture",
    ".pcx": "a PCX picture",
    ".wbmp": "a WBMP picture",
    ".svg": "an SVG drawing",
    ".fli": "an Autodesk FLI animation",
    ".sgi": "a Silicon Graphics (SGI) picture",
    ".grb": "a GRIB weather file",
}
"""Formats without a signature, named by suffix if the content is not recognised."""

_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_CONTAINER_BRANDS = frozenset({b"mif1", b"mif2", b"msf1", b"miaf"})


@dataclass(frozen=True, slots=True)
class Identified:
    """What a file was identified as.

    Attributes:
        format: the readable format, or None.
        description: text for display, with its article: "a PDF document"; empty if nothing is known.
    """

    format: SourceFormat | None
    description: str = ""


def identify(head: bytes) -> Identified:
    """Identify a file by its first `HEAD_BYTES` bytes."""
    for offset, magic, readable in _READABLE:
        if head.startswith(magic, offset):
            if readable is None:
                break
            return Identified(readable)
    if head.startswith(b"RIFF") and len(head) >= 12:
        return _identify_riff(head)
    if head[4:8] == b"ftyp":
        return _identify_iso_media(head)
    for offset, magic, description in _KNOWN_BUT_NOT_READ:
        if head.startswith(magic, offset):
            return Identified(None, description)
    if head[:2] in _PORTABLE_ANYMAP and head[2:3].isspace():
        return Identified(None, "a portable anymap (PNM) picture")
    # With a picture count of 0, these are the first bytes of a Targa file.
    if head[:4] in (b"\0\0\x01\0", b"\0\0\x02\0") and head[4:6] != b"\0\0":
        return Identified(None, "a Windows icon (ICO) or cursor (CUR)")
    return Identified(None, _describe_text(head))


def expect_readable(head: bytes, path: str | PathLike[str] | None) -> SourceFormat:
    """The format of a picture file, or an error that says what the file is instead.

    Args:
        head: its first `HEAD_BYTES` bytes.
        path: its name, or None if it has none.

    Raises:
        UnreadablePictureError: the file is empty or not recognised.
        UnsupportedFormatError: it is recognised, by content or by suffix, as something that cannot be read.
    """
    if not head:
        raise UnreadablePictureError("The file is empty.", path=path)
    found = identify(head)
    if found.format is not None:
        return found.format
    name = path or ""
    suffix = PurePath(name).suffix.lower()
    promised = format_of_suffix(name)
    if found.description:
        what = f"This is {found.description}, not a picture that can be opened."
        if promised is not None:
            what = f'The name ends in "{suffix}", but this is {found.description}.'
        raise UnsupportedFormatError(what, path=path, hint=f"Supported formats: {READABLE_TITLES}.")
    if suffix in _BY_NAME_ONLY:
        what = f"By its name this is {_BY_NAME_ONLY[suffix]}, which cannot be opened."
        raise UnsupportedFormatError(what, path=path, hint=f"Supported formats: {READABLE_TITLES}.")
    if promised is not None:
        raise UnreadablePictureError(
            f'The name ends in "{suffix}", but this is no {TITLES[promised]} picture, or it is damaged from its start.',
            path=path,
            hint="Get a fresh copy of the file.",
        )
    raise UnreadablePictureError(
        "This is not a picture of a known format.", path=path, hint=f"Supported formats: {READABLE_TITLES}."
    )


def _identify_riff(head: bytes) -> Identified:
    match head[8:12]:
        case b"WEBP":
            return Identified(SourceFormat.WEBP)
        case b"AVI ":
            return Identified(None, "an AVI video")
        case b"WAVE":
            return Identified(None, "a sound file")
        case _:
            return Identified(None, "a RIFF file")


def _identify_iso_media(head: bytes) -> Identified:
    """Distinguish AVIF, HEIC, camera raw and video by the brands in the file type box (ISO 14496-12)."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    major = head[8:12]
    compatible = {head[at : at + 4] for at in range(16, size - 3, 4)}
    if major in _AVIF_BRANDS:
        return Identified(SourceFormat.AVIF)
    if major in _HEIC_BRANDS:
        return Identified(SourceFormat.HEIC)
    if major == b"crx ":
        return Identified(None, "a camera raw file")
    if compatible & _AVIF_BRANDS:
        return Identified(SourceFormat.AVIF)
    if compatible & _HEIC_BRANDS or major in _HEIF_CONTAINER_BRANDS:
        return Identified(SourceFormat.HEIC)
    return Identified(None, "a video")


def _describe_text(head: bytes) -> str:
    """Name HTML, SVG, XML or plain text; an empty string for anything else."""
    if b"\0" in head:
        return ""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "a web page (HTML)"
    if text.startswith(b"<") and b"<svg" in text:
        return "an SVG drawing"
    if text.startswith(b"<?xml"):
        return "an XML document"
    try:
        # The head may end within a character, so its last three bytes are not checked.
        head[: max(len(head) - 3, 1)].decode("utf-8")
    except UnicodeDecodeError:
        return ""
    printable = all(byte >= 32 or byte in b"\t\n\r\f" for byte in head)
    return "a text file" if printable and len(head) >= 16 else ""
