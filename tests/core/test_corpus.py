"""Corpus of awkward and hostile pictures: each opens or is rejected with one clear error, quickly and quietly."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from vdsr_app.core import image_io
from vdsr_app.core.image_io.sniff import HEAD_BYTES, identify
from vdsr_app.core.picture import Picture
from vdsr_app.errors import PictureError, UnsupportedFormatError

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "corpus"

pytestmark = pytest.mark.shared

MAX_SECONDS = 5.0

# Labelled "too large", but its 64 megapixels are genuine, and many cameras take more.
HONEST_64_MEGAPIXELS = "made/8000x8000_rgb_64MP_real.png"


def _rows() -> list[tuple[str, str]]:
    """Name and label of every picture; empty if the corpus is absent."""
    index = CORPUS / "INDEX.tsv"
    if not index.is_file():
        return []
    rows = [line.split("\t") for line in index.read_text("utf-8").splitlines()[1:] if line]
    return [(row[0], row[3]) for row in rows if not row[3].startswith("doc") and not row[0].startswith("weights/")]


def _read(path: Path) -> Picture | PictureError:
    """Result of reading; checks that the header alone agrees with it."""
    info = None
    try:
        info = image_io.probe(path)
    except PictureError:
        with pytest.raises(PictureError):
            image_io.read(path)
    try:
        picture = image_io.read(path)
    except PictureError as error:
        return error
    assert info is not None
    assert (info.width, info.height, info.bits) == (picture.width, picture.height, picture.bits)
    assert (info.format, info.mode, info.frames) == (
        picture.source.format,
        picture.source.mode,
        picture.source.frames,
    )
    assert info.has_alpha is (picture.alpha is not None)
    return picture


@pytest.mark.skipif(not _rows(), reason="the corpus is not beside this checkout")
@pytest.mark.parametrize(("name", "label"), _rows())
def test_corpus_picture_opens_or_raises_one_clear_error(
    name: str, label: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = CORPUS / name
    started = time.process_time()
    result = _read(path)
    assert time.process_time() - started < MAX_SECONDS
    assert capfd.readouterr() == ("", "")
    if isinstance(result, PictureError):
        assert result.path == str(path)
        assert result.what.endswith(".")
        assert "\n" not in str(result).removeprefix(f"{path}: ")
    if name == HONEST_64_MEGAPIXELS:
        label = "open"
    if label == "open":
        assert isinstance(result, Picture), str(result)
    elif label.startswith("clear-error"):
        assert isinstance(result, PictureError)
    elif label.startswith("open if format is advertised"):
        with path.open("rb") as file:
            advertised = identify(file.read(HEAD_BYTES)).format is not None
        assert isinstance(result, Picture if advertised else UnsupportedFormatError), str(result)


def test_headers_with_false_sizes_take_no_memory() -> None:
    hostile = [name for name, label in _rows() if "too large" in label and name != HONEST_64_MEGAPIXELS]
    if not hostile:
        pytest.skip("the corpus is not beside this checkout")
    code = (
        "import resource, sys\n"
        "from vdsr_app.core import image_io\n"
        "from vdsr_app.errors import PictureError\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "def attempt(path):\n"
        "    try: image_io.read(path)\n"
        "    except PictureError: return\n"
        "    sys.exit(f'{path} was opened')\n"
        "attempt(sys.argv[1])\n"  # loads the decoder
        "before = peak()\n"
        "for path in sys.argv[1:]: attempt(path)\n"
        "print(peak() - before)\n"
    )
    files = [str(CORPUS / name) for name in sorted(hostile, key=lambda name: not name.endswith("png"))]
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 50, "megabytes"
    assert done.stderr == ""
