"""From thicknesses of matter to a digital radiograph: attenuation, scatter, quanta, and the processing of the console.

Beam: 60 keV, parallel, monochromatic. Coefficients: NIST, "X-Ray Mass Attenuation Coefficients" (Hubbell and Seltzer, 2004), times
the density; tissues after ICRU reports 44 and 46.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Plane = NDArray[np.float32]

ATTENUATION = {
    "soft": 0.2048 * 1.06,
    "fat": 0.1974 * 0.95,
    "cortical": 0.3148 * 1.92,
    "cancellous": 0.2381 * 1.18,
    "marrow": 0.1968 * 0.98,
    "plaster": 0.3426 * 1.0,
    "titanium": 0.766 * 4.51,
    "steel": 1.2413 * 7.98,
    "gold": 4.529 * 19.3,
    "lead": 5.020 * 11.34,
}
"""Linear attenuation coefficients at 60 keV, 1/cm. Plaster is set gypsum with its pores; steel is AISI 316L."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """How a film is exposed.

    Attributes:
        quanta: Detected photons a pixel in the open beam.
        scatter: Scattered share of the detected photons behind the thickest part, in [0, 1).
        scatter_mm: Width (sigma, mm) that scatter spreads over.
        heel: Loss of intensity from edge to edge by the anode heel effect.
        heel_degrees: Direction of that loss in the film.
        blur_px: Sigma (pixels) of focal spot and detector.
        field: Collimated field: centre x, y and half-width, half-height in parts of the film, and its turn in degrees.
    """

    quanta: float = 5000.0
    scatter: float = 0.25
    scatter_mm: float = 25.0
    heel: float = 0.1
    heel_degrees: float = 90.0
    blur_px: float = 0.5
    field: tuple[float, float, float, float, float] = (0.5, 0.5, 0.6, 0.6, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Processing:
    """How the console makes the picture.

    Attributes:
        sharpen: Weight of the unsharp mask.
        sharpen_mm: Its sigma, mm.
        low: Percentile of the exposed field that becomes black, 0 to 100.
        high: Percentile that becomes white.
        gamma: Exponent of the grey-scale.
        shutter: Grey (0 to 1) that stands outside the field; none leaves the unexposed (white) edge as it is.
    """

    sharpen: float = 0.5
    sharpen_mm: float = 12.0
    low: float = 2.0
    high: float = 99.7
    gamma: float = 1.0
    shutter: float | None = 0.0


def line_integral(thickness: Mapping[str, Plane]) -> Plane:
    """Return the attenuation (H, W), dimensionless, of thicknesses in mm: the sum of coefficient times length."""
    parts = [np.float32(ATTENUATION[material] / 10) * np.maximum(t, 0) for material, t in thickness.items()]
    return np.asarray(sum(parts), np.float32)


def transmission(attenuation: Plane) -> Plane:
    """Return the share of photons that pass (Beer-Lambert): exp(-attenuation)."""
    return np.exp(-attenuation)


def expose(attenuation: Plane, open_field: Plane, exposure: Exposure, pitch: float, rng: np.random.Generator) -> Plane:
    """Return the detected intensity (H, W) in parts of the open beam.

    Args:
        attenuation: (H, W), dimensionless.
        open_field: Share of the beam that the collimator leaves, (H, W) in [0, 1].
        exposure: How.
        pitch: Size of a pixel, mm.
        rng: Source of the quantum noise: each pixel's count is Poisson-distributed.
    """
    primary = ndimage.gaussian_filter(transmission(attenuation), exposure.blur_px, truncate=3) * _heel(attenuation.shape, exposure)
    expected = (primary + _scatter(primary, attenuation, exposure, pitch)) * open_field
    # What the collimator leaves: leakage through its blades and scatter from the edge of the field.
    expected += 0.002 + 0.01 * wide_blur(open_field, 8 / pitch)
    return np.asarray(rng.poisson(expected * exposure.quanta) / exposure.quanta, np.float32)


def develop(intensity: Plane, open_field: Plane, tissue: NDArray[np.bool_], processing: Processing, pitch: float) -> NDArray[np.uint8]:
    """Return the picture (H, W), 0 to 255, bone bright: logarithm, unsharp mask, window, grey-scale curve.

    Args:
        intensity: Detected, (H, W), in parts of the open beam.
        open_field: Share of the beam that the collimator leaves, (H, W) in [0, 1].
        tissue: Where neither metal nor lead lies, (H, W): the window comes from the histogram there, as on a console.
        processing: The console's settings.
        pitch: Size of a pixel, mm.
    """
    signal = -np.log(np.maximum(ndimage.gaussian_filter(intensity, 0.45, truncate=3), np.float32(3e-4)))
    measured = (open_field > 0.95) & tissue
    if np.count_nonzero(measured) < 64:
        measured = np.ones_like(measured)
    ceiling = np.float32(np.percentile(signal[measured][::5], 99.9))
    # Beyond the brightest tissue the picture saturates soon, so that metal casts no halo over the film.
    signal = np.minimum(signal, ceiling + np.float32(0.6))
    flat = np.where(open_field > 0.95, np.minimum(signal, ceiling), np.float32(np.median(signal[measured][::5])))
    signal = signal + np.float32(processing.sharpen) * (signal - wide_blur(flat, processing.sharpen_mm / pitch))
    low, high = np.percentile(signal[measured][::5], [processing.low, processing.high])
    grey = np.clip((signal - np.float32(low)) / np.float32(max(high - low, 0.2)), 0, 1) ** np.float32(processing.gamma)
    if processing.shutter is not None:
        # The electronic shutter lies inside the penumbra.
        inside = np.clip((open_field - np.float32(0.9)) * 10, 0, 1)
        grey = grey * inside + np.float32(processing.shutter) * (1 - inside)
    return np.asarray(np.rint(grey * 255), np.uint8)


def collimator(shape: tuple[int, ...], field: tuple[float, float, float, float, float], pitch: float) -> Plane:
    """Return the share of the beam (H, W) inside a turned rectangle, with a penumbra of about a millimetre."""
    height, width = shape
    cx, cy, half_w, half_h, degrees = field
    x = np.arange(width, dtype=np.float32)[None, :] - np.float32(cx * width)
    y = np.arange(height, dtype=np.float32)[:, None] - np.float32(cy * height)
    c, s = np.float32(np.cos(np.deg2rad(degrees))), np.float32(np.sin(np.deg2rad(degrees)))
    edge = np.minimum(half_w * width - np.abs(x * c + y * s), half_h * height - np.abs(y * c - x * s))
    return np.asarray(np.clip(edge / np.float32(max(1.2 / pitch, 1)) + 0.5, 0, 1), np.float32)


def wide_blur(plane: Plane, sigma: float) -> Plane:
    """Return a plane blurred by `sigma` pixels, worked out on a coarser grid where that loses nothing."""
    step = max(1, int(sigma / 3))
    height, width = plane.shape
    edge = np.pad(plane, ((0, -height % step), (0, -width % step)), mode="edge")
    small = edge.reshape(edge.shape[0] // step, step, edge.shape[1] // step, step).mean(axis=(1, 3))
    small = ndimage.gaussian_filter(small, sigma / step, mode="nearest", truncate=3)
    return enlarge(small, step)[:height, :width]


def enlarge(plane: Plane, step: int) -> Plane:
    """Return a plane `step` times as large, bilinear, the centres of the cells kept in place."""
    if step == 1:
        return plane
    return _stretch(_stretch(plane, step).T, step).T


def _stretch(plane: Plane, step: int) -> Plane:
    n = plane.shape[0]
    at = np.clip((np.arange(n * step) + 0.5) / step - 0.5, 0, n - 1)
    low = np.minimum(at.astype(int), max(n - 2, 0))
    share = (at - low).astype(np.float32)[:, None]
    return np.asarray(plane[low] * (1 - share) + plane[np.minimum(low + 1, n - 1)] * share, np.float32)


def _heel(shape: tuple[int, ...], exposure: Exposure) -> Plane:
    height, width = shape
    a = np.deg2rad(exposure.heel_degrees)
    x, y = np.linspace(-0.5, 0.5, width, dtype=np.float32), np.linspace(-0.5, 0.5, height, dtype=np.float32)
    return np.asarray(1 - exposure.heel * (x[None, :] * np.cos(a) + y[:, None] * np.sin(a)), np.float32)


def _scatter(primary: Plane, attenuation: Plane, exposure: Exposure, pitch: float) -> Plane:
    # Scatter is born where photons are taken out of the beam and spreads smoothly: a blurred share of them, as much as makes
    # `scatter` of what is detected behind the thickest part.
    born = wide_blur(primary * np.minimum(attenuation, 3), exposure.scatter_mm / pitch)
    peak = float(born.max())
    if peak <= 0 or exposure.scatter <= 0:
        return np.zeros_like(primary)
    behind = float(np.percentile(primary[::5, ::5], 10))
    return born * np.float32(exposure.scatter / (1 - exposure.scatter) * behind / peak)
