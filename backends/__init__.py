"""Everything that touches a GPU, a model or a process."""

import sys
from typing import Any


class _BeforeTorchvision:
    """Makes torchvision importable beside a torch of another build, just before anything imports it.

    transformers imports torchvision wherever it is installed, so this stands before every such import.
    """

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> None:
        """Finds nothing itself: the usual finders come after it."""
        if name == "torchvision":
            sys.meta_path.remove(cls)
            from backends.models.torchvision_ops import define_missing

            define_missing()


sys.meta_path.insert(0, _BeforeTorchvision)
