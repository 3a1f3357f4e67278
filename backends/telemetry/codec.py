"""A sample as the JSON document of `fada gpu --json`, and back. Unsupported is null; memory is in bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from backends.telemetry.sample import Gpu, GpuProcess, Host, HostJob, Mig, Telemetry, Xid


def to_dict(sample: Telemetry) -> dict[str, Any]:
    """``{"time", "gpus": [...], "reason", "host": {...}, "driver"}``, plain values only, ready for JSON."""
    document: dict[str, Any] = _lists(asdict(sample))
    return document


def plain(xids: Sequence[Xid]) -> list[dict[str, Any]]:
    """A part of a sample, in the same form."""
    return [asdict(xid) for xid in xids]


def to_compact(sample: Telemetry) -> dict[str, Any]:
    """The same without what :func:`from_dict` knows by itself: a sample a second is kept for a day."""
    compact: dict[str, Any] = _pruned(to_dict(sample))
    return {"gpus": [], "reason": None} | compact


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, tuple | list) else value


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(item) for key, item in value.items() if item is not None and item != [] and item != {}}
    return [_pruned(item) for item in value] if isinstance(value, list) else value


def from_dict(document: Mapping[str, Any]) -> Telemetry:
    """The sample again; fields that an older version did not write take their defaults.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: The document is no sample.
    """
    return Telemetry(
        time=float(document["time"]),
        gpus=gpus_from(document["gpus"]),
        reason=document.get("reason"),
        host=_host(document["host"]),
        driver=document.get("driver"),
        xids=xids_from(document.get("xids", ())),
        silent_s=document.get("silent_s"),
    )


def gpus_from(documents: Sequence[Mapping[str, Any]]) -> tuple[Gpu, ...]:
    """Cards, as a reader in another process tells them."""
    return tuple(_gpu(document) for document in documents)


def xids_from(documents: Sequence[Mapping[str, Any]]) -> tuple[Xid, ...]:
    return tuple(Xid(item["time"], item["gpu"], item["code"], item["text"]) for item in documents)


_NEEDED: dict[str, Any] = dict.fromkeys(
    ("utilisation", "memory_used", "memory_total", "power_w", "power_limit_w", "temperature_c", "reason")
)


def _gpu(document: Mapping[str, Any]) -> Gpu:
    known = {name: document[name] for name in Gpu.__dataclass_fields__ if name in document}
    processes = tuple(
        GpuProcess(item["pid"], item.get("memory"), item.get("user"), item.get("run"))
        for item in document.get("processes", ())
    )
    mig = tuple(
        Mig(item["index"], item["name"], item["uuid"], item.get("memory_used"), item.get("memory_total"))
        for item in document.get("mig", ())
    )
    rest = {
        "processes": processes,
        "mig": mig,
        "throttle": tuple(document.get("throttle", ())),
        "missing": dict(document.get("missing", {})),
    }
    return Gpu(**_NEEDED | known | rest)


def _host(document: Mapping[str, Any]) -> Host:
    known = {name: document[name] for name in Host.__dataclass_fields__ if name in document}
    jobs = tuple(HostJob(item["run"], item["memory"]) for item in document.get("jobs", ()))
    return Host(**{"cpu": None, "disk_free": None} | known | {"jobs": jobs})
