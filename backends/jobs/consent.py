"""Images leave this machine only where a person has said so, for one host and one data set."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from backends.data.validate import DataReport
from backends.jobs.errors import QueueError
from backends.jobs.servers import Server


class ConsentNeeded(QueueError):
    """``facts`` is a sentence each: what would be sent where."""

    def __init__(self, host: str, facts: tuple[str, ...]) -> None:
        super().__init__(
            f"images would leave this machine for {host}: {facts[0]}",
            hint="--send-images allows it for this run; nothing was queued or sent",
            details=facts[1:],
        )
        self.host = host
        self.facts = facts


def facts_of(server: Server, report: DataReport, samples: int) -> tuple[str, ...]:
    """What will be sent where, in words."""
    scaled = f", scaled to at most {server.image_max_side} pixels" if server.image_max_side else ""
    kilobytes = report.image_bytes / 1e3
    size = f" ({kilobytes / 1e3:,.1f} MB as files)" if kilobytes >= 1e3 else f" ({kilobytes:,.0f} kB as files)"
    images = f"{report.images:,} image{'s' * (report.images != 1)}{size}"
    return (
        f"{images} in {samples:,} request{'s' * (samples != 1)}",
        f"to {server.base_url}, model {server.model}",
        f"each as {server.image_format.upper()}{scaled}, without file names or metadata; "
        "what is written in the pixels (a patient's name) goes with them",
    )


def given_consent(server: Server, report: DataReport, samples: int, agreed: bool) -> dict[str, Any] | None:
    """The spec's record of what was agreed to; None where no image leaves the user's own machines.

    Raises:
        ConsentNeeded: Nobody has agreed yet.
    """
    if not server.is_hosted:
        return None
    if not agreed:
        raise ConsentNeeded(server.host, facts_of(server, report, samples))
    return {
        "host": server.host,
        "data": report.sha256,
        "images": report.images,
        "bytes": report.image_bytes,
        "requests": samples,
        "time": time.time(),
    }


def covers(server: Server, consent: Mapping[str, Any] | None, data_sha256: str | None) -> bool:
    """Whether that consent is for this host and these data."""
    if not server.is_hosted:
        return True
    return (
        bool(consent)
        and consent is not None
        and (consent.get("host"), consent.get("data"))
        == (
            server.host,
            data_sha256,
        )
    )
