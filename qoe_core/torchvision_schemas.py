"""Lets torchvision import beside a CPU-only torch.

A torchvision built for CUDA cannot load its operators there, and its import then stops with
"operator torchvision::nms does not exist". Declaring the two schemas that it registers fake kernels
for is enough; the operators themselves still refuse to run, with torchvision's own message.
"""

import importlib.abc
import importlib.machinery
import sys

import torch

NEEDS_SCHEMAS = "torchvision._meta_registrations"  # the module whose import fails
SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


class SchemaFinder(importlib.abc.MetaPathFinder):
    """Declares the schemas just before torchvision needs them; finds no module itself."""

    library: torch.library.Library | None = None  # schemas vanish when their library is collected

    def find_spec(self, fullname, path=None, target=None) -> importlib.machinery.ModuleSpec | None:
        """Declare the schemas when NEEDS_SCHEMAS is asked for without operators, find nothing."""
        if fullname != NEEDS_SCHEMAS or self.library is not None:
            return None
        if not sys.modules["torchvision.extension"]._has_ops():
            self.library = torch.library.Library("torchvision", "FRAGMENT")
            for schema in SCHEMAS:
                self.library.define(schema)
        return None


def install() -> None:
    """Put one SchemaFinder in front of the import system; a second call changes nothing."""
    if not any(isinstance(finder, SchemaFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, SchemaFinder())
