"""An RGB picture to the image encoder's input without torch: clip/clip.py `_transform`, open_clip's `image_transform`.

Resize the shorter side to `size` (Pillow) and crop the centre, or resize both sides; scale to 0..1, normalise each
channel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from promptsearch.encoding.bundle import ImageSpec
from promptsearch.errors import BundleError

LONGEST_ASPECT = 16  # times the shorter side
_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_FRAMING = (("shorter-side", "centre"), ("squash", "none"))


class Preprocessing:
    """What one bundle's `ImageSpec` asks for."""

    def __init__(self, spec: ImageSpec) -> None:
        if spec.resample not in _RESAMPLING or (spec.resize, spec.crop) not in _FRAMING:
            raise BundleError(f"image preprocessing {spec.resize}/{spec.resample}/{spec.crop} is not known")
        self.spec = spec
        self._resample = _RESAMPLING[spec.resample]
        # (x / 255 - mean) / std as one multiplication and one addition, float32 [3] each
        std = np.asarray(spec.std, dtype=np.float64)
        self.scale = (1.0 / (255.0 * std)).astype(np.float32)
        self.shift = (-np.asarray(spec.mean) / std).astype(np.float32)

    def crop(self, picture: Image.Image) -> Image.Image:
        """What the encoder sees, `size` x `size` RGB pixels."""
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
        """RGB picture -> float32 [3, size, size]."""
        return self.normalise(np.asarray(self.crop(picture)))

    def normalise(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Cropped pixels, uint8 [..., size, size, 3] -> float32 [..., 3, size, size]."""
        planes = np.moveaxis(crops, -1, -3)
        # Straight into its place: copies of a batch cost more than the arithmetic.
        pixels = np.empty(planes.shape, dtype=np.float32)
        np.multiply(planes, self.scale[:, np.newaxis, np.newaxis], out=pixels)
        pixels += self.shift[:, np.newaxis, np.newaxis]
        return pixels


def _middle(picture: Image.Image) -> Image.Image:
    """The middle of a picture longer than LONGEST_ASPECT: the crop keeps less, and resizing it all could take GBs."""
    width, height = picture.size
    longest = LONGEST_ASPECT * min(width, height)
    if max(width, height) <= longest:
        return picture
    left, top = max(0, width - longest) // 2, max(0, height - longest) // 2
    return picture.crop((left, top, width - left, height - top))  # as much on either side: its centre stays where it is
