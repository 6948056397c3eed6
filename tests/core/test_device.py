"""Which device and precision are chosen, and what is said where that is impossible."""

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
def test_auto_is_the_cpu_where_there_is_no_gpu() -> None:
    assert choose_device() == CPU


@pytest.mark.usefixtures("two_gpus")
def test_auto_prefers_cuda_and_takes_the_first() -> None:
    assert choose_device("auto") == torch.device("cuda", 0)


def test_auto_takes_apples_gpu_where_there_is_no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_a_wish_is_granted(requested: str, expected: str) -> None:
    assert choose_device(requested) == torch.device(expected)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("requested", ["cuda", "cuda:0", "mps"])
def test_an_absent_device_is_named_with_a_way_out(requested: str) -> None:
    with pytest.raises(DeviceError) as caught:
        choose_device(requested)
    assert "auto" in caught.value.hint


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("built", "said", "hint"), [(False, "without CUDA", "README.md"), (True, "none found", "auto")]
)
def test_a_build_without_cuda_is_told_from_an_absent_card(
    monkeypatch: pytest.MonkeyPatch, said: str, hint: str, *, built: bool
) -> None:
    monkeypatch.setattr(torch.version, "cuda", "12.8" if built else None)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(DeviceError, match=said) as caught:
        choose_device("cuda")
    assert hint in caught.value.hint


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_beyond_the_last_is_absent() -> None:
    with pytest.raises(DeviceError, match=r"no CUDA GPU 2 \(2 found\)"):
        choose_device("cuda:2")


@pytest.fixture
def an_old_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card of the Pascal generation, for which newer builds of PyTorch hold no machine code."""
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA GeForce GTX 1080")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (6, 1))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80", "sm_90", "compute_120"])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.usefixtures("an_old_card")
def test_a_card_that_this_pytorch_does_not_know_is_passed_over_and_told_of() -> None:
    assert choose_device() == CPU
    assert "GTX 1080: the processor is used" in passed_over("auto")
    assert passed_over("cpu") == ""
    assert [each["name"] for each in available_devices()] == ["cpu"]
    with pytest.raises(DeviceError, match="does not support the NVIDIA GeForce GTX 1080") as caught:
        choose_device("cuda")
    assert "'auto'" in caught.value.hint


@pytest.mark.usefixtures("an_old_card")
def test_auto_takes_the_first_card_that_this_pytorch_knows(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_a_card_runs_code_for_its_generation_and_what_is_made_for_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], architectures: str, *, runs: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.cuda, "get_arch_list", architectures.split)
    assert choose_device().type == ("cuda" if runs else "cpu")


@pytest.mark.parametrize(
    "requested", ["", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:1000000", "meta", "cpu:0", "cuda:0\n", "mps:1"]
)
def test_a_word_that_is_no_device_is_refused(requested: str) -> None:
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
def test_a_cpu_works_in_bf16_only_where_it_has_it_in_hardware(
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
def test_a_cuda_gpu_works_in_what_its_matrix_units_know(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: Precision
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert choose_precision(torch.device("cuda", 0)) is expected


def test_precision_by_name() -> None:
    assert choose_precision(CPU, "fp32") is Precision.FP32
    assert choose_precision(CPU, "bf16") is Precision.BF16
    assert choose_precision(torch.device("mps"), "auto") is Precision.FP16
    assert choose_precision(torch.device("mps"), "fp16").dtype is torch.float16
    assert ("auto", *Precision) == PRECISIONS
    for requested in ("fp16", "int8", "", "BF16"):
        with pytest.raises(UsageError):
            choose_precision(CPU, requested)


def test_the_cpu_has_a_name_without_trade_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_name(CPU)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz"})
    assert device_name(CPU) == "Intel Core i7-8700"
    assert device_name(torch.device("mps")) == "Intel Core i7-8700 GPU"


def test_a_processor_that_pytorch_does_not_know_has_a_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> dict[str, object]:
        raise RuntimeError

    monkeypatch.setattr(torch.cpu, "get_capabilities", fail)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert device_name(CPU) == "riscv64"
    assert choose_precision(CPU) is Precision.FP32
