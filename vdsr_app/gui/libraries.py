"""Components of the program: titles, packages and licences, for the About dialog and bug reports."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Library:
    """One component.

    Attributes:
        title: as its authors write it.
        package: name of its package; "" if it comes with another one.
        licence: name of its licence.
    """

    title: str
    package: str
    licence: str

    @property
    def version(self) -> str:
        """Installed version, read without importing the package; "" if it comes with another one."""
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
"""Everything installed with the program; a test checks it against pyproject.toml."""
