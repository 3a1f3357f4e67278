"""Serve a GGUF model with llama.cpp's own server until standard input closes: MODEL MMPROJ ALIAS.

``URL http://…`` on standard output says where; the rest there is llama.cpp's log. A parent that dies, however it
dies, closes the pipe and so ends the server.
"""

from __future__ import annotations

import os
import sys

import xllamacpp

_F32, _OFF = 0, 0


def parameters(model: str, mmproj: str, alias: str) -> xllamacpp.CommonParams:
    """As exact as llama.cpp can be: 32-bit cache, plain attention. One thread: the machine runs other tests too."""
    given = xllamacpp.CommonParams()
    given.model.path = model
    given.mmproj.path = mmproj
    given.model_alias = {alias}
    given.port = 0
    given.n_parallel = 2
    given.n_ctx = 2 * 1024
    given.cache_type_k = given.cache_type_v = _F32
    given.flash_attn_type = _OFF
    given.cpuparams.n_threads = 1
    given.cpuparams_batch.n_threads = 1
    return given


if __name__ == "__main__":
    server = xllamacpp.Server(parameters(*sys.argv[1:]))
    print(f"\nURL {server.listening_address}", flush=True)
    sys.stdin.read()
    # Its threads wait for requests; nothing is to be saved.
    os._exit(0)
