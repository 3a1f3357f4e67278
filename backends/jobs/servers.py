"""Servers that speak the OpenAI protocol, as ``[servers.NAME]`` of config.toml or a base URL names them.

Nothing here holds a key: a server has the *name* of the variable that does.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backends.jobs.errors import QueueError

LOOPBACK, PRIVATE, PUBLIC = "loopback", "private", "public"
_PRIVATE_NAMES = (".local", ".lan", ".internal", ".home.arpa", ".intranet")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
EXAMPLE = '[servers.NAME] with base_url = "https://HOST/v1", model = "…", key_env = "NAME_OF_THE_VARIABLE"'


@dataclass(frozen=True)
class Server:
    """Money is in whatever currency the prices are given in."""

    base_url: str
    """Up to and with ``/v1``."""
    name: str | None = None
    model: str | None = None
    """What the server calls the model."""
    key_env: str | None = None
    """Name of the variable, in secrets.env or the environment, that holds the key; None sends none."""
    hosted: bool | None = None
    """Whether images leave the user's own machines; None: decided by the address."""
    allow_http: bool = False
    """Unencrypted to another machine."""
    concurrency: int = 4
    """Requests in flight."""
    timeout_s: float = 120.0
    """For one whole answer."""
    retries: int = 5
    max_wait_s: float = 900.0
    """Longer than this nothing is waited for that the server asks: the run stops, to be resumed."""
    max_requests: int | None = None
    max_cost: float | None = None
    input_price: float | None = None
    """Per million tokens, as ``output_price``."""
    output_price: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0})
    """Sent with each request as they stand; ``{}`` sends none (not every model takes a temperature)."""
    token_limit: str = "max_tokens"
    """The parameter that carries the longest answer: ``max_tokens``, ``max_completion_tokens`` or ``none``."""
    max_tokens: int | None = None
    """Longest answer; None: that of the kind of evaluation."""
    system_role: bool = True
    """False: the system text goes before the question."""
    image_format: str = "png"
    image_quality: int = 95
    """Of JPEG."""
    image_max_side: int | None = None
    """Larger images are scaled down to it."""
    stream: bool = True
    """Whether ``perf`` asks for streamed answers, which tell the time to the first token."""
    proxy: str | None = None
    """Proxies of the environment are never used."""
    ca_file: str | None = None

    @property
    def host(self) -> str:
        return host_of(self.base_url)

    @property
    def place(self) -> str:
        return place_of(self.host)

    @property
    def is_hosted(self) -> bool:
        return self.place == PUBLIC if self.hosted is None else self.hosted

    def to_spec(self) -> dict[str, Any]:
        """For the spec; there is no key in it."""
        return {**asdict(self), "parameters": dict(self.parameters), "host": self.host, "hosted": self.is_hosted}


_OWN = {entry.name: entry for entry in fields(Server) if entry.name != "name"}
_CHOICES = {"token_limit": ("max_tokens", "max_completion_tokens", "none"), "image_format": ("png", "jpeg")}
_AT_LEAST = {"retries": 0, "max_cost": 0, "input_price": 0, "output_price": 0}
_OF_THE_PROTOCOL = ("model", "messages", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens")
DECIDES = ("base_url", "model", "parameters", "token_limit", "system_role", "image_format", "image_max_side")
"""What of a server's part in a spec decides the answers."""


def from_spec(part: Mapping[str, Any]) -> Server:
    """The server of a spec; parts that it does not know are ignored."""
    return Server(**{key: value for key, value in part.items() if key in _OWN or key == "name"})


def deciding(part: Mapping[str, Any]) -> dict[str, Any]:
    """What of a spec's ``server`` belongs to its fingerprint."""
    told = {key: part.get(key) for key in DECIDES}
    if part.get("image_format") == "jpeg":
        told["image_quality"] = part.get("image_quality")
    return told


def read_servers(config: Path) -> dict[str, Server]:
    """``[servers]`` of config.toml, by name; empty where there is none.

    Raises:
        QueueError: The file is no TOML, or a server's table is not one.
    """
    try:
        tables = tomllib.loads(config.read_text(encoding="utf-8")).get("servers", {})
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise QueueError(f"not readable as TOML: {error}", str(config), f"write {EXAMPLE}") from error
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise QueueError("servers is no table of servers", str(config), f"write {EXAMPLE}")
    return {name: _server(name, table, f"{config}: servers.{name}") for name, table in tables.items()}


def named_server(config: Path, name: str) -> Server:
    """The server of that name, checked.

    Raises:
        QueueError: There is none, or it cannot be used.
    """
    servers = read_servers(config)
    if name not in servers:
        near = difflib.get_close_matches(name, servers, n=1)
        known = f"did you mean {near[0]}?" if near else f"known: {', '.join(servers) or 'none'}"
        raise QueueError(f"there is no server {name!r}", str(config), f"{known}; write {EXAMPLE}")
    return servers[name]


def quick_server(base_url: str, **given: Any) -> Server:
    """A server by its URL alone. It gets no key unless one is named.

    Raises:
        QueueError: It cannot be used.
    """
    return _server(None, {"base_url": base_url, **given}, "--server-url")


def key_names(config: Path) -> set[str]:
    """The variables that hold keys; of a file that cannot be read none."""
    try:
        tables = tomllib.loads(config.read_text(encoding="utf-8")).get("servers", {})
        return {str(table["key_env"]) for table in tables.values() if table.get("key_env")}
    except (OSError, ValueError, AttributeError, TypeError):
        return set()


def host_of(url: str) -> str:
    return (urlsplit(url).hostname or "").rstrip(".").lower()


def place_of(host: str) -> str:
    """Where a host is by its name or address alone: nothing is looked up, so that nothing can be looked up wrongly."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if host == "localhost" or host.endswith(".localhost"):
            return LOOPBACK
        if _NUMBER.fullmatch(host):
            return PUBLIC  # an address written as one number is taken by resolvers, and may be anybody's
        return PRIVATE if "." not in host or host.endswith(_PRIVATE_NAMES) else PUBLIC
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_loopback:
        return LOOPBACK
    return PRIVATE if address.is_private or address.is_link_local else PUBLIC


def _server(name: str | None, table: Mapping[str, Any], where: str) -> Server:
    for key, value in table.items():
        if key not in _OWN:
            near = difflib.get_close_matches(key, _OWN, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(_OWN)}"
            if "key" in key or "token" in key:
                hint = "a key is never written here: key_env names the variable that holds it"
            raise QueueError(f"there is no setting {key!r} of a server", where, hint)
        _check(key, value, where)
    if "base_url" not in table:
        raise QueueError("a server needs a base_url", where, f"write {EXAMPLE}")
    server = Server(**{**table, "name": name, "base_url": str(table["base_url"]).rstrip("/")})
    _check_url(server, where)
    if server.max_cost is not None and (server.input_price is None or server.output_price is None):
        raise QueueError("max_cost needs input_price and output_price", where, "give both, per million tokens")
    return server


def _check(key: str, value: Any, where: str) -> None:
    """The value as the dataclass has it, not far out of what it can mean."""
    kind = str(_OWN[key].type)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind.startswith("bool"):
        fits = isinstance(value, bool)
    elif kind.startswith(("int", "float")):
        whole = isinstance(value, int) or kind.startswith("float")
        fits = is_number and whole and _AT_LEAST.get(key, 1e-3) <= value < float("inf")
    elif kind.startswith("Mapping"):
        fits = isinstance(value, dict)
    else:
        fits = isinstance(value, str) and value in _CHOICES.get(key, (value,)) and bool(value)
    if not fits:
        choices = f"one of {', '.join(_CHOICES[key])}" if key in _CHOICES else None
        raise QueueError(f"{key} cannot be {value!r}", where, choices)
    if key == "key_env" and not _VARIABLE.fullmatch(value):
        # It may be the key itself: it is not shown.
        raise QueueError("key_env is the name of a variable, not a key", where, 'for instance key_env = "MY_API_KEY"')
    clash = next((one for one in value if one in _OF_THE_PROTOCOL), None) if key == "parameters" else None
    if clash:
        raise QueueError(f"parameters.{clash} is not for the user to set", where, "max_tokens is a setting of its own")


def _check_url(server: Server, where: str) -> None:
    try:
        url = urlsplit(server.base_url)
        url.port  # noqa: B018 - raises where it is no number
    except ValueError as error:
        raise QueueError(f"base_url is no URL: {error}", where, f"write {EXAMPLE}") from error
    if url.username or url.password or url.query or url.fragment:
        raise QueueError(
            "base_url holds more than a place (a user, a password or a query)",
            where,
            "a key goes into HOME/secrets.env, and key_env names it",
        )
    if url.scheme not in ("http", "https") or not url.hostname:
        raise QueueError(f"base_url {server.base_url!r} is no http(s) URL", where, f"write {EXAMPLE}")
    if url.scheme == "http" and server.place != LOOPBACK and not server.allow_http:
        raise QueueError(
            f"{server.base_url} is not encrypted: images and key could be read on the way to {server.host}",
            where,
            "use https, or an SSH tunnel to 127.0.0.1; allow_http = true (--allow-http) sends them all the same",
        )
