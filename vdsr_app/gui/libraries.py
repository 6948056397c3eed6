"""What the program is made of: names, packages and licences, for those who ask about it and for reports."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Library:
    """One part.

    Attributes:
        title: as its makers write it.
        package: under which it is installed; "" for what comes with another one.
        licence: under which it is given.
    """

    title: str
    package: str
    licence: str

    @property
    def version(self) -> str:
        """What is installed, told without importing it; "" for what comes with another package."""
        if not self.package:
            return ""
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError:
            return "not known"


LIBRARIES = (
    Library("Qt and PySide6", "PySide6-Essentials", "LGPL 3"),
    Library("PyTorch", "torch", "BSD 3-Clause"),
    Library("NumPy", "numpy", "BSD 3-Clause"),
    Library("Numba", "numba", "BSD 2-Clause"),
    Library("ONNX", "onnx", "Apache 2.0"),
    Library("libvips", "pyvips-binary", "LGPL 3 or later"),
    Library("pyvips", "pyvips", "MIT"),
    Library("Pillow", "pillow", "MIT-CMU"),
    Library("pillow-heif", "pillow-heif", "BSD 3-Clause"),
    Library("imagecodecs", "imagecodecs", "BSD 3-Clause"),
    Library("safetensors", "safetensors", "Apache 2.0"),
    Library("PyQtGraph", "pyqtgraph", "MIT"),
    Library("tqdm", "tqdm", "MPL 2.0 and MIT"),
    Library("filelock", "filelock", "MIT"),
    Library("QtAwesome", "qtawesome", "MIT"),
    Library("Material Design Icons", "", "Apache 2.0"),
)
"""All that is installed with the program; a test holds it against pyproject.toml."""
