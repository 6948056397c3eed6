"""Stands in for the window: starts the run in argv[1], sets choice argv[2], reports it, and waits to be killed."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent), str(HERE.parent.parent / "trainer")]

from fake_trainer import COMMAND, out  # noqa: E402
from PySide6.QtCore import QCoreApplication  # noqa: E402

from vdsr_app.workers.training import TrainingService  # noqa: E402
from vdsr_trainer.events import Failed, Stepped  # noqa: E402

application = QCoreApplication(sys.argv)
command = COMMAND if len(sys.argv) < 4 else sys.argv[3:]
service = TrainingService(command=lambda: command)
said = False


def on_event(folder: Path, event: object) -> None:
    global said
    if isinstance(event, Failed):
        out(event.message)
    elif isinstance(event, Stepped) and not said:
        said = True
        service.set_when_window_ends(sys.argv[2])
        out("training")


service.event_received.connect(on_event)
service.crashed.connect(lambda report: out(str(report)))
service.start(Path(sys.argv[1]))
sys.exit(application.exec())
