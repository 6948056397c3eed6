"""Facts about the open picture."""

from __future__ import annotations

from PySide6.QtGui import QColorSpace

from vdsr_app.core.formats import TITLES, SourceFormat
from vdsr_app.core.picture import Picture
from vdsr_app.gui.sections import ElidedLabel, Section, add_row, rows_layout, text_label
from vdsr_app.gui.texts import breakable, file_name, megapixels_text, printable, size_text


class PicturePanel(Section):
    """File, size, depth, profile, format, metadata, and notes on what was changed while reading."""

    def __init__(self) -> None:
        super().__init__()
        self.set_head(self.tr("Picture"))
        # Added to the panel before it has rows: PySide does not keep earlier rows safe, and removing them ends in a
        # crash some dozens of pictures later.
        self._form = rows_layout()
        self.body.addLayout(self._form)
        self._notes = text_label(role="caption", wrap=True)
        self._notes.hide()
        self.body.addWidget(self._notes)

    def show_picture(self, picture: Picture | None, *, is_sample: bool = False) -> None:
        """Show the facts of another picture."""
        while self._form.rowCount():
            self._form.removeRow(0)
        self.setVisible(picture is not None)
        if picture is None:
            return
        for label, value in self._facts(picture, is_sample=is_sample):
            words = ElidedLabel(value)
            words.setAccessibleName(f"{label}: {value}")
            add_row(self._form, label, words)
        notes = [printable(note) for note in picture.source.notes]
        self._notes.setText(breakable("\n".join(notes)))
        self._notes.setVisible(bool(notes))

    def _facts(self, picture: Picture, *, is_sample: bool) -> list[tuple[str, str]]:
        source = picture.source
        name = self.tr("from the clipboard") if source.path is None else file_name(source.path)
        size = f"{size_text(picture.width, picture.height)} · {megapixels_text(picture.width * picture.height)}"
        facts = [(self.tr("File"), self.tr("Sample picture") if is_sample else name), (self.tr("Size"), size)]
        if source.path is not None:
            facts.append((self.tr("Format"), self._format_text(picture)))
        facts.append((self.tr("Depth"), printable(source.mode)))
        facts.append((self.tr("Profile"), profile_name(picture.icc) or self.tr("none (sRGB assumed)")))
        if picture.alpha is not None:
            facts.append((self.tr("Alpha"), self.tr("yes")))
        kept = [words for words, data in (("EXIF", picture.exif), ("XMP", picture.xmp)) if data]
        if kept:
            facts.append((self.tr("Metadata"), ", ".join(kept)))
        if picture.dpi is not None:
            facts.append((self.tr("Resolution"), self.tr("{dpi} dpi").format(dpi=round(picture.dpi[0]))))
        return facts

    def _format_text(self, picture: Picture) -> str:
        name = TITLES[SourceFormat(picture.source.format)]
        if picture.source.compression is not None:
            return self.tr("{format}, quality about {quality}").format(
                format=name, quality=picture.source.compression.quality
            )
        return name


def profile_name(icc: bytes | None) -> str:
    """Name that a colour profile contains, or an empty string."""
    if not icc:
        return ""
    space = QColorSpace.fromIccProfile(icc)
    return printable(space.description()).strip() if space.isValid() else ""
