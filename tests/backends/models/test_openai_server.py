"""The adapter against a real server that answers, refuses, hangs, and sends half of what it should."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backends.jobs.job import JobError
from backends.jobs.servers import Server
from backends.models import openai_server
from backends.models.base import Generation, Request, question_messages
from backends.models.openai_http import Refused
from backends.models.openai_server import GivenUp, ServerModel, ServerReply, Stopped
from backends.models.openai_wire import wait_asked_for
from backends.work.ledger import Ledger
from tests.protocol_server import Act, Plan, ProtocolServer, Seen, answer_text, as_json, completion, serving

KEY = "sesame-0123456789"


@pytest.fixture
def server() -> Iterator[ProtocolServer]:
    with serving() as made:
        yield made


@pytest.fixture
def picture() -> Image.Image:
    image = Image.effect_noise((40, 30), 60).convert("RGB")
    image.info |= {"comment": b"JANE DOE", "exif": b"Exif\0\0JANE DOE", "icc_profile": b"JANE DOE"}
    return image


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_server, "FIRST_WAIT_S", 0.01)


class Asking:
    """One model on one server, and its ledger."""

    def __init__(self, folder: Path, url: str, **changes: Any) -> None:
        self.server = Server(**{"base_url": url, "model": "test-model", "timeout_s": 1.0, "retries": 2, **changes})
        self.ledger = Ledger(folder / "requests.jsonl", self.server, 64)
        self.model = ServerModel(self.server, KEY, Generation(), self.ledger)

    def __call__(self, picture: Image.Image, question: str = "Which plane?", system: str | None = None) -> ServerReply:
        return self.model.ask_one(Request(picture, question_messages(question, system)), "images/JANE_DOE.png#Q1")


@pytest.fixture
def ask(tmp_path: Path, server: ProtocolServer) -> Asking:
    return Asking(tmp_path, server.url)


def first(act: Act, times: int = 1) -> Plan:
    """That act for the first requests of each question, then answers."""
    return lambda server, seen: act if server.times(seen) <= times else None


def test_an_answer_and_what_was_sent_for_it(ask: Asking, server: ProtocolServer, picture: Image.Image) -> None:
    reply = ask(picture, system="Be brief.")
    (seen,) = server.asked
    assert reply.text == answer_text(seen) and reply.output_tokens == 5 and reply.finish == "stop"
    assert seen.path == "/v1/chat/completions" and seen.headers["Authorization"] == f"Bearer {KEY}"
    assert seen.body["model"] == "test-model" and seen.body["max_tokens"] == 64 and seen.body["temperature"] == 0
    assert [message["role"] for message in seen.body["messages"]] == ["system", "user"]
    sent = Image.open(io.BytesIO(seen.image))
    assert sent.format == "PNG" and sent.tobytes() == picture.tobytes()
    assert ask.model.revision == "test-model-0001"


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_nothing_but_pixels_and_the_question_goes_out(
    tmp_path: Path, server: ProtocolServer, picture: Image.Image, kind: str
) -> None:
    Asking(tmp_path, server.url, image_format=kind)(picture)
    (seen,) = server.asked
    sent = Image.open(io.BytesIO(seen.image))
    assert b"JANE" not in seen.image and b"JANE" not in seen.raw and not sent.getexif()
    assert str(tmp_path).encode() not in seen.raw and KEY.encode() not in seen.raw
    user = os.environ.get("USER", "no-user")
    assert all(user not in value for name, value in seen.headers.items() if name != "Authorization")


def test_an_image_is_scaled_and_its_form_is_what_was_asked_for(
    tmp_path: Path, server: ProtocolServer, picture: Image.Image
) -> None:
    Asking(tmp_path, server.url, image_format="jpeg", image_max_side=20)(picture)
    sent = Image.open(io.BytesIO(server.asked[0].image))
    assert (sent.format, sent.size) == ("JPEG", (20, 15))


def test_parameters_can_be_left_out_or_be_others(tmp_path: Path, server: ProtocolServer, picture: Image.Image) -> None:
    changes = {"parameters": {}, "token_limit": "max_completion_tokens", "system_role": False}
    Asking(tmp_path, server.url, **changes)(picture, system="Be brief.")
    body = server.asked[0].body
    assert body.keys() == {"model", "messages", "max_completion_tokens"}
    (message,) = body["messages"]
    assert [part.get("text") for part in message["content"]] == [None, "Be brief.\n", "Which plane?"]


def test_proxies_of_the_environment_are_not_used(
    tmp_path: Path, server: ProtocolServer, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert Asking(tmp_path, server.url)(picture).text


@pytest.mark.parametrize(
    "act",
    [
        Act(500, body=b"oops"),
        Act(503, {"Retry-After": "0"}),
        Act(429, {"retry-after-ms": "10"}, as_json({"error": {"message": "slow down"}})),
        Act(how="hang"),
        Act(how="drip"),
        Act(body=b'{"choices": [{"mess', how="cut"),
        Act(body=b'{"choices": [{"message": {"content": "hal'),
        Act(body=b"[]"),
        Act(body=b'{"choices": []}'),
        Act(body=as_json({"choices": [{"message": {"content": {"text": 7}}}]})),
        Act(body=as_json({"error": {"message": "overloaded", "code": 502}})),
        Act(body=b"<html>welcome</html>"),
    ],
)
def test_what_is_no_whole_answer_is_asked_again(
    ask: Asking, server: ProtocolServer, picture: Image.Image, act: Act
) -> None:
    server.plan = first(act)
    assert ask(picture).text == answer_text(server.asked[0]) and len(server.asked) == 2


def test_tries_end(ask: Asking, server: ProtocolServer, picture: Image.Image) -> None:
    server.plan = lambda server, seen: Act(500, body=b"oops")
    with pytest.raises(GivenUp, match=r"3 tries.*500.*oops"):
        ask(picture)
    assert len(server.asked) == 3 and ask.ledger.requests == 3


def test_a_limited_rate_is_waited_for_as_long_as_is_asked(
    ask: Asking, server: ProtocolServer, picture: Image.Image
) -> None:
    server.plan = first(Act(429, {"Retry-After": "1"}))
    ask(picture)
    early, late = server.asked
    assert late.at - early.at >= 1.0
    assert ask.ledger.requests == 1  # what was turned away is not counted


def test_a_wait_that_is_too_long_ends_the_run(tmp_path: Path, server: ProtocolServer, picture: Image.Image) -> None:
    server.plan = first(Act(429, {"Retry-After": "3600"}))
    with pytest.raises(JobError, match="3600 s of waiting"):
        Asking(tmp_path, server.url)(picture)


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}, "does not let us in"),
        (403, {"error": {"message": "no rights"}}, "refuses"),
        (402, {"error": "pay"}, "refuses"),
        (404, {"error": {"message": "no such model", "code": "model_not_found"}}, "no such model"),
        (429, {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}, "quota"),
        (400, [{"error": {"message": "API key not valid.", "status": "INVALID_ARGUMENT"}}], "let us in"),
    ],
)
def test_what_concerns_every_request_ends_the_run_at_once(
    ask: Asking, server: ProtocolServer, picture: Image.Image, status: int, body: Any, says: str
) -> None:
    server.plan = lambda server, seen: Act(status, body=as_json(body))
    with pytest.raises(JobError, match=says) as error:
        ask(picture)
    assert KEY not in str(error.value) and error.value.hint and len(server.asked) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_concerns_one_request_fails_that_one(
    ask: Asking, server: ProtocolServer, picture: Image.Image, status: int
) -> None:
    server.plan = lambda server, seen: Act(status, body=as_json({"error": {"message": "image too small"}}))
    with pytest.raises(Refused, match="image too small"):
        ask(picture)
    assert len(server.asked) == 1


def test_a_redirect_is_not_followed(ask: Asking, server: ProtocolServer, picture: Image.Image) -> None:
    with serving() as other:
        server.plan = lambda server, seen: Act(307, {"Location": f"{other.url}/chat/completions"})
        with pytest.raises(JobError, match="not followed"):
            ask(picture)
        assert other.seen == []


def test_a_server_that_is_not_there(tmp_path: Path, picture: Image.Image) -> None:
    with serving() as gone:
        url = gone.url
    model = Asking(tmp_path, url, retries=1)
    with pytest.raises(JobError, match="cannot be reached"):
        model(picture)
    with pytest.raises(JobError, match="cannot be reached"):
        model.model.check()
    assert model.ledger.requests == 0


def test_the_check_sends_no_image_and_finds_a_bad_key(ask: Asking, server: ProtocolServer) -> None:
    ask.model.check()
    server.models_status = 404  # not every server lists its models
    ask.model.check()
    server.models_status = 401
    with pytest.raises(JobError, match="let us in"):
        ask.model.check()
    assert server.asked == []


@pytest.mark.parametrize(
    ("content", "finish", "text"),
    [
        ("", "stop", ""),
        (None, "content_filter", ""),
        ("The pla", "length", "The pla"),
        ([{"type": "text", "text": "Fe"}, {"type": "text", "text": "mur"}], "stop", "Femur"),
        (f"you sent {KEY}", "stop", "you sent [key]"),
    ],
)
def test_answers_are_what_they_are(
    ask: Asking, server: ProtocolServer, picture: Image.Image, content: Any, finish: str, text: str
) -> None:
    def plan(server: ProtocolServer, seen: Seen) -> Act:
        document = completion(seen, "", finish)
        document["choices"][0]["message"]["content"] = content
        return Act(body=as_json(document))

    server.plan = plan
    reply = ask(picture)
    assert (reply.text, reply.finish) == (text, finish)
    assert ask.ledger.summary()["finish_reasons"] == {finish: 1}


def test_a_refusal_in_words_is_the_answer(ask: Asking, server: ProtocolServer, picture: Image.Image) -> None:
    message = {"content": None, "refusal": "I cannot help with that."}
    server.plan = lambda server, seen: Act(body=as_json({"choices": [{"message": message}]}))
    reply = ask(picture)
    assert reply.text == "I cannot help with that." and reply.output_tokens is None


def test_a_stream_tells_its_first_text_and_must_be_whole(
    ask: Asking, server: ProtocolServer, picture: Image.Image
) -> None:
    half = b'data: {"choices": [{"delta": {"content": "ans"}}]}\n\n'
    server.plan = first(Act(headers={"Content-Type": "text/event-stream"}, body=half))
    ask.model.stream = True
    reply = ask(picture)
    assert len(server.asked) == 2 and reply.text == answer_text(server.asked[1]) and reply.output_tokens == 5
    assert reply.first_token_s is not None and 0 < reply.first_token_s <= reply.seconds


def test_who_is_told_to_stop_waits_no_longer(ask: Asking, server: ProtocolServer, picture: Image.Image) -> None:
    def plan(server: ProtocolServer, seen: Seen) -> Act:
        ask.model.stop()
        return Act(503, {"Retry-After": "500"})

    server.plan = plan
    with pytest.raises(Stopped):
        ask(picture)


@pytest.mark.parametrize(
    ("headers", "refused", "seconds"),
    [
        ({"retry-after": "7"}, True, 7),
        ({"retry-after": "7"}, False, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:20:00 GMT"}, True, 200),
        ({"retry-after-ms": "250"}, True, 0.25),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30s"}, False, 90),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20ms"}, False, 0.02),
        ({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "20s"}, True, None),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "12"}, False, 12),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000030000"}, False, None),
        ({"retry-after": "soon"}, True, None),
        ({"retry-after": "-3"}, True, None),
        ({"retry-after": "nan"}, True, None),
    ],
)
def test_how_long_a_server_wants_to_be_left_alone(headers: dict[str, str], refused: bool, seconds: Any) -> None:
    if headers.get("x-ratelimit-reset") == "1700000030000":
        assert wait_asked_for(headers, refused, 1700000000.0) == pytest.approx(30)
    else:
        assert wait_asked_for(headers, refused, 1000.0) == seconds
