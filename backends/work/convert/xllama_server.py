"""llama.cpp's own server out of the package xllamacpp, over one GGUF, until standard input closes.

``URL http://…`` on standard output says where; the rest there is llama.cpp's log. A parent that dies, however it
dies, closes the pipe and so ends the server.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

_F32, _OFF = 0, 0
_IN_FLIGHT = 2


def parameters(arguments: argparse.Namespace) -> Any:
    """As exact as llama.cpp can be: 32-bit cache, plain attention."""
    import xllamacpp

    given: Any = xllamacpp.CommonParams()
    given.model.path = arguments.model
    given.mmproj.path = arguments.mmproj
    given.model_alias = {arguments.alias}
    given.port = 0
    given.n_parallel = _IN_FLIGHT
    given.n_ctx = _IN_FLIGHT * arguments.context
    given.cache_type_k = given.cache_type_v = _F32
    given.flash_attn_type = _OFF
    given.cpuparams.n_threads = arguments.threads
    given.cpuparams_batch.n_threads = arguments.threads
    return given


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="backends.work.convert.xllama_server", description="Serves one GGUF.")
    for name in ("model", "mmproj", "alias"):
        parser.add_argument(name)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--context", type=int, default=1024, help="tokens of a request")
    arguments = parser.parse_args(argv)
    import xllamacpp

    server: Any = xllamacpp.Server(parameters(arguments))
    print(f"\nURL {server.listening_address}", flush=True)
    sys.stdin.read()
    # Its threads wait for requests; nothing is to be saved.
    os._exit(0)


if __name__ == "__main__":
    main()
