"""Which samples a fine-tune trains on: readable images, not too long, the same after a resume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backends.data.images import ImageError, open_image
from backends.data.sample import Sample
from backends.jobs.files import read_json, write_json
from backends.jobs.job import Job, JobError
from backends.work.training.lengths import Counted

LEFT_OUT = "left_out.json"
"""In the run's directory: ids of the samples that are not trained on, with the reason."""
TOO_MANY = 0.05
"""Share of unreadable images beyond which the data are at fault."""
TOLD = 3


@dataclass(frozen=True)
class Chosen:
    """What is trained on, and what is not: ids with the reason."""

    samples: list[Sample]
    unreadable: Mapping[str, str]
    too_long: Mapping[str, str]

    def facts(self) -> dict[str, int]:
        """For the summary."""
        counts = {"unreadable_samples": len(self.unreadable), "too_long_samples": len(self.too_long)}
        return {name: count for name, count in counts.items() if count}


def readable(job: Job, samples: Sequence[Sample], failed: Sequence[str], going_on: bool) -> Chosen:
    """The samples without those of ``failed`` images (paths); of a run that goes on, without those that it left out.

    Raises:
        JobError: No image can be read, or more than :data:`TOO_MANY` of them cannot.
    """
    before = read_json(job.dir / LEFT_OUT) if going_on else None
    if before is not None:
        # Mended since or broken since: the order of the samples must stay as it was.
        unreadable, too_long = dict(before.get("unreadable") or {}), dict(before.get("too_long") or {})
        kept = [sample for sample in samples if sample.id not in unreadable and sample.id not in too_long]
        return Chosen(kept, unreadable, too_long)
    bad = set(failed)
    reasons: dict[str, str] = {}
    for sample in samples:
        if sample.image_path in bad and sample.image_path not in reasons:
            reasons[sample.image_path] = _reason(sample) if len(reasons) < TOLD else "it cannot be read"
    kept = [sample for sample in samples if sample.image_path not in bad]
    out = {sample.id: reasons[sample.image_path] for sample in samples if sample.image_path in bad}
    if out:
        _tell(job, list(reasons.values()), len(out), len(samples), {sample.image_path for sample in samples})
    _keep(job, out, {})
    return Chosen(kept, out, {})


def short_enough(job: Job, chosen: Chosen, counted: Counted, max_length: int | None) -> Chosen:
    """The samples of at most ``max_length`` tokens; the others are never cut, as that would cut their answers.

    Raises:
        JobError: None is left.
    """
    if max_length is None or chosen.too_long:
        return chosen
    long = {
        sample.id: f"{tokens} tokens"
        for sample, (tokens, _) in zip(chosen.samples, counted.each, strict=True)
        if tokens > max_length
    }
    if not long:
        return chosen
    longest = max(tokens for tokens, _ in counted.each)
    text = f"{len(long)} of {len(chosen.samples)} samples have more than max_length = {max_length} tokens"
    hint = f"the longest has {longest}: raise --set max_length=…, or lower --set max_pixels=…"
    if len(long) == len(chosen.samples):
        raise JobError(f"all {text.partition(' of ')[2]}", hint)
    job.events.message("warning", f"{text} and are left out ({next(iter(long))} first); {hint}")
    _keep(job, chosen.unreadable, long)
    kept = [sample for sample in chosen.samples if sample.id not in long]
    return Chosen(kept, chosen.unreadable, long)


def _tell(job: Job, reasons: list[str], out: int, samples: int, images: set[str]) -> None:
    said = "; ".join(reasons[:TOLD]) + ("; …" if len(reasons) > TOLD else "")
    text = f"{len(reasons)} of {len(images)} images cannot be read ({said})"
    if len(reasons) == len(images) or len(reasons) > max(1, TOO_MANY * len(images)):
        raise JobError(
            f"{text}: too many to train without them", "mend the images, or take their lines out of the data"
        )
    job.events.message("warning", f"{text}: their {out} of {samples} samples are left out")


def _reason(sample: Sample) -> str:
    try:
        open_image(sample)
    except ImageError as error:
        text = str(error)
        return text if sample.image_path in text else f"{sample.image_path}: {text}"
    return f"{sample.image_path}: it cannot be read"


def _keep(job: Job, unreadable: Mapping[str, str], too_long: Mapping[str, str]) -> None:
    write_json(job.dir / LEFT_OUT, {"unreadable": dict(unreadable), "too_long": dict(too_long)})
