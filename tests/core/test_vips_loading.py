"""libvips is set up only once, even if several threads read the first pictures at the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from vdsr_app.core.image_io import vips
start = threading.Barrier(8)
def load():
    start.wait()
    vips.load()
threads = [threading.Thread(target=load) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_loading_from_many_threads_at_once_prints_nothing(checkout: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(checkout)], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
