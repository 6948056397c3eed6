"""Free space on a disk, where the system reports it."""

from __future__ import annotations

import shutil
from pathlib import Path


def free_bytes(folder: Path) -> int | None:
    """Free space on the disk of a folder, or of its nearest existing parent; None if the system does not report it."""
    for each in (folder.absolute(), *folder.absolute().parents):
        try:
            return shutil.disk_usage(each).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None
