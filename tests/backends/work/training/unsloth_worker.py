"""The worker with the real unsloth on a machine without a card, as far as its code runs there.

    python -P tests/backends/work/training/unsloth_worker.py --home HOME --run ID

unsloth's own switch lets its GPU code be imported without a device. What then still asks for one is told a word: two
probes of the card, and pinned memory. Its Triton kernels and its compiler do not run; its loading, patched forward,
LoRA, switches between training and answering, and saving do.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4]))
os.environ |= {"UNSLOTH_ALLOW_CPU": "1", "UNSLOTH_COMPILE_DISABLE": "1", "UNSLOTH_SKIP_TORCHVISION_CHECK": "1"}

import backends  # noqa: F401 - before torchvision
from backends import worker
from backends.models import unsloth_import


def main() -> int:
    unsloth_import._no_card = lambda spec: None
    import_first = unsloth_import.import_first

    def import_and_quieten(spec: dict[str, object], folder: Path) -> None:
        import_first(spec, folder)
        if "unsloth" not in sys.modules:
            return
        from unsloth.models import vision

        vision.get_device_stats = lambda *given, **named: ("no card", "", 1.0)
        vision.verify_fp8_support_if_applicable = lambda *given, **named: None
        from backends.models.unsloth_loader import UnslothOptions

        UnslothOptions.__init__.__defaults__ = (None, True)  # not "unsloth": that pins memory

    unsloth_import.import_first = import_and_quieten
    return worker.main()


if __name__ == "__main__":
    sys.exit(main())
