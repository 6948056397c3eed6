"""Estimated quality of JPEG files of every kind, before and after reading, and of tables of other programs."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.core.compressed import estimated_quality, photograph
from vdsr_app.core import image_io
from vdsr_app.core.compression import Compression
from vdsr_app.core.formats import SourceFormat
from vdsr_app.core.image_io.compression import compression_of
from vdsr_app.core.image_io.jpeg_quality import estimate_quality
from vdsr_app.errors import PictureError

# Read from files, in zigzag order. Photoshop's tables are coarse where photographs have their detail, and fine where
# they have none.
PHOTOSHOP_CS2_LOW = (
    *(32, 33, 33, 51, 36, 51, 81, 48, 48, 81, 66, 47, 47, 47, 66, 39, 28, 28, 28, 28, 39, 34, *[23] * 5, 34, 17),
    *[12] * 35,
)  # fmt: skip
PHOTOSHOP_CC_HIGH = (
    *(6, 4, 4, 4, 5, 4, 6, 5, 5, 6, 9, 6, 5, 6, 9, 11, 8, 6, 6, 8, 11, 12, 10, 10, 11, 10, 10, 12, 16),
    *(*[12] * 6, 16, *[12] * 28),
)  # fmt: skip
IPHONE_FRAME = (
    *(*[19] * 6, 32, 19, 19, 32, 45, 32, 32, 32, 45, 61, 45, 45, 45, 45, 61, 77, *[61] * 5, 77, 93),
    *(77, 77, 77, 77, 77, 77, *[93] * 8, *[112] * 6, *[131] * 5, *[147] * 10),
)  # fmt: skip


def jpeg_quality_of(path: Path | str) -> int | None:
    """Quality that is estimated from the file before it is read."""
    return quality(compression_of(path))


def quality(compression: Compression | None) -> int | None:
    assert compression is None or compression.format is SourceFormat.JPEG
    return None if compression is None else compression.quality


def jpeg(mode: str = "RGB", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(photograph(channels=1)[..., 0]).convert("RGB").convert(mode).save(out, "jpeg", **options)
    return out.getvalue()


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def parts(data: bytes) -> list[tuple[int, bytes]]:
    """Markers and bodies of the segments before the scan; the rest of the file is listed under the scan's marker."""
    found, at = [], 2
    while data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + length
    return [*found, (0xDA, data[at:])]


def joined(pieces: list[tuple[int, bytes]]) -> bytes:
    return b"\xff\xd8" + b"".join(body if marker == 0xDA else segment(marker, body) for marker, body in pieces)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("quality", [1, 30, 75, 93, 94, 100])
def test_estimate_equals_encoder_quality_before_and_after_reading(
    tmp_path: Path, mode: str, progressive: bool, quality: int
) -> None:
    path = tmp_path / "no name that helps"
    data = jpeg(mode, quality=quality, progressive=progressive)
    assert estimated_quality(path, data, SourceFormat.JPEG) == quality


def test_mpo_has_the_quality_of_its_first_picture(tmp_path: Path) -> None:
    first, second = (Image.fromarray(photograph(channels=1)[..., 0]).convert("RGB") for _ in range(2))
    first.save(tmp_path / "a.mpo", "mpo", save_all=True, append_images=[second], quality=82)
    data = (tmp_path / "a.mpo").read_bytes()
    (tmp_path / "a.mpo").write_bytes(data[: data.rindex(b"\xff\xd8\xff")] + jpeg(quality=30))
    assert jpeg_quality_of(tmp_path / "a.mpo") == 82
    assert quality(image_io.read(tmp_path / "a.mpo").source.compression) == 82


def test_tables_are_found_anywhere_before_the_scan(tmp_path: Path) -> None:
    pieces = parts(jpeg(quality=60))
    tables = [piece for piece in pieces if piece[0] == 0xDB]
    rest = [piece for piece in pieces if piece[0] not in (0xDB, 0xDA)]
    exif_like = (0xE1, b"Exif\0\0" + b"\xff\xdb\0\x43" + bytes(60_000))  # a thumbnail's table, not the picture's
    forms = {
        "last": [exif_like, *rest, *tables, pieces[-1]],
        "reversed": [exif_like, *reversed(tables), *rest, pieces[-1]],
        "in one": [*rest, (0xDB, b"".join(body for _, body in reversed(tables))), pieces[-1]],
        "16 bits": [*rest, *[(0xDB, wide(body)) for _, body in tables], pieces[-1]],
    }
    assert len(tables) == 2
    for name, form in forms.items():
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(joined(form))
        assert jpeg_quality_of(path) == 60, name


def wide(body: bytes) -> bytes:
    """The same table with steps of two bytes."""
    return bytes([body[0] | 0x10]) + b"".join(bytes([0, step]) for step in body[1:])


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "gif"])
def test_files_of_other_formats_have_no_quality(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(photograph(channels=1)[..., 0]).save(tmp_path / f"a.{suffix}")
    os.rename(tmp_path / f"a.{suffix}", tmp_path / "a.jpg")
    assert jpeg_quality_of(tmp_path / "a.jpg") is None


def test_unreadable_files_have_no_quality(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "letter.jpg").write_text("Dear photographer")
    assert jpeg_quality_of(tmp_path / "missing.jpg") is None
    assert jpeg_quality_of(tmp_path / "empty.jpg") is None
    assert jpeg_quality_of(tmp_path / "letter.jpg") is None
    assert jpeg_quality_of(tmp_path) is None
    assert jpeg_quality_of("a\0b.jpg") is None


@pytest.mark.skipif(os.name == "nt", reason="POSIX files")
def test_named_pipe_has_no_quality_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert jpeg_quality_of(tmp_path / "pipe.jpg") is None


def test_truncated_jpeg_gives_its_quality_or_none(tmp_path: Path) -> None:
    data = jpeg(quality=75)
    path = tmp_path / "cut.jpg"
    answers = []
    for length in range(0, 700):
        path.write_bytes(data[:length])
        answers.append(jpeg_quality_of(path))
    assert set(answers) == {None, 75}
    assert answers == sorted(answers, key=lambda answer: answer is not None)


@pytest.mark.parametrize("filling", [b"\0", b"\xff", b"x"])
def test_search_of_long_damaged_file_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filling: bytes
) -> None:
    reads = 0

    class CountingFile(io.FileIO):
        def read(self, size: int = -1) -> bytes:
            nonlocal reads
            reads += 1
            return super().read(size)

    def fdopen(descriptor: int, mode: str) -> CountingFile:
        return CountingFile(descriptor)

    monkeypatch.setattr("vdsr_app.core.image_io.picture_file.open", fdopen, raising=False)
    path = tmp_path / "long.jpg"
    path.write_bytes(b"\xff\xd8" + segment(0xE0, b"JFIF\0" + bytes(9)) + filling * 3_000_000)
    assert jpeg_quality_of(path) is None
    assert 0 < reads < 200_000


@pytest.mark.parametrize(("table", "expected"), [(PHOTOSHOP_CS2_LOW, 38), (PHOTOSHOP_CC_HIGH, 90), (IPHONE_FRAME, 30)])
def test_foreign_table_gets_the_quality_of_equal_error_on_photographs(table: tuple[int, ...], expected: int) -> None:
    # Expected: the quality of equal mean PSNR over the luma of Set5 and Set14.
    assert len(table) == 64
    assert estimate_quality(table) == pytest.approx(expected, abs=4)


def test_finer_table_never_gets_lower_quality() -> None:
    rng = np.random.default_rng(1)
    for _ in range(100):
        coarse = rng.integers(2, 120, 64)
        fine = np.maximum(1, coarse - rng.integers(0, 40, 64))
        assert estimate_quality(fine.tolist()) >= estimate_quality(coarse.tolist())


def test_table_of_zeros_gives_quality_100() -> None:
    assert estimate_quality([0] * 64) == 100


def test_corpus_jpegs_give_the_same_quality_before_and_after_reading(shared_dir: Path) -> None:
    """Every readable JPEG of the corpus, from cameras and other programs."""
    tested = 0
    for path in sorted((shared_dir / "corpus" / "pillow").rglob("*.jpg")):
        try:
            after = quality(image_io.read(path).source.compression)
        except PictureError:
            continue
        assert jpeg_quality_of(path) == after, path
        tested += 1
    assert tested > 10
