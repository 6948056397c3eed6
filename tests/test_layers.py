"""Which layer may import which, read from the source: see docs/architecture.md. Imports in functions count too."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted([*(ROOT / "vdsr_app").rglob("*.py"), *(ROOT / "trainer").rglob("*.py")])

QT = ("PySide6", "qtawesome", "shiboken6")
ABOVE_CORE = ("vdsr_app.gui", "vdsr_app.workers", "vdsr_app.cli", "vdsr_app.commands", "vdsr_app.console")
NETWORK = ("vdsr_app.core.engine", "vdsr_app.core.network", "vdsr_app.core.weights", "torch")
ONNX = ("vdsr_app.core.onnx_export", "onnx", "onnxruntime")
KERNELS = ("numba", "llvmlite")
# What the window may import of training; a test below checks that each does without torch and Qt.
TORCH_FREE = (
    *("config", "config_file", "cost", "events", "history", "data.report", "presets"),
    *("run_files", "run_tail", "runs"),
)
PREFLIGHT = ("vdsr_trainer.data.preflight",)
_TRAINER_MODULES = {
    ".".join(path.relative_to(ROOT / "trainer").with_suffix("").parts)
    for path in (ROOT / "trainer" / "vdsr_trainer").rglob("*.py")
    if path.stem != "__init__"
}
TRAINER_INSIDE = tuple(sorted(_TRAINER_MODULES - {f"vdsr_trainer.{name}" for name in TORCH_FREE} - set(PREFLIGHT)))
CONNECTIONS = (
    *("socket", "ssl", "http", "urllib.request", "urllib3", "requests", "ftplib", "smtplib", "asyncio"),
    "PySide6.QtNetwork",
)

# Layer (longest prefix of the module's name wins) -> what it must never import, not even in a function.
FORBIDDEN = {
    "vdsr_app": (*QT, "argparse", "torch", "vdsr_app.core", "vdsr_trainer", *ABOVE_CORE),
    "vdsr_app.core": (*QT, "argparse", "tqdm", "vdsr_trainer", *ABOVE_CORE, *ONNX, *KERNELS, "openvino"),
    "vdsr_app.core.winograd": (*QT, "argparse", "tqdm", "vdsr_trainer", *ABOVE_CORE, *ONNX, "openvino"),
    "vdsr_app.core.backend_openvino": (*QT, "argparse", "tqdm", "vdsr_trainer", *ABOVE_CORE, *ONNX, *KERNELS),
    # It measures other programs on their own.
    "vdsr_app.core.bench": (*QT, "argparse", "tqdm", "vdsr_trainer", *ABOVE_CORE, "onnx", "onnxruntime", "openvino"),
    "vdsr_app.core.onnx_export": (*QT, "argparse", "tqdm", "vdsr_trainer", *ABOVE_CORE),
    "vdsr_trainer": (*QT, "argparse", "tqdm", *ABOVE_CORE, *ONNX, *KERNELS, "openvino"),
    "vdsr_app.workers": (
        *("PySide6.QtGui", "PySide6.QtWidgets", "qtawesome", "argparse"),
        *("vdsr_app.gui", "vdsr_app.cli", "vdsr_app.commands", "vdsr_app.console", *TRAINER_INSIDE),
    ),
    "vdsr_app.gui": (
        *("argparse", "threading", "concurrent", "multiprocessing"),
        *("vdsr_app.cli", "vdsr_app.commands", "vdsr_app.console", *NETWORK, *ONNX, *TRAINER_INSIDE, *PREFLIGHT),
    ),
    "vdsr_app.commands": (*QT, "vdsr_app.gui", "vdsr_app.workers"),
    "vdsr_app.cli": (*QT, "vdsr_app.gui", "vdsr_app.workers"),
    "vdsr_app.console": (*QT, "argparse", "torch", "vdsr_app.core", "vdsr_app.gui", "vdsr_app.workers", "vdsr_trainer"),
    "vdsr_app.__main__": (*QT, "argparse", "torch", "vdsr_app.core", "vdsr_app.workers", "vdsr_trainer"),
}
# Layer -> what it may import, but only inside a function (or for the type checker), as it makes the start slow.
LATE = {
    "vdsr_app.workers": (*NETWORK, *ONNX, *PREFLIGHT),
    "vdsr_app.cli": (*NETWORK, *ONNX),
    "vdsr_app.commands": (*NETWORK, *ONNX, *TRAINER_INSIDE, *PREFLIGHT),
    "vdsr_app.__main__": ("vdsr_app.gui", "vdsr_app.cli"),
    "vdsr_app.core.bench": ("vdsr_app.core.onnx_export",),
}


@dataclass(frozen=True)
class Import:
    """One imported module, or one name imported from a module."""

    name: str
    line: int
    early: bool


def module_name(path: Path) -> str:
    base = ROOT if path.is_relative_to(ROOT / "vdsr_app") else ROOT / "trainer"
    return ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST, early: bool = True) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, early) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # `from a.b import c` may name the module a.b.c or a thing in a.b, so it is read as both.
            yield from (Import(f"{node.module}.{alias.name}", node.lineno, early) for alias in node.names)
        late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        late = late or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        yield from imports(node, early and not late)


def within(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def rule_for(module: str, rules: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    layers = [layer for layer in rules if within(module, (layer,))]
    return rules[max(layers, key=len)] if layers else ()


def violations(module: str, tree: ast.AST) -> list[str]:
    never, late = (*rule_for(module, FORBIDDEN), *CONNECTIONS), rule_for(module, LATE)
    return [
        f"{module}:{found.line} imports {found.name}" + ("" if within(found.name, never) else " before it is needed")
        for found in imports(tree)
        if within(found.name, never) or (found.early and within(found.name, late))
    ]


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_module_imports_only_what_its_layer_may(path: Path) -> None:
    assert violations(module_name(path), ast.parse(path.read_bytes())) == []


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("vdsr_app.core.resize", "import PySide6.QtCore"),
        ("vdsr_app.core.resize", "from vdsr_app import cli"),
        ("vdsr_app.core.resize", "def f():\n  from vdsr_app.gui import theme"),
        ("vdsr_app.gui.theme", "def f():\n  import torch.nn"),
        ("vdsr_app.gui.theme", "from vdsr_app.core import engine"),
        ("vdsr_app.gui.theme", "if TYPE_CHECKING:\n  from vdsr_app.core.engine import Engine"),
        ("vdsr_app.gui.theme", "from vdsr_trainer import loop"),
        ("vdsr_app.gui.theme", "def f():\n  from vdsr_trainer.data.preflight import check_pictures"),
        ("vdsr_app.workers.lane", "from vdsr_trainer.data.preflight import check_pictures"),
        ("vdsr_app.workers.lane", "def f():\n  from vdsr_trainer import loop"),
        ("vdsr_app.workers.lane", "from vdsr_app.core.onnx_export import OnnxReport"),
        ("vdsr_app.workers.lane", "from vdsr_app.core.engine import Engine"),
        ("vdsr_app.workers.lane", "from PySide6.QtWidgets import QWidget"),
        ("vdsr_app.errors", "from vdsr_app.core.job import Target"),
        ("vdsr_app.commands.info", "import torch"),
        ("vdsr_trainer.loop", "from vdsr_app.workers import lane"),
        ("vdsr_trainer.loop", "import urllib.request"),
    ],
)
def test_violations_reports_a_forbidden_import(module: str, code: str) -> None:
    assert violations(module, ast.parse(code)) != []


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("vdsr_app.workers.lane", "def f():\n  from vdsr_app.core.engine import Engine"),
        ("vdsr_app.workers.lane", "if TYPE_CHECKING:\n  from vdsr_app.core.engine import Engine"),
        ("vdsr_app.workers.lane", "def f():\n  from vdsr_trainer.data.preflight import check_pictures"),
        *(("vdsr_app.gui.theme", f"import vdsr_trainer.{name}") for name in TORCH_FREE),
        ("vdsr_app.gui.theme", "from vdsr_app.core.weight_header import read_metadata"),
    ],
)
def test_violations_accepts_an_allowed_import(module: str, code: str) -> None:
    assert violations(module, ast.parse(code)) == []


def names_used(path: Path) -> set[str]:
    """Names, attributes and whole strings in a file."""
    used = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name) | ast.Constant(value=str(name)):
                used.add(name)
    return used


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("QSettings", {"vdsr_app.gui.settings"}),
        ("_MEIPASS", {"vdsr_app.paths"}),
        ("frozen", {"vdsr_app.paths"}),
        ("print", set()),
        ("basicConfig", {"vdsr_app.__main__"}),
    ],
)
def test_name_is_used_in_its_home_module_only(name: str, home: set[str]) -> None:
    assert {module_name(path) for path in SOURCES if name in names_used(path)} <= home


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("vdsr_app.__main__", ("numpy", "torch", "PySide6", "argparse")),
        ("vdsr_app.cli", ("torch", "PySide6", "onnx")),
        ("vdsr_app.workers.upscale", ("torch", "PySide6.QtWidgets")),
        ("vdsr_app.workers.training", ("torch", "onnx", "PySide6.QtWidgets")),
        ("vdsr_app.core.batch", ("torch", "PySide6")),
        ("vdsr_app.core.formats", ("numpy", "vdsr_app.core.image_io")),
        ("vdsr_trainer.data.preflight", ("torch", "PySide6")),
        ("vdsr_app.gui.app", ("torch", "onnx")),
        *((f"vdsr_trainer.{name}", ("torch", "PySide6")) for name in TORCH_FREE),
    ],
)
def test_module_is_imported_without_loading_others(module: str, absent: tuple[str, ...]) -> None:
    """Checks in a new process what a module loads, directly or through what it imports."""
    code = f"import sys, {module}; print(*[name for name in {absent!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
