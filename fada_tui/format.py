"""Numbers as people read them: with units, in few cells, `n/a` for what is not known."""

from __future__ import annotations

NA = "n/a"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(value: float | None) -> str:
    """Bytes in binary units with about three digits: ``21.4 GiB``."""
    if value is None:
        return NA
    scaled = float(value)
    for unit in _UNITS:
        if abs(scaled) < 1000 or unit == _UNITS[-1]:
            break
        scaled /= 1024
    return f"{scaled:.0f} {unit}" if unit == "B" or scaled >= 100 else f"{scaled:.1f} {unit}"


def size_pair(used: float | None, total: float | None) -> str:
    """``21.4/31.8 GiB``, in the unit of the total."""
    if used is None and total is None:
        return NA
    if used is None or total is None:
        return f"{size(used)} of {size(total)}"
    power = 0
    while total / 1024**power >= 1000 and power < len(_UNITS) - 1:
        power += 1
    return f"{used / 1024**power:.1f}/{total / 1024**power:.1f} {_UNITS[power]}"


def duration(seconds: float | None) -> str:
    """``0:41``, ``12:05``, ``3:20:11``; days as ``2d 04:10``."""
    if seconds is None:
        return NA
    whole = max(0, int(seconds + 0.5))
    minutes, secs = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24}d {hours % 24:02d}:{minutes:02d}"
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours else f"{minutes}:{secs:02d}"


def rate(per_second: float | None, unit: str | None) -> str:
    """``3.2 steps/s``; below one a second the other way round: ``4.0 s/step``."""
    if per_second is None or per_second <= 0:
        return NA
    name = unit or "it"
    if name == "bytes":
        return f"{size(per_second)}/s"
    if per_second >= 1:
        return f"{number(per_second)} {name}/s"
    return f"{number(1 / per_second)} s/{name.removesuffix('s') or name}"


def number(value: float | None) -> str:
    """Three significant digits, without an exponent for everyday sizes."""
    if value is None:
        return NA
    if value != value:
        return "NaN"
    magnitude = abs(value)
    if magnitude >= 10000 or 0 < magnitude < 0.0001:
        return f"{value:.2e}"
    if magnitude >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if magnitude >= 10 else f"{value:.3g}"


def percent(fraction: float | None) -> str:
    """``34 %``. 100 only when it is: 0.999 is 99 %."""
    if fraction is None:
        return NA
    whole = int(fraction * 100 + 1e-9) if fraction < 1 else round(fraction * 100)
    return f"{whole} %"


def score(value: float | None, digits: int = 3) -> str:
    return NA if value is None else f"{value:.{digits}f}"


def measured(metric: str, value: float) -> str:
    """A score in what it is measured in: ``515 MiB``, ``116`` tokens a second; shares and seconds as ``0.507``."""
    if metric.endswith("_bytes"):
        return size(value)
    return number(value) if metric.endswith("tokens_per_s") else score(value)


def interval(low: float | None, high: float | None) -> str:
    """``[0.71, 0.77]``, or nothing where there is no interval that is one."""
    return "" if low is None or high is None else f"[{low:.2f}, {high:.2f}]"


def count(value: int | None, noun: str) -> str:
    """``1 job``, ``2 jobs``, ``1,494 images``."""
    if value is None:
        return f"{NA} {noun}s"
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"
