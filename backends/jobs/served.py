"""What an evaluation of a server's model has in its spec besides: the server, and what was agreed to be sent there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from backends.catalog.resolve import ResolvedModel
from backends.data.validate import DataReport
from backends.jobs.consent import given_consent
from backends.jobs.errors import QueueError
from backends.jobs.keys import check_key
from backends.jobs.servers import Server
from db.home import Home


def served_model(model: ResolvedModel, server: Server, task: str, adapter: int | None) -> tuple[ResolvedModel, Server]:
    """The model as the server calls it, and the server as the task needs it.

    Raises:
        QueueError: The server cannot do this, or nothing says what it calls the model.
    """
    if adapter is not None:
        raise QueueError("--adapter is of a model on this machine", hint="serve the tuned model, and leave it out")
    if task == "zero-shot":
        raise QueueError("zero-shot ranks sentences, which a server of chat models cannot", hint="leave --server out")
    called = server.model or model.source
    if not called:
        raise QueueError(
            f"nothing says what the server calls {model.name}",
            hint="--server-model NAME, or model = … in its table; the server lists them at BASE_URL/models",
        )
    server = replace(server, model=called)
    if task == "perf":
        server = replace(server, concurrency=1)  # latency is that of one question
    return replace(model, source=f"{server.base_url}#{called}"), server


def with_server(
    home: Home, parts: Mapping[str, Any], server: Server, report: DataReport, agreed: bool
) -> dict[str, Any]:
    """The parts of the spec with the server's.

    Raises:
        QueueError: The key is nowhere.
        ConsentNeeded: Images would leave the machine and nobody has agreed to it.
    """
    consent = given_consent(server, report, parts["data"]["samples"], agreed)
    check_key(home, server.key_env)
    generation = {**parts["generation"], "batch_size": 1}
    if server.max_tokens is not None:
        generation["max_new_tokens"] = server.max_tokens
    return {**parts, "generation": generation, "server": {**server.to_spec(), "consent": consent}}
