"""Second step: opens every picture once and reports those that cannot be used."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from vdsr_app.core.picture import Pixels
from vdsr_app.gui.parts import Note, Page, link, plain
from vdsr_app.gui.sections import GROUP_GAP, SECTION_GAP, ElidedLabel, text_label
from vdsr_app.gui.texts import file_name, pictures_text, printable, report_text
from vdsr_app.gui.training.check_issues import THUMBNAIL_PX, IssueGroup, thumbnail_pixmap
from vdsr_app.gui.training.draft import Draft
from vdsr_app.gui.training.words import count
from vdsr_app.workers.messages import ErrorReport
from vdsr_app.workers.training import TrainingService
from vdsr_trainer.data.report import IssueKind, PreflightReport

_ORDER = (IssueKind.NEAR_DUPLICATE, IssueKind.DUPLICATE, IssueKind.TOO_SMALL, IssueKind.UNREADABLE)


class CheckPage(Page):
    """Progress while pictures are opened, then a summary and the list of problems.

    Signals:
        changed: whether the step is done may have changed.
        other_pictures_requested: the user wants to go back and choose others.
    """

    changed = Signal()
    other_pictures_requested = Signal()

    def __init__(self, draft: Draft, service: TrainingService) -> None:
        super().__init__(
            self.tr("Are they good to learn from?"),
            self.tr("Every picture is opened once, so that nothing surprises you in the middle of the night."),
        )
        self._draft = draft
        self._service = service
        self._running = self._refocus = False
        self._failed: ErrorReport | None = None
        self._groups: list[IssueGroup] = []
        self._progress = _Progress()
        self._progress.cancel.clicked.connect(self._on_cancel)
        self._summary = Note()
        self._again = plain(self.tr("Check now"), "refresh")
        self._again.clicked.connect(self.start)
        self._others = plain(self.tr("Choose other pictures"), "folder-outline")
        self._others.clicked.connect(self.other_pictures_requested)
        ways = QHBoxLayout()
        ways.setSpacing(GROUP_GAP)
        ways.addWidget(self._again)
        ways.addWidget(self._others)
        ways.addStretch(1)
        self._issues = QVBoxLayout()
        self._issues.setSpacing(SECTION_GAP)
        self.body.addWidget(self._progress)
        self.body.addWidget(self._summary)
        self.body.addLayout(ways)
        self.body.addLayout(self._issues)
        self.body.addStretch(1)
        service.check_progress.connect(self._progress.show_progress)
        service.checked.connect(self._on_checked)
        service.check_failed.connect(self._on_failed)
        service.desk.thumbnail_made.connect(self._on_thumbnail)
        draft.pictures_changed.connect(self._on_pictures_changed)
        self._show()

    @property
    def why_not(self) -> str:
        """Why the step is not done, or ""."""
        if self._running:
            return self.tr("The pictures are being checked")
        if self._failed is not None:
            return self.tr("These pictures cannot be learned from as they are")
        return "" if self._draft.report is not None else self.tr("The pictures are not checked yet")

    def focus_cancel(self) -> None:
        """Give Cancel the keyboard focus while pictures are being opened."""
        if self._running:
            self._progress.cancel.setFocus()

    def take_focus(self) -> bool:
        """Return the focus to the check box that the user just toggled; return False if there is none."""
        asked, self._refocus = self._refocus, False
        box = next((group.keep for group in self._groups if group.keep is not None), None)
        if not asked or box is None:
            return False
        box.setFocus()
        return True

    def leave(self) -> None:
        """Cancel a running check as the page is no longer shown; it starts over when the page is shown again."""
        if self._running:
            self._on_cancel()

    def start_if_needed(self) -> None:
        """Start the check, unless these pictures have been checked or are being checked."""
        if self._draft.report is None and not self._running:
            self.start()

    def start(self) -> None:
        """Check all pictures."""
        self._running, self._failed = True, None
        self._progress.show_progress(0, 0)
        self._service.check(self._draft.config)
        self._show()

    def _on_cancel(self) -> None:
        self._service.cancel_check()
        self._running = False
        self._show()

    def _on_pictures_changed(self) -> None:
        if self._running:
            self._service.cancel_check()
        self._running, self._failed = False, None
        self._show()

    def _on_checked(self, report: PreflightReport) -> None:
        self._running = False
        self._draft.set_report(report)
        self._show_issues(report)
        self._show()

    def _on_failed(self, report: ErrorReport) -> None:
        self._running, self._failed = False, report
        self._show()

    def _show(self) -> None:
        report = self._draft.report
        self._progress.setVisible(self._running)
        idle = not self._running and report is None
        self._again.setVisible(idle)
        self._again.setText(self.tr("Check again") if self._failed else self.tr("Check now"))
        self._others.setVisible(idle and self._failed is not None)
        if self._failed is not None:
            self._summary.say(report_text(self._failed), "alert-circle-outline", "bad")
        elif self._running or report is None:
            self._summary.say("" if self._running else self.tr("They are not checked yet."), "information-outline")
        else:
            self._summary.say(self._summary_text(report), "check-circle-outline", "good")
        if report is None and not self._running:
            self._clear_issues()
        for group in self._groups:
            group.setEnabled(not self._running)
            group.setToolTip(self.tr("The pictures are being checked again") if self._running else "")
        self.changed.emit()

    def _summary_text(self, report: PreflightReport) -> str:
        left_out = len(report.records) - len(report.training) - len(report.held_out)
        held = self.tr("{count} of your own choice to judge by") if self._draft.config.validation else ""
        held = held or self.tr("{count} held out to judge by")
        parts = [
            self.tr("{count} to learn from").format(count=count(len(report.training))),
            held.format(count=count(len(report.held_out))),
            self.tr("{count} left out").format(count=count(left_out)) if left_out > 0 else self.tr("none left out"),
        ]
        return f"{pictures_text(len(report.records))}: {', '.join(parts)}."

    def _clear_issues(self) -> None:
        self._groups = []
        while (item := self._issues.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()

    def _show_issues(self, report: PreflightReport) -> None:
        self._clear_issues()
        for kind in _ORDER:
            issues = [issue for issue in report.issues if issue.kind is kind]
            if issues:
                group = IssueGroup(kind, issues, kept=self._draft.config.keep_duplicates)
                group.left_out.connect(self._on_left_out)
                group.keep_chosen.connect(self._on_keep_chosen)
                self._groups.append(group)
                self._issues.addWidget(group)
        kept = self._draft.config.keep_duplicates and not any(issue.kind.may_be_kept for issue in report.issues)
        if kept:
            self._issues.addWidget(self._undo_row(self.tr("Duplicates are learned from too."), "", self._on_unkeep))
        for path in self._draft.config.exclude:
            words = self.tr("Left out by you: {name}").format(name=file_name(path))
            self._issues.addWidget(self._undo_row(words, path, self._on_put_back))
        wanted = [path for group in self._groups for path in group.wanted]
        self._service.desk.make_thumbnails(list(dict.fromkeys(wanted)), THUMBNAIL_PX * 2)

    def _undo_row(self, words: str, path: str, undo: object) -> QWidget:
        row = QWidget()
        line = QHBoxLayout(row)
        line.setContentsMargins(GROUP_GAP * 3, 0, 0, 0)
        line.addWidget(ElidedLabel(printable(words)), 1)
        back = link(self.tr("Put back") if path else self.tr("Leave them out"))
        back.setAccessibleName(f"{words} {back.text()}")
        back.setProperty("path", path)
        back.clicked.connect(undo)
        line.addWidget(back)
        return row

    def _on_left_out(self, path: Path) -> None:
        self._change(exclude=(*self._draft.config.exclude, str(path)))

    def _on_put_back(self) -> None:
        path = self.sender().property("path")
        self._change(exclude=tuple(other for other in self._draft.config.exclude if other != path))

    def _on_keep_chosen(self, keep: bool) -> None:
        self._refocus = True
        self._change(keep_duplicates=keep)

    def _on_unkeep(self) -> None:
        self._change(keep_duplicates=False)

    def _change(self, **values: object) -> None:
        """Change the choice of pictures and check it at once."""
        self._draft.set_pictures(**values)
        self.start()

    def _on_thumbnail(self, path: Path, rgba: Pixels) -> None:
        pixmap = thumbnail_pixmap(rgba)
        for group in self._groups:
            group.show_thumbnail(path, pixmap)


class _Progress(QWidget):
    """A progress bar with its count, and a Cancel button."""

    def __init__(self) -> None:
        super().__init__()
        self._words = text_label()
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(self.tr("Pictures checked"))
        self.cancel = plain(self.tr("Cancel"))
        row = QHBoxLayout()
        row.setSpacing(SECTION_GAP)
        row.addWidget(self._bar, 1)
        row.addWidget(self.cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._words)
        column.addLayout(row)

    def show_progress(self, done: int, total: int) -> None:
        self._bar.setRange(0, total)
        self._bar.setValue(done)
        words = self.tr("Looking for pictures…")
        if total:
            words = self.tr("Opening pictures: {done} of {total}").format(done=count(done), total=count(total))
        self._words.setText(words)
