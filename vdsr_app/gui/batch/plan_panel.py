"""Totals of a batch, and the buttons for before and after it; always visible."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QPushButton

from vdsr_app.core.batch.estimate import Plan
from vdsr_app.core.batch.events import BatchReport
from vdsr_app.gui.parts import allow_button, can_be_pressed, plain, press_by_return, primary
from vdsr_app.gui.sections import Section, text_label
from vdsr_app.gui.texts import bytes_text, duration_text, megapixels_text, pictures_text


class PlanPanel(Section):
    """Totals and buttons.

    Signals:
        start_requested: the user wants to run the batch.
        replan_requested: the user wants to plan again after planning failed.
        resume_requested: the user wants to resume the batch.
        retry_requested: the user wants to retry what failed.
        folder_requested: the user wants to see the results.
        report_requested: the user wants a table of the outcome.
    """

    start_requested = Signal()
    replan_requested = Signal()
    resume_requested = Signal()
    retry_requested = Signal()
    folder_requested = Signal()
    report_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.set_head(self.tr("Plan"))
        self._totals = text_label(wrap=True)
        self.start = primary(self.tr("Start"), "play-outline")
        self.again = plain(self.tr("Try again"), "refresh")
        self.resume = plain(self.tr("Resume"), "play-outline")
        self.retry = plain(self.tr("Retry failed"), "refresh")
        self.folder = plain(self.tr("Open folder"), "folder-open-outline")
        self.report = plain(self.tr("Save report…"), "content-save-outline")
        buttons = (self.start, self.again, self.resume, self.retry, self.folder, self.report)
        for widget in (self._totals, *buttons):
            self.body.addWidget(widget)
        self.start.clicked.connect(self.start_requested)
        self.again.clicked.connect(self.replan_requested)
        self.resume.clicked.connect(self.resume_requested)
        self.retry.clicked.connect(self.retry_requested)
        self.folder.clicked.connect(self.folder_requested)
        self.report.clicked.connect(self.report_requested)
        for button in (self.start, self.again, self.resume, self.retry):
            press_by_return(button)

    @property
    def text(self) -> str:
        """The totals as shown."""
        return self._totals.text()

    def say(self, text: str) -> None:
        """Show a text instead of the totals."""
        self._totals.setText(text)

    def show_buttons(self, *, ended: bool, again: bool = False, resume: bool = False, retry: bool = False) -> None:
        """Show the buttons that apply before or after a batch.

        Args:
            ended: a batch has ended.
            again: planning failed.
            resume: the batch can be resumed.
            retry: some of its pictures failed.
        """
        self.start.setVisible(not ended)
        self.again.setVisible(again)
        self.resume.setVisible(ended and resume)
        self.retry.setVisible(ended and retry)
        self.folder.setVisible(ended)
        self.report.setVisible(ended)

    def allow_start(self, allowed: bool, reason: str) -> None:
        """Enable the start button, or disable it and say why."""
        allow_button(self.start, allowed, reason)

    @property
    def next_button(self) -> QPushButton | None:
        """The button that starts, plans again or resumes, whichever can be pressed now."""
        return next((button for button in (self.start, self.again, self.resume) if can_be_pressed(button)), None)

    def take_focus(self) -> bool:
        """Focus the button that the user most likely wants; False if there is none."""
        for button in (self.start, self.again, self.resume, self.retry, self.folder):
            if button.isEnabled() and button.isVisible():
                button.setFocus()
                return True
        return False

    def show_plan(self, plan: Plan) -> None:
        """Show the totals of a plan."""
        found = plan.totals
        lines = [self.tr("{pictures} to do").format(pictures=pictures_text(found.queued))]
        if found.skipped:
            lines.append(self.tr("{count} to skip").format(count=found.skipped))
        if found.failed:
            lines.append(self.tr("{count} cannot be done").format(count=found.failed))
        lines.append(self.tr("{size} in all").format(size=megapixels_text(found.output_px)))
        room = self.tr("About {size} on the disk").format(size=bytes_text(found.disk_bytes))
        if plan.free_bytes is not None:
            room = self.tr("{room}, {free} free").format(room=room, free=bytes_text(plan.free_bytes))
        lines.append(room)
        lines.append(self.tr("Up to {size} of memory").format(size=bytes_text(found.memory_bytes)))
        if plan.seconds is not None:
            lines.append(self.tr("About {time} on this computer").format(time=duration_text(plan.seconds)))
        self.say("\n".join(lines))

    def show_report(self, report: BatchReport) -> str:
        """Show how a batch ended; returns that as one sentence without a full stop."""
        words = self.tr("{done} done, {skipped} skipped, {failed} failed").format(
            done=report.done, skipped=report.skipped, failed=report.failed
        )
        self.say(f"{words}\n" + self.tr("in {time}").format(time=duration_text(report.seconds)))
        return words
