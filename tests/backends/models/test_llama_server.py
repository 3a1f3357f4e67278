"""llama.cpp's server as our adapter will meet it: asked over plain HTTP, beside the same weights in transformers."""

from __future__ import annotations

import base64
import io
import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.servers.llama import LlamaServer

# The first of them may have to fetch the converter.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("llama"), pytest.mark.timeout(1800)]

QUESTION = "Which plane is shown?"
ANSWER_TOKENS = 12


@pytest.fixture(scope="module")
def images(phantom_set: dict[str, str]) -> list[Image.Image]:
    """The test split's, at the model's own size: neither program has to scale them."""
    from tests.servers.tiny_gemma import IMAGE_SIZE

    lines = [json.loads(line) for line in Path(phantom_set["test"]).read_text().splitlines()]
    paths = sorted({line["images"][0] for line in lines})
    folder = Path(phantom_set["test"]).parent / "images"
    return [Image.open(folder / path).convert("RGB").resize((IMAGE_SIZE, IMAGE_SIZE)) for path in paths]


def chat(server: LlamaServer, image: Image.Image | None, question: str = QUESTION) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": question}]
    if image is not None:
        png = io.BytesIO()
        image.save(png, "PNG")
        url = "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
        content.insert(0, {"type": "image_url", "image_url": {"url": url}})
    asked = {
        "model": server.model,
        "messages": [{"role": "user", "content": content}],
        "temperature": 0,
        "max_tokens": ANSWER_TOKENS,
        "logprobs": True,
        "top_logprobs": 1,
    }
    return post(server, asked)


def post(server: LlamaServer, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.base_url}/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=240) as reply:
        said: dict[str, Any] = json.load(reply)
    return said


def tokens(reply: dict[str, Any]) -> list[int]:
    return [one["id"] for one in reply["choices"][0]["logprobs"]["content"]]


def first_logprob(reply: dict[str, Any]) -> float:
    return float(reply["choices"][0]["logprobs"]["content"][0]["logprob"])


def test_it_names_its_model(llama_server: LlamaServer) -> None:
    with urllib.request.urlopen(f"{llama_server.base_url}/models", timeout=60) as reply:
        assert [model["id"] for model in json.load(reply)["data"]] == [llama_server.model]


def test_an_answer_has_its_parts(llama_server: LlamaServer, images: list[Image.Image]) -> None:
    reply = chat(llama_server, images[0])
    assert reply["model"] == llama_server.model
    assert isinstance(reply["choices"][0]["message"]["content"], str)
    assert reply["choices"][0]["finish_reason"] in ("stop", "length")
    assert 0 < reply["usage"]["completion_tokens"] <= ANSWER_TOKENS
    without = chat(llama_server, None)
    # 16 tokens of the image, its begin and its end.
    assert reply["usage"]["prompt_tokens"] - without["usage"]["prompt_tokens"] == 18


def test_the_same_question_gets_the_same_answer_alone_and_beside_others(
    llama_server: LlamaServer, images: list[Image.Image]
) -> None:
    alone = [tokens(chat(llama_server, image)) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: tokens(chat(llama_server, image)), images))
    assert together == alone


def test_the_image_decides(llama_server: LlamaServer, images: list[Image.Image]) -> None:
    heard = {round(first_logprob(chat(llama_server, image)), 4) for image in images}
    assert len(heard) == len(images)
    answers = {
        tuple(tokens(chat(llama_server, Image.new("RGB", images[0].size, colour)))) for colour in ("red", "black")
    }
    assert len(answers) == 2


def test_it_answers_as_the_same_weights_do_in_transformers(
    llama_server: LlamaServer, images: list[Image.Image]
) -> None:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(llama_server.checkpoint)
    model = AutoModelForImageTextToText.from_pretrained(llama_server.checkpoint).eval()
    tokenizer = processor.tokenizer
    # llama.cpp writes no blank lines around an image, the processor does: so without its help.
    image_part = tokenizer.boi_token + tokenizer.image_token * processor.image_seq_length + tokenizer.eoi_token
    turns = [{"role": "user", "content": image_part + QUESTION}]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    encoded = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
    encoded["token_type_ids"] = (encoded["input_ids"] == tokenizer.image_token_id).long()
    for image in images:
        pixels = processor.image_processor(image, return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            made = model.generate(
                **encoded,
                pixel_values=pixels,
                max_new_tokens=ANSWER_TOKENS,
                do_sample=False,
                return_dict_in_generate=True,
                output_logits=True,
            )
        expected = made.sequences[0, encoded["input_ids"].shape[1] :].tolist()
        reply = chat(llama_server, image)
        assert tokens(reply) == expected
        # Half floats in two of llama.cpp's steps (a table for GELU, the projector) take the fourth digit.
        assert first_logprob(reply) == pytest.approx(float(made.logits[0][0].log_softmax(-1).max()), abs=3e-3)


@pytest.mark.parametrize("url", ["data:image/png;base64,bm90IGFuIGltYWdl", "data:text/plain,hello"])
def test_what_is_no_image_is_refused_and_the_server_stays(llama_server: LlamaServer, url: str) -> None:
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": QUESTION}]
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(llama_server, {"model": llama_server.model, "messages": [{"role": "user", "content": content}]})
    assert 400 <= refused.value.code < 600
    assert "error" in json.load(refused.value)
    assert chat(llama_server, None)["choices"]
