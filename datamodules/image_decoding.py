"""Decoding of one image file: to the pixels that it shows, or to a reason why it shows none for certain."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

ORIENTATION = 0x0112
"""EXIF's tag of how a picture is rotated; 1 is upright."""
GAMMA = 1 / 2.2
"""The gamma of samples that are shown as they are stored."""


class ImageRefusedError(ValueError):
    """An image file that cannot be decoded to what it shows; the message completes "row 3 …"."""


def decode_image(encoded: bytes, image_shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the pixels that an image file shows, in any mode of Pillow's.

    Palettes, one or 16 bits a sample and other colour spaces become 8 bits of gray or of red, green and blue; gray of
    colours is Pillow's luma; rotated pictures are set upright. The size is checked before anything is decoded. The
    shape is (height, width) for gray, (height, width, 3) for colour.

    Raises:
        ImageRefusedError: the file is damaged, of another size, or what it shows is not defined: several frames,
            transparent pixels, samples without a range, another gamma.
    """
    import PIL.Image

    try:
        with PIL.Image.open(io.BytesIO(encoded)) as image:
            return _pixels(image, image_shape)
    except ImageRefusedError:
        raise
    except Exception as error:  # decoders raise a dozen kinds, DecompressionBombError and struct.error among them
        raise ImageRefusedError(f"is not an image that can be decoded ({type(error).__name__}: {error})") from error


def _pixels(image: Image, image_shape: tuple[int, ...]) -> NDArray[np.uint8]:
    from PIL import ImageOps

    if sorted(image.size) != sorted(image_shape[:2]):
        raise _wrong_shape(image, image_shape)
    if getattr(image, "n_frames", 1) > 1:
        raise ImageRefusedError(f"must be one image, got {getattr(image, 'n_frames', 1)} frames")
    image.load()
    gamma = image.info.get("gamma", GAMMA)
    if abs(gamma - GAMMA) > 0.01 and not {"srgb", "icc_profile"} & image.info.keys():
        raise ImageRefusedError(f"must have the gamma {GAMMA:.5f}, got {gamma:.5f}")
    file_format = image.format
    if image.getexif().get(ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.size != image_shape[1::-1]:
        raise _wrong_shape(image, image_shape)
    image = _opaque(_eight_bits(image, file_format))
    if len(image_shape) == 3:
        return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    if image.mode not in ("L", "1"):
        image = image.convert("RGB")
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def _wrong_shape(image: Image, image_shape: tuple[int, ...]) -> ImageRefusedError:
    return ImageRefusedError(f"must be an image of shape {image_shape}, got {image.size[::-1]}")


def _eight_bits(image: Image, file_format: str | None) -> Image:
    import PIL.Image

    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    # Of these two formats Pillow gives 16 bits as 0 to 65535, whatever the mode; convert("L") would cut, not scale.
    if image.mode == "F" or file_format not in ("PNG", "PPM") or image.has_transparency_data:
        raise ImageRefusedError(f"must have 8 bits a sample, got mode {image.mode} of {file_format}")
    levels = (np.asarray(image).astype(np.int64) + 128) // 257
    return PIL.Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def _opaque(image: Image) -> Image:
    if not image.has_transparency_data:
        return image
    colors = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    if colors.getchannel("A").getextrema() != (255, 255):
        raise ImageRefusedError("must be opaque, got transparent pixels, which show what lies behind them")
    return colors
