"""Stand-in for `vdsr train` in tests of the pages: a whole run in a second, with curves, crops, a table and weights.

It does as many steps as the run's configuration or --steps says, a hundredth of them at a time. A file `behaviour` in
the folder of all runs makes it misbehave: "fail", "crash", "diverge"; "slow" makes a run last for minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "trainer")]

from vdsr_trainer.config_file import read_config, to_toml  # noqa: E402
from vdsr_trainer.events import (  # noqa: E402
    CheckpointSaved,
    Compared,
    Event,
    Failed,
    Finished,
    Measured,
    Noticed,
    Paused,
    Preparing,
    Resumed,
    RolledBack,
    Started,
    Stepped,
    Validated,
    to_json,
)
from vdsr_trainer.presets import PRESETS  # noqa: E402
from vdsr_trainer.run_files import RunLock, read_control, write_control  # noqa: E402

COMMAND = [sys.executable, "-P", __file__]
LONGEST_S = 300
WEIGHTS = ROOT / "models" / "vdsr.safetensors"


class Stop(Exception):  # noqa: N818 - not an error
    pass


def train(folder: Path, steps: int | None) -> int:
    behaviour_file = folder.parent / "behaviour"
    behaviour = behaviour_file.read_text() if behaviour_file.exists() else ""
    config = read_config(folder / "config.toml")
    if steps:
        config = replace(config, steps=steps)
        (folder / "config.toml").write_text(to_toml(config))
    total = config.steps
    first = int((folder / "step").read_text()) if (folder / "step").exists() else 0
    with RunLock(folder), (folder / "events.jsonl").open("a", buffering=1) as log:
        if first == 0:
            write_control(folder, "run", "go on")

        def tell(event: Event) -> None:
            log.write(to_json(event) + "\n")

        for done in (0, 20, 40):
            tell(Preparing(first, done, 40))
        tell(Started(first, total, 667_000, 36, ("birds/a.png", "birds/b.png"), "Stand-in, 2 threads"))
        step = first
        try:
            while step < total:
                step = one_part(folder, behaviour, step, total, tell)
            raise Stop("complete")
        except Stop as stop:
            end(folder, str(stop), step, total, tell, log.close)
    return 0


def one_part(folder: Path, behaviour: str, step: int, total: int, tell: Callable[[Event], None]) -> int:
    time.sleep({"slow": 0.5, "diverge": 0.05}.get(behaviour, 0.01))
    control = read_control(folder)
    if control.when_window_ends == "save" and RunLock(folder, "window.lock").try_acquire():
        raise Stop("window")
    if control.command == "pause":
        tell(Paused(step))
        while (control := read_control(folder)).command == "pause":
            time.sleep(0.02)
        tell(Resumed(step))
    if control.command in ("stop", "discard"):
        raise Stop(control.command)
    step = min(total, step + max(1, total // 100))
    share = step / total
    if behaviour == "crash" and share > 0.3:
        sys.stderr.write("Fatal Python error: Segmentation fault\n")
        os._exit(139)
    if behaviour == "fail" and share > 0.3:
        raise Stop("fail")
    loss = 1e-3 * (0.4 + math.exp(-4 * share)) * (1 + 0.2 * math.sin(37 * step))
    rate = 1e-3 * (1 + math.cos(math.pi * share)) / 2
    left = None if share < 0.03 else 7200 * (1 - share)
    tell(Stepped(step, loss, rate, 0.4 + 0.1 * math.sin(step), 0.0, 210.0, 0.02, left, 900 * 10**6))
    if behaviour == "diverge" and 0.3 < share < 0.32:
        tell(RolledBack(step, step, "The loss was no longer a number; it goes on with half the learning rate.", 0.5))
        tell(Noticed(step, "birds/c.png was left out: it can no longer be read."))
    if int(20 * share) != int(20 * (step - max(1, total // 100)) / total):
        bicubic = {"2": 30.12, "3": 27.31, "4": 25.9}
        gain = {"2": 2.6, "3": 1.9, "4": 1.3}
        psnr = {key: value + gain[key] * (1 - math.exp(-5 * share)) for key, value in bicubic.items()}
        tell(Validated(step, psnr, bicubic, crop(folder, step)))
        tell(CheckpointSaved(step, str(folder / "checkpoint.safetensors")))
        (folder / "step").write_text(str(step))
    return step


def crop(folder: Path, step: int) -> str:
    """Write a held-out crop as the run would; the same picture each time."""
    crops = folder / "crops"
    crops.mkdir(exist_ok=True)
    sample = ROOT / "resources" / "sample.png"
    for name in ("bicubic", "original", f"{step:08}"):
        shutil.copyfile(sample, crops / f"{name}.png")
    return f"crops/{step:08}.png"


def end(
    folder: Path, why: str, step: int, total: int, tell: Callable[[Event], None], close: Callable[[], None]
) -> None:
    (folder / "step").write_text(str(step))
    if why == "discard":
        close()
        shutil.rmtree(folder)
        return
    if why == "fail":
        tell(Failed(step, f"{folder}: There is no space left on the disk. Make room, then resume the run."))
        return
    shutil.copyfile(WEIGHTS, folder / "vdsr.safetensors")
    (folder / "vdsr.md").write_text("# A card\n\nA VDSR network, made by a stand-in.\n")
    rows = {
        "bicubic": {"2": [30.12, 0.901], "3": [27.31, 0.842], "4": [25.9, 0.79]},
        "vdsr": {"2": [32.41, 0.931], "3": [28.9, 0.872], "4": [26.8, 0.823]},
        "this run": {"2": [32.71, 0.934], "3": [29.2, 0.879], "4": [27.19, 0.834]},
    }
    tell(Compared(step, 10, rows))
    (folder / "result.json").write_text(json.dumps({"step": step, "pictures": 10, "rows": rows}))
    tell(Finished(step, str(folder / "vdsr.safetensors"), step >= total))


def measure(names: list[str], config: Path | None) -> int:
    seconds = {"robust": 0.55, "quick": 0.2, "photo": 0.71, "paper": 1.1}
    for name in names:
        time.sleep(0.05)
        say(Measured(name, seconds[name], 1_230_000_000, PRESETS[name].steps))
    if config is not None:
        own = read_config(config)
        say(Measured("", 0.1, 200_000_000 * own.batch, own.steps))
    return 0


def say(event: Event) -> None:
    sys.stdout.write(to_json(event) + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--presets", nargs="+", default=[])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--json", action="store_true", required=True)
    arguments = parser.parse_args()
    if arguments.measure:
        return measure(arguments.presets, arguments.config)
    return train(arguments.resume, arguments.steps)


if __name__ == "__main__":
    sys.exit(main())
