"""The recipe of the bundle against the code that it bundles."""

from __future__ import annotations

import ast
import re
from pathlib import Path

_EXTENSIONS = {"jpegxl": "_jpegxl", "brotli": "_brotli", "cms": "_cms", "jpeg8": "_jpeg8"}


def _codecs_used(checkout: Path) -> set[str]:
    """Beginnings of the names that the code takes from imagecodecs."""
    names: set[str] = set()
    for folder in ("vdsr_app", "trainer"):
        for path in (checkout / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module == "imagecodecs":
                    names |= {alias.name for alias in node.names}
                elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "imagecodecs":
                    names.add(node.attr)
    return {re.split(r"_|Error", name)[0].lower() for name in names}


def test_every_codec_that_is_used_is_bundled(checkout: Path) -> None:
    used = _codecs_used(checkout)
    assert used == set(_EXTENSIONS), "imagecodecs loads each by a name that no tool finds"
    recipe = (checkout / "build_installer.spec").read_text("utf-8")
    assert {name for name in _EXTENSIONS.values() if f'"{name}"' in recipe} == set(_EXTENSIONS.values())
