"""Images of every mode and format against what Pillow shows, pixel by pixel."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from rnnbench.datamodules.image_decoding import ImageRefusedError, decode_image

RGB = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
COLORS = Image.fromarray(RGB)
GRAY = COLORS.convert("L")
SIGNATURE = b"\x89PNG\r\n\x1a\n"
LEVELS = np.linspace(0, 65535, 36).astype(np.uint16).reshape(6, 6)


def encode(image, file_format="png", **options):
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def shown(image):
    """What a viewer shows of it, as gray and in colour."""
    colors = (image.convert("RGBA") if image.has_transparency_data else image).convert("RGB")
    return np.asarray(image if image.mode == "L" else colors.convert("L")), np.asarray(colors)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunk(png, kind, content):
    """A PNG with a chunk of ours before its pixels."""
    place = png.index(b"IDAT") - 4
    return png[:place] + chunk(kind, content) + png[place:]


def interlaced(levels):
    """Gray pixels as an interlaced PNG (Adam7), which Pillow reads but does not write."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = (row for y, x, dy, dx in passes for row in levels[y::dy, x::dx] if len(row))
    height, width = levels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def rotated(orientation, image=COLORS):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(image, exif=exif)


PALETTE = COLORS.quantize(8)
PLAIN = {
    "1": (GRAY.convert("1"), "png", {}),
    "L": (GRAY, "png", {}),
    "P": (PALETTE, "png", {}),
    "P with an unused transparent entry": (PALETTE, "png", {"transparency": 200}),
    "P of a gif": (PALETTE, "gif", {}),
    "RGB": (COLORS, "png", {}),
    "RGB of a bmp": (COLORS, "bmp", {}),
    "RGB with an unused transparent colour": (Image.new("RGB", (6, 6), (9, 8, 7)), "png", {"transparency": (1, 1, 1)}),
    "opaque LA": (GRAY.convert("LA"), "png", {}),
    "opaque RGBA": (COLORS.convert("RGBA"), "png", {}),
    "opaque RGBA of a webp": (COLORS.convert("RGBA"), "webp", {"lossless": True}),
    "CMYK": (COLORS.convert("CMYK"), "tiff", {}),
    "CMYK of a jpeg": (COLORS.convert("CMYK"), "jpeg", {}),
    "YCbCr of a jpeg": (COLORS.convert("YCbCr"), "jpeg", {}),
    "YCbCr of a tiff": (COLORS.convert("YCbCr"), "tiff", {}),
    "gray of a jpeg": (GRAY, "jpeg", {}),
}


@pytest.mark.parametrize(("image", "file_format", "options"), PLAIN.values(), ids=PLAIN)
def test_every_mode_gives_what_pillow_shows(image, file_format, options):
    encoded = encode(image, file_format, **options)
    gray, colors = shown(Image.open(io.BytesIO(encoded)))
    assert np.array_equal(decode_image(encoded, (6, 6)), gray)
    assert np.array_equal(decode_image(encoded, (6, 6, 3)), colors)


@pytest.mark.parametrize("file_format", ["png", "ppm"])
def test_sixteen_bits_are_scaled_to_eight(file_format):
    encoded = encode(Image.fromarray(LEVELS), file_format)
    expected = np.round(LEVELS / 257).astype(np.uint8)
    assert np.array_equal(decode_image(encoded, (6, 6)), expected)
    assert np.array_equal(decode_image(encoded, (6, 6, 3)), np.repeat(expected[..., None], 3, 2))


def test_interlaced_images_and_the_gamma_of_srgb():
    levels = np.asarray(GRAY)
    assert np.array_equal(decode_image(interlaced(levels), (6, 6)), levels)
    assert np.array_equal(decode_image(with_chunk(encode(GRAY), b"gAMA", struct.pack(">I", 45455)), (6, 6)), levels)


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(1, RGB), (2, RGB[:, ::-1]), (3, RGB[::-1, ::-1]), (4, RGB[::-1]), (6, np.rot90(RGB, -1)), (8, np.rot90(RGB))],
)
def test_turned_pictures_are_turned_upright(orientation, upright):
    assert np.array_equal(decode_image(rotated(orientation), (6, 6, 3)), upright)


TRANSPARENT = Image.new("RGBA", (6, 6), (1, 2, 3, 254))
ANIMATED = {"save_all": True, "append_images": [GRAY.transpose(Image.Transpose.ROTATE_90)]}
BOMB = SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)) + encode(GRAY)[33:]
REFUSED = {
    "transparent RGBA": (encode(TRANSPARENT), "must be opaque, got transparent pixels"),
    "transparent LA": (encode(TRANSPARENT.convert("LA")), "must be opaque"),
    "transparent entry": (encode(PALETTE, transparency=PALETTE.getpixel((0, 0))), "must be opaque"),
    "transparent level": (encode(GRAY, transparency=GRAY.getpixel((0, 0))), "must be opaque"),
    "16 bits with a transparent level": (encode(Image.fromarray(LEVELS), transparency=0), "must have 8 bits"),
    "16 bits of a tiff": (encode(Image.fromarray(LEVELS), "tiff"), "must have 8 bits a sample, got mode I;16 of TIFF"),
    "32 bits": (encode(Image.new("I", (6, 6), 70000), "tiff"), "must have 8 bits a sample, got mode I of TIFF"),
    "floats": (encode(Image.new("F", (6, 6), 0.5), "tiff"), "must have 8 bits a sample, got mode F of TIFF"),
    "animated gif": (encode(GRAY, "gif", **ANIMATED), "must be one image, got 2 frames"),
    "animated png": (encode(GRAY, **ANIMATED), "must be one image, got 2 frames"),
    "pages": (encode(GRAY, "tiff", **ANIMATED), "must be one image, got 2 frames"),
    "linear light": (with_chunk(encode(GRAY), b"gAMA", struct.pack(">I", 100000)), "must have the gamma 0.45455"),
    "wrong size": (encode(Image.new("L", (9, 8))), r"shape \(6, 6.*, got \(8, 9\)"),
    "decompression bomb": (BOMB, r"can be decoded \(DecompressionBomb"),
    "truncated": (encode(COLORS)[:-40], "not an image that can be decoded"),
    "damaged pixels": (encode(GRAY).replace(b"IDAT", b"IDAU"), "not an image that can be decoded"),
    "nothing": (b"", "not an image that can be decoded"),
    "text": (b"no image", "not an image that can be decoded"),
}


@pytest.mark.parametrize("image_shape", [(6, 6), (6, 6, 3)])
@pytest.mark.parametrize(("encoded", "message"), REFUSED.values(), ids=REFUSED)
def test_what_shows_no_certain_pixels_is_refused(encoded, message, image_shape):
    with pytest.raises(ImageRefusedError, match=message):
        decode_image(encoded, image_shape)


def test_a_turned_picture_of_the_other_shape():
    encoded = rotated(6, COLORS.crop((0, 0, 6, 4)))
    assert np.array_equal(decode_image(encoded, (6, 4, 3)), np.rot90(RGB[:4], -1))
    with pytest.raises(ImageRefusedError, match=r"shape \(4, 6, 3\), got \(6, 4\)"):
        decode_image(encoded, (4, 6, 3))
