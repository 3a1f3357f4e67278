"""The OpenAI chat protocol as plain data: what is sent, and what an answer says. No network here."""

from __future__ import annotations

import base64
import io
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from backends.jobs.servers import Server
from backends.models.base import Generation, Message
from backends.models.prompts import fold_system

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?")
_LIMITS = (("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
           ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
           ("x-ratelimit-remaining", "x-ratelimit-reset"), ("ratelimit-remaining", "ratelimit-reset"))  # fmt: skip


class HalfAnswer(ValueError):
    """What came is no whole answer."""


@dataclass(frozen=True)
class Answered:
    """One answer as the server gave it; tokens are None where it does not count them."""

    text: str
    finish: str | None
    prompt_tokens: int | None
    output_tokens: int | None
    model: str | None
    fingerprint: str | None
    first_token_s: float | None = None


def data_url(image: Image.Image, server: Server) -> str:
    """The pixels and nothing else: no metadata, no name."""
    side = server.image_max_side
    if side and max(image.size) > side:
        scale = side / max(image.size)
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        image = image.resize(size, Image.Resampling.LANCZOS)
    # A copy of the pixels alone: Pillow would write comments and profiles that it has read.
    bare = Image.frombytes("RGB", image.size, image.convert("RGB").tobytes())
    file = io.BytesIO()
    if server.image_format == "jpeg":
        bare.save(file, "JPEG", quality=server.image_quality)
    else:
        bare.save(file, "PNG")
    return f"data:image/{server.image_format};base64,{base64.b64encode(file.getvalue()).decode()}"


def payload(
    server: Server, generation: Generation, messages: Sequence[Message], image: str, stream: bool = False
) -> dict[str, Any]:
    """The body of a request; ``image`` is the data URL."""
    asked = list(messages) if server.system_role else fold_system(messages)
    body: dict[str, Any] = {"model": server.model, "messages": [_message(one, image) for one in asked]}
    if server.token_limit != "none":
        body[server.token_limit] = generation.max_new_tokens
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return {**body, **server.parameters}


def _message(message: Message, image: str) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": image}} if item["type"] == "image" else dict(item)
        for item in message["content"]
    ]
    if all(part["type"] == "text" for part in parts):
        return {"role": message["role"], "content": "\n".join(part["text"] for part in parts)}
    return {"role": message["role"], "content": parts}


def read_answer(document: Any) -> Answered:
    """The answer in a ``chat.completion`` object. An empty one is an answer.

    Raises:
        HalfAnswer: It is no such object.
    """
    try:
        choice = document["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        text = message.get("content")
        if isinstance(text, list):
            text = "".join(part.get("text") or "" for part in text)
        if text is None:
            text = message.get("refusal") or ""
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise HalfAnswer(f"the answer is no chat completion: {_beginning(document)}") from error
    if not isinstance(text, str):
        raise HalfAnswer(f"the answer's content is no text: {_beginning(text)}")
    return _answered(document, text, finish)


def read_stream(lines: Iterator[str], start: float) -> Answered:
    """The answer of a stream of server-sent events, with the seconds from ``start`` to its first text.

    Raises:
        HalfAnswer: It ended before it was whole, or holds something else.
    """
    text, whole = "", False
    finish: str | None = None
    first: float | None = None
    last: dict[str, Any] = {}
    for line in lines:
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            whole = True
            break
        chunk = _object(data)
        if "error" in chunk:
            raise HalfAnswer(f"the stream says {_beginning(chunk['error'])}")
        last = {**last, **{key: value for key, value in chunk.items() if value is not None}}
        for choice in chunk.get("choices") or ():
            said = (choice.get("delta") or {}).get("content") or ""
            if said and first is None:
                first = time.perf_counter() - start
            text += said
            finish = choice.get("finish_reason") or finish
    if not whole and finish is None:
        raise HalfAnswer("the stream ended before the answer did")
    answer = _answered(last, text, finish)
    return Answered(**{**vars(answer), "first_token_s": first})


def _answered(document: Mapping[str, Any], text: str, finish: Any) -> Answered:
    usage = document.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Answered(
        text.strip(),
        None if finish is None else str(finish),
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
        _text(document.get("model")),
        _text(document.get("system_fingerprint")),
    )


def _object(data: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise HalfAnswer(f"no JSON: {_beginning(data)}") from error
    if not isinstance(document, dict):
        raise HalfAnswer(f"no JSON object: {_beginning(data)}")
    return document


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _text(value: Any) -> str | None:
    return value[:200] if isinstance(value, str) and value else None


def _beginning(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 120 else f"{text[:120]}…"


def error_words(body: str) -> tuple[str, str]:
    """Message and code of an error's body, whatever its form."""
    try:
        document: Any = json.loads(body)
    except ValueError:
        return _beginning(" ".join(body.split())), ""
    if isinstance(document, list) and document:
        document = document[0]  # Google's
    found = document.get("error", document.get("detail", document)) if isinstance(document, dict) else document
    if not isinstance(found, dict):
        return _beginning(found), ""
    codes = " ".join(str(found[key]) for key in ("code", "type", "status") if found.get(key))
    return _beginning(found.get("message") or found), codes


def wait_asked_for(headers: Mapping[str, str], refused: bool, now: float) -> float | None:
    """Seconds until the server wants to be asked again, or None.

    Args:
        refused: The request was turned away: ``Retry-After`` counts then, and any reset time; else only limits whose
            remainder is 0.
        now: Unix time.
    """
    after = headers.get("retry-after-ms")
    if refused and after and after.strip().isdigit():
        return int(after) / 1000
    after = headers.get("retry-after")
    if refused and after:
        seconds = _seconds(after, now)
        if seconds is not None:
            return seconds
    waits = [
        _seconds(headers[reset], now)
        for remaining, reset in _LIMITS
        if reset in headers and headers.get(remaining, "").strip() == "0"
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def _seconds(text: str, now: float) -> float | None:
    """Of ``7``, ``1m30s``, ``20ms``, a Unix time (also in milliseconds) or an HTTP date."""
    from email.utils import parsedate_to_datetime

    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        match = _DURATION.fullmatch(text)
        if match and text:
            days, hours, minutes, seconds, millis = (float(part or 0) for part in match.groups())
            return ((days * 24 + hours) * 60 + minutes) * 60 + seconds + millis / 1000
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - now)
        except ValueError:
            return None
    if number != number or number < 0:
        return None
    if number > 1e11:
        number /= 1000
    return max(0.0, number - now) if number > 1e9 else number
