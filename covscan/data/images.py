"""Sample data from a folder of images: RGB in [0, 1], (3, height, width), float32."""

import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from covscan.config.settings import Settings
from covscan.data.arrays import Array
from covscan.data.contents import Contents
from covscan.data.sampling import choose_rows
from covscan.data.spool import Spool
from covscan.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"))
_USUAL = (224, 224)
_LARGEST = 1 << 22  # pixels; a larger picture has to hold something
_SWELLING = 8192  # pixels for a byte: what a blank page of black and white packs to


def read_images(path: Path, settings: Settings) -> Contents:
    """The images of a folder and its subfolders, or one image, as "image"; the subfolder is the "label".

    Files are taken in the order of their paths. If sizes differ, all are brought to the size that most of
    them have, or to 224 × 224 where no size has the majority: resized until they cover it and cut at the
    centre. Not normalized further.
    """
    _pillow(path)
    files = _files(path)
    index = choose_rows(len(files), settings.samples, settings.seed)
    chosen = [files[number] for number in index]
    size, note = _common_size(chosen)
    labelled = path.is_dir() and all(file.parent != path for file in files)
    classes = sorted({file.relative_to(path).parts[0] for file in files}) if labelled else []
    with Spool() as spool:
        for number, file in zip(index.tolist(), chosen, strict=True):
            sample: dict[str, Any] = {"image": _pixels(file, size)}
            if labelled:
                sample["label"] = classes.index(file.relative_to(path).parts[0])
            spool.add(sample, 1, single=True, index=number)
        kinds = f", {len(classes)} labels from subfolders" if labelled else ""
        description = f"{path.name}: {len(files)} images{kinds}, {note}, RGB in [0, 1], not normalized further"
        target = "label" if labelled else None
        return Contents(spool.runs(), description, len(files), target, spool.folder)


def _pillow(path: Path) -> None:
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "missing-extra",
            f"reading images from {path.name!r} needs Pillow",
            hint="pip install 'covscan[images]'",
        ) from error


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    everything = [file for file in path.rglob("*") if file.is_file()]
    found = [file for file in everything if file.suffix.lower() in SUFFIXES]
    visible = [f for f in found if not any(part.startswith(".") for part in f.relative_to(path).parts)]
    if not visible:
        kinds = Counter(file.suffix or file.name for file in everything)
        raise UsageError(
            "empty-data",
            f"the folder {str(path)!r} holds no images",
            found=", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5)) or "no files",
            hint="a folder is read as images; name a file for other kinds of data",
        )
    return sorted(visible, key=lambda file: file.relative_to(path).as_posix())


def _common_size(files: list[Path]) -> tuple[tuple[int, int], str]:
    """The (width, height) that all images get, and how they get it."""
    sizes: Counter[tuple[int, int]] = Counter()
    for file in files:
        with _opened(file) as image:
            sizes[image.size] += 1
    size, count = sizes.most_common(1)[0]
    if len(sizes) == 1:
        return size, f"{size[0]} × {size[1]}"
    if 2 * count <= len(files):
        size = _USUAL
    return size, f"{len(sizes)} sizes resized and centre-cropped to {size[0]} × {size[1]}"


def _pixels(file: Path, size: tuple[int, int]) -> Array:
    """(3, height, width) float32 in [0, 1]."""
    with _opened(file) as image:
        try:
            if image.mode.startswith(("I", "F")):
                return _deep_gray(image, size)
            return np.asarray(_fitted(image.convert("RGB"), size), np.float32).transpose(2, 0, 1) / np.float32(255)
        except MemoryError:
            raise
        except Exception as error:  # each format has its own decoder, which raises what it likes
            raise _unreadable(file, error) from error


def _deep_gray(image: "Image", size: tuple[int, int]) -> Array:
    """Sixteen-bit gray, which conversion to RGB would clip at 255; floats are taken to lie in [0, 1]."""
    values = np.asarray(image, np.float32) / np.float32(1 if image.mode == "F" else 65535)
    gray = np.asarray(_fitted(_from_array(values), size), np.float32)
    return np.repeat(gray[None], 3, axis=0)


def _from_array(values: Array) -> "Image":
    from PIL.Image import fromarray

    return fromarray(values)


def _fitted(image: "Image", size: tuple[int, int]) -> "Image":
    """Resized until it covers ``size`` and cut at the centre."""
    if image.size == size:
        return image
    scale = max(size[0] / image.width, size[1] / image.height)
    large = (max(size[0], round(image.width * scale)), max(size[1], round(image.height * scale)))
    resized = image.resize(large, resample=2)  # bilinear, with antialiasing where it shrinks
    left, top = (large[0] - size[0]) // 2, (large[1] - size[1]) // 2
    return resized.crop((left, top, left + size[0], top + size[1]))


def _opened(file: Path) -> "Image":
    import PIL.Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of too many pixels, which are counted here
            image = PIL.Image.open(file)
    except MemoryError:
        raise
    except Exception as error:
        raise _unreadable(file, error) from error
    pixels, size = image.width * image.height, file.stat().st_size
    if pixels > max(_LARGEST, _SWELLING * size) or pixels > PIL.Image.MAX_IMAGE_PIXELS:
        image.close()
        raise _unreadable(file, ValueError(f"{pixels:,} pixels in {size:,} bytes"))
    return image


def _unreadable(file: Path, error: Exception) -> UsageError:
    return UsageError(
        "unreadable-data",
        f"{str(file)!r} cannot be read as an image",
        found=str(error),
        hint="remove or replace it",
    )
