"""requests.jsonl of a run: each request to a server and what came of it, so that a budget holds over all attempts."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from backends.jobs.servers import Server
from backends.models.openai_wire import Answered

_PROMPT_TOKENS = 3000
"""Of a prompt with an image, until one was counted."""
_MILLION = 1_000_000


class BudgetUsed(Exception):
    """No other request may be made; the text says which budget is used up."""


class Ledger:
    """Counts and prices requests; used by several threads.

    A request is written down before it is sent. One that the server turned away for its rate, or that never reached
    it, is given back; one whose end is not known (the run was killed) counts, at the price of the dearest one.
    """

    def __init__(self, path: Path, server: Server, longest_answer: int) -> None:
        self._server = server
        self._longest = longest_answer
        self._lock = Lock()
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._number = 0
        self._dearest = self._price(_PROMPT_TOKENS, longest_answer)
        self._spent = 0.0
        self._open: dict[int, float] = {}
        """Requests whose end is not known, with the price that is kept for each."""
        self.requests = 0
        self.finishes: Counter[str] = Counter()
        self.models: dict[str, int] = {}
        """Model names that the server gave, with the number of answers; ``fingerprints`` likewise."""
        self.fingerprints: dict[str, int] = {}
        self.tell: Callable[[str, str], None] = lambda level, text: None
        self._read()

    @property
    def cost(self) -> float:
        """What was spent, and what may have been on requests whose end is not known."""
        return self._spent + sum(self._open.values())

    def begin(self, sample_id: str) -> int:
        """Take one request out of the budget; its number.

        Raises:
            BudgetUsed: There is none left.
        """
        server = self._server
        with self._lock:
            if server.max_requests is not None and self.requests >= server.max_requests:
                raise BudgetUsed(
                    f"the budget of {server.max_requests:,} requests is used up (resume with a higher --max-requests)"
                )
            if server.max_cost is not None and self.cost + self._dearest > server.max_cost:
                raise BudgetUsed(
                    f"the budget of {server.max_cost:g} is used up ({self.cost:.4g}; resume with a higher --max-cost)"
                )
            self._number += 1
            self._began(self._number)
            self._write({"n": self._number, "t": round(time.time(), 3), "id": sample_id})
            return self._number

    def answered(self, number: int, answer: Answered, seconds: float) -> None:
        """Write down what an answer was and cost."""
        line = {
            "n": number,
            "seconds": round(seconds, 4),
            "finish": answer.finish,
            "prompt_tokens": answer.prompt_tokens,
            "output_tokens": answer.output_tokens,
            "model": answer.model,
            "fingerprint": answer.fingerprint,
        }
        with self._lock:
            self._took(line)
            self._write(line)

    def failed(self, number: int, words: str, *, given_back: bool) -> None:
        """Write down that no answer came."""
        line = {"n": number, "failed": words, "given_back": given_back}
        with self._lock:
            self._took(line)
            self._write(line)

    def summary(self) -> dict[str, Any]:
        """Counts over all attempts of the run."""
        priced = self._server.input_price is not None and self._server.output_price is not None
        return {
            "requests": self.requests,
            "cost": round(self.cost, 6) if priced else None,
            "finish_reasons": dict(self.finishes),
            "models": list(self.models),
            "system_fingerprints": list(self.fingerprints),
        }

    def close(self) -> None:
        os.close(self._fd)

    def _price(self, prompt: int, output: int) -> float:
        server = self._server
        return (prompt * (server.input_price or 0) + output * (server.output_price or 0)) / _MILLION

    def _began(self, number: int) -> None:
        self.requests += 1
        self._open[number] = self._dearest

    def _took(self, line: dict[str, Any]) -> None:
        kept = self._open.pop(line["n"], 0.0)
        if "failed" in line:
            # Whether a request that failed half way is charged for is not known.
            self.requests -= line["given_back"]
            self._spent += 0.0 if line["given_back"] else kept
            return
        prompt, output = line["prompt_tokens"], line["output_tokens"]
        price = kept if prompt is None or output is None else self._price(prompt, output)
        self._spent += price
        self._dearest = max(self._dearest, self._price(prompt or 0, self._longest))
        self.finishes[str(line["finish"])] += 1
        for seen, value in ((self.models, line["model"]), (self.fingerprints, line["fingerprint"])):
            if value is not None:
                seen[value] = seen.get(value, 0) + 1

    def _write(self, line: dict[str, Any]) -> None:
        os.write(self._fd, (json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass"))

    def _read(self) -> None:
        """What earlier attempts have done; a last line that was cut off is removed."""
        whole = 0
        with os.fdopen(os.dup(self._fd), "rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                record = json.loads(line)
                if "id" in record:
                    self._number = max(self._number, record["n"])
                    self._began(record["n"])
                else:
                    self._took(record)
        if whole < os.fstat(self._fd).st_size:
            os.ftruncate(self._fd, whole)
