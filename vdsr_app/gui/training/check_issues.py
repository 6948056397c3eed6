"""The problems that the check found: one group per kind, with similar pictures shown side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from vdsr_app.gui.parts import Fold, link
from vdsr_app.gui.qimage import wrap_rgba
from vdsr_app.gui.sections import GROUP_GAP, ElidedLabel, plain_tooltip, text_label
from vdsr_app.gui.texts import printable
from vdsr_app.gui.theme import set_role
from vdsr_app.gui.training.words import issue_head, issue_why
from vdsr_trainer.data.report import IssueKind, PictureIssue, PictureRecord

THUMBNAIL_PX = 64
SHOWN_AT_MOST = 30
"""Most pictures that a group shows; the rest are only counted."""


class Thumbnail(QLabel):
    """A thumbnail, grey until its picture arrives."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.setFixedSize(THUMBNAIL_PX, THUMBNAIL_PX)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setToolTip(plain_tooltip(printable(str(path))))
        set_role(self, "thumbnail")

    def show_pixels(self, pixmap: QPixmap) -> None:
        """Show the whole picture, scaled to fit."""
        ratio = self.devicePixelRatioF()
        side = round(THUMBNAIL_PX * ratio)
        fitted = pixmap.scaled(
            QSize(side, side), Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        fitted.setDevicePixelRatio(ratio)
        self.setPixmap(fitted)


class IssueGroup(QWidget):
    """All pictures with one kind of problem.

    Signals:
        left_out: Path of a picture that the user leaves out.
        keep_chosen: whether to train on duplicates and look-alikes anyway.
    """

    left_out = Signal(object)
    keep_chosen = Signal(bool)

    def __init__(self, kind: IssueKind, issues: Sequence[PictureIssue], *, kept: bool) -> None:
        super().__init__()
        self._thumbnails: list[Thumbnail] = []
        self._kept = kept and kind.may_be_kept
        self.keep: QCheckBox | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        fold = Fold(issue_head(kind, len(issues)), opened=len(issues) <= 4)
        fold.body.setContentsMargins(GROUP_GAP * 3, 4, 0, 4)
        fold.body.setSpacing(GROUP_GAP)
        fold.body.addWidget(text_label(issue_why(kind), "quiet", wrap=True))
        for issue in issues[:SHOWN_AT_MOST]:
            fold.body.addWidget(self._pair(issue) if issue.other is not None else self._single(issue))
        if len(issues) > SHOWN_AT_MOST:
            more = self.tr("and {count} more").format(count=len(issues) - SHOWN_AT_MOST)
            fold.body.addWidget(text_label(more, "quiet"))
        if kind.may_be_kept:
            keep = QCheckBox(self.tr("Learn from them anyway"))
            keep.setToolTip(self.tr("Duplicates and look-alikes of held-out pictures are trained on too"))
            keep.setChecked(kept)
            keep.toggled.connect(self.keep_chosen)
            fold.body.addWidget(keep)
            self.keep = keep
        column.addWidget(fold)

    @property
    def wanted(self) -> list[Path]:
        """Paths of the pictures that need thumbnails."""
        return [thumbnail.path for thumbnail in self._thumbnails]

    def show_thumbnail(self, path: Path, pixmap: QPixmap) -> None:
        """Show a picture in every place that it appears."""
        for thumbnail in self._thumbnails:
            if thumbnail.path == path:
                thumbnail.show_pixels(pixmap)

    def _single(self, issue: PictureIssue) -> QWidget:
        """Name and reason of a picture that cannot be shown."""
        row, line = _row()
        name = ElidedLabel(printable(issue.picture.name))
        line.addWidget(name, 1)
        reason = ElidedLabel(printable(issue.reason), Qt.TextElideMode.ElideRight)
        set_role(reason, "quiet")
        line.addWidget(reason, 2)
        return row

    def _pair(self, issue: PictureIssue) -> QWidget:
        """Both pictures, the one that is left out first."""
        row, line = _row()
        other = issue.other
        # In a pair with a held-out picture, the user may prefer to leave that one out and keep the other for training.
        may_swap = issue.kind is IssueKind.NEAR_DUPLICATE
        first = self.tr("Also learned from") if self._kept else self.tr("Left out")
        roles = (first, self.tr("Held out to judge by") if may_swap else self.tr("Stays"))
        for record, role in ((issue.picture, roles[0]), (other, roles[1])):
            if record is not None:
                line.addWidget(self._thumbnail(record))
                line.addLayout(self._words(record, role, may_swap and record is other), 1)
        return row

    def _thumbnail(self, record: PictureRecord) -> Thumbnail:
        thumbnail = Thumbnail(record.path)
        self._thumbnails.append(thumbnail)
        return thumbnail

    def _words(self, record: PictureRecord, role: str, may_leave: bool) -> QVBoxLayout:
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addStretch(1)
        words.addWidget(ElidedLabel(printable(record.name)))
        words.addWidget(text_label(role, "caption"))
        if may_leave:
            button = link(self.tr("Leave this one out instead"))
            button.setAccessibleName(self.tr("Leave out {name} instead").format(name=printable(record.name)))
            button.setProperty("path", str(record.path))
            button.clicked.connect(self._on_leave_out)
            words.addWidget(button, 0, Qt.AlignmentFlag.AlignLeading)
        words.addStretch(1)
        return words

    def _on_leave_out(self) -> None:
        self.left_out.emit(Path(self.sender().property("path")))


def thumbnail_pixmap(rgba: object) -> QPixmap:
    """Copy pixels from a worker into a pixmap that owns its memory."""
    return QPixmap.fromImage(wrap_rgba(rgba).copy())  # type: ignore[arg-type]


def _row() -> tuple[QWidget, QHBoxLayout]:
    row = QWidget()
    line = QHBoxLayout(row)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(GROUP_GAP)
    return row, line
