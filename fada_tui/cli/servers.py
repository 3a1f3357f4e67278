"""Options of `fada eval` that name a server, and what is said before images go there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fada_tui.cli.context import Context
from fada_tui.cli.errors import UsageError
from fada_tui.cli.queueing import asking
from fada_tui.text import printable

_WITH_URL = ("server_key_env", "allow_http")


def add_server_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("a model on a server (OpenAI protocol: hosted, vLLM, llama.cpp, Ollama)")
    where = group.add_mutually_exclusive_group()
    where.add_argument("--server", metavar="NAME", help="[servers.NAME] of HOME/config.toml")
    where.add_argument("--server-url", metavar="URL", help="a base URL, up to and with /v1; without a key")
    group.add_argument("--server-model", metavar="NAME", help="what the server calls the model")
    group.add_argument("--server-key-env", metavar="NAME", help="with --server-url: the variable that holds the key")
    group.add_argument("--allow-http", action="store_true", help="with --server-url: unencrypted to another machine")
    group.add_argument("--max-requests", type=int, metavar="N", help="stop there; `fada resume` goes on")
    group.add_argument("--max-cost", type=float, metavar="X", help="the same, of money (the server's prices)")
    group.add_argument("--send-images", action="store_true", help="agree that images leave this machine")


def server_options(args: argparse.Namespace, context: Context) -> dict[str, Any]:
    """What plan_eval takes of them.

    Raises:
        UsageError: They do not fit together, or the server cannot be used.
    """
    from backends.jobs.servers import named_server, quick_server

    others = ("server_model", "max_requests", "max_cost", "send_images", *_WITH_URL)
    given = [name for name in others if getattr(args, name)]
    if not args.server and not args.server_url:
        if given:
            raise UsageError(f"{_option(given[0])} without a server", hint="--server NAME or --server-url URL")
        return {}
    for_url = [name for name in given if name in _WITH_URL]
    if args.server and for_url:
        raise UsageError(f"{_option(for_url[0])} is for --server-url", hint="write it into the server's table")
    for name in ("max_requests", "max_cost"):
        value = getattr(args, name)
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{_option(name)} {value:g}: it must be above 0")
    with asking():
        if args.server:
            server = named_server(context.home.config, args.server)
        else:
            key = {"key_env": args.server_key_env} if args.server_key_env else {}
            server = quick_server(args.server_url, **key, allow_http=args.allow_http)
    if args.max_cost is not None and (server.input_price is None or server.output_price is None):
        raise UsageError("--max-cost needs prices", hint="input_price and output_price in the server's table")
    changes = {"model": args.server_model, "max_requests": args.max_requests, "max_cost": args.max_cost}
    server = replace(server, **{name: value for name, value in changes.items() if value is not None})
    if server.model and len(args.models) > 1:
        raise UsageError(
            f"the server's model {server.model} cannot be {len(args.models)} models", hint="name one MODEL a run"
        )
    return {"server": server, "send_images": args.send_images}


def tell_private(plans: Sequence[Mapping[str, Any]]) -> None:
    """A line on standard error where images go to another machine that is not a hosted service."""
    from backends.jobs.servers import LOOPBACK, from_spec

    for part in {str(plan["server"]["base_url"]): plan["server"] for plan in plans if plan.get("server")}.values():
        server = from_spec(part)
        if server.place != LOOPBACK and not server.is_hosted:
            url = printable(server.base_url)
            sys.stderr.write(f"fada: images go to {url}, another machine (not a hosted service)\n")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
