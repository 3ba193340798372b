import sys

import numpy as np
import pytest
from PIL import Image

from covscan.config import Settings
from covscan.data import open_samples
from covscan.data.sampling import choose_rows
from covscan.errors import UsageError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)


def save(path, pixels=PIXELS, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def opened(path, **settings):
    return open_samples(Settings(data=str(path), **settings))


def only(path, **settings):
    (batch,) = opened(path, **settings).batches()
    return batch


def failure(path):
    with pytest.raises(UsageError) as caught:
        opened(path)
    return caught.value


def test_pixels_are_rgb_between_zero_and_one(tmp_path):
    save(tmp_path / "a.png")
    image = only(tmp_path).named["image"]
    assert image.shape == (1, 3, 6, 8)
    assert image.dtype == np.float32
    assert (image[0] == PIXELS.transpose(2, 0, 1) / np.float32(255)).all()
    assert (only(tmp_path / "a.png").named["image"] == image).all()


def test_gray_transparent_and_palette_images_become_rgb(tmp_path):
    gray = PIXELS[:, :, 0]
    save(tmp_path / "gray.png", gray)
    Image.fromarray(np.dstack([PIXELS, gray])).save(tmp_path / "alpha.png")
    Image.fromarray(gray).convert("P").save(tmp_path / "palette.gif")
    images = only(tmp_path).named["image"]
    assert (images[0] == PIXELS.transpose(2, 0, 1) / np.float32(255)).all()
    assert (images[1:] == gray / np.float32(255)).all()


def test_sixteen_bits_and_floats_are_not_clipped(tmp_path):
    deep = np.linspace(0, 65535, 48).astype(np.uint16).reshape(6, 8)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    Image.fromarray((deep / 65535).astype(np.float32)).save(tmp_path / "float.tiff")
    images = only(tmp_path).named["image"]
    assert np.allclose(images, deep / 65535, atol=1e-6)


def test_subfolders_are_labels_and_files_come_in_order_of_their_paths(tmp_path):
    for name in ("dog/b.png", "dog/deep/a.jpg", "cat/z.PNG", ".hidden/x.png", "dog/notes.txt"):
        save(tmp_path / name) if name[-3:] != "txt" else (tmp_path / name).write_text("")
    samples = opened(tmp_path)
    (batch,) = samples.batches()
    assert samples.available == 3
    assert batch.target.tolist() == [0, 1, 1]
    assert list(batch.named) == ["image"]
    assert "3 images, 2 labels from subfolders, 8 × 6, RGB in [0, 1]" in samples.description


def test_images_beside_folders_have_no_labels(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "b" / "a.png")
    assert only(tmp_path).target is None


def test_images_are_chosen_by_hash(tmp_path):
    for number in range(30):
        save(tmp_path / f"{number:02}.png", np.full((4, 4, 3), number, np.uint8))
    batch = only(tmp_path, samples=6, seed=3)
    assert batch.index.tolist() == choose_rows(30, 6, 3).tolist()
    assert np.rint(batch.named["image"][:, 0, 0, 0] * 255).tolist() == batch.index.tolist()


def test_other_sizes_are_brought_to_that_of_the_majority(tmp_path):
    for name in "abc":
        save(tmp_path / f"{name}.png")
    stripes = np.zeros((12, 32, 3), np.uint8)
    stripes[:, 8:24] = 255
    save(tmp_path / "d.png", stripes)
    samples = opened(tmp_path)
    (batch,) = samples.batches()
    image = batch.named["image"][3]
    assert image.shape == (3, 6, 8)
    assert (image[:, :, 1:7] == 1).all()  # the dark sides are what the centre crop cuts off
    assert "2 sizes resized and centre-cropped to 8 × 6" in samples.description


def test_without_a_majority_images_become_224_square(tmp_path):
    save(tmp_path / "a.png", np.full((10, 30, 3), 51, np.uint8))
    save(tmp_path / "b.png", np.full((301, 7, 3), 102, np.uint8))
    images = only(tmp_path).named["image"]
    assert images.shape == (2, 3, 224, 224)
    assert np.allclose(images[0], 0.2)
    assert np.allclose(images[1], 0.4)


def test_a_folder_without_images(tmp_path):
    (tmp_path / "a.parquet").write_text("")
    error = failure(tmp_path)
    assert (error.code, error.found) == ("empty-data", "1 .parquet")
    (tmp_path / "empty").mkdir()
    assert failure(tmp_path / "empty").found == "no files"


@pytest.mark.parametrize("keep", [0, 20, 0.7])
def test_a_damaged_image_is_named(tmp_path, keep):
    path = save(tmp_path / "bad.png", np.random.default_rng(1).integers(0, 256, (50, 50, 3), np.uint8))
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(len(content) * keep)])
    error = failure(tmp_path)
    assert error.code == "unreadable-data"
    assert "bad.png" in error.message


def test_without_pillow(tmp_path, monkeypatch):
    save(tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    error = failure(tmp_path)
    assert (error.code, error.hint) == ("missing-extra", "pip install 'covscan[images]'")
