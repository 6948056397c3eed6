"""The wizard: pictures, check, recipe, run, result."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from vdsr_app import paths
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.parts import ask
from vdsr_app.gui.sections import upright_line
from vdsr_app.gui.settings import SettingsStore
from vdsr_app.gui.training.check_page import CheckPage
from vdsr_app.gui.training.draft import Draft
from vdsr_app.gui.training.exports import NetworkExports
from vdsr_app.gui.training.left_run import LeftRun
from vdsr_app.gui.training.pictures_page import PicturesPage
from vdsr_app.gui.training.recipe_page import RecipePage
from vdsr_app.gui.training.result_page import ResultPage
from vdsr_app.gui.training.step_list import Step, StepList
from vdsr_app.gui.training.watch import RunWatch
from vdsr_app.gui.training.wizard_foot import WizardFoot
from vdsr_app.workers.messages import ErrorReport
from vdsr_app.workers.training import TrainingService
from vdsr_app.workers.training_errands import NewRun
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.runs import RunState

logger = logging.getLogger(__name__)

_DRAFT_STEPS = (Step.PICTURES, Step.CHECK, Step.RECIPE)


_PLOTS_AFTER_MS = 400


class Wizard(QWidget):
    """The steps at the left, a page, and the navigation buttons below.

    Attributes:
        draft: the run that is being set up; kept until it is started.
        pictures: first page.
        check: second page.
        recipe: third page.
        result: last page.
        exports: exports networks to files.
        steps: the list at the left.
        foot: the buttons below.

    Signals:
        home_requested: the user wants to see all runs.
        use_requested: Path of the weights to enlarge pictures with.
        notified: message, and whether it is good news.
        failed: ErrorReport.
        step_changed: another page is shown.
    """

    home_requested = Signal()
    use_requested = Signal(object)
    notified = Signal(str, bool)
    failed = Signal(object)
    step_changed = Signal()

    def __init__(
        self, service: TrainingService, watch: RunWatch, left: LeftRun, models: ModelList, store: SettingsStore
    ) -> None:
        super().__init__()
        self._service = service
        self._watch = watch
        self._left = left
        self._models = models
        self._store = store
        self._step = self._draft_step = Step.PICTURES
        self._on_run = False
        self._creating: TrainConfig | None = None
        self.draft = Draft(self)
        self.steps = StepList()
        self.pictures = PicturesPage(self.draft, service.desk)
        self.check = CheckPage(self.draft, service)
        self.recipe = RecipePage(self.draft, service, models)
        self.exports = NetworkExports(service, store, self)
        self.result = ResultPage(watch, models, self.exports)
        self.run: QWidget | None = None
        self.foot = WizardFoot()
        self._pages = QStackedWidget()
        for page in (self.pictures, self.check, self.recipe, self.result):
            self._pages.addWidget(page)
        right = QVBoxLayout()
        right.setSpacing(0)
        right.addWidget(self._pages, 1)
        right.addWidget(self.foot)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.steps)
        row.addWidget(upright_line())
        row.addLayout(right, 1)
        self._connect()

    @property
    def step(self) -> Step:
        """The step whose page is shown."""
        return self._step

    def begin(self, folders: Sequence[str] = (), like: TrainConfig | None = None, preset: str = "") -> None:
        """Discard the draft and set up another run, from scratch or with the settings of an earlier one."""
        self._on_run, self._creating = False, None
        self._begin_draft(like, preset)
        if folders:
            self.pictures.add_folders(folders)
        self.go_to(Step.PICTURES)

    def continue_draft(self, folders: Sequence[str] = ()) -> None:
        """Show the draft as it was left, or its pictures if folders are added."""
        self._on_run = False
        self.draft.set_models(self._models.models)
        if folders:
            self.pictures.add_folders(folders)
        self.go_to(Step.PICTURES if folders else self._draft_step)

    def may_give_up_draft(self) -> bool:
        """Ask whether the draft may be discarded, unless it is empty."""
        return self.draft.is_empty or ask(
            self,
            self.tr("Discard?"),
            self.tr("Discard the training that has not been started?"),
            self.tr("Its choice of pictures and its recipe are lost; the pictures themselves are not touched."),
            self.tr("Discard"),
        )

    def show_run(self, *, result: bool = False) -> None:
        """Show the watched run."""
        self._on_run = True
        self.go_to(Step.RESULT if result else Step.RUN)

    def go_to(self, step: Step) -> None:
        """Show the page of a step."""
        if self._step is Step.RECIPE and step is not Step.RECIPE:
            self.recipe.leave()
        self._step = step
        if step in _DRAFT_STEPS:
            self._draft_step = step
        self.step_changed.emit()
        page = {
            Step.PICTURES: self.pictures,
            Step.CHECK: self.check,
            Step.RECIPE: self.recipe,
            Step.RESULT: self.result,
        }.get(step) or self._run_page()
        self._pages.setCurrentWidget(page)
        if step is Step.CHECK:
            self.check.start_if_needed()
        elif step is Step.RECIPE:
            self.recipe.enter(busy=self._training)
            QTimer.singleShot(_PLOTS_AFTER_MS, self, _load_plots)
        self.refresh()
        self.foot.focus_primary()
        self.check.focus_cancel()

    def leave(self) -> None:
        """Cancel work that only serves the pages, as the wizard is no longer shown."""
        self.check.leave()
        self.recipe.leave()

    def refresh(self) -> None:
        """Update the states of all steps and the buttons of the page."""
        for step in Step:
            self.steps.show_step(
                step, current=step is self._step, done=self._is_done(step), why_not=self._why_locked(step)
            )
        self._show_foot()

    def showEvent(self, event: QShowEvent) -> None:
        """Catch up with what changed while the wizard was hidden."""
        super().showEvent(event)
        self._on_watch_changed()

    @property
    def _training(self) -> str:
        """Title of the run that prevents others from starting, or ""."""
        return self._watch.title if self._watch.alive_by_log_or_lock else ""

    @property
    def _why_no_resume(self) -> str:
        """Why the watched run cannot resume because another one is training, or ""."""
        name = self._left.title
        return self.tr("“{name}” is training. Stop it first.").format(name=name) if name else ""

    def _begin_draft(self, like: TrainConfig | None = None, preset: str = "") -> None:
        self._service.cancel_check()
        self.draft.begin(self._models.models, like, preset)
        self.recipe.forget_faults()
        self.pictures.refresh()
        self._draft_step = Step.PICTURES

    def _connect(self) -> None:
        service, watch = self._service, self._watch
        self.steps.chosen.connect(self.go_to)
        self.steps.home_requested.connect(self.home_requested)
        self.foot.pressed.connect(self._on_pressed)
        for page in (self.pictures, self.check, self.recipe):
            page.changed.connect(self.refresh)
        self.pictures.start_over.clicked.connect(self._on_start_over)
        self.check.other_pictures_requested.connect(self._on_other_pictures)
        self.exports.notified.connect(self.notified)
        self.result.more_steps_requested.connect(self._on_longer)
        service.checked.connect(self._on_checked)
        service.desk.created.connect(self._on_created)
        service.desk.create_failed.connect(self._on_create_failed)
        watch.changed.connect(self._on_watch_changed)
        watch.state_changed.connect(self._on_state_changed)
        watch.crashed.connect(self._on_state_changed)
        watch.finished.connect(self._on_finished)
        self._left.changed.connect(self._on_left_changed)

    def _run_page(self) -> QWidget:
        if self.run is None:
            # Imported late because it loads pyqtgraph.
            from vdsr_app.gui.training.run_page import RunPage

            page = RunPage(self._watch, self._service, self._store, self._models)
            page.notified.connect(self.notified)
            page.failed.connect(self.failed)
            self._pages.addWidget(page)
            self.foot.set_beside(page.ends)
            self.run = page
        return self.run

    def _is_done(self, step: Step) -> bool:
        match step:
            case Step.PICTURES:
                return self._on_run or not self.pictures.why_not
            case Step.CHECK:
                return self._on_run or not self.check.why_not
            case Step.RECIPE:
                return self._on_run
            case Step.RUN:
                return self._on_run and self._watch.state is RunState.FINISHED
            case _:
                return False

    def _why_locked(self, step: Step) -> str:
        if self._on_run:
            if step in _DRAFT_STEPS:
                return self.tr("This was chosen when the run began; duplicate the run to change it")
            return self.result.why_not if step is Step.RESULT else ""
        match step:
            case Step.PICTURES:
                return ""
            case Step.CHECK:
                return self.pictures.why_not
            case Step.RECIPE:
                return self.pictures.why_not or self.check.why_not
            case _:
                return self.tr("Start the training first")

    def _show_foot(self) -> None:
        foot = self.foot
        match self._step:
            case Step.PICTURES if not self.draft.config.data:
                foot.show_buttons(primary=("choose", self.tr("Choose pictures…"), ""))
            case Step.PICTURES:
                foot.show_buttons(primary=("next", self.tr("Next"), self.pictures.why_not))
            case Step.CHECK:
                foot.show_buttons(back=True, primary=("next", self.tr("Next"), self.check.why_not))
            case Step.RECIPE:
                why = self.tr("It is starting") if self._creating is not None else self.recipe.why_not
                foot.show_buttons(back=True, primary=("start", self.tr("Start training"), why))
            case Step.RUN:
                self._show_run_foot()
            case Step.RESULT:
                foot.show_buttons(back=True, primary=("use", self.tr("Use now"), self.result.why_not))

    def _show_run_foot(self) -> None:
        watch, foot = self._watch, self.foot
        asked = watch.asked in ("stop", "discard")
        wait = self.tr("It is already stopping") if asked else ""
        if watch.alive:
            paused = watch.state is RunState.PAUSED
            pause = ("pause", self.tr("Continue") if paused else self.tr("Pause"), wait)
            foot.show_buttons(
                primary=("stop", self.tr("Stop and save"), wait),
                others=[("discard", self.tr("Discard…"), wait), pause],
                beside=True,
            )
        elif watch.state is None:
            foot.show_buttons(primary=("stop", self.tr("Stop and save"), self.tr("It is starting")))
        elif self.result.weights is None or watch.state is RunState.FAILED or watch.report is not None:
            others = [] if self.result.weights is None else [("result", self.tr("See the result"), "")]
            foot.show_buttons(primary=("resume", self.tr("Resume"), self._why_no_resume), others=others)
        elif watch.state is RunState.FINISHED:
            foot.show_buttons(primary=("result", self.tr("See the result"), ""))
        else:
            foot.show_buttons(
                primary=("result", self.tr("See the result"), ""),
                others=[("resume", self.tr("Resume"), self._why_no_resume)],
            )

    def _on_pressed(self, name: str) -> None:
        match name:
            case "back":
                self.go_to(Step(self._step - 1))
            case "next":
                self.go_to(Step(self._step + 1))
            case "choose":
                self.pictures.choose_folder()
            case "start":
                self._start()
            case "pause":
                self._toggle_pause()
            case "stop":
                self._watch.stop()
                self.refresh()
            case "discard":
                self._discard()
            case "resume" if self._watch.folder is not None:
                self.resume(self._watch.folder)
            case "result":
                self.go_to(Step.RESULT)
            case "use" if self.result.weights is not None:
                self.use_requested.emit(self.result.weights)

    def resume(self, folder: Path, steps: int | None = None) -> None:
        """Resume the run in this folder and show it."""
        self._watch.start(folder, steps)
        self.show_run()

    def _start(self) -> None:
        draft = self.draft
        self._creating = draft.config
        self.refresh()
        self.recipe.leave()
        title = draft.title or self.tr("Training")
        self._service.desk.create(NewRun(paths.runs_dir(), title, draft.preset, draft.config, draft.report))

    def _toggle_pause(self) -> None:
        if self._watch.state is RunState.PAUSED:
            self._watch.resume()
        else:
            self._watch.pause()
        self.refresh()

    def _discard(self) -> None:
        from vdsr_app.gui.training.run_page import RunPage

        if isinstance(self.run, RunPage) and self.run.confirm_discard():
            self.refresh()

    def _on_start_over(self) -> None:
        if self.may_give_up_draft():
            self.begin()

    def _on_other_pictures(self) -> None:
        self.go_to(Step.PICTURES)

    def _on_checked(self) -> None:
        if self._step is Step.CHECK and self.isVisible() and not self.check.take_focus():
            self.foot.focus_primary()

    def _on_created(self, folder: Path) -> None:
        if self._creating == self.draft.config:  # else the draft has been changed since
            self._begin_draft()
        self._creating = None
        self._watch.start(folder)
        self.show_run()

    def _on_create_failed(self, report: ErrorReport) -> None:
        self._creating = None
        self.failed.emit(report)
        self.refresh()

    def _on_longer(self, steps: int) -> None:
        if self._watch.folder is not None:
            self.resume(self._watch.folder, steps)

    def _on_watch_changed(self) -> None:
        """Update the recipe page: while a run is training, no recipe can be started or measured."""
        if self._step is Step.RECIPE and self.isVisible() and self._training != self.recipe.busy:
            self.recipe.enter(busy=self._training)

    def _on_left_changed(self) -> None:
        self.result.allow_longer(self._why_no_resume)
        self.refresh()

    def _on_state_changed(self, _: object) -> None:
        self.refresh()

    def _on_finished(self) -> None:
        if self._on_run and self._step is Step.RUN and self.isVisible() and self.result.weights is not None:
            self.go_to(Step.RESULT)


def _load_plots() -> None:
    """Import pyqtgraph before the page that needs it, as both at once would block the window too long."""
    from vdsr_app.gui.training import run_plots

    logger.debug("%s is loaded", run_plots.__name__)
