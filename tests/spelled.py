"""Functions of a file for the tests of the store, whose results can be read off the file."""

import numpy as np
import torch


class Spelled:
    """The bytes of a file, `repeat` times over, and how many there are; counts its calls."""

    def __init__(self, version=1, repeat=1):
        self.version = version
        self.repeat = repeat
        self.n_calls = 0

    @property
    def identity(self):
        config = {"repeat": self.repeat, "mean": [0.5, 0.25]}
        return {"name": "spelled", "version": self.version, "config": config}

    def __call__(self, path):
        self.n_calls += 1
        return spelled(path.read_bytes(), self.repeat)


class Returns:
    """A function that returns what it was told to, whatever the file says."""

    def __init__(self, result, **identity):
        self.identity = {"name": "returns", **identity}
        self.result = result

    def __call__(self, path):
        return self.result


def spelled(content, repeat=1):
    letters = torch.from_numpy(np.frombuffer(content * repeat, np.uint8).copy())
    return {"letters": letters.view(1, -1), "length": torch.tensor(len(letters))}


def same(found, expected):
    """Whether names, types, shapes and values of two results agree."""
    return found.keys() == expected.keys() and all(
        found[name].dtype == tensor.dtype and torch.equal(found[name], tensor)
        for name, tensor in expected.items()
    )
