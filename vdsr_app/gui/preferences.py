"""Keeps the settings and the window in sync, both ways."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from vdsr_app.core.job import SaveOptions, Target, TargetKind
from vdsr_app.gui.compare.view import CompareMode
from vdsr_app.gui.help_commands import HelpCommands, show_once
from vdsr_app.gui.menus import Menus
from vdsr_app.gui.settings import AppSettings, SettingsStore
from vdsr_app.gui.settings_dialog import SettingsDialog
from vdsr_app.gui.theme import ThemeManager
from vdsr_app.gui.upscale_page import UpscalePage
from vdsr_app.workers.messages import LayerKind


class Preferences(QObject):
    """Stores what the user chooses, and applies the settings."""

    def __init__(
        self,
        window: QWidget,
        store: SettingsStore,
        theme: ThemeManager,
        page: UpscalePage,
        menus: Menus,
        helper: HelpCommands,
    ) -> None:
        super().__init__(window)
        self._window = window
        self._store = store
        self._theme = theme
        self._page = page
        self._menus = menus
        self._help = helper
        page.session.setup_changed.connect(self._on_setup_changed)
        page.view.mode_changed.connect(self._on_mode_changed)
        page.view.smooth_changed.connect(self._on_smooth_changed)
        page.inspector.scale.target_changed.connect(self._on_target_chosen)
        page.inspector.scale.measure_chosen.connect(self._on_measure_chosen)
        page.inspector.export.options_changed.connect(self._on_options_changed)
        menus.recent_cleared.connect(self._on_recent_cleared)
        theme.changed.connect(self._apply_canvas_color)
        store.changed.connect(self._apply)
        self._apply(store.current)

    def show_dialog(self) -> None:
        """Show the settings that have no other place."""
        show_once(self._window, SettingsDialog, self._settings_dialog)

    def reset(self) -> None:
        """Restore the defaults, on screen too."""
        self._store.reset()
        defaults = self._store.current
        self._page.session.reset(defaults)
        self._page.view.set_mode(CompareMode(defaults.mode))

    def show_inspector(self, shown: bool) -> None:
        """Open or close the right pane."""
        self._store.update(inspector_visible=shown)

    def _settings_dialog(self, window: QWidget) -> SettingsDialog:
        dialog = SettingsDialog(self._store, self._help.device, window)
        dialog.reset_requested.connect(self.reset)
        return dialog

    def _on_setup_changed(self) -> None:
        setup = self._page.session.setup
        halves = {"left": setup.left.kind, "right": setup.right.kind}
        kept = {name: kind for name, kind in halves.items() if kind is not LayerKind.REFERENCE}
        self._store.update(model=setup.requested_model, self_ensemble=setup.self_ensemble, **kept)

    def _on_target_chosen(self, target: Target) -> None:
        measure = self._store.current.size_measure if target.kind is TargetKind.SCALE else target.kind
        self._store.update(target_kind=target.kind, target_value=target.value, size_measure=measure)

    def _on_measure_chosen(self, measure: TargetKind) -> None:
        self._store.update(size_measure=measure)

    def _on_options_changed(self, options: SaveOptions) -> None:
        self._store.update(
            format=options.format, quality=options.quality, bits=options.bits or 0, metadata=options.metadata
        )

    def _on_mode_changed(self, mode: CompareMode) -> None:
        self._store.update(mode=mode.value)

    def _on_smooth_changed(self, smooth: bool) -> None:
        self._store.update(smooth=smooth)

    def _on_recent_cleared(self) -> None:
        self._store.update(recent=())

    def _apply(self, settings: AppSettings) -> None:
        self._theme.apply(settings.theme)
        self._apply_canvas_color()
        self._menus.show_recent(settings.recent)
        self._page.strip.show_recent(settings.recent)
        self._page.show_settings(settings)
        self._page.session.set_processing(settings.device, settings.precision)

    def _apply_canvas_color(self) -> None:
        self._page.view.set_canvas_color(self._theme.canvas_color(self._store.current.canvas))
