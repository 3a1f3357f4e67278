"""One request to a server of the OpenAI protocol, made once; what came of it is an answer or one of three refusals.

Redirects are not followed and proxies of the environment not used: images and key go to the named host or nowhere.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from backends.jobs.job import JobError
from backends.jobs.servers import Server, host_of
from backends.models.openai_wire import Answered, HalfAnswer, error_words, read_answer, read_stream, wait_asked_for

CONNECT_S = 10.0
MOST_BYTES = 16 << 20
"""No answer is longer."""
_QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "quota_exceeded", "credit")
_STOPS = ("invalid_api_key", "model_not_found", "api_key_invalid", "api key not valid", "invalid api key")
_AGAIN = (408, 409, 425)


class Again(Exception):
    """Worth another try. ``after``: seconds that the server asks for. ``limited``: it is about the rate, not about
    this request. ``reached``: the server may have begun to answer.
    """

    def __init__(self, words: str, after: float | None = None, *, limited: bool = False, reached: bool = True) -> None:
        super().__init__(words)
        self.after = after
        self.limited = limited
        self.reached = reached


class Refused(Exception):
    """The server will not answer this one question."""


class Connection:
    """Connections to one server. ``key`` is in the header of requests and nowhere else."""

    def __init__(self, server: Server, key: str | None) -> None:
        self.server = server
        self._key = key
        self._url = f"{server.base_url}/chat/completions"
        headers = {"User-Agent": "fada-tui", "Accept-Encoding": "identity"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        try:
            verify: Any = httpx.create_ssl_context(verify=server.ca_file or True, trust_env=False)
            self._client = httpx.Client(
                headers=headers,
                verify=verify,
                trust_env=False,
                follow_redirects=False,
                proxy=server.proxy,
                timeout=httpx.Timeout(server.timeout_s, connect=min(CONNECT_S, server.timeout_s), pool=None),
                limits=httpx.Limits(max_connections=server.concurrency, max_keepalive_connections=server.concurrency),
            )
        except (OSError, ValueError, ImportError) as error:
            raise JobError(f"no connection to {server.host} can be made: {error}", "see proxy and ca_file") from error

    def close(self) -> None:
        self._client.close()

    def without_key(self, text: str) -> str:
        """A server may repeat what it was sent."""
        return text.replace(self._key, "[key]") if self._key else text

    def check(self) -> None:
        """Ask for the list of models, which needs the key and sends no image.

        Raises:
            Again: It could not be asked now.
            JobError: It cannot be used.
        """
        with self._open("GET", f"{self.server.base_url}/models") as response:
            body = self._read(response, time.perf_counter() + self.server.timeout_s)
            if response.status_code in (401, 403, 407) or response.status_code >= 500 or response.is_redirect:
                raise self._refusal(response, body)

    def post(self, body: Mapping[str, Any]) -> tuple[Answered, float | None]:
        """The answer to one request, and how long the server wants no other.

        Raises:
            Again: Try it again.
            Refused: This one will not be answered.
            JobError: None will.
        """
        start = time.perf_counter()
        deadline = start + self.server.timeout_s
        with self._open("POST", self._url, json.dumps(body).encode()) as response:
            if response.status_code != 200:
                raise self._refusal(response, self._read(response, deadline))
            try:
                if response.headers.get("content-type", "").startswith("text/event-stream"):
                    answered = read_stream(_lines(self._chunks(response, deadline)), start)
                else:
                    answered = self._whole(self._read(response, deadline))
            except HalfAnswer as error:
                raise Again(self.without_key(str(error))) from error
            pause = wait_asked_for(response.headers, False, time.time())
        return answered, pause

    def _whole(self, text: str) -> Answered:
        try:
            document = json.loads(text)
        except ValueError as error:
            raise HalfAnswer(f"the answer is no whole JSON ({len(text)} characters)") from error
        if isinstance(document, dict) and document.get("error") and not document.get("choices"):
            words, _ = error_words(text)
            raise HalfAnswer(f"the server says {words}")
        return read_answer(document)

    def _open(self, method: str, url: str, content: bytes | None = None) -> _Opened:
        headers = {"Content-Type": "application/json"} if content is not None else {}
        return _Opened(self, self._client.stream(method, url, content=content, headers=headers))

    def _read(self, response: httpx.Response, deadline: float) -> str:
        return b"".join(self._chunks(response, deadline)).decode("utf-8", "replace")

    def _chunks(self, response: httpx.Response, deadline: float) -> Iterator[bytes]:
        """The body; a server that gives a byte now and then must not be waited for without end."""
        size = 0
        for chunk in response.iter_raw():
            size += len(chunk)
            if size > MOST_BYTES:
                raise Refused(f"the answer is longer than {MOST_BYTES:,} bytes")
            if time.perf_counter() > deadline:
                raise Again(f"no whole answer within {self.server.timeout_s:g} s")
            yield chunk

    def _refusal(self, response: httpx.Response, body: str) -> Exception:
        """What a status other than 200 means: an exception to raise."""
        status, host, model = response.status_code, self.server.host, self.server.model
        message, code = error_words(self.without_key(body))
        said = f"{status} {response.reason_phrase}".strip() + (f": {message}" if message else "")
        if response.is_redirect or 300 <= status < 400:
            to = host_of(response.headers.get("location", "")) or host
            return JobError(f"{host} sends requests on to {to}: not followed", "give the right base_url")
        if status in (401, 407) or any(word in f"{code} {message}".lower() for word in _STOPS):
            what = f"the key in {self.server.key_env}" if self._key else "no key was sent (key_env names its variable)"
            return JobError(f"{host} does not let us in ({said})", f"check {what} and the model's name, then resume")
        if status in (402, 403) or (status == 429 and any(word in code.lower() for word in _QUOTA)):
            return JobError(f"{host} refuses ({said})", "see quota and rights of the account there, then resume")
        if status in (404, 405, 410):
            return JobError(
                f"{host} has no model {model} at {self.server.base_url} ({said})",
                "check base_url and model; the server lists its models at BASE_URL/models",
            )
        if status == 429 or status in _AGAIN or status >= 500:
            after = wait_asked_for(response.headers, True, time.time())
            return Again(said, after, limited=status == 429)
        return Refused(said)


class _Opened:
    """A response as a context, whose transport errors are ours."""

    def __init__(self, connection: Connection, stream: Any) -> None:
        self._connection = connection
        self._stream = stream

    def __enter__(self) -> httpx.Response:
        try:
            response: httpx.Response = self._stream.__enter__()
        except httpx.HTTPError as error:
            raise self._again(error) from None
        return response

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._stream.__exit__(kind, error, trace)
        if isinstance(error, httpx.HTTPError):
            raise self._again(error) from None

    def _again(self, error: httpx.HTTPError) -> Exception:
        """Without the original: what it holds need not be safe to print."""
        server = self._connection.server
        if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL | httpx.LocalProtocolError):
            return JobError(f"{server.host} cannot be asked ({type(error).__name__})", "check base_url and the key")
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            words = self._connection.without_key(str(error)) or type(error).__name__
            return Again(f"{server.host} cannot be reached: {words}", reached=False)
        if isinstance(error, httpx.TimeoutException):
            return Again(f"no answer within {server.timeout_s:g} s")
        return Again(f"the connection was cut ({type(error).__name__})")


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace").rstrip("\r")
    if rest:
        yield rest.decode("utf-8", "replace")
