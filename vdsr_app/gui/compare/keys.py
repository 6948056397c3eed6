"""What keys do while the comparison view has focus.

A main window may offer the same keys as menu actions. Qt offers a key press to such actions before the focused widget,
and an action that takes it consumes it: either the action handles the key or this module does, never both. Only two
kinds of keys are claimed from actions (`claims`): Space, whose press *and* release must be seen, and the keys that move
the wipe or the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent

from vdsr_app.gui.compare.scene import CompareMode

if TYPE_CHECKING:
    from vdsr_app.gui.compare.view import CompareView

_Key = Qt.Key
_Modifier = Qt.KeyboardModifier

SPLIT_STEP = 0.01
SPLIT_STEP_WITH_SHIFT = 0.1
PAN_STEP = 0.08
"""Fraction of a pane by which an arrow key moves the picture."""
PAN_STEP_WITH_SHIFT = 0.5

_ARROWS = {_Key.Key_Left: (-1, 0), _Key.Key_Right: (1, 0), _Key.Key_Up: (0, -1), _Key.Key_Down: (0, 1)}
_ENDS = {_Key.Key_Home: 0.0, _Key.Key_End: 1.0}


class ViewKeys:
    """Turns key presses into calls of the view."""

    def __init__(self, view: CompareView) -> None:
        self._view = view
        self._actions: dict[int, Callable[[], object]] = {
            _Key.Key_W: partial(view.set_mode, CompareMode.WIPE),
            _Key.Key_S: partial(view.set_mode, CompareMode.SIDE),
            _Key.Key_D: partial(view.set_mode, CompareMode.SINGLE),
            _Key.Key_I: view.toggle_smooth,
            _Key.Key_0: view.zoom_to_fit,
            _Key.Key_1: partial(view.zoom_at_cursor, 100),
            _Key.Key_2: partial(view.zoom_at_cursor, 200),
            _Key.Key_4: partial(view.zoom_at_cursor, 400),
            _Key.Key_8: partial(view.zoom_at_cursor, 800),
            _Key.Key_Plus: view.zoom_in,
            _Key.Key_Equal: view.zoom_in,
            _Key.Key_Minus: view.zoom_out,
            _Key.Key_Underscore: view.zoom_out,
        }

    def claims(self, event: QKeyEvent) -> bool:
        """Whether a key belongs to the view even if an action of the window uses it too."""
        key = event.key()
        if key == _Key.Key_Space:
            return _plain(event)
        return (key in _ARROWS or key in _ENDS) and self._move(event) is not None

    def press(self, event: QKeyEvent) -> bool:
        """Act on a key press; False if the key has no meaning here."""
        if event.key() == _Key.Key_Space and _plain(event):
            self._view.set_left_held(True)
            return True
        action = self._move(event)
        if action is None and _plain(event, _Modifier.ShiftModifier):
            action = self._actions.get(event.key())
        if action is None:
            return False
        action()
        return True

    def release(self, event: QKeyEvent) -> bool:
        """Act on a key release; False if the key has no meaning here."""
        if event.key() != _Key.Key_Space:
            return False
        if not event.isAutoRepeat():
            self._view.set_left_held(False)
        return True

    def _move(self, event: QKeyEvent) -> Callable[[], object] | None:
        """What an arrow, Home or End does.

        In a wipe, Left and Right move the split, and Home and End take it to an edge. Other arrows move the picture,
        and so do Left and Right with Ctrl.
        """
        view, key = self._view, event.key()
        wide = bool(event.modifiers() & _Modifier.ShiftModifier)
        if key in _ENDS and view.can_wipe and _plain(event):
            return partial(view.set_split, _ENDS[_Key(key)])
        if key not in _ARROWS or not _plain(event, _Modifier.ShiftModifier, _Modifier.ControlModifier):
            return None
        across, down = _ARROWS[_Key(key)]
        if across and view.can_wipe and not event.modifiers() & _Modifier.ControlModifier:
            step = SPLIT_STEP_WITH_SHIFT if wide else SPLIT_STEP
            return partial(view.set_split, round(view.split + across * step, 6))
        if not view.can_pan:
            return None
        share = PAN_STEP_WITH_SHIFT if wide else PAN_STEP
        # The arrow says where to look, so the picture moves the other way.
        return partial(view.pan_by_share, -across * share, -down * share)


def _plain(event: QKeyEvent, *allowed: Qt.KeyboardModifier) -> bool:
    """Whether no modifier other than the allowed ones (and the keypad's) is down."""
    rest = event.modifiers() & ~_Modifier.KeypadModifier
    for modifier in allowed:
        rest &= ~modifier
    return rest == _Modifier.NoModifier
