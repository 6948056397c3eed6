"""Choice of device and precision, and the errors when it is impossible."""

from __future__ import annotations

import platform
import sys

import pytest
import torch

from vdsr_app.core.device import (
    Precision,
    available_devices,
    choose_device,
    choose_precision,
    device_name,
    passed_over,
)
from vdsr_app.core.job import PRECISIONS
from vdsr_app.errors import DeviceError, UsageError

CPU = torch.device("cpu")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 6))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80"])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)


@pytest.mark.usefixtures("no_gpu")
def test_auto_chooses_cpu_when_there_is_no_gpu() -> None:
    assert choose_device() == CPU


@pytest.mark.usefixtures("two_gpus")
def test_auto_prefers_cuda_and_chooses_the_first_gpu() -> None:
    assert choose_device("auto") == torch.device("cuda", 0)


def test_auto_chooses_mps_when_there_is_no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("mps")


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        *(("cpu", "cpu"), ("mps", "mps"), ("mps:0", "mps")),
        *(("cuda", "cuda:0"), ("cuda:0", "cuda:0"), ("cuda:1", "cuda:1")),
    ],
)
def test_choose_device_returns_the_requested_device(requested: str, expected: str) -> None:
    assert choose_device(requested) == torch.device(expected)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("requested", ["cuda", "cuda:0", "mps"])
def test_absent_device_is_rejected_with_a_hint(requested: str) -> None:
    with pytest.raises(DeviceError) as caught:
        choose_device(requested)
    assert "auto" in caught.value.hint


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("built", "said", "hint"), [(False, "without CUDA", "README.md"), (True, "none found", "auto")]
)
def test_error_distinguishes_build_without_cuda_from_absent_card(
    monkeypatch: pytest.MonkeyPatch, said: str, hint: str, *, built: bool
) -> None:
    monkeypatch.setattr(torch.version, "cuda", "12.8" if built else None)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(DeviceError, match=said) as caught:
        choose_device("cuda")
    assert hint in caught.value.hint


@pytest.mark.usefixtures("two_gpus")
def test_gpu_index_beyond_the_last_is_rejected() -> None:
    with pytest.raises(DeviceError, match=r"no CUDA GPU 2 \(2 found\)"):
        choose_device("cuda:2")


@pytest.fixture
def an_old_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card of the Pascal generation, for which newer builds of PyTorch contain no machine code."""
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA GeForce GTX 1080")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (6, 1))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80", "sm_90", "compute_120"])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.usefixtures("an_old_card")
def test_card_unsupported_by_pytorch_is_passed_over_and_reported() -> None:
    assert choose_device() == CPU
    assert "GTX 1080: the processor is used" in passed_over("auto")
    assert passed_over("cpu") == ""
    assert [each["name"] for each in available_devices()] == ["cpu"]
    with pytest.raises(DeviceError, match="does not support the NVIDIA GeForce GTX 1080") as caught:
        choose_device("cuda")
    assert "'auto'" in caught.value.hint


@pytest.mark.usefixtures("an_old_card")
def test_auto_chooses_the_first_card_supported_by_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: [(6, 1), (8, 9)][index])
    assert choose_device() == torch.device("cuda", 1)
    assert passed_over("auto") == ""


@pytest.mark.usefixtures("an_old_card")
@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ((8, 9), "sm_75 sm_80 sm_86", True),
        ((8, 0), "sm_75 sm_86", False),
        ((10, 0), "sm_80 sm_90", False),
        ((12, 0), "sm_75 compute_90", True),
        ((10, 0), "sm_90a sm_100f", True),
        ((10, 3), "compute_100f", True),
        ((12, 0), "sm_90a compute_100f", False),
        ((10, 3), "sm_100a compute_100a", False),
        ((7, 0), "sm_75 compute_75", False),
        ((6, 1), "", True),
    ],
)
def test_card_is_chosen_only_when_pytorch_has_code_that_runs_on_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], architectures: str, *, runs: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.cuda, "get_arch_list", architectures.split)
    assert choose_device().type == ("cuda" if runs else "cpu")


@pytest.mark.parametrize(
    "requested", ["", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:1000000", "meta", "cpu:0", "cuda:0\n", "mps:1"]
)
def test_choose_device_rejects_invalid_names(requested: str) -> None:
    with pytest.raises(UsageError):
        choose_device(requested)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True}, Precision.BF16),
        ({"amx_bf16": True}, Precision.BF16),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, Precision.FP32),
        ({}, Precision.FP32),
    ],
)
def test_cpu_uses_bf16_only_with_hardware_support(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: Precision
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert choose_precision(CPU) is expected


@pytest.mark.parametrize(
    ("capability", "expected"),
    [
        ((6, 1), Precision.FP32),
        ((7, 0), Precision.FP16),
        ((7, 5), Precision.FP16),
        ((8, 0), Precision.BF16),
        ((9, 0), Precision.BF16),
    ],
)
def test_cuda_precision_follows_compute_capability(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: Precision
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert choose_precision(torch.device("cuda", 0)) is expected


def test_choose_precision_accepts_offered_names_and_rejects_others() -> None:
    assert choose_precision(CPU, "fp32") is Precision.FP32
    assert choose_precision(CPU, "bf16") is Precision.BF16
    assert choose_precision(torch.device("mps"), "auto") is Precision.FP16
    assert choose_precision(torch.device("mps"), "fp16").dtype is torch.float16
    assert ("auto", *Precision) == PRECISIONS
    for requested in ("fp16", "int8", "", "BF16"):
        with pytest.raises(UsageError):
            choose_precision(CPU, requested)


def test_cpu_name_has_no_trademarks_and_frequency(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_name(CPU)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz"})
    assert device_name(CPU) == "Intel Core i7-8700"
    assert device_name(torch.device("mps")) == "Intel Core i7-8700 GPU"


def test_cpu_name_and_precision_fall_back_when_pytorch_does_not_know_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> dict[str, object]:
        raise RuntimeError

    monkeypatch.setattr(torch.cpu, "get_capabilities", fail)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert device_name(CPU) == "riscv64"
    assert choose_precision(CPU) is Precision.FP32
