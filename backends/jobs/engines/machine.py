"""What this machine offers to jobs, by one sample of it."""

from __future__ import annotations

from backends.jobs.admission import Capacity
from backends.telemetry.sample import Telemetry


def capacity_of(sample: Telemetry) -> Capacity:
    """The first card's VRAM, or where there is none the host's RAM; one slot a core.

    ``external`` is what processes hold that are not in any run's tree.
    """
    gpu = next((gpu for gpu in sample.gpus if gpu.memory_total), None)
    if gpu is not None:
        ours = sum(process.memory or 0 for process in gpu.processes if process.run is not None)
        return Capacity(gpu.memory_total or 0, max(0, (gpu.memory_used or 0) - ours), sample.host.cores, "VRAM")
    ours = sum(job.memory for job in sample.host.jobs)
    external = max(0, sample.host.memory_used - ours)
    return Capacity(sample.host.memory_total, external, sample.host.cores, "RAM")
