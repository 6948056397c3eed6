"""Draw resources/sample.png, the picture that the window shows when none is given.

    QT_QPA_PLATFORM=offscreen python scripts/make_sample_picture.py

It is drawn large and then reduced like the network's training pictures, and has what an upscaler is judged by: thin
lines, letters, hard edges, regular patterns, soft gradients.
"""

from __future__ import annotations

import itertools
import math
import random
import sys

import numpy as np
from PIL import Image
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QGuiApplication,
    QImage,
    QLinearGradient,
    QPainter,
    QPainterPath,
    QPen,
    QPolygonF,
    QRadialGradient,
)

from vdsr_app.core.resize import resize
from vdsr_app.paths import resources_dir

WIDTH, HEIGHT = 416, 272
FACTOR = 4
HORIZON = 172.0
INK = QColor("#1e2b45")


def main() -> int:
    """Draw and write the picture."""
    application = QGuiApplication(sys.argv[:1])
    image = QImage(WIDTH * FACTOR, HEIGHT * FACTOR, QImage.Format.Format_RGB888)
    painter = QPainter(image)
    painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.TextAntialiasing)
    painter.scale(FACTOR, FACTOR)
    chance = random.Random(20161)
    for part in (draw_sky, draw_hills, draw_sea, draw_ship, draw_rock, draw_lighthouse, draw_sign):
        part(painter, chance)
    painter.end()
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    pixels = rows[:, : image.width() * 3].reshape(image.height(), image.width(), 3)
    small = np.clip(np.rint(resize(pixels, HEIGHT, WIDTH)), 0, 255).astype(np.uint8)
    target = resources_dir() / "sample.png"
    Image.fromarray(small).save(target, optimize=True)
    sys.stdout.write(f"{target}: {target.stat().st_size} bytes\n")
    del application
    return 0


def draw_sky(painter: QPainter, chance: random.Random) -> None:
    """Dawn, with a sun and a few birds."""
    sky = QLinearGradient(0, 0, 0, HORIZON)
    for place, color in ((0, "#2c5fa8"), (0.45, "#7fa9d8"), (0.78, "#f3d3b0"), (1, "#f7b98b")):
        sky.setColorAt(place, QColor(color))
    painter.fillRect(QRectF(0, 0, WIDTH, HORIZON), sky)
    sun = QPointF(118, 132)
    glow = QRadialGradient(sun, 96)
    glow.setColorAt(0, QColor(255, 244, 214, 200))
    glow.setColorAt(1, QColor(255, 226, 180, 0))
    painter.fillRect(QRectF(0, 0, WIDTH, HORIZON), glow)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor("#fff6dc"))
    painter.drawEllipse(sun, 19, 19)
    painter.setBrush(QColor(255, 255, 255, 60))
    for _ in range(9):
        x, y = chance.uniform(-20, WIDTH), chance.uniform(14, 92)
        painter.drawRoundedRect(QRectF(x, y, chance.uniform(30, 96), chance.uniform(1.2, 3.2)), 1.5, 1.5)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(INK, 0.9))
    for x, y, size in ((198, 44, 6), (214, 54, 5), (184, 58, 4.4), (226, 38, 4)):
        wings = QPainterPath(QPointF(x - size, y - size * 0.35))
        wings.quadTo(QPointF(x - size * 0.4, y - size * 0.6), QPointF(x, y))
        wings.quadTo(QPointF(x + size * 0.4, y - size * 0.6), QPointF(x + size, y - size * 0.35))
        painter.drawPath(wings)


def draw_hills(painter: QPainter, chance: random.Random) -> None:
    """Three ranges, the nearer the darker, with hatched slopes."""
    for base, height, color, step in ((0, 46, "#a9b9d3", 26), (8, 32, "#7d94ba", 20), (12, 20, "#566f9b", 15)):
        ridge = [QPointF(-10, HORIZON)]
        x = -10.0
        while x < WIDTH + 20:
            wave = math.sin(x / 47 + base) * 0.4 + math.sin(x / 19 + base * 2) * 0.25 + chance.uniform(-0.2, 0.2)
            ridge.append(QPointF(x, HORIZON - height * (0.62 + 0.38 * wave)))
            x += step
        ridge.append(QPointF(WIDTH + 10, HORIZON))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(color))
        painter.drawPolygon(QPolygonF(ridge))
        painter.setPen(QPen(QColor(255, 255, 255, 70), 0.5))
        for start, end in itertools.pairwise(ridge[1:-1]):
            for share in (0.1, 0.3, 0.5, 0.7, 0.9):
                top = start + (end - start) * share
                painter.drawLine(top, top + QPointF(-5, (HORIZON - top.y()) * 0.55))


def draw_sea(painter: QPainter, chance: random.Random) -> None:
    """Water with small waves and the sun's reflection."""
    sea = QLinearGradient(0, HORIZON, 0, HEIGHT)
    sea.setColorAt(0, QColor("#e3b290"))
    sea.setColorAt(0.12, QColor("#8aa5c4"))
    sea.setColorAt(1, QColor("#1f4478"))
    painter.fillRect(QRectF(0, HORIZON, WIDTH, HEIGHT - HORIZON), sea)
    for _ in range(760):
        depth = chance.random() ** 1.4
        y = HORIZON + 2 + depth * (HEIGHT - HORIZON)
        x, length = chance.uniform(-10, WIDTH), 4 + depth * 15
        light = chance.random() < 0.45
        color = QColor(255, 255, 255, 105) if light else QColor(12, 34, 74, 110)
        painter.setPen(QPen(color, 0.45 + depth * 0.75))
        wave = QPainterPath(QPointF(x, y))
        wave.quadTo(QPointF(x + length / 2, y - 1.6 - depth), QPointF(x + length, y))
        painter.drawPath(wave)
    for _ in range(150):
        depth = chance.random()
        y = HORIZON + 1 + depth * 84
        spread = 7 + depth * 20
        x = 118 + chance.gauss(0, 1) * spread * 0.55
        painter.setPen(QPen(QColor(255, 240, 205, 225), 0.7 + depth * 0.8))
        painter.drawLine(QPointF(x - 2 - depth * 3, y), QPointF(x + 2 + depth * 3, y))


def draw_ship(painter: QPainter, chance: random.Random) -> None:
    """A three-master with all its ropes: lines thinner than a pixel of the small picture."""
    painter.save()
    painter.translate(188, 196)
    hull = QPolygonF([QPointF(*p) for p in ((-44, -8), (47, -8), (62, -14), (50, 6), (-36, 6))])
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor("#3a2530"))
    painter.drawPolygon(hull)
    painter.setBrush(QColor("#f0e4cf"))
    painter.drawRect(QRectF(-41, -5.5, 90, 2.2))
    painter.setBrush(INK)
    for x in range(-36, 46, 8):
        painter.drawRect(QRectF(x, -5.3, 2.4, 1.8))
    for mast, top in ((-26, -74), (4, -92), (32, -78)):
        painter.setPen(QPen(QColor("#4a3428"), 1.5))
        painter.drawLine(QPointF(mast, -8), QPointF(mast, top))
        for level, (low, high) in enumerate(((-16, -36), (-39, -56), (-59, top + 8))):
            half_low, half_high = 13 - level * 2.4, 11 - level * 2.4
            sail = QPainterPath(QPointF(mast - half_low, low))
            sail.quadTo(QPointF(mast - half_high - 1, (low + high) / 2), QPointF(mast - half_high, high))
            sail.lineTo(QPointF(mast + half_high, high))
            sail.quadTo(QPointF(mast + half_high + 5, (low + high) / 2), QPointF(mast + half_low, low))
            sail.quadTo(QPointF(mast + 2, low - 4), QPointF(mast - half_low, low))
            cloth = QLinearGradient(mast - half_low, 0, mast + half_low + 4, 0)
            cloth.setColorAt(0, QColor("#fffaf0"))
            cloth.setColorAt(1, QColor("#d8c3a3"))
            painter.setPen(QPen(QColor("#8c7354"), 0.5))
            painter.setBrush(QBrush(cloth))
            painter.drawPath(sail)
            painter.setPen(QPen(QColor(120, 96, 66, 130), 0.35))
            for seam in (-0.5, 0, 0.5):
                painter.drawLine(QPointF(mast + seam * half_low, low - 2), QPointF(mast + seam * half_high, high))
        painter.setPen(QPen(INK, 0.45))
        for foot in (-18, -12, 12, 18):
            painter.drawLine(QPointF(mast + foot, -8), QPointF(mast, top + 14))
    painter.setPen(QPen(INK, 0.55))
    bow, stern = (62, -14), (-44, -8)
    for start, end in (
        (bow, (32, -70)),
        (bow, (4, -86)),
        ((32, -78), (4, -66)),
        ((4, -92), (-26, -60)),
        (stern, (-26, -70)),
    ):
        painter.drawLine(QPointF(*start), QPointF(*end))
    painter.setPen(Qt.PenStyle.NoPen)
    for mast, top, color in ((-26, -74, "#c8322e"), (4, -92, "#2f6fde"), (32, -78, "#c8322e")):
        painter.setBrush(QColor(color))
        painter.drawPolygon(QPolygonF([QPointF(mast, top), QPointF(mast - 13, top + 2.4), QPointF(mast, top + 5)]))
    painter.setPen(QPen(QColor(255, 255, 255, 190), 0.8))
    for _ in range(26):
        foam = QPointF(chance.uniform(-44, 54), 6 + chance.uniform(0, 2))
        painter.drawLine(foam, foam + QPointF(chance.uniform(3, 9), 0.5))
    painter.restore()


def draw_rock(painter: QPainter, chance: random.Random) -> None:
    """The rock below the lighthouse: facets of stone with grass on top."""
    left = [(278, 272), (286, 240), (300, 226), (312, 208), (332, 201)]
    outline = [*left, (372, 199), (392, 206), (420, 222), (420, 272)]
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor("#4b4540"))
    painter.drawPolygon(QPolygonF([QPointF(*p) for p in outline]))
    clip = QPainterPath()
    clip.addPolygon(QPolygonF([QPointF(*p) for p in outline]))
    painter.save()
    painter.setClipPath(clip)
    for _ in range(240):
        x, y, size = chance.uniform(276, 420), chance.uniform(203, 274), chance.uniform(3, 11)
        shade = chance.randint(58, 148)
        painter.setBrush(QColor(shade + 10, shade + 3, shade - 6, 190))
        angles = sorted(chance.uniform(0, math.tau) for _ in range(5))
        corners = [QPointF(x + size * math.cos(a), y + size * 0.6 * math.sin(a)) for a in angles]
        painter.drawPolygon(QPolygonF(corners))
    painter.restore()
    for _ in range(330):
        x = chance.uniform(304, 404)
        y = 203 + abs(x - 352) ** 1.35 * 0.055 + chance.uniform(0, 3.4)
        painter.setPen(QPen(QColor(chance.randint(52, 110), chance.randint(96, 150), 52), 0.6))
        painter.drawLine(QPointF(x, y), QPointF(x + chance.uniform(-1.6, 1.6), y - chance.uniform(2.5, 6)))


def draw_lighthouse(painter: QPainter, chance: random.Random) -> None:
    """A striped tower with a gallery, its rails, and the beam of its lamp."""
    painter.save()
    painter.translate(352, 202)
    painter.setPen(Qt.PenStyle.NoPen)
    for angle, reach in ((-5, 170), (175, 300)):
        beam = QRadialGradient(QPointF(0, -137), reach)
        beam.setColorAt(0, QColor(255, 246, 200, 170))
        beam.setColorAt(1, QColor(255, 246, 200, 0))
        painter.setBrush(QBrush(beam))
        a = math.radians(angle)
        far = [QPointF(reach * math.cos(a + d), -137 + reach * math.sin(a + d)) for d in (-0.085, 0.085)]
        painter.drawPolygon(QPolygonF([QPointF(0, -137), *far]))
    tower = QPainterPath()
    tower.addPolygon(QPolygonF([QPointF(*p) for p in ((-17, 2), (17, 2), (10.5, -121), (-10.5, -121))]))
    painter.save()
    painter.setClipPath(tower)
    for stripe in range(7):
        painter.setBrush(QColor("#f6f1e7") if stripe % 2 else QColor("#c33a31"))
        painter.drawRect(QRectF(-20, -121 + stripe * 17.6, 40, 17.7))
    shade = QLinearGradient(-17, 0, 17, 0)
    for place, color in ((0, QColor(255, 235, 205, 70)), (0.45, QColor(0, 0, 0, 0)), (1, QColor(10, 20, 50, 150))):
        shade.setColorAt(place, color)
    painter.setBrush(QBrush(shade))
    painter.drawRect(QRectF(-20, -121, 40, 124))
    painter.setPen(QPen(QColor(30, 30, 50, 60), 0.35))
    for row in range(31):
        y = -119 + row * 4
        painter.drawLine(QPointF(-17, y), QPointF(17, y))
        for column in range(9):
            x = -18 + column * 4.4 + (row % 2) * 2.2
            painter.drawLine(QPointF(x, y), QPointF(x, y + 4))
    painter.restore()
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(INK)
    for y in (-92, -57, -22):
        painter.drawRoundedRect(QRectF(-2.4, y, 4.8, 8), 2.4, 2.4)
    painter.drawRect(QRectF(-15, -125, 30, 4))
    painter.setPen(QPen(INK, 0.6))
    for x in range(-14, 15, 2):
        painter.drawLine(QPointF(x, -125), QPointF(x, -131.5))
    painter.drawLine(QPointF(-15, -131.5), QPointF(15, -131.5))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor("#fff3bf"))
    painter.drawRect(QRectF(-7, -145, 14, 20))
    painter.setPen(QPen(INK, 0.7))
    for x in (-7, -3.5, 0, 3.5, 7):
        painter.drawLine(QPointF(x, -145), QPointF(x, -125))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor("#8f2620"))
    painter.drawPolygon(QPolygonF([QPointF(-9.5, -145), QPointF(9.5, -145), QPointF(0, -156)]))
    painter.setPen(QPen(INK, 0.8))
    painter.drawLine(QPointF(0, -156), QPointF(0, -164))
    painter.restore()


def draw_sign(painter: QPainter, chance: random.Random) -> None:
    """A board with letters of several sizes, a star of lines and a scale."""
    board = QRectF(16, 206, 132, 54)
    painter.setPen(QPen(QColor("#6c5137"), 1))
    painter.setBrush(QColor("#6c5137"))
    for x in (30, 132):
        painter.drawRect(QRectF(x, 200, 4, 72))
    painter.setBrush(QColor("#f4ead7"))
    painter.drawRoundedRect(board, 3, 3)
    painter.setPen(INK)
    font = QFont("DejaVu Serif")
    for text, size, y, bold in (("Harbour Light", 10.4, 208, True), ("built 1894 · height 37 m", 6.8, 225, False)):
        font.setPointSizeF(size * 0.75)
        font.setBold(bold)
        painter.setFont(font)
        painter.drawText(QRectF(board.x(), y, board.width() - 34, 18), Qt.AlignmentFlag.AlignCenter, text)
    painter.setPen(QPen(INK, 0.7))
    for tick in range(41):
        x = board.x() + 9 + tick * 2.1
        painter.drawLine(QPointF(x, 255), QPointF(x, 255 - (7 if tick % 10 == 0 else 5 if tick % 5 == 0 else 3)))
    star = QPointF(board.right() - 18, board.y() + 27)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(INK)
    for ray in range(24):
        angles = [math.radians(ray * 15 + turn) for turn in (0, 7.5)]
        tips = [star + QPointF(14 * math.cos(angle), 14 * math.sin(angle)) for angle in angles]
        painter.drawPolygon(QPolygonF([star, *tips]))


if __name__ == "__main__":
    sys.exit(main())
