"""AVIF quality: estimated from the headers, before and after reading, for any encoder options."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.core.compressed import estimated_quality, photograph
from vdsr_app.core import image_io
from vdsr_app.core.compression import Compression
from vdsr_app.core.formats import SourceFormat
from vdsr_app.core.image_io.av1_header import base_q_idx
from vdsr_app.core.image_io.avif_quality import quality_of_index
from vdsr_app.core.image_io.compression import compression_of
from vdsr_app.core.job import FileFormat, SaveOptions
from vdsr_app.core.picture import Picture
from vdsr_app.errors import PictureError


def avif(pixels: np.ndarray[Any, Any], **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "avif", **{"speed": 9, **options})
    return out.getvalue()


def estimated(path: Path, data: bytes) -> int | None:
    return estimated_quality(path, data, SourceFormat.AVIF)


@pytest.mark.parametrize("quality", [0, 10, 30, 50, 60, 75, 80, 90, 95])
def test_estimate_matches_the_encoder_setting(tmp_path: Path, quality: int) -> None:
    assert estimated(tmp_path / "no name that helps", avif(photograph(), quality=quality)) == pytest.approx(
        quality, abs=2
    )


@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": "4:0:0"},
        {"subsampling": "4:4:4", "range": "limited"},
        {"tile_rows": 1, "tile_cols": 1},
        {"tile_rows": 2, "tile_cols": 0},
        {"advanced": {"sb-size": "64"}},
        {"advanced": {"sb-size": "128"}},
        {"advanced": {"tune-content": "screen"}},
    ],
    ids=str,
)
def test_estimate_is_correct_for_any_encoder_options(tmp_path: Path, options: dict[str, Any]) -> None:
    pixels = photograph(300, 280)
    assert estimated(tmp_path / "a.avif", avif(pixels, quality=60, **options)) == pytest.approx(60, abs=2)


@pytest.mark.parametrize(("width", "height"), [(4200, 70), (70, 4200), (16, 16), (17, 129), (2400, 1100)])
def test_estimate_is_correct_for_any_picture_size(tmp_path: Path, width: int, height: int) -> None:
    assert estimated(tmp_path / "a.avif", avif(photograph(width, height), quality=60)) == pytest.approx(60, abs=2)


def test_estimate_is_correct_with_transparency_and_metadata(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[270] = "x" * 501
    data = avif(photograph(channels=4), quality=50, exif=exif, icc_profile=b"profile" * 99, xmp=b"<x/>")
    assert estimated(tmp_path / "a.avif", data) == pytest.approx(50, abs=2)


@pytest.mark.parametrize("content", ["default", "screen"])
def test_animation_is_estimated_from_its_first_picture(tmp_path: Path, content: str) -> None:
    out = io.BytesIO()
    first, second = (Image.fromarray(photograph()[::step]) for step in (1, -1))
    first.save(
        out,
        "avif",
        save_all=True,
        append_images=[second],
        quality=60,
        speed=9,
        advanced={"tune-content": content},
    )
    assert b"avis" in out.getvalue()[:64]
    quality = estimated(tmp_path / "a.avif", out.getvalue())
    assert quality is not None
    assert 40 < quality <= 75, "of moving pictures the encoder spends more on the first"


def test_estimate_matches_the_saved_quality_and_is_none_if_lossless(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    for dtype, quality, expected in ((np.uint8, 60, 60), (np.uint16, 60, 60), (np.uint8, 100, None)):
        pixels = photograph().astype(dtype) * (257 if dtype is np.uint16 else 1)
        image_io.save(Picture(pixels), path, SaveOptions(FileFormat.AVIF, quality))
        assert estimated(path, path.read_bytes()) == (expected and pytest.approx(expected, abs=2))


def test_truncated_file_yields_its_quality_or_none(tmp_path: Path) -> None:
    data, path = avif(photograph(), quality=60), tmp_path / "cut.avif"
    answers = []
    for length in range(0, len(data), 3):
        path.write_bytes(data[:length])
        answers.append(compression_of(path))
    assert set(answers) == {None, answers[-1]}
    assert answers[-1] is not None
    assert answers == sorted(answers, key=lambda answer: answer is not None)


def test_corrupted_header_yields_a_valid_quality_or_none(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(1), tmp_path / "bad.avif"
    data = avif(photograph(), quality=60)
    header = data.index(b"mdat") + 40
    for _ in range(400):
        bad = bytearray(data)
        for place in rng.integers(4, header, 6):
            bad[place] = rng.integers(256)
        path.write_bytes(bad)
        found = compression_of(path)
        assert found is None or 0 <= found.quality <= 100


def test_random_obus_yield_a_valid_base_q_idx_or_none() -> None:
    rng = np.random.default_rng(2)
    for _ in range(3000):
        sequence, frame = rng.integers(0, 256, (2, 24), dtype=np.uint8)
        data = b"".join(bytes([kind << 3 | 2, 24]) + part.tobytes() for kind, part in ((1, sequence), (6, frame)))
        found = base_q_idx(data)
        assert found is None or 0 <= found <= 255


def test_item_tables_that_claim_more_than_the_file_holds_are_tolerated(tmp_path: Path) -> None:
    data = bytearray(avif(photograph(), quality=60))
    place = data.index(b"iloc") + 4 + 4
    for claim in (b"\xff\xff\xff\xff", b"\x00\x00\xff\xff", b"\x44\x40\xff\xff"):
        data[place : place + 4] = claim
        (tmp_path / "a.avif").write_bytes(data)
        compression_of(tmp_path / "a.avif")
    data[place - 4 : place] = struct.pack(">I", 2 << 24)
    (tmp_path / "a.avif").write_bytes(data)
    assert compression_of(tmp_path / "a.avif") is None


def test_item_table_of_extents_without_size_is_not_iterated(tmp_path: Path) -> None:
    def box(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", len(body) + 8, kind) + body

    entry = struct.pack(">IHHH", 7, 0, 0, 65_535)  # extents whose offset and length take no bytes
    iloc = box(b"iloc", struct.pack(">IHI", 2 << 24, 0, 2**32 - 1) + entry * 200_000)
    meta = box(b"meta", bytes(4) + box(b"pitm", struct.pack(">IH", 0, 1)) + iloc)
    (tmp_path / "a.avif").write_bytes(box(b"ftyp", b"avif" + bytes(4) + b"mif1") + meta)
    assert compression_of(tmp_path / "a.avif") is None


def test_quality_never_rises_with_the_quantiser_index() -> None:
    qualities = [quality_of_index(index) for index in range(256)]
    assert qualities == sorted(qualities, reverse=True)
    assert (qualities[0], qualities[-1]) == (100, 0)


def test_corpus_estimates_are_the_same_before_and_after_reading(shared_dir: Path) -> None:
    """Grids, gain maps, 10 and 12 bits: the estimate is the same before and after reading, and nearly all have one."""
    estimated: list[Compression | None] = []
    for path in sorted((shared_dir / "corpus").rglob("*.avif")):
        try:
            after = image_io.read(path).source.compression
        except (PictureError, MemoryError):
            continue
        assert compression_of(path) == after, path
        estimated.append(after)
    assert len(estimated) > 20
    assert sum(each is not None for each in estimated) > len(estimated) / 2
