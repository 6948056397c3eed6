"""Estimated quality of lossy WebP files of every layout, before and after they are read."""

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
from vdsr_app.core.image_io.compression import compression_of
from vdsr_app.core.image_io.webp_quality import quality_of_step
from vdsr_app.core.job import FileFormat, SaveOptions
from vdsr_app.core.picture import Picture


def busy(channels: int = 3) -> np.ndarray[Any, Any]:
    """A picture whose left half is even, so that the encoder makes segments with several quantisers."""
    return photograph(160, 160, channels, grain=20, calm=0.5)


def webp(channels: int = 3, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(busy(channels)).save(out, "webp", **options)
    return out.getvalue()


def estimated(path: Path, data: bytes) -> int | None:
    return estimated_quality(path, data, SourceFormat.WEBP)


@pytest.mark.parametrize("quality", [0, 5, 20, 40, 60, 75, 80, 88, 89, 95, 100])
@pytest.mark.parametrize("method", [0, 4, 6])
def test_estimate_matches_the_encoder_setting(tmp_path: Path, quality: int, method: int) -> None:
    found = estimated(tmp_path / "no name that helps", webp(quality=quality, method=method))
    assert found == pytest.approx(quality, abs=1)


def test_estimate_is_correct_with_transparency_and_metadata(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[270] = "x" * 501  # of odd length, so that a padding byte is needed
    data = webp(4, quality=70, exif=exif, icc_profile=b"profile" * 99)
    assert data[12:16] == b"VP8X"
    assert estimated(tmp_path / "a.webp", data) == pytest.approx(70, abs=1)


def test_animation_is_estimated_from_its_first_picture(tmp_path: Path) -> None:
    first, second = (Image.fromarray(busy()[::step]) for step in (1, -1))
    animations = []
    for quality in (55, 20):
        out = io.BytesIO()
        first.save(out, "webp", save_all=True, append_images=[second], quality=quality)
        animations.append(out.getvalue().split(b"ANMF"))
        assert len(animations[-1]) == 3, "not two frames"
    data = b"ANMF".join([*animations[0][:2], animations[1][2]])
    data = data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:]
    assert estimated(tmp_path / "a.webp", data) == pytest.approx(55, abs=1)


def test_lossless_file_has_no_quality(tmp_path: Path) -> None:
    assert estimated(tmp_path / "a.webp", webp(lossless=True)) is None
    assert estimated(tmp_path / "b.webp", webp(4, lossless=True)) is None


def test_estimate_matches_the_saved_quality_and_is_none_if_lossless(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    for quality, expected in ((60, 60), (100, None)):
        image_io.save(Picture(busy()), path, SaveOptions(FileFormat.WEBP, quality))
        compression = compression_of(path)
        assert (None if compression is None else compression.quality) == (expected and pytest.approx(expected, abs=1))


def test_truncated_file_yields_its_quality_or_none(tmp_path: Path) -> None:
    data, path = webp(quality=75), tmp_path / "cut.webp"
    answers = []
    for length in range(0, 120):
        path.write_bytes(data[:length])
        answers.append(compression_of(path))
    whole = answers[-1]
    assert whole is not None
    assert set(answers) == {None, whole}
    assert answers == sorted(answers, key=lambda answer: answer is not None)


def test_corrupted_file_yields_a_valid_quality_or_none(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(1), tmp_path / "bad.webp"
    data = webp(4, quality=75)
    for _ in range(300):
        bad = bytearray(data)
        for place in rng.integers(8, 200, 8):
            bad[place] = rng.integers(256)
        path.write_bytes(bad)
        found = compression_of(path)
        assert found is None or 0 <= found.quality <= 100


def test_search_of_long_damaged_file_is_limited(tmp_path: Path) -> None:
    path = tmp_path / "long.webp"
    empty = b"JUNK" + struct.pack("<I", 0)
    frame = b"".join(webp(quality=75).partition(b"VP8 ")[1:])
    for count, finds in ((900, True), (100_000, False)):
        body = b"WEBP" + empty * count + frame
        path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
        assert (compression_of(path) is not None) is finds


def test_coarser_step_never_gets_higher_quality() -> None:
    qualities = [quality_of_step(step) for step in np.linspace(1, 300, 600)]
    assert qualities == sorted(qualities, reverse=True)
    assert (qualities[0], qualities[-1]) == (100, 0)


def test_compression_round_trips_as_text_and_rejects_invalid_text() -> None:
    for compression in (Compression(SourceFormat.WEBP, 75), Compression(SourceFormat.JPEG, 100)):
        assert Compression.parse(str(compression)) == compression
    for text in ("", "webp", "webp x", "vp8 75"):
        with pytest.raises(ValueError, match=r"."):
            Compression.parse(text)
