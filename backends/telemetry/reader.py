"""The process that asks the driver: a line in, a line of JSON out. Its end is the end of its input.

A call into the driver may hang in the kernel, where no signal reaches it, or crash where a card has fallen off the
bus; here it takes nobody along. Whoever asks is driver.py.
"""

from __future__ import annotations

import json
import sys

from backends.telemetry.codec import plain
from backends.telemetry.explain import MISMATCH
from backends.telemetry.nvml import Nvml
from backends.telemetry.xid import XidWatch


def main() -> int:
    nvml, watch = Nvml(), XidWatch()
    for _ in sys.stdin:
        gpus, reason = nvml.read()
        watch.watch(nvml.cards)
        document = {"gpus": gpus, "reason": reason, "driver": nvml.driver, "xids": plain(watch.take())}
        sys.stdout.write(json.dumps(document, separators=(",", ":")) + "\n")
        sys.stdout.flush()
        if nvml.failed == MISMATCH:
            return 0  # the library stays loaded as it is: a new process may find the one that fits
    return 0


if __name__ == "__main__":
    sys.exit(main())
