"""ICC profiles: checking that one fits the pixels, and building one from other colour information."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from vdsr_app.core.image_io.heif_items import ColourCode
from vdsr_app.core.image_io.png_chunks import Chromaticities, PngInfo

_D65 = (0.3127, 0.3290)
_SRGB: Chromaticities = (*_D65, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060)

_PRIMARIES: Mapping[int, Chromaticities] = MappingProxyType(
    {
        1: _SRGB,
        5: (*_D65, 0.640, 0.330, 0.290, 0.600, 0.150, 0.060),
        6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
        7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
        9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
        11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
        12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    }
)
"""Chromaticities by code point. Source: ITU-T H.273, table 2."""

_SRGB_LIKE_TRANSFERS = frozenset({1, 2, 6, 13, 14, 15})
"""sRGB, and the video curves that players and browsers display as sRGB."""

_POWER_TRANSFERS: Mapping[int, float] = MappingProxyType({4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6})
HDR_TRANSFERS: Mapping[int, str] = MappingProxyType({16: "PQ", 18: "HLG"})
"""Transfer curves that exceed the range of an ordinary screen."""


def profile_space(profile: bytes) -> str | None:
    """Colour space of an ICC profile: "RGB", "GRAY", "CMYK"…; None if it is not a profile at all.

    Source: ICC.1:2022, table 17: size at byte 0, colour space at 16, signature "acsp" at 36.
    """
    if profile[36:40] != b"acsp" or not 132 <= int.from_bytes(profile[:4], "big") <= len(profile):
        return None
    return profile[16:20].decode("ascii", "replace").strip()


def can_be_opened(profile: bytes) -> bool:
    """Whether LittleCMS accepts a profile; libvips silently leaves any other out of the files it writes."""
    from PIL import ImageCms

    try:
        ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (OSError, ValueError):
        return False
    return True


def in_stated_length(profile: bytes) -> bytes:
    """A profile without trailing bytes, padded to a multiple of four bytes as ICC.1 specifies and PNG requires."""
    size = int.from_bytes(profile[:4], "big")
    padded = -(-size // 4) * 4
    if padded == size:
        return profile[:size]
    # A new length invalidates the checksum in bytes 84 to 99; zeros mean that there is none.
    return b"".join((padded.to_bytes(4, "big"), profile[4:84], bytes(16), profile[100:size], bytes(padded - size)))


def png_accepts(profile: bytes) -> bool:
    """Whether PNG readers and writers accept a profile cut to its stated length: they check its header and tag table.

    Source: libpng's checks of iCCP; ICC.1:2022, 7.2 and 7.3: class at byte 12, connection space at 20, intent at 64,
    number of tags at 128, then signature, offset and size of each.
    """
    count = int.from_bytes(profile[128:132], "big")
    if not 0 < count <= (len(profile) - 132) // 12 or int.from_bytes(profile[64:68], "big") > 0xFFFE:
        return False
    table = np.frombuffer(profile, ">u4", 3 * count, 132).reshape(count, 3).astype(np.int64)
    if int((table[:, 1] + table[:, 2]).max()) > len(profile):
        return False
    return profile[12:16] not in (b"abst", b"link") and profile[20:24] in (b"XYZ ", b"Lab ")


def profile_for_code(code: ColourCode, channels: int) -> bytes | None:
    """An ICC profile for a colour code; None if sRGB will do or no ordinary profile can express the code."""
    primaries = _PRIMARIES.get(code.primaries)
    if code.transfer in _SRGB_LIKE_TRANSFERS:
        if primaries is None or code.primaries in (1, 5, 6, 7) or channels == 1:
            return None
        return _make_profile(channels, primaries, None)
    gamma = _POWER_TRANSFERS.get(code.transfer)
    return None if gamma is None else _make_profile(channels, primaries or _SRGB, gamma)


def profile_for_png(info: PngInfo, channels: int) -> bytes | None:
    """An ICC profile for a PNG that states its colour by cICP, or gAMA and cHRM; None if sRGB will do."""
    if info.cicp is not None:
        return profile_for_code(ColourCode(info.cicp[0], info.cicp[1]), channels)
    if info.is_srgb or (info.gamma is None and info.chromaticities is None):
        return None
    gamma = None
    # 0.45455 means "like sRGB" and is displayed as such.
    if info.gamma is not None and 0.05 <= info.gamma <= 20 and abs(info.gamma - 0.45455) > 0.005:
        gamma = 1 / info.gamma
    primaries = info.chromaticities
    if primaries is None or not _is_sane(primaries) or channels == 1:
        primaries = _SRGB
    if gamma is None and max(abs(one - other) for one, other in zip(primaries, _SRGB, strict=True)) < 0.005:
        return None
    return _make_profile(channels, primaries, gamma)


def profile_for_chromaticities(primaries: Chromaticities, gamma: float | None, channels: int) -> bytes | None:
    """An ICC profile from chromaticities and an exponent; `gamma` None means the sRGB curve."""
    return _make_profile(channels, primaries, gamma) if _is_sane(primaries) else None


def _is_sane(primaries: Chromaticities) -> bool:
    """Whether the primaries span a triangle, so that a matrix exists."""
    white_y = primaries[1]
    red_x, red_y, green_x, green_y, blue_x, blue_y = primaries[2:]
    area = (green_x - red_x) * (blue_y - red_y) - (blue_x - red_x) * (green_y - red_y)
    return all(-1 <= value <= 2 for value in primaries) and white_y > 0.01 and abs(area) > 0.001


@cache
def _make_profile(channels: int, primaries: Chromaticities, gamma: float | None) -> bytes | None:
    import imagecodecs

    curve = {"gamma": gamma} if gamma is not None else {"transferfunction": _srgb_curve()}
    white = [*primaries[:2], 1.0]
    try:
        if channels == 1:
            return bytes(imagecodecs.cms_profile("gray", whitepoint=white, **curve))
        corners = [*primaries[2:4], 1.0, *primaries[4:6], 1.0, *primaries[6:8], 1.0]
        return bytes(imagecodecs.cms_profile("rgb", whitepoint=white, primaries=corners, **curve))
    except (imagecodecs.CmsError, ValueError, RuntimeError):
        return None


def _srgb_curve() -> npt.NDArray[np.uint16]:
    """The sRGB curve sampled at 1024 points (IEC 61966-2-1)."""
    encoded = np.linspace(0.0, 1.0, 1024)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    curve: npt.NDArray[np.uint16] = np.rint(linear * 65535).astype(np.uint16)
    return curve
