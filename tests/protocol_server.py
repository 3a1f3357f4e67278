"""A real HTTP server in a thread that speaks the OpenAI chat protocol, and misbehaves where a test says so."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Seen:
    """One request as it came. ``image`` is what the data URL holds; ``at`` is monotonic."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    raw: bytes
    question: str = ""
    image: bytes = b""
    at: float = 0.0


@dataclass(frozen=True)
class Act:
    """What to do instead of answering. ``how``: ``send``, ``hang``, ``cut`` (a length that is not kept), ``drip``."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    how: str = "send"


Plan = Callable[["ProtocolServer", Seen], Act | None]


class ProtocolServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, plan: Plan | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plan = plan or (lambda server, seen: None)
        self.seen: list[Seen] = []
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.in_flight = self.most_in_flight = 0
        self.delay = 0.0
        self.models_status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def asked(self) -> list[Seen]:
        """The requests for an answer."""
        with self.lock:
            return [seen for seen in self.seen if seen.method == "POST"]

    def times(self, seen: Seen) -> int:
        """How often this very question was asked about this very image, now included."""
        return sum((one.question, one.image) == (seen.question, seen.image) for one in self.asked)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no fault of the server."""


def answer_text(seen: Seen) -> str:
    """The same for the same image and question."""
    return f"answer {hashlib.sha256(seen.image + seen.question.encode()).hexdigest()[:8]}"


def completion(seen: Seen, text: Any = None, finish: str = "stop", **more: Any) -> dict[str, Any]:
    return {
        "object": "chat.completion",
        "model": f"{seen.body.get('model')}-0001",
        "system_fingerprint": "fp_1",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": answer_text(seen) if text is None else text},
            }
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 5},
        **more,
    }


def as_json(document: Any) -> bytes:
    return json.dumps(document).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ProtocolServer

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._note(b"")
        document = as_json({"data": [{"id": "test-model"}]})
        self._send(Act(self.server.models_status, body=document))

    def do_POST(self) -> None:
        seen = self._note(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.in_flight += 1
            server.most_in_flight = max(server.most_in_flight, server.in_flight)
        try:
            if server.delay:
                server.closing.wait(server.delay)
            self._act(seen)
        finally:
            with server.lock:
                server.in_flight -= 1

    def _act(self, seen: Seen) -> None:
        act = self.server.plan(self.server, seen)
        if act is None and seen.body.get("stream"):
            self._stream(seen)
        elif act is None:
            self._send(Act(body=as_json(completion(seen))))
        elif act.how == "hang":
            self.server.closing.wait(30)
            self.close_connection = True
        elif act.how == "cut":
            self._send(act, claimed=len(act.body) + 100)
            self.close_connection = True
        elif act.how == "drip":
            self._drip()
        else:
            self._send(act)

    def _send(self, act: Act, claimed: int | None = None) -> None:
        self.send_response(act.status)
        for name, value in {"Content-Type": "application/json", **act.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(act.body) if claimed is None else claimed))
        self.end_headers()
        self.wfile.write(act.body)
        self.wfile.flush()

    def _drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while not self.server.closing.wait(0.05):
            self.wfile.write(b" ")

    def _stream(self, seen: Seen) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        words = answer_text(seen).split(" ")
        shared = {"model": "streamed", "system_fingerprint": "fp_1"}
        for index, word in enumerate(words):
            delta = {"content": word if index == 0 else f" {word}"}
            self._event({**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        self._event({**shared, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self._event({**shared, "choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 5}})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _event(self, document: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + as_json(document) + b"\n\n")
        self.wfile.flush()

    def _note(self, raw: bytes) -> Seen:
        body = json.loads(raw) if raw else {}
        question, image = "", b""
        for message in body.get("messages", []):
            parts = message["content"] if isinstance(message["content"], list) else []
            for part in parts:
                if part["type"] == "text":
                    question = part["text"]
                else:
                    image = base64.b64decode(part["image_url"]["url"].partition(",")[2])
        seen = Seen(self.command, self.path, dict(self.headers), body, raw, question, image, time.monotonic())
        with self.server.lock:
            self.server.seen.append(seen)
        return seen


@contextmanager
def serving(plan: Plan | None = None) -> Iterator[ProtocolServer]:
    server = ProtocolServer(plan)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
