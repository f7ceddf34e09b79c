"""Preprocessing of RGB pictures for the image encoder, without torch.

Source: `_transform` of clip/clip.py and `image_transform` of open_clip. Resize the shorter side to `size` with Pillow
and crop the centre, or resize both sides; scale to 0..1; normalise each channel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from promptsearch.encoding.bundle import ImageSpec
from promptsearch.errors import BundleError

LONGEST_ASPECT = 16  # ratio of the sides, above which the ends are cut off before resizing
_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_FRAMING = (("shorter-side", "centre"), ("squash", "none"))


class Preprocessing:
    """The preprocessing that a bundle's `ImageSpec` describes. Raises BundleError if it is unknown."""

    def __init__(self, spec: ImageSpec) -> None:
        if spec.resample not in _RESAMPLING or (spec.resize, spec.crop) not in _FRAMING:
            raise BundleError(f"unknown image preprocessing {spec.resize}/{spec.resample}/{spec.crop}")
        self.spec = spec
        self._resample = _RESAMPLING[spec.resample]
        # (x / 255 - mean) / std as one multiplication and one addition, float32 [3] each
        std = np.asarray(spec.std, dtype=np.float64)
        self.scale = (1.0 / (255.0 * std)).astype(np.float32)
        self.shift = (-np.asarray(spec.mean) / std).astype(np.float32)

    def crop(self, picture: Image.Image) -> Image.Image:
        """Return the part of a picture that the encoder sees, `size` x `size` RGB pixels."""
        size = self.spec.size
        if self.spec.resize == "squash":
            return picture.resize((size, size), self._resample)
        picture = _middle(picture)
        width, height = picture.size
        # torchvision's Resize truncates the longer side, CenterCrop rounds half to even.
        upright = width <= height
        scaled = (size, int(size * height / width)) if upright else (int(size * width / height), size)
        left, top = round((scaled[0] - size) / 2.0), round((scaled[1] - size) / 2.0)
        return picture.resize(scaled, self._resample).crop((left, top, left + size, top + size))

    def __call__(self, picture: Image.Image) -> NDArray[np.float32]:
        """Return the encoder's input for an RGB picture, float32 [3, size, size]."""
        return self.normalise(np.asarray(self.crop(picture)))

    def normalise(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Normalise cropped pixels, uint8 [..., size, size, 3] -> float32 [..., 3, size, size]."""
        planes = np.moveaxis(crops, -1, -3)
        # Written in place: copies of a batch cost more than the arithmetic.
        pixels = np.empty(planes.shape, dtype=np.float32)
        np.multiply(planes, self.scale[:, np.newaxis, np.newaxis], out=pixels)
        pixels += self.shift[:, np.newaxis, np.newaxis]
        return pixels


def _middle(picture: Image.Image) -> Image.Image:
    """Return the middle of a very long picture: the crop keeps less, and resizing all of it could take gigabytes."""
    width, height = picture.size
    longest = LONGEST_ASPECT * min(width, height)
    if max(width, height) <= longest:
        return picture
    left, top = max(0, width - longest) // 2, max(0, height - longest) // 2
    return picture.crop((left, top, width - left, height - top))  # the same on both sides, so the centre stays
