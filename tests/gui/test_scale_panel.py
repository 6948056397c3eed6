"""Scale panel: slider, factor and size box follow each other without loops, and report each request once."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QLocale, QPoint, Qt
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QLabel
from pytestqt.qtbot import QtBot

from vdsr_app.core.job import Target, TargetKind
from vdsr_app.gui.scale_panel import DEBOUNCE_MS, ScalePanel
from vdsr_app.gui.scale_slider import ScaleSlider


@pytest.fixture
def panel(qtbot: QtBot) -> ScalePanel:
    made = ScalePanel()
    qtbot.addWidget(made)
    made.resize(272, made.sizeHint().height())
    made.show_target(Target(TargetKind.SCALE, 2.0), (300, 200))
    return made


def slider(panel: ScalePanel) -> ScaleSlider:
    return panel.findChildren(ScaleSlider)[0]


def factor(panel: ScalePanel) -> QDoubleSpinBox:
    return next(b for b in panel.findChildren(QDoubleSpinBox) if "factor" in b.accessibleName())


def box(panel: ScalePanel) -> QDoubleSpinBox:
    return next(b for b in panel.findChildren(QDoubleSpinBox) if b.accessibleName() == "Target size")


def choose(panel: ScalePanel, kind: TargetKind) -> None:
    chooser = panel.findChildren(QComboBox)[0]
    chooser.setCurrentIndex(chooser.findData(kind))


def facts(panel: ScalePanel) -> str:
    return next(label.text() for label in panel.findChildren(QLabel) if "→" in label.text())


def test_show_target_emits_nothing(qtbot: QtBot, panel: ScalePanel) -> None:
    with qtbot.assertNotEmitted(panel.target_changed, wait=DEBOUNCE_MS * 2):
        panel.show_target(Target(TargetKind.WIDTH, 900), (300, 200))
        choose(panel, TargetKind.HEIGHT)
    assert slider(panel).scale == 3.0
    assert box(panel).value() == 600


def test_slider_updates_factor_and_size_box(qtbot: QtBot, panel: ScalePanel) -> None:
    with qtbot.waitSignal(panel.target_changed) as blocker:
        slider(panel).slider.setValue(25)
    assert blocker.args == [Target(TargetKind.SCALE, 2.5)]
    assert (factor(panel).value(), box(panel).value()) == (2.5, 750)
    assert facts(panel) == "300 × 200 px  →  750 × 500 px · 0.38 Mpx"  # noqa: RUF001


@pytest.mark.parametrize(
    ("kind", "value", "scale", "size"),
    [
        (TargetKind.WIDTH, 1000, 3.33, "1000 × 667"),  # noqa: RUF001
        (TargetKind.HEIGHT, 500, 2.5, "750 × 500"),  # noqa: RUF001
        (TargetKind.LONG_SIDE, 900, 3.0, "900 × 600"),  # noqa: RUF001
        (TargetKind.SHORT_SIDE, 1600, 8.0, "2400 × 1600"),  # noqa: RUF001
        (TargetKind.MEGAPIXELS, 0.54, 3.0, "900 × 600"),  # noqa: RUF001
    ],
)
def test_size_box_updates_slider_and_factor(
    qtbot: QtBot, panel: ScalePanel, kind: TargetKind, value: float, scale: float, size: str
) -> None:
    choose(panel, kind)
    with qtbot.waitSignal(panel.target_changed) as blocker:
        box(panel).setValue(value)
    assert blocker.args == [Target(kind, value)]
    assert factor(panel).value() == pytest.approx(scale)
    assert slider(panel).scale == pytest.approx(scale, abs=0.051)
    assert size in facts(panel)
    assert box(panel).value() == pytest.approx(value)


def test_slider_drag_emits_one_target(qtbot: QtBot, panel: ScalePanel) -> None:
    reported: list[Target] = []
    panel.target_changed.connect(reported.append)
    for value in range(20, 41):
        slider(panel).slider.setValue(value)
    qtbot.waitUntil(lambda: reported != [])
    assert reported == [Target(TargetKind.SCALE, 4.0)]


def test_new_picture_discards_target_not_yet_emitted(qtbot: QtBot, panel: ScalePanel) -> None:
    with qtbot.assertNotEmitted(panel.target_changed, wait=DEBOUNCE_MS * 2):
        slider(panel).slider.setValue(40)
        panel.show_target(Target(TargetKind.SCALE, 2.0), (50, 50))


def test_size_box_is_limited_to_reachable_sizes(panel: ScalePanel) -> None:
    choose(panel, TargetKind.WIDTH)
    assert (box(panel).minimum(), box(panel).maximum()) == (300, 2400)
    choose(panel, TargetKind.MEGAPIXELS)
    assert 0.06 <= box(panel).minimum() < 0.061
    assert box(panel).maximum() == pytest.approx(3.84, abs=0.01)


def test_controls_are_disabled_with_a_reason_without_a_picture(panel: ScalePanel) -> None:
    panel.show_target(Target(TargetKind.SCALE, 3.0), None)
    assert not box(panel).isEnabled()
    assert not slider(panel).slider.isEnabled()
    assert slider(panel).scale == 3.0
    assert any("Open a picture" in label.text() for label in panel.findChildren(QLabel))


@pytest.mark.parametrize("source", [(1, 1), (1, 5000), (3, 2), (40_000, 30_000)])
def test_pictures_of_extreme_sizes_can_be_scaled(qtbot: QtBot, panel: ScalePanel, source: tuple[int, int]) -> None:
    panel.show_target(Target(TargetKind.SCALE, 2.0), source)
    for kind in (TargetKind.WIDTH, TargetKind.SHORT_SIDE, TargetKind.MEGAPIXELS):
        choose(panel, kind)
        with qtbot.waitSignal(panel.target_changed) as blocker:
            box(panel).setValue(box(panel).maximum())
            slider(panel).slider.setValue(80)
            box(panel).setValue(box(panel).minimum())
            slider(panel).slider.setValue(35)
        assert blocker.args[0].size_for(*source).scale == pytest.approx(3.5)


@pytest.mark.parametrize(("typed", "expected"), [("3", 3.0), ("2.5×", 2.5), ("4x", 4.0), ("abc", 2.0)])  # noqa: RUF001
def test_factor_can_be_typed_with_or_without_multiplication_sign(
    qtbot: QtBot, panel: ScalePanel, typed: str, expected: float
) -> None:
    edit = factor(panel).lineEdit()
    edit.selectAll()
    qtbot.keyClicks(edit, typed)
    qtbot.keyClick(edit, Qt.Key.Key_Return)
    assert factor(panel).value() == expected
    assert factor(panel).text().endswith("×")  # noqa: RUF001


@pytest.mark.parametrize("language", ["en_US", "de_DE", "fr_FR", "ar_EG"])
@pytest.mark.parametrize("typed", ["2,5", "2.5"])
def test_point_and_comma_are_accepted_as_decimal_separators(
    qtbot: QtBot, request: pytest.FixtureRequest, language: str, typed: str
) -> None:
    before = QLocale()
    QLocale.setDefault(QLocale(language))
    request.addfinalizer(lambda: QLocale.setDefault(before))
    panel = ScalePanel()
    qtbot.addWidget(panel)
    panel.show_target(Target(TargetKind.SCALE, 2.0), (2000, 1000))
    choose(panel, TargetKind.MEGAPIXELS)
    for number in (factor(panel), box(panel)):
        number.setValue(4.0)
        number.lineEdit().selectAll()
        qtbot.keyClicks(number.lineEdit(), typed)
        qtbot.keyClick(number.lineEdit(), Qt.Key.Key_Return)
        assert number.value() == 2.5


@pytest.mark.parametrize("typed", ["1,500", "1500"])
def test_size_box_accepts_group_separators(qtbot: QtBot, panel: ScalePanel, typed: str) -> None:
    panel.setLocale(QLocale("en_US"))
    choose(panel, TargetKind.WIDTH)
    box(panel).lineEdit().selectAll()
    qtbot.keyClicks(box(panel).lineEdit(), typed)
    qtbot.keyClick(box(panel).lineEdit(), Qt.Key.Key_Return)
    assert box(panel).value() == 1500


def test_arrow_key_steps_factor_by_a_tenth(qtbot: QtBot, panel: ScalePanel) -> None:
    for key, scale in ((Qt.Key.Key_Right, 2.1), (Qt.Key.Key_Left, 2.0), (Qt.Key.Key_Left, 1.9)):
        qtbot.keyClick(slider(panel).slider, key)
        assert panel.target == Target(TargetKind.SCALE, scale)


def test_click_on_slider_moves_handle_there(qtbot: QtBot, panel: ScalePanel) -> None:
    panel.show()
    inner = slider(panel).slider
    qtbot.mouseClick(inner, Qt.MouseButton.LeftButton, pos=QPoint(inner.width() - 2, inner.height() // 2))
    assert slider(panel).scale > 7.8
