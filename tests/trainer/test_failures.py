"""Device failures: which errors are translated, and into which messages."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.trainer.conftest import accelerator_error
from vdsr_app.control import CancelToken
from vdsr_app.errors import DeviceError, DeviceMemoryError
from vdsr_trainer.dry_run import measure
from vdsr_trainer.failures import device_failures
from vdsr_trainer.presets import preset


def _translated(error: Exception, device: str = "cuda") -> DeviceError:
    """The device error that `error` is translated into."""
    with pytest.raises(DeviceError) as caught, device_failures(torch.device(device)):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA Example")


@pytest.mark.parametrize(
    ("error", "whose"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), "NVIDIA Example"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "NVIDIA Example"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "NVIDIA Example"),
        (accelerator_error("CUDA error: out of memory", 2), "NVIDIA Example"),
        (MemoryError("Unable to allocate 3 GiB"), "This computer"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "This computer"),
    ],
)
def test_memory_error_names_device_or_computer(error: Exception, whose: str) -> None:
    translated = _translated(error)
    assert isinstance(translated, DeviceMemoryError)
    assert translated.what == f"{whose} is out of memory."


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: unspecified launch failure"),
        accelerator_error("CUDA error: an illegal memory access was encountered", 700),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    ],
)
def test_device_failure_is_not_reported_as_memory_shortage(error: Exception) -> None:
    translated = _translated(error)
    assert not isinstance(translated, DeviceMemoryError)
    assert translated.what == "NVIDIA Example failed."


def test_unsupported_operation_suggests_the_cpu() -> None:
    translated = _translated(
        NotImplementedError("The operator 'aten::x' is not currently implemented for the MPS device."), "mps"
    )
    assert not isinstance(translated, DeviceMemoryError)
    assert "does not support a step" in translated.what
    assert "'cpu'" in translated.hint


def test_failure_message_omits_name_when_card_does_not_respond(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: torch.device) -> str:
        raise torch.AcceleratorError("CUDA error: unknown error")

    monkeypatch.setattr(torch.cuda, "get_device_name", fail)
    assert _translated(torch.AcceleratorError("CUDA error: unknown error")).what == "The graphics card failed."


def test_other_errors_are_not_translated() -> None:
    error = RuntimeError("Expected all tensors to be on the same device, but found cuda:0 and cpu")
    with pytest.raises(RuntimeError) as caught, device_failures(torch.device("cuda")):
        raise error
    assert caught.value is error


def test_dry_run_translates_device_errors_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(torch.nn.Module, "to", fail)
    with pytest.raises(DeviceMemoryError):
        measure(replace(preset("quick"), device="cpu", depth=4, width=8), "quick", CancelToken())
