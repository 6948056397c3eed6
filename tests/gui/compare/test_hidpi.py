"""Scaled screens: at 100 % a picture pixel is a device pixel, even where the view begins between two of them.

The scale of a screen is fixed when an application starts, so each scale is tested in a separate process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = r"""
import json
import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QVBoxLayout, QWidget
from tests.gui.pixels import rgba_from_qimage
from vdsr_app.core.pyramid import MipPyramid
from vdsr_app.gui.compare.view import CompareMode, CompareView, Layer

app = QApplication([])
rgba = np.random.default_rng(5).integers(0, 256, (600, 800, 4), dtype=np.uint8)
rgba[:, :, 3] = 255
window = QWidget(f=Qt.WindowType.FramelessWindowHint)  # begins at the corner of the screen
spacer = QWidget()
spacer.setFixedHeight(31)  # 46.5 device pixels at 1.5
layout = QVBoxLayout(window)
layout.setContentsMargins(7, 5, 3, 9)
layout.setSpacing(0)
view = CompareView()
layout.addWidget(spacer)
layout.addWidget(view)
view.set_layers(None, Layer("Noise", MipPyramid.from_rgba(rgba)))
view.set_mode(CompareMode.SINGLE)
window.resize(333, 277)
window.show()
for _ in range(5):
    app.processEvents()
ratio = view.devicePixelRatioF()
canvas = view._layout.canvas


def shots():
    corner = view.mapTo(window, view.rect().topLeft())
    x, y = round(corner.x() * ratio), round(corner.y() * ratio)
    screen = window.screen().grabWindow(0).toImage()
    for image, left, top in ((view.grab().toImage(), 0, 0), (window.grab().toImage(), x, y), (screen, x, y)):
        shot = rgba_from_qimage(image)
        left, top = left + canvas.x, top + canvas.y
        yield shot[top : top + canvas.height, left : left + canvas.width, :3]


exact = []
for factor in (1, 2):
    view.set_zoom(100 * factor)
    app.processEvents()
    x, y, _, _ = view.visible_region()
    enlarged = rgba[:, :, :3].repeat(factor, axis=0).repeat(factor, axis=1)
    for shot in shots():
        exact.append(shot.shape == (canvas.height, canvas.width, 3) and any(
            np.array_equal(shot, enlarged[y * factor + dy :, x * factor + dx :][: canvas.height, : canvas.width])
            for dy in range(factor)
            for dx in range(factor)
        ))

# A small repaint leaves the same pixels as a whole one.
view.set_zoom(100)
app.processEvents()
right = view._scene.right.pyramid
x, y, _, _ = view.visible_region()
block = 255 - rgba[y + 30 : y + 61, x + 41 : x + 70]
block[:, :, 3] = 255
right.write(x + 41, y + 30, block)
view.refresh((x + 41, y + 30, block.shape[1], block.shape[0]))
app.processEvents()
for shot in shots():
    exact.append(np.array_equal(shot, right.levels[0][y : y + canvas.height, x : x + canvas.width, :3]))

print(json.dumps({"ratio": ratio, "canvas": canvas[2:], "exact": exact}))
window.close()
"""


@pytest.mark.parametrize("scale", ["1", "1.25", "1.5", "1.75", "2"])
def test_picture_pixels_are_exact_on_scaled_screens(scale: str, checkout: Path) -> None:
    environment = {
        **os.environ,
        "QT_SCALE_FACTOR": scale,
        "QT_SCALE_FACTOR_ROUNDING_POLICY": "PassThrough",
        "QT_QPA_PLATFORM": "offscreen",
        "PYTHONPATH": os.pathsep.join([str(checkout), os.environ.get("PYTHONPATH", "")]),
    }
    result = subprocess.run(
        [sys.executable, "-c", CHILD], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout.splitlines()[-1])
    assert report["ratio"] == float(scale)
    width, height = report["canvas"]
    assert width >= (333 - 10 - 4) * float(scale) - 2
    assert height >= (277 - 45 - 32) * float(scale) - 2
    # Three states (the last after a small repaint), each captured from the view, its window and the screen.
    assert report["exact"] == [True] * 9
