"""A real HTTP server in a thread that speaks the Hugging Face hub's protocol, and misbehaves where a test says so.

By hand: ``python -m tests.hub_server FOLDER ORG/NAME --rate 300000``, then HF_ENDPOINT=http://127.0.0.1:PORT.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_TestTokenOfNobodyAtAll0123456789"
LARGE = (".safetensors", ".bin", ".pt", ".gguf")
_PIECE = 16 << 10


@dataclass
class Repo:
    """One model. ``gated``: its list is for all, its files only for those with the token; ``private``: neither is."""

    files: dict[str, bytes]
    commit: str = ""
    branches: dict[str, str] = field(default_factory=dict)
    gated: bool = False
    private: bool = False
    licence: str = "apache-2.0"
    claims: dict[str, int] = field(default_factory=dict)
    """Sizes that the list tells instead of the true ones."""

    def __post_init__(self) -> None:
        if not self.commit:
            told = hashlib.sha1(usedforsecurity=False)
            for name, data in sorted(self.files.items()):
                told.update(name.encode() + data)
            self.commit = told.hexdigest()
        self.branches.setdefault("main", self.commit)


@dataclass
class Fault:
    """What happens to the bytes of one file. ``after``: once so many of an answer were sent; ``times``: so often.

    how: ``stall`` (silence), ``cut`` (the connection ends), ``short`` (a whole answer of fewer bytes), ``corrupt``,
    ``whole`` (a Range is not looked at).
    """

    how: str
    after: int = 0
    times: int = 1


class HubServer(ThreadingHTTPServer):
    """``sent`` counts the bytes of each large file; ``rate`` is bytes a second of each connection (0: all at once)."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.repos: dict[str, Repo] = {}
        self.faults: dict[str, Fault] = {}
        self.sent: Counter[str] = Counter()
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.rate = 0.0
        self.status = 200
        self.slow_list_s = 0.0
        self.lock = threading.Lock()
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def elsewhere(self) -> str:
        """The same server by another name: where large files lie."""
        return f"http://localhost:{self.server_address[1]}"

    def add(self, name: str, folder: Path, **more: Any) -> Repo:
        """A checkpoint folder as a model of the hub."""
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
        self.repos[name] = Repo({"README.md": b"a model", **files}, **more)
        return self.repos[name]

    def paths(self, method: str = "GET") -> list[str]:
        with self.lock:
            return [path for how, path, _ in self.seen if how == method]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no fault of the server."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        path = unquote(urlsplit(self.path).path)
        if self.server.status != 200:
            self._answer(self.server.status, b"{}")
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self.server.closing.wait(self.server.slow_list_s)
            self._list(match[1], match[2] or "main")
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(*match.groups())
        elif match := re.fullmatch(r"/large/([^/]+/[^/]+)/(.+)", path):
            self._large(match[2], self.server.repos[match[1]].files[match[2]])
        else:
            self._answer(404, b"{}")

    @property
    def _has_token(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _repo(self, name: str, revision: str) -> Repo | None:
        """None where the refusal was sent."""
        repo = self.server.repos.get(name)
        given = self.headers.get("Authorization")
        if given and not self._has_token and not given.endswith("_OfAnother"):
            self._answer(401, b"{}", {"X-Error-Message": "Invalid credentials in Authorization header"})
        elif repo is None or (repo.private and not self._has_token):
            # Without a token the hub does not tell whether there is such a model.
            self._answer(404 if given else 401, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif revision != repo.commit and revision not in repo.branches:
            self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        else:
            return repo
        return None

    def _list(self, name: str, revision: str) -> None:
        if (repo := self._repo(name, revision)) is None:
            return
        document = {
            "id": name,
            "modelId": name,
            "sha": repo.commit,
            "private": repo.private,
            "gated": "manual" if repo.gated else False,
            "cardData": {"license": repo.licence},
            "siblings": [_sibling(file, data, repo.claims.get(file)) for file, data in repo.files.items()],
        }
        self._answer(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _resolve(self, name: str, revision: str, file: str) -> None:
        if (repo := self._repo(name, revision)) is None:
            return
        if repo.gated and not self._has_token:
            status = 403 if self.headers.get("Authorization") else 401
            self._answer(status, b"{}", {"X-Error-Code": "GatedRepo", "X-Error-Message": f"Access to {name} is gated"})
        elif file not in repo.files:
            self._answer(404, b"{}", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repo.commit})
        elif file.endswith(LARGE):
            data = repo.files[file]
            headers = {
                "Location": f"{self.server.elsewhere}/large/{name}/{file}",
                "X-Repo-Commit": repo.commit,
                "X-Linked-Size": str(len(data)),
                "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"',
                "ETag": f'"{_blob_id(data)}"',
            }
            self._answer(302, b"", headers)
        else:
            data = repo.files[file]
            self._answer(200, data, {"ETag": f'"{_blob_id(data)}"', "X-Repo-Commit": repo.commit})

    def _large(self, name: str, data: bytes) -> None:
        with self.server.lock:
            fault = self.server.faults.get(name)
            if fault is not None and fault.times <= 0:
                fault = None
            elif fault is not None:
                fault.times -= 1
        start = 0
        if (wanted := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))) and not _is(fault, "whole"):
            start = int(wanted[1])
        if start >= len(data):
            self._answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        body = data[start:]
        if _is(fault, "short"):
            body = body[: fault.after] if fault else body
        if _is(fault, "corrupt"):
            body = bytes(byte ^ 255 for byte in body)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if self.command == "GET":
            self._send(name, body, fault)

    def _send(self, name: str, body: bytes, fault: Fault | None) -> None:
        server, begun, sent = self.server, time.monotonic(), 0
        while sent < len(body):
            if fault is not None and fault.how in ("stall", "cut") and sent >= fault.after:
                if fault.how == "stall":
                    server.closing.wait(60)
                self.close_connection = True
                return
            piece = body[sent : sent + _PIECE]
            self.wfile.write(piece)
            sent += len(piece)
            with server.lock:
                server.sent[name] += len(piece)
            if server.rate and server.closing.wait(max(0.0, sent / server.rate - (time.monotonic() - begun))):
                return

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _is(fault: Fault | None, how: str) -> bool:
    return fault is not None and fault.how == how


def _sibling(name: str, data: bytes, claimed: int | None) -> dict[str, Any]:
    size = len(data) if claimed is None else claimed
    large = {"sha256": hashlib.sha256(data).hexdigest(), "size": size, "pointerSize": 130}
    return {
        "rfilename": name,
        "size": size,
        "blobId": _blob_id(data),
        **({"lfs": large} if name.endswith(LARGE) else {}),
    }


def _blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@contextmanager
def hub(port: int = 0) -> Iterator[HubServer]:
    server = HubServer(port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a checkpoint folder as a model of a hub.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("name")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--gated", action="store_true")
    given = parser.parse_args()
    with hub(given.port) as server:
        server.rate = given.rate
        server.add(given.name, given.folder, gated=given.gated)
        print(f"HF_ENDPOINT={server.url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
