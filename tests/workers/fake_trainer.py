"""Stands in for `vdsr train` in tests of the service: same folder, lock, control file and events, but no network.

The file `behaviour` in the run's folder selects what else it does, such as "crash" or "finish".
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "trainer")]

from vdsr_trainer.events import (  # noqa: E402
    Failed,
    Finished,
    Measured,
    Paused,
    Preparing,
    Resumed,
    Started,
    Stepped,
    to_json,
)
from vdsr_trainer.run_files import RunLock, read_control, write_control  # noqa: E402

LONGEST_S = 120
"""Time limit in seconds, so that the process ends even if its test was killed."""
COMMAND = [sys.executable, "-P", __file__]


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not reaped by its parent does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def out(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def err(text: str) -> None:
    sys.stderr.write(f"{text}\n")


class Stop(Exception):  # noqa: N818 - not an error
    pass


def train(folder: Path) -> int:
    end_s = time.monotonic() + LONGEST_S
    behaviour_file = folder / "behaviour"
    behaviour = behaviour_file.read_text() if behaviour_file.exists() else ""
    (folder / "pid").write_text(str(os.getpid()))
    if behaviour == "refuse":
        err("note: looking around")
        err("error: /pictures: There is no such folder. Choose another.")
        return 2
    if behaviour == "crash at once":
        os._exit(7)
    with RunLock(folder), (folder / "events.jsonl").open("a", buffering=1) as log:
        if behaviour != "obeys what it finds":
            write_control(folder, "run", "go on")

        def tell(event: object) -> None:
            log.write(to_json(event) + "\n")  # type: ignore[arg-type]

        first = int((folder / "step").read_text()) if (folder / "step").exists() else 0
        tell(Preparing(first, 0, 3))
        tell(Started(first, 10**6, 10, 3, ("a",), "fake"))
        step = first
        try:
            while time.monotonic() < end_s:
                step = one_step(folder, behaviour, step, tell)
        except Stop as stop:
            (folder / "step").write_text(str(step))
            if str(stop) == "discard":
                log.close()
                shutil.rmtree(folder)
            elif str(stop) == "fail":
                tell(Failed(step, "There is no space left on the disk."))
            else:
                tell(Finished(step, str(folder / "vdsr.safetensors"), str(stop) == "complete"))
    return 0


def one_step(folder: Path, behaviour: str, step: int, tell) -> int:
    if behaviour == "finish":
        raise Stop("complete")
    if behaviour == "fail":
        raise Stop("fail")
    if behaviour == "crash":
        err("Fatal Python error: Segmentation fault\nwhere it happened")
        os._exit(139)
    time.sleep(0.02)
    control = read_control(folder)
    if control.when_window_ends == "save" and RunLock(folder, "window.lock").try_acquire():
        raise Stop("window")
    if control.command == "pause":
        tell(Paused(step))
        while (control := read_control(folder)).command == "pause":
            time.sleep(0.02)
        tell(Resumed(step))
    if control.command in ("stop", "discard") and behaviour != "deaf":
        raise Stop(control.command)
    tell(Stepped(step + 1, 0.01, 1e-3, 1.0, 0.0, 10.0, 0.0, None))
    return step + 1


def measure(names: list[str], config: str | None) -> int:
    for name in names:
        if name == "paper":
            err("error: There is no room. Make some.")
            return 1
        out("Something else on a line.")
        out(to_json(Measured(name, 0.5, 2**20, 100)))
        if name == "photo":
            time.sleep(LONGEST_S)
    if config is not None:
        depth = next(line for line in Path(config).read_text().splitlines() if line.startswith("depth"))
        out(to_json(Measured("", float(depth.split("=")[1]), 2**20, 100)))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--presets", nargs="+", default=[])
    parser.add_argument("--config")
    parser.add_argument("--json", action="store_true", required=True)
    arguments = parser.parse_args()
    return measure(arguments.presets, arguments.config) if arguments.measure else train(arguments.resume)


if __name__ == "__main__":
    sys.exit(main())
