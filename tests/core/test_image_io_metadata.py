"""EXIF and XMP: updated in place, stripped of private data, and harmless when damaged."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import time
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vdsr_app.core.image_io.exif import ExifBlock, ExifError, Section
from vdsr_app.core.image_io.heif_items import is_premultiplied, primary_colour_code
from vdsr_app.core.image_io.jpeg_quality import estimate_quality
from vdsr_app.core.image_io.jxl_header import JxlHeaderError, parse_header
from vdsr_app.core.image_io.tiff_directory import reverse_units
from vdsr_app.core.image_io.tiff_file import add_metadata, extract_exif
from vdsr_app.core.image_io.tiff_file import read_info as tiff_info
from vdsr_app.core.image_io.xmp import XmpError, XmpPacket, orientation_of

THUMBNAIL = b"\xff\xd8" + b"thumbnail" * 9 + b"\xff\xd9"
MAKER_NOTE = b"MAKER\0serial 4711 and offsets"
SECRETS = [b"Jane Doe", b"BODY-4711", b"LENS-0815", b"serial 4711", b"thumbnail", b"N\0\0\0"]


def _directory(order: str, at: int, fields: list[tuple[int, int, int, bytes]], following: int = 0) -> bytes:
    """A directory, followed by the values longer than 4 bytes."""
    out, values = struct.pack(f"{order}H", len(fields)), b""
    values_at = at + 2 + 12 * len(fields) + 4
    for tag, kind, count, value in fields:
        out += struct.pack(f"{order}HHI", tag, kind, count)
        if len(value) <= 4:
            out += value.ljust(4, b"\0")
        else:
            out += struct.pack(f"{order}I", values_at + len(values))
            values += value + b"\0" * (len(value) % 2)
    return out + struct.pack(f"{order}I", following) + values


def exif_block(order: str = "<", *, orientation: int = 6) -> bytes:
    """A block as cameras write it: description, exposure, maker note, location, thumbnail."""

    def short(number: int) -> bytes:
        return struct.pack(f"{order}H", number)

    def long(number: int) -> bytes:
        return struct.pack(f"{order}I", number)

    def rational(*numbers: int) -> bytes:
        return struct.pack(f"{order}{len(numbers)}I", *numbers)

    def image(exif_at: int, gps_at: int, thumbnail_at: int) -> bytes:
        fields = [
            (0x010F, 2, 7, b"Camera\0"),
            (0x0112, 3, 1, short(orientation)),
            (0x011A, 5, 1, rational(300, 1)),
            (0x011B, 5, 1, rational(300, 1)),
            (0x0128, 3, 1, short(2)),
            (0x013B, 2, 9, b"Jane Doe\0"),
            (0x8298, 2, 12, b"(c) someone\0"),
            (0x8769, 4, 1, long(exif_at)),
            (0x8825, 4, 1, long(gps_at)),
        ]
        return _directory(order, 8, fields, thumbnail_at)

    exif_at = 8 + len(image(0, 0, 0))
    exif = _directory(
        order,
        exif_at,
        [
            (0x829A, 5, 1, rational(1, 250)),
            (0x927C, 7, len(MAKER_NOTE), MAKER_NOTE),
            (0xA002, 3, 1, short(4000)),
            (0xA003, 3, 1, short(3000)),
            (0xA431, 2, 10, b"BODY-4711\0"),
            (0xA435, 2, 10, b"LENS-0815\0"),
        ],
    )
    gps_at = exif_at + len(exif)
    gps = _directory(order, gps_at, [(1, 2, 2, b"N\0"), (2, 5, 3, rational(48, 1, 8, 1, 14, 1))])
    thumbnail_at = gps_at + len(gps)
    fields = [(0x0103, 3, 1, short(6)), (0x0201, 4, 1, long(0)), (0x0202, 4, 1, long(len(THUMBNAIL)))]
    jpeg_at = thumbnail_at + len(_directory(order, thumbnail_at, fields))
    fields[1] = (0x0201, 4, 1, long(jpeg_at))
    header = (b"II*\0" if order == "<" else b"MM\0*") + long(8)
    body = image(exif_at, gps_at, thumbnail_at) + exif + gps + _directory(order, thumbnail_at, fields)
    return header + body + THUMBNAIL


def _by_pillow(block: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(block)
    return exif


both_orders = pytest.mark.parametrize("order", ["<", ">"])


@both_orders
def test_orientation_is_read_and_reset_by_set_upright(order: str) -> None:
    block = ExifBlock(b"Exif\0\0" + exif_block(order))
    assert block.orientation == 6
    block.set_upright()
    assert ExifBlock(block.to_bytes()).orientation == 1
    assert _by_pillow(block.to_bytes())[0x0112] == 1
    assert block.dpi == (300.0, 300.0)


@both_orders
@pytest.mark.parametrize(("width", "height"), [(8000, 6000), (100_000, 70_000)])
def test_set_size_updates_sizes_and_moves_nothing(order: str, width: int, height: int) -> None:
    original = exif_block(order)
    block = ExifBlock(original)
    block.set_size(width, height)
    exif = _by_pillow(block.to_bytes()).get_ifd(0x8769)
    assert (exif[0xA002], exif[0xA003]) == (width, height)
    assert len(block.to_bytes()) == len(original)
    assert block.to_bytes().index(MAKER_NOTE) == original.index(MAKER_NOTE)


def test_absent_sizes_and_orientation_are_not_added() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    block = ExifBlock(exif.tobytes())
    before = block.to_bytes()
    block.set_size(5, 6)
    block.set_upright()
    assert block.to_bytes() == before


@both_orders
def test_state_resolution_sets_the_resolution_and_moves_nothing(order: str) -> None:
    plain = exif_block(order)
    block = ExifBlock(plain)
    assert block.dpi == (300.0, 300.0)
    block.state_resolution((72.5, 118.11))
    assert block.dpi == (72.5, 118.11)
    edited = block.to_bytes()
    assert edited[8 : len(plain)] == plain[8:]
    assert ExifBlock(edited).dpi == (72.5, 118.11)
    before, after = _by_pillow(plain), _by_pillow(edited)
    assert {**after, 0x011A: 300, 0x011B: 300} == dict(before)
    assert after.get_ifd(0x8769) == before.get_ifd(0x8769)
    block.drop_thumbnail()
    assert b"thumbnail" not in block.to_bytes()


@both_orders
def test_drop_thumbnail_removes_the_thumbnail_and_moves_nothing(order: str) -> None:
    original = exif_block(order)
    block = ExifBlock(original)
    block.drop_thumbnail()
    assert b"thumbnail" not in block.to_bytes()
    assert len(block.to_bytes()) == len(original) - len(THUMBNAIL)
    after = _by_pillow(block.to_bytes())
    assert after.get_ifd(1) == {}
    assert after[0x010F] == "Camera"
    assert after.get_ifd(0x8769)[0x927C] == MAKER_NOTE
    assert block.to_bytes().index(MAKER_NOTE) == original.index(MAKER_NOTE)


@both_orders
def test_without_private_leaves_no_byte_of_private_data(order: str) -> None:
    original = exif_block(order)
    assert all(secret in original for secret in SECRETS)
    block = ExifBlock(original).without_private()
    for secret in SECRETS:
        assert secret not in block.to_bytes(), secret
    assert struct.pack(f"{order}6I", 48, 1, 8, 1, 14, 1) not in block.to_bytes()
    after = _by_pillow(block.to_bytes())
    assert after[0x010F] == "Camera"
    assert after[0x8298] == "(c) someone"
    assert 0x8825 not in after
    exif = after.get_ifd(0x8769)
    assert exif[0x829A] == pytest.approx(1 / 250)
    assert exif[0xA002] == 4000
    assert not {0x927C, 0xA431, 0xA435} & set(exif)
    assert block.section(Section.GPS) is None


@both_orders
@pytest.mark.parametrize("section", ["image", "exif"])
def test_without_private_keeps_only_tags_known_to_be_harmless(order: str, section: str) -> None:
    """Owner and serial number of camera raw, a history, a geographic reference, a keyword; a tag given twice."""
    fields = [(tag, 2, 9, b"Jane Doe\0") for tag in (0x010D, 0x87B1, 0x9286, 0x9213, 0x9C9E, 0xA430, 0xFDE8, 0xFDE9)]
    fields += [(0xA430, 2, 9, b"Jane Roe\0")]
    exposure = [(0x829A, 5, 1, struct.pack(f"{order}2I", 1, 250))]
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    pointer = [(0x8769, 4, 1, struct.pack(f"{order}I", 0))]
    exif_at = 8 + len(_directory(order, 8, (fields if section == "image" else []) + pointer))
    pointer = [(0x8769, 4, 1, struct.pack(f"{order}I", exif_at))]
    image = _directory(order, 8, (fields if section == "image" else []) + pointer)
    block = header + image + _directory(order, exif_at, (fields if section == "exif" else []) + exposure)
    assert block.count(b"Jane") == 9
    after = ExifBlock(block + b"Jane Poe, whom no field points to").without_private().to_bytes()
    assert b"Jane" not in after
    assert dict(_by_pillow(after).get_ifd(0x8769)) == {0x829A: pytest.approx(1 / 250)}


def test_without_private_returns_a_valid_block_when_nothing_is_kept() -> None:
    exif = Image.Exif()
    exif[0x013B] = "Jane Doe"
    after = ExifBlock(exif.tobytes()).without_private()
    assert dict(_by_pillow(after.to_bytes())) == {0x0112: 1}


@pytest.mark.parametrize(
    "data", [b"", b"Exif\0\0", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", b"II+\0" * 9]
)
def test_damaged_exif_block_raises_exif_error(data: bytes) -> None:
    with pytest.raises(ExifError):
        ExifBlock(data)


@given(st.data())
def test_edits_of_a_damaged_block_raise_only_exif_error(data: st.DataObject) -> None:
    block = bytearray(exif_block(data.draw(st.sampled_from(["<", ">"]))))
    for _ in range(data.draw(st.integers(1, 6))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(block)))
    for damaged in (bytes(block), bytes(block[:cut])):
        try:
            edited = ExifBlock(damaged)
            edited.set_upright()
            edited.set_size(70_000, 3)
            edited.drop_thumbnail()
            assert len(edited.to_bytes()) <= len(damaged)
            edited.without_private()
        except ExifError:
            pass


# Between TIFF files and EXIF blocks


def _tiff_file(*, big: bool = False) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (7, 5), "#102030").save(buffer, "TIFF", dpi=(200, 200), big_tiff=big)
    return buffer.getvalue()


@both_orders
@pytest.mark.parametrize("big", [False, True])
def test_exif_round_trips_through_a_tiff(order: str, big: bool) -> None:
    block = ExifBlock(exif_block(order, orientation=1))
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    whole = b"".join(add_metadata(_tiff_file(big=big), exif=block, xmp=packet, has_resolution=True))
    with Image.open(io.BytesIO(whole)) as image:
        assert image.getpixel((3, 3)) == (0x10, 0x20, 0x30)
        assert image.info["dpi"] == (200, 200)
    info = tiff_info(io.BytesIO(whole))
    assert info.xmp == packet
    assert info.dpi == (200, 200)
    back = extract_exif(io.BytesIO(whole))
    assert back is not None
    found = _by_pillow(back)
    assert (found[0x010F], found[0x013B], found[0x0112]) == ("Camera", "Jane Doe", 1)
    exif, gps = found.get_ifd(0x8769), found.get_ifd(0x8825)
    assert exif[0x927C] == MAKER_NOTE
    assert (exif[0xA002], exif[0x829A]) == (4000, pytest.approx(1 / 250))
    assert gps[2] == (48.0, 8.0, 14.0)


def _overlapping(count: int) -> bytes:
    """A TIFF, or EXIF block, of 100 kB; its EXIF, GPS and interop directories have `count` values, each spanning it."""
    size = 100_000
    at = {
        pointer: size + number * (2 + 12 * (count + 2) + 4)
        for number, pointer in enumerate((0, 0x8769, 0xA005, 0x8825))
    }

    def directory(*pointers: int) -> bytes:
        fields = [(0x9000 + number, 7, size, 0) for number in range(count)]
        fields += [(pointer, 4, 1, at[pointer]) for pointer in pointers]
        fields += [(0x100, 4, 1, 1)] * (count + 2 - len(fields))
        return (
            struct.pack("<H", len(fields)) + b"".join(struct.pack("<HHII", *each) for each in sorted(fields)) + bytes(4)
        )

    tables = directory(0x8769, 0x8825), directory(0xA005), directory(), directory()
    return (b"II*\0" + struct.pack("<I", at[0])).ljust(size, b"x") + b"".join(tables)


def test_overlapping_values_do_not_inflate_a_small_file() -> None:
    data = _overlapping(50)
    block = extract_exif(io.BytesIO(data))
    assert block is not None
    assert len(block) < 2 * len(data)
    assert ExifBlock(block).section(Section.EXIF) is not None
    pieces = add_metadata(_tiff_file(), exif=ExifBlock(data), xmp=None, has_resolution=True)
    assert sum(map(len, pieces)) < 2 * len(data)


def test_add_metadata_removes_a_meaningless_resolution() -> None:
    whole = b"".join(add_metadata(_tiff_file(), exif=None, xmp=None, has_resolution=False))
    assert tiff_info(io.BytesIO(whole)).dpi is None
    with Image.open(io.BytesIO(whole)) as image:
        assert image.getpixel((3, 3)) == (0x10, 0x20, 0x30)


@given(st.data())
def test_damaged_tiff_directories_do_not_raise(data: st.DataObject) -> None:
    block = ExifBlock(exif_block())
    whole = bytearray(b"".join(add_metadata(_tiff_file(), exif=block, xmp=None, has_resolution=True)))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    extract_exif(io.BytesIO(whole))
    tiff_info(io.BytesIO(whole))


@given(st.binary(max_size=64))
def test_heif_and_jxl_parsers_tolerate_any_bytes(data: bytes) -> None:
    assert primary_colour_code(io.BytesIO(data)) is None
    assert not is_premultiplied(io.BytesIO(data))
    with contextlib.suppress(JxlHeaderError):
        parse_header(b"\xff\x0a" + data)


@given(st.binary(min_size=8, max_size=64).filter(lambda data: len(data) % 8 == 0), st.sampled_from([1, 2, 4, 8]))
def test_reversing_units_twice_changes_nothing(data: bytes, unit: int) -> None:
    assert reverse_units(reverse_units(data, unit), unit) == data
    assert reverse_units(data, unit)[:unit] == data[:unit][::-1]


# XMP

PACKET = (
    '<?xpacket begin="\N{ZERO WIDTH NO-BREAK SPACE}" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
    '<rdf:Description rdf:about="" xmlns:t="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"\n'
    ' xmlns:aux="http://ns.adobe.com/exif/1.0/aux/" xmlns:dc="http://purl.org/dc/elements/1.1/"\n'
    ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"\n'
    ' t:Orientation="6" exif:PixelXDimension="4000" aux:SerialNumber="BODY-4711" exif:GPSLatitude="48,8N"\n'
    ' xmp:Rating="5" xmpMM:DocumentID="id-of-jane">\n'
    "<exif:PixelYDimension>3000</exif:PixelYDimension>\n"
    "<dc:creator><rdf:Seq><rdf:li>Jane Doe</rdf:li></rdf:Seq></dc:creator>\n"
    "<dc:title><rdf:Alt><rdf:li>Caf\N{LATIN SMALL LETTER E WITH ACUTE} &amp; more</rdf:li></rdf:Alt></dc:title>\n"
    "<xmp:Thumbnails><rdf:Alt><rdf:li>thumbnail</rdf:li></rdf:Alt></xmp:Thumbnails>\n"
    '</rdf:Description></rdf:RDF></x:xmpmeta>\n          \n<?xpacket end="w"?>'
).encode()


def test_xmp_size_and_orientation_are_updated_and_thumbnails_dropped() -> None:
    packet = XmpPacket(PACKET)
    assert orientation_of(PACKET) == 6
    packet.set_upright()
    packet.set_size(8000, 6000)
    packet.drop_stale()
    text = packet.to_bytes().decode()
    assert 't:Orientation="1"' in text
    assert 'exif:PixelXDimension="8000"' in text
    assert "<exif:PixelYDimension>6000</exif:PixelYDimension>" in text
    assert "thumbnail" not in text.lower()
    for kept in ("Jane Doe", "GPSLatitude", 'xmp:Rating="5"', "Caf\N{LATIN SMALL LETTER E WITH ACUTE} &amp; more"):
        assert kept in text
    assert text.startswith("<?xpacket begin=")
    assert text.endswith('<?xpacket end="w"?>')
    assert orientation_of(packet.to_bytes()) == 1


def test_drop_private_removes_private_xmp_data() -> None:
    packet = XmpPacket(PACKET)
    packet.drop_private()
    text = packet.to_bytes().decode()
    for secret in ("Jane", "jane", "BODY-4711", "GPSLatitude"):
        assert secret not in text
    assert 'xmp:Rating="5"' in text


def _packet(properties: str, attributes: str = "") -> bytes:
    """A packet whose properties may use the prefixes below."""
    spaces = {
        "dji": "http://www.dji.com/drone-dji/1.0/",
        "rights": "http://ns.adobe.com/xap/1.0/rights/",
        "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
        "ms": "http://ns.microsoft.com/photo/1.0/",
        "aux": "http://ns.adobe.com/exif/1.0/aux/",
        "ex": "http://cipa.jp/exif/1.0/",
        "exif": "http://ns.adobe.com/exif/1.0/",
        "tiff": "http://ns.adobe.com/tiff/1.0/",
        "ps": "http://ns.adobe.com/photoshop/1.0/",
        "mm": "http://ns.adobe.com/xap/1.0/mm/",
        "evt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
        "core": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
        "ext": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
        "dc": "http://purl.org/dc/elements/1.1/",
        "other": "http://jane.example/of/next/year/",
    }
    declared = "".join(f' xmlns:{prefix}="{space}"' for prefix, space in spaces.items())
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f"<rdf:Description{declared} {attributes}>{properties}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


@pytest.mark.parametrize(
    "name",
    [
        *("dji:GpsLatitude", "dji:GpsLongtitude", "dji:AbsoluteAltitude", "dji:DroneSerialNumber"),
        *("rights:Owner", "rights:Certificate", "ms:CameraSerialNumber", "aux:SerialNumber", "ex:BodySerialNumber"),
        *("ps:City", "ps:Credit", "ps:History", "core:Location", "dc:creator", "dc:subject", "dc:publisher"),
        *("exif:GPSLatitude", "exif:UserComment", "tiff:Artist", "mm:InstanceID", "other:HomeOfTheCat"),
    ],
)
def test_drop_private_removes_xmp_properties_not_known_to_be_harmless(name: str) -> None:
    for packet in (_packet(f"<{name}>SECRET</{name}>", 'tiff:Make="X"'), _packet("", f'{name}="SECRET" tiff:Make="X"')):
        parsed = XmpPacket(packet)
        parsed.drop_private()
        assert b"SECRET" not in parsed.to_bytes()
        assert b'tiff:Make="X"' in parsed.to_bytes()


@pytest.mark.parametrize(
    "properties",
    [
        '<ext:LocationCreated><rdf:Bag><rdf:li ext:City="SECRET"/></rdf:Bag></ext:LocationCreated>',
        '<ext:LocationShown rdf:parseType="Resource"><exif:FNumber>SECRET</exif:FNumber></ext:LocationShown>',
        '<plus:ImageCreator><rdf:Seq><rdf:li plus:ImageCreatorName="SECRET"/></rdf:Seq></plus:ImageCreator>',
        '<plus:CopyrightOwner rdf:resource="SECRET"/>',
        '<mm:History><rdf:Seq><rdf:li evt:changed="/home/SECRET"/></rdf:Seq></mm:History>',
        '<dc:title><rdf:Alt><rdf:li xml:lang="en" other:by="SECRET">Cat</rdf:li></rdf:Alt></dc:title>',
        "<!-- SECRET --><dc:title>Cat<!-- SECRET --></dc:title>",
    ],
)
def test_drop_private_removes_private_data_inside_xmp_structures(properties: str) -> None:
    packet = XmpPacket(_packet(properties, 'rdf:about="uuid:SECRET"'))
    packet.drop_private()
    assert b"SECRET" not in packet.to_bytes()
    assert (b"Cat" in packet.to_bytes()) is ("Cat" in properties)


def test_drop_private_keeps_xmp_description_and_camera_data() -> None:
    properties = (
        '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">A cat</rdf:li></rdf:Alt></dc:title>'
        '<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">(c) 2024</rdf:li></rdf:Alt></dc:rights>'
        '<exif:Flash rdf:parseType="Resource"><exif:Fired>True</exif:Fired></exif:Flash>'
        '<rights:WebStatement rdf:resource="https://example.org/terms"/>'
        "<ext:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/compositeCapture"
        "</ext:DigitalSourceType>"
    )
    whole = _packet(properties, 'rdf:about="" tiff:Model="Camera 5" ex:LensModel="50 mm" exif:FNumber="28/10"')
    packet = XmpPacket(whole)
    packet.drop_private()
    assert packet.to_bytes() == whole


def test_drop_private_raises_when_the_packet_is_not_xmp() -> None:
    with pytest.raises(XmpError):
        XmpPacket(b"<place>48 N, 8 E</place>").drop_private()


def test_xmp_packet_that_needs_no_edit_is_unchanged() -> None:
    plain = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'  />   "
    packet = XmpPacket(plain)
    packet.set_upright()
    packet.set_size(1, 2)
    packet.drop_stale()
    assert packet.to_bytes() == plain


@pytest.mark.parametrize(
    ("reference", "meaning"),
    [("&#xA;", "\n"), ("&#10;", "\n"), ("&#x0d;&#xA;", "\r\n"), ("&#9;", "\t"), ("&#65;", "A")],
)
def test_line_breaks_and_tabs_survive_an_edit_of_xmp(reference: str, meaning: str) -> None:
    caption = f"one{reference}two"
    text = PACKET.decode().replace('xmp:Rating="5"', f'xmp:Rating="5" xmp:Label="{caption}"')
    packet = XmpPacket(text.replace("Caf", caption).encode())
    packet.set_upright()
    edited = ElementTree.fromstring(packet.to_bytes().decode())
    labels = [element.get("{http://ns.adobe.com/xap/1.0/}Label") for element in edited.iter()]
    assert f"one{meaning}two" in labels
    assert any((element.text or "").startswith(f"one{meaning}two") for element in edited.iter())


@pytest.mark.parametrize("packet", [PACKET + b"\0", PACKET + b"\0\0\0\0", PACKET.decode().encode("utf-16")])
def test_xmp_with_trailing_nulls_or_in_utf_16_is_accepted(packet: bytes) -> None:
    assert orientation_of(packet) == 6
    XmpPacket(packet)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"no xml",
        PACKET[:400],
        b"\xff\xfe\xff",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b'<a xmlns:t="http://ns.adobe.com/tiff/1.0/" t:Orientation="6">' + b"<a>" * 20_000 + b"</a>" * 20_001,
    ],
)
def test_damaged_xmp_packet_raises_xmp_error(packet: bytes) -> None:
    def edit() -> None:
        parsed = XmpPacket(packet)
        parsed.set_upright()
        parsed.to_bytes()

    with pytest.raises(XmpError):
        edit()


@pytest.mark.parametrize(
    ("properties", "attributes"),
    [
        ("", " ".join(f'a{number}=""' for number in range(30_000))),
        ("<a/>" * 100_000, ""),
        ("<!---->" * 100_000, ""),
    ],
    ids=["attributes", "elements", "comments"],
)
def test_xmp_packet_of_very_many_parts_is_edited_within_5_seconds(properties: str, attributes: str) -> None:
    started = time.process_time()
    packet = XmpPacket(_packet(properties, attributes))
    packet.set_upright()
    packet.set_size(3, 4)
    packet.drop_stale()
    packet.drop_private()
    text = packet.to_bytes().decode()
    assert time.process_time() - started < 5
    assert not re.search("a29999|<a/>|<!--", text)
    XmpPacket(text.encode())


def test_xmp_packet_of_megabytes_is_read_and_edited() -> None:
    ancestors = "".join(f"<rdf:li>{number:032X}</rdf:li>" for number in range(60_000))  # as Photoshop writes them
    packet = XmpPacket(PACKET.replace(b"<xmp:Thumbnails>", f"<rdf:Bag>{ancestors}</rdf:Bag><xmp:Thumbnails>".encode()))
    packet.set_upright()
    text = packet.to_bytes()
    assert len(text) > 2_500_000
    assert orientation_of(text) == 1
    assert f"{59_999:032X}".encode() in text


@pytest.mark.parametrize("more", ["<a/>" * 160_000, "<!---->" * 160_000, "<![CDATA[]]>" * 160_000, "<?a?>" * 160_000])
def test_too_large_xmp_packet_is_rejected_but_its_orientation_is_read(more: str) -> None:
    packet = PACKET.replace(b"<xmp:Thumbnails>", f"{more}<xmp:Thumbnails>".encode())
    assert orientation_of(packet) == 6
    with pytest.raises(XmpError, match="too large"):
        XmpPacket(packet)
    with pytest.raises(XmpError, match="too large"):
        XmpPacket(PACKET + b" " * (16 << 20))


@pytest.mark.parametrize(
    ("inside", "orientation"),
    [
        ('<rdf:Description xmlns:t="http://ns.adobe.com/tiff/1.0/" t:Orientation=" 8 "/>', 8),
        ('<t:Orientation xmlns:t="http://ns.adobe.com/tiff/1.0/">\n<!-- -->3</t:Orientation>', 3),
        ('<t:Orientation xmlns:t="http://ns.adobe.com/tiff/1.0/">9</t:Orientation>', None),
        ('<t:Orientation xmlns:t="http://elsewhere.org/">3</t:Orientation>', None),
    ],
)
def test_xmp_orientation_is_identified_by_its_namespace(inside: str, orientation: int | None) -> None:
    packet = f'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{inside}</rdf:RDF>'
    assert orientation_of(packet.encode()) == orientation


@given(st.binary(max_size=80))
def test_any_bytes_in_xmp_raise_only_xmp_error(data: bytes) -> None:
    for packet in (data, PACKET[:200] + data + PACKET[200:]):
        try:
            parsed = XmpPacket(packet)
            parsed.set_size(3, 4)
            parsed.drop_private()
            parsed.to_bytes()
        except XmpError:
            pass


def test_estimate_quality_is_plausible_for_unknown_jpeg_tables() -> None:
    assert estimate_quality([1] * 64) == 100
    assert estimate_quality([255] * 64) <= 10
    assert estimate_quality([16, 11, 12, 14] + [40] * 60) in range(30, 80)
