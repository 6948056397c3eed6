"""How much room a disk has left, as far as the system tells."""

from __future__ import annotations

import shutil
from pathlib import Path


def free_bytes(folder: Path) -> int | None:
    """Room on the disk of a folder, or of the nearest one above that is there; None where the system does not tell."""
    for each in (folder.absolute(), *folder.absolute().parents):
        try:
            return shutil.disk_usage(each).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None
