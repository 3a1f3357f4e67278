"""A sample as the JSON document of `fada gpu --json`, and back. Unsupported is null; memory is in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from backends.telemetry.sample import Gpu, GpuProcess, Host, HostJob, Telemetry


def to_dict(sample: Telemetry) -> dict[str, Any]:
    """``{"time", "gpus": [...], "reason", "host": {...}, "driver"}``, plain values only, ready for JSON."""
    plain: dict[str, Any] = _lists(asdict(sample))
    return plain


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, tuple | list) else value


def from_dict(document: Mapping[str, Any]) -> Telemetry:
    """The sample again; fields that an older version did not write take their defaults.

    Raises:
        KeyError, TypeError: The document is no sample.
    """
    return Telemetry(
        time=document["time"],
        gpus=tuple(_gpu(gpu) for gpu in document["gpus"]),
        reason=document["reason"],
        host=_host(document["host"]),
        driver=document.get("driver"),
    )


def _gpu(document: Mapping[str, Any]) -> Gpu:
    known = {name: document[name] for name in Gpu.__dataclass_fields__ if name in document}
    processes = tuple(
        GpuProcess(item["pid"], item["memory"], item["user"], item["run"]) for item in document["processes"]
    )
    return Gpu(**known | {"processes": processes, "throttle": tuple(document.get("throttle", ()))})


def _host(document: Mapping[str, Any]) -> Host:
    known = {name: document[name] for name in Host.__dataclass_fields__ if name in document}
    jobs = tuple(HostJob(item["run"], item["memory"]) for item in document.get("jobs", ()))
    return Host(**known | {"jobs": jobs})
