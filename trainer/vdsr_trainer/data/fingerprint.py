"""Finds pictures that resemble each other: resized, recompressed, slightly cropped or brightened copies. No torch.

A picture is stored as 16 x 16 gray values. Two are compared by the correlation of the differences between neighbours,
which brightness, contrast and the large areas of sky and ground do not dominate; and each is compared with slight crops
of the other.

Measured on the 525 pictures of T91, BSDS, Set5, Set14 and 15 photographs: the three pairs that show the same scene
reach 0.96 or more, all others at most 0.63. Copies of half and double size or JPEG quality 50 reach 0.96, crops by 2 %
on each side 0.82, and 98 of 100 crops by up to 5 % on each side reach `RESEMBLES`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from vdsr_trainer.data.degrade import Luma8

_Floats = npt.NDArray[np.float32]

RESEMBLES = 0.75
"""Correlation from which two pictures count as the same."""
_SIDE = 16
_FINE_SIDE = 64
_FLAT = 1.0
"""Standard deviation, in gray levels without the linear trend, below which a picture has nothing to be known by."""
_CANDIDATE = 0.25
"""Correlation of whole pictures below which crops are not tried; 2 in 1000 pairs of different pictures reach it."""
_BLOCK = 2048
_PAIRS_AT_ONCE = 256


def fingerprint(luma: Luma8) -> str:
    """What `resembling` compares: 16 x 16 bytes, hexadecimal; "" for a picture that is flat or a mere gradient.

    Args:
        luma: (H, W) uint8.
    """
    fine = Image.fromarray(luma).resize((_FINE_SIDE, _FINE_SIDE), Image.Resampling.BOX)
    ratio = _FINE_SIDE // _SIDE
    small = np.asarray(fine, dtype=np.float64).reshape(_SIDE, ratio, _SIDE, ratio).mean(axis=(1, 3))
    small -= small.mean()
    ramp = np.arange(_SIDE) - (_SIDE - 1) / 2
    trend = (small @ ramp).mean() * ramp / (ramp @ ramp) + ((ramp @ small).mean() * ramp / (ramp @ ramp))[:, None]
    if (small - trend).std() < _FLAT:
        return ""
    levels: bytes = np.rint(small * (127.0 / np.abs(small).max()) + 128.0).astype(np.uint8).tobytes()
    return levels.hex()


def check_fingerprint(text: str) -> None:
    """Check that `text` can be compared.

    Raises:
        ValueError: `fingerprint` never returns such a text.
    """
    if len(bytes.fromhex(text)) not in (0, _SIDE * _SIDE):
        raise ValueError(f"a fingerprint of {len(text)} characters")


def resembling(prints: Sequence[str], others: Sequence[str]) -> dict[int, int]:
    """Find which of `prints` resembles one of `others`: index -> index of the most similar one.

    Takes at most some tens of megabytes; 100,000 against 64 take seconds.
    """
    found: dict[int, int] = {}
    known = [i for i, print_ in enumerate(others) if print_]
    if not known:
        return found
    asked = _grays([others[i] for i in known])
    asked_whole = _differences(asked)
    filled = [i for i, print_ in enumerate(prints) if print_]
    for first in range(0, len(filled), _BLOCK):
        block = filled[first : first + _BLOCK]
        grays = _grays([prints[i] for i in block])
        whole = _differences(grays)
        best: dict[int, float] = {}
        for start in range(0, len(asked), _BLOCK):
            alike = whole @ asked_whole[start : start + _BLOCK].T
            pairs = np.argwhere(alike > _CANDIDATE)
            for begin in range(0, len(pairs), _PAIRS_AT_ONCE):
                one, other = pairs[begin : begin + _PAIRS_AT_ONCE].T
                scores = _scores(grays[one], asked[start + other])
                for i, j, score in zip(one.tolist(), other.tolist(), scores.tolist(), strict=True):
                    if score >= RESEMBLES and score > best.get(i, 0.0):
                        best[i] = score
                        found[block[i]] = known[start + j]
    return found


def _grays(prints: Sequence[str]) -> _Floats:
    """(N, 16, 16) with zero mean, from stored fingerprints."""
    flat = np.frombuffer(bytes.fromhex("".join(prints)), np.uint8).astype(np.float32)
    grays = flat.reshape(len(prints), _SIDE, _SIDE)
    return np.asarray(grays - grays.mean(axis=(1, 2), keepdims=True))


def _scores(ones: _Floats, others: _Floats) -> _Floats:
    """(N,) best correlation of each pair, one of which may be a crop of the other."""
    forth = np.einsum("nvd,nd->nv", _differences(_crops(ones)), _differences(others))
    back = np.einsum("nvd,nd->nv", _differences(_crops(others)), _differences(ones))
    return np.asarray(np.maximum(forth.max(axis=1), back.max(axis=1)))


def _differences(grays: _Floats) -> _Floats:
    """(..., 480): differences between neighbours, with zero mean and of length 1."""
    across, down = np.diff(grays, axis=-1), np.diff(grays, axis=-2)
    across -= across.mean(axis=(-1, -2), keepdims=True)
    down -= down.mean(axis=(-1, -2), keepdims=True)
    shape = (*grays.shape[:-2], _SIDE * (_SIDE - 1))
    return _unit(np.concatenate([across.reshape(shape), down.reshape(shape)], axis=-1))


def _unit(vectors: _Floats) -> _Floats:
    return np.asarray(vectors / np.maximum(np.sqrt(np.square(vectors).sum(axis=-1, keepdims=True)), 1e-6))


def _crops(grays: _Floats) -> _Floats:
    """(N, 49, 16, 16): the whole, and windows of 95 % and 90 % of each side at both ends and in the middle."""
    down = np.einsum("aij,njk->naik", _WINDOWS, grays)
    crops = np.einsum("naik,bmk->nabim", down, _WINDOWS, optimize=True)
    return np.asarray(crops.reshape(len(grays), -1, _SIDE, _SIDE))


def _windows() -> _Floats:
    """(7, 16, 16) matrices that stretch a window of an axis to the whole, bilinearly."""
    spans = [(0.0, 1.0)]
    for length in (0.95, 0.9):
        spans += [(start, start + length) for start in (0.0, (1 - length) / 2, 1 - length)]
    matrices = np.zeros((len(spans), _SIDE, _SIDE), np.float32)
    samples = np.arange(_SIDE)
    for matrix, (start, stop) in zip(matrices, spans, strict=True):
        centres = (start + (samples + 0.5) / _SIDE * (stop - start)) * _SIDE - 0.5
        left = np.floor(centres).astype(np.int64)
        share = centres - left
        np.add.at(matrix, (samples, left.clip(0, _SIDE - 1)), 1 - share)
        np.add.at(matrix, (samples, (left + 1).clip(0, _SIDE - 1)), share)
    return matrices


_WINDOWS = _windows()
