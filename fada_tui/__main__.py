"""Entry point of the ``fada`` command."""

from __future__ import annotations

import sys


def main() -> None:
    from fada_tui.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
