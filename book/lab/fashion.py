"""Fashion-MNIST, when the reader has it: the files as they are distributed, read without a network.

The data set (Xiao, Rasul and Vollgraf, 2017) comes in four files in the format of MNIST: images and
labels, for training and for testing, each a gzipped *idx* file of unsigned bytes. Nothing is
downloaded here. The environment variable ``FASHION_MNIST`` names the folder that holds them;
without it the pages work on the digits of :func:`lab.data.digits`.
"""

import gzip
import math
import os
import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lab import data

VARIABLE = "FASHION_MNIST"
"""The environment variable that names the folder."""

FILES = {
    "X_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "X_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
UNSIGNED_BYTE = 0x08


def read_idx(path: str | Path) -> NDArray[np.uint8]:
    """Read an idx file of unsigned bytes, gzipped or not.

    The format: two zero bytes, one byte for the type of the values, one for the number of axes; the
    length of each axis as a big-endian 32-bit integer; then the values, the last axis running
    fastest.

    Parameters
    ----------
    path : str or Path
        Whether it is compressed is seen by its first bytes, not by its name.

    Raises
    ------
    ValueError
        If the file is not of this format, or shorter or longer than its header says.
    """
    raw = Path(path).read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (EOFError, OSError) as error:
            raise ValueError(f"{path}: the compressed file is damaged ({error})") from error
    if len(raw) < 4 or raw[:2] != b"\0\0":
        raise ValueError(f"{path}: not an idx file, which begins with two zero bytes")
    kind, axes = raw[2], raw[3]
    if kind != UNSIGNED_BYTE:
        raise ValueError(
            f"{path}: values of type 0x{kind:02x}; only unsigned bytes (0x08) are read"
        )
    start = 4 + 4 * axes
    if len(raw) < start:
        raise ValueError(f"{path}: the header ends before its {axes} axes")
    shape = struct.unpack(f">{axes}I", raw[4:start])
    if len(raw) - start != math.prod(shape):
        raise ValueError(
            f"{path}: {len(raw) - start} values for the shape {shape}; is the download complete?"
        )
    return np.frombuffer(raw, dtype=np.uint8, offset=start).reshape(shape)


def load(folder: str | Path) -> dict[str, NDArray[np.uint8]]:
    """Read the four files: ``X_train``, ``y_train``, ``X_test`` and ``y_test``, as raw bytes.

    Images are (N, 28, 28), labels (N,). Each file may end in ``.gz`` or have been unpacked.

    Raises
    ------
    FileNotFoundError
        If a file is missing; the message names it.
    ValueError
        If a file is damaged, or if images and labels differ in number.
    """
    found = {}
    for key, name in FILES.items():
        paths = [Path(folder) / (name + ending) for ending in (".gz", "")]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise FileNotFoundError(f"{paths[0]} is missing")
        found[key] = read_idx(path)
    for part in ("train", "test"):
        images, labels = found[f"X_{part}"], found[f"y_{part}"]
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise ValueError(
                f"{folder}: {part} images of shape {images.shape}, labels of shape {labels.shape}"
            )
    return found


def splits(
    folder: str | Path, seeds: Iterable[int], train: int = 4000, test: int = 1000
) -> list[data.Split]:
    """Return one random part of the data per seed, as flat rows of grey values from 0 to 255.

    Parameters
    ----------
    folder : str or Path
        Where the four files are.
    seeds : of int
        The same seed draws the same rows.
    train, test : int
        How many rows are drawn from the training files and from the test files: a part, so that an
        experiment of seconds remains one. All rows, where there are fewer.
    """
    raw = load(folder)

    def rows(part: str, rng: np.random.Generator, count: int) -> tuple[data.Array, data.Target]:
        images, labels = raw[f"X_{part}"], raw[f"y_{part}"]
        chosen = rng.permutation(len(images))[:count]
        flat = images[chosen].reshape(len(chosen), -1).astype(np.float64)
        return flat, labels[chosen].astype(np.int64)

    made = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        X_train, y_train = rows("train", rng, train)
        X_test, y_test = rows("test", rng, test)
        made.append(data.Split(X_train, y_train, X_test, y_test))
    return made


def images(seeds: Iterable[int], test_size: int = 360) -> tuple[str, list[data.Split]]:
    """Return the name of a data set and one split per seed: Fashion-MNIST, or else the digits.

    Fashion-MNIST is taken when the environment variable ``FASHION_MNIST`` names its folder; a
    folder without the files is an error, not a reason to use something else in silence.
    """
    folder = os.environ.get(VARIABLE)
    if folder:
        return "Fashion-MNIST", splits(folder, seeds)
    return "digits", data.splits(data.digits(), seeds, test_size)
