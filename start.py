#!/usr/bin/env python3
"""Set up VDSR Studio beside this file on the first start, then run it.

    python3 start.py                                     open the window
    python3 start.py photo.jpg                           open it with a picture
    python3 start.py upscale photo.jpg --scale 3 -o big.png
    python3 start.py test [pytest arguments]             run the tests

Uses only the Python standard library, and syntax that old versions can parse, in order to tell them what is needed.
"""

import contextlib
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import time

if sys.version_info < (3, 11):  # noqa: UP036 - this line is what an old Python must reach
    sys.exit(
        f"VDSR Studio needs Python 3.11 or newer; this is Python {sys.version_info[0]}.{sys.version_info[1]} "
        f"({sys.executable}). Start it with a newer one, for example: python3.12 start.py"
    )

if sys.platform == "win32":
    import msvcrt
    import winreg
else:
    import fcntl

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent
NEWEST_TESTED = (3, 14)
BIG_DOWNLOAD_MB = 10.0
LONGEST_ROOT = 60  # characters: Windows allows 259, and a licence file of torch below the root takes nearly 200
LOCK_OFFSET = 1 << 30  # beyond the end of the file: Windows locks bytes against reading
DOWNLOAD = re.compile(r"\s*Downloading (?:\S*/)?([A-Za-z0-9_.]+)-(\d[^-\s]*)-\S+ \(([\d.]+) (MB|GB)\)")

# Run by the Python of .venv: is it the expected Python and folder, with pip, and is every installed package complete?
# An installation that was killed leaves a package without its list of files, or with files missing or truncated.
PROBE = """
import importlib.metadata, os, pip, sys
if [os.path.realpath(sys.prefix), "%d.%d" % sys.version_info[:2]] != sys.argv[1:]:
    sys.exit("another Python or another folder")
for package in importlib.metadata.distributions():
    if not package.files:
        sys.exit("not wholly installed: %s" % package.metadata["Name"])
    for file in package.files:
        if file.suffix != ".pyc" and os.stat(file.locate()).st_size != (file.size or os.stat(file.locate()).st_size):
            sys.exit("cut short: %s" % file)
"""


class SetupError(Exception):
    """The set-up cannot continue; the text says why and what to do."""


class Checkout:
    """The files of a checkout that a start reads and writes.

    Attributes:
        root: folder of this file.
        venv: the virtual environment, made here and nowhere else.
        python: interpreter of the environment.
        log: output of pip and of the measurement that follows.
        constraints: the pinned versions; also the file that the set-up locks.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.python = self.venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        self.log = self.venv / "setup.log"
        self.constraints = root / "constraints.txt"

    def stamp(self, extra: str) -> Path:
        """File that marks the environment as finished, with the `extra` of pyproject.toml ('' or 'dev')."""
        return self.venv / f"vdsr-ready-{extra or 'run'}"

    def home_of_stamp(self) -> str:
        """What ties an environment to its place: the folder and the Python. Moved or upgraded, it is rebuilt."""
        return f"{self.root}\nPython {version()} {os.path.realpath(self.python)}\n"

    def stamp_text(self) -> str:
        """Content of a stamp while the environment matches the checkout."""
        digest = hashlib.sha256()
        for file in (self.root / "pyproject.toml", self.constraints):
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return f"{self.home_of_stamp()}{digest.hexdigest()}\n"

    def is_ready(self, extra: str) -> bool:
        """Whether there is nothing to do; takes well under a millisecond."""
        return self.python.exists() and read(self.stamp(extra)) == self.stamp_text()

    def was_moved(self) -> bool:
        """Whether a stamp names another folder or another Python."""
        texts = [read(self.stamp(extra)) for extra in ("", "dev")]
        return any(text and not text.startswith(self.home_of_stamp()) for text in texts)


def version() -> str:
    """Major and minor version of this Python."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def read(path: Path) -> str:
    """Text of a small file, empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def say(text: str) -> None:
    """Print for the user, to standard error, so that a command's own output stays clean."""
    print(text, file=sys.stderr, flush=True)


def check_host() -> None:
    """Refuse, before anything is written, if the set-up is bound to fail."""
    if sys.maxsize < 2**32:
        raise SetupError("VDSR Studio needs a 64-bit Python; this one has 32 bits.")
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise SetupError(
            f"This Python cannot make virtual environments, its venv or ensurepip is missing: {sys.executable}\n"
            f"On Debian and Ubuntu: sudo apt install python{version()}-venv"
        )


def check_folder(root: Path) -> None:
    """Refuse a checkout in a place where a finished environment could not run."""
    if sys.platform == "win32" and sys.version_info[:2] < (3, 13) and not str(root).isascii():
        # pip writes this folder to a .pth file as UTF-8, which older versions read in the code page of Windows.
        raise SetupError(
            f"On Windows, Python {version()} cannot run VDSR Studio from a folder with letters such as ä, é or я "
            f"in its path: {root}\nUse Python 3.13 or newer, or move the folder, for example to C:\\vdsr."
        )
    if len(str(root)) > LONGEST_ROOT and not allows_long_paths():
        raise SetupError(
            "The path of this folder is too long for Windows, as files of the packages would have more than 259 "
            f"characters in theirs: {root}\nMove the folder to where its path has {LONGEST_ROOT} at most, for example "
            "to C:\\vdsr, or turn on long paths in Windows (https://pip.pypa.io/warnings/enable-long-paths)."
        )


def allows_long_paths() -> bool:
    """Whether this system opens files whose path has more than 259 characters; Windows does if configured to."""
    if sys.platform == "win32":
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
                return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0] == 1)
        except OSError:
            return False
    return True


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[int]:
    """Let one start at a time work on the environment; others wait. The system frees the lock however this one ends.

    Yields:
        The locked file's descriptor. pip inherits it, so that a pip that outlives its parent still keeps others out.
    """
    with path.open("r+b") as handle:
        descriptor = handle.fileno()
        if not try_lock(descriptor):
            say("Another start is setting up VDSR Studio; waiting for it.")
            while not try_lock(descriptor):
                time.sleep(0.2)
        yield descriptor


def try_lock(descriptor: int) -> bool:
    """Lock the file unless another process has it; True also if the file system does not support locks."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, LOCK_OFFSET, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True


def prepare(checkout: Checkout, extra: str) -> None:
    """Make or complete the environment, unless it is ready.

    Raises:
        SetupError: it could not be done. The next start continues from there.
    """
    if checkout.is_ready(extra):
        return
    check_host()
    check_folder(checkout.root)
    with exclusive(checkout.constraints) as lock:
        if checkout.is_ready(extra):
            return
        began = time.monotonic()
        if checkout.is_ready(""):
            say("Adding what the tests need (only once).")
        else:
            say(f"Setting up VDSR Studio in {checkout.venv} (only once; about 1.4 GB on disk).")
        if not is_sound(checkout):
            make_environment(checkout)
        install(checkout, extra, lock)
        for done in {"", extra}:
            checkout.stamp(done).write_text(checkout.stamp_text(), encoding="utf-8", errors="surrogateescape")
        if not extra:
            fit_to_processor(checkout)
            if has_nvidia_driver() and not is_built_for_cuda(checkout):
                say("  This PyTorch cannot use NVIDIA's graphics card; README.md says how to get the build that can.")
        say(f"Ready after {time.monotonic() - began:.0f} s.")


def is_sound(checkout: Checkout) -> bool:
    """Whether the environment can be completed: it has not been moved, and every package in it is intact."""
    if checkout.was_moved() or not checkout.python.exists():
        return False
    command = [str(checkout.python), "-I", "-c", PROBE, os.path.realpath(checkout.venv), version()]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def make_environment(checkout: Checkout) -> None:
    """Make an empty environment, in place of whatever is there.

    Raises:
        SetupError: the folder cannot be written, or Python's venv failed.
    """
    say(f"  environment with Python {version()}")
    # The interpreter behind the environment: start.py may itself run in the one being replaced.
    python = getattr(sys, "_base_executable", None) or sys.executable
    command = [python, "-m", "venv", "--clear", str(checkout.venv)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", check=False)
    if result.returncode != 0:
        raise SetupError(
            f"The environment {checkout.venv} could not be made.\n{excerpt(result.stdout)}\n"
            "Close VDSR Studio if it is running, check that the folder can be written, then start again."
        )


def install(checkout: Checkout, extra: str, lock: int) -> None:
    """Install the pinned packages with pip, announcing big downloads and writing everything to the log.

    Raises:
        SetupError: pip failed; the text contains its complaints.
    """
    target = f".[{extra}]" if extra else "."
    command = [str(checkout.python), "-m", "pip", "install", "--progress-bar", "off", "--constraint", "constraints.txt"]
    # Wheels only, so that no compiler is needed; pyvips is pure Python and published only as source.
    command += ["--only-binary", ":all:", "--no-binary", "pyvips", "--editable", target]
    said = []
    with checkout.log.open("a", encoding="utf-8", buffering=1) as log:
        log.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} Python {version()}, {target}\n")
        process = subprocess.Popen(
            command,
            cwd=checkout.root,
            env=pip_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            pass_fds=() if sys.platform == "win32" else (lock,),
        )
        with process:
            for line in process.stdout or ():
                log.write(line)
                said.append(line)
                report(line)
    if process.returncode != 0:
        raise SetupError(explain_failure(checkout, "".join(said)))


def fit_to_processor(checkout: Checkout) -> None:
    """Let the application find the fastest way to compute here, so that the first picture need not wait for it.

    If that fails, it is done with the first picture, and reported there.
    """
    say("  tuning the network for this processor")
    command = [str(checkout.python), "-P", "-m", "vdsr_app", "info", "--measure"]
    with contextlib.suppress(OSError), checkout.log.open("ab") as log:
        subprocess.run(
            command, cwd=checkout.root, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False
        )


def has_nvidia_driver() -> bool:
    """Whether NVIDIA's driver, and hence a card, is present on Windows or Linux."""
    if sys.platform == "win32":
        return (Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "nvcuda.dll").exists()
    return Path("/proc/driver/nvidia/version").exists()


def is_built_for_cuda(checkout: Checkout) -> bool:
    """Whether the PyTorch of the environment can use NVIDIA's graphics cards."""
    places = ("Lib/site-packages", "lib/python*/site-packages")
    return any(any(checkout.venv.glob(f"{place}/torch/lib/*c10_cuda.*")) for place in places)


def pip_environment() -> dict[str, str]:
    """Environment variables for pip: the user's own settings, except for what would break the set-up."""
    return {
        **os.environ,
        "PIP_CONSTRAINT": "constraints.txt",  # relative, as pip splits the value at spaces; pins the build tools too,
        "PIP_BUILD_CONSTRAINT": "constraints.txt",  # which newer versions of pip read from here
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_USER": "0",
        "PKG_CONFIG": "none",  # pyvips would be compiled against a system libvips if it found one
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
    }


def report(line: str) -> None:
    """Announce what takes long; pip's other lines only go to the log."""
    found = DOWNLOAD.match(line)
    if found:
        name, number, size, unit = found.groups()
        megabytes = float(size) * (1000 if unit == "GB" else 1)
        if megabytes >= BIG_DOWNLOAD_MB:
            say(f"  downloading {name.replace('_', '-')} {number}, {megabytes:.0f} MB")
    elif line.startswith("Collecting cuda-toolkit"):
        say("  This PyTorch brings NVIDIA's libraries, some gigabytes; README.md says how to do without them.")
    elif line.startswith("Installing collected packages:"):
        say(f"  installing {line.count(',') + 1} packages")


def explain_failure(checkout: Checkout, output: str) -> str:
    """What failed and what to do, with pip's complaints."""
    hint = "Check the network connection and the free disk space, then start again: it continues where it stopped."
    if sys.version_info[:2] > NEWEST_TESTED:
        newest = "{}.{}".format(*NEWEST_TESTED)
        hint = f"The pinned packages are known to work with Python 3.11 to {newest}, this is {version()}. {hint}"
    return f"The packages could not be installed. pip said:\n{excerpt(output)}\n{hint}\nAll of it is in {checkout.log}"


def excerpt(output: str) -> str:
    """The most telling lines of a tool's output: its first and last complaints, or else its end."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    complaints = list(dict.fromkeys(line for line in lines if line.upper().startswith(("WARNING:", "ERROR:", "HINT:"))))
    chosen = complaints[:2] + complaints[2:][-4:] if complaints else lines[-12:]
    return "\n".join(f"    {line[:300]}" for line in chosen)


def lacks_qt_libraries(checkout: Checkout, environ: dict[str, str]) -> bool:
    """Run the application's own check, which needs no packages and says what to install."""
    command = [sys.executable, str(checkout.root / "vdsr_app" / "qt_libraries.py")]
    return subprocess.run(command, env=environ, check=False).returncode != 0


def run(command: list[str]) -> int:
    """Replace this process with the command, or on Windows wait for it; returns its exit status."""
    if sys.platform != "win32":
        sys.stdout.flush()
        os.execv(command[0], command)
    with subprocess.Popen(command) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                pass  # the command receives it too, and ends in its own way


def main(arguments: list[str]) -> int:
    """Set up what is missing, then run the tests or the application; returns the exit status."""
    checkout = Checkout(ROOT)
    testing = arguments[:1] == ["test"]
    try:
        if testing and lacks_qt_libraries(checkout, {"QT_QPA_PLATFORM": "offscreen", **os.environ}):
            return 1
        if not testing and not checkout.is_ready(""):
            lacks_qt_libraries(checkout, dict(os.environ))  # reported before the wait; the window checks again
        prepare(checkout, "dev" if testing else "")
    except SetupError as error:
        say(str(error))
        return 1
    except OSError as error:
        say(f"The set-up failed: {error}\nCheck that {checkout.root} can be written and has room, then start again.")
        return 1
    except KeyboardInterrupt:
        say("\nStopped. The next start continues from here.")
        return 130
    # -P: a file such as random.py in a picture folder must not shadow Python's own module.
    if testing:
        os.chdir(checkout.root)
        # The whole suite runs on all cores; a part of it as pytest itself would, so that -s and breakpoints work.
        wanted = arguments[1:] or ["--numprocesses=auto", "--dist=worksteal"]
        return run([str(checkout.python), "-m", "pytest", *wanted])
    return run([str(checkout.python), "-P", "-m", "vdsr_app", *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
