from __future__ import annotations

import pytest

from db.tracker.markdown.source import Patch, Source
from db.tracker.reading.links import Linker
from db.tracker.reading.recognise import read_document
from db.tracker.reading.values import ladder_status, parse_memory, parse_size, scores_in_prose


@pytest.mark.parametrize(
    ("text", "value", "values", "variants"),
    [
        ("8B", 8.0, (8.0,), ()),
        ("256M", 0.256, (0.256,), ()),
        ("~2B", 2.0, (2.0,), ()),
        ("2.2b", 2.2, (2.2,), ()),
        ("1-4.5B", None, (1.0, 4.5), ()),
        ("500M - 2B", None, (0.5, 2.0), ()),
        ("4B/12B", None, (4.0, 12.0), ("4B", "12B")),
        ("MoE", None, (), ()),
        ("-", None, (), ()),
        ("", None, (), ()),
        ("8", None, (), ()),
        ("n/a", None, (), ()),
        ("9" * 5000 + "B", None, (), ()),
    ],
)
def test_sizes(text, value, values, variants):
    size = parse_size(text)
    assert (size.value, size.values, size.variants) == (value, values, variants)


@pytest.mark.parametrize(
    ("text", "value", "values"),
    [
        ("~16GB", 16.0, (16.0,)),
        ("<1GB", 1.0, (1.0,)),
        ("~1.2 GiB", 1.2, (1.2,)),
        ("600MB", 0.6, (0.6,)),
        ("~10-16GB", None, (10.0, 16.0)),
        ("Cloud", None, ()),
        ("Low", None, ()),
    ],
)
def test_memory(text, value, values):
    assert (parse_memory(text).value, parse_memory(text).values) == (value, values)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("todo", "TODO"),
        ("Fine tuned", "Fine-tuned"),
        ("PROXY TESTED", "Proxy tested"),
        ("Almost", None),
        ("", None),
        ("✅ Tested", "Tested"),
        ("Tested?", None),
    ],
)
def test_the_ladder(text, status):
    assert ladder_status(text) == status


@pytest.mark.parametrize(
    ("text", "status", "expected"),
    [
        ("81.1% GT (600 samples)", "TODO", [("gt", "cosine", 0.811, 600, False)]),
        ("~75% proxy", "TODO", [("proxy", "keyword", 0.75, None, True)]),
        ("88.9% proxy, then 78.81% GT (1,709 images)", "TODO", [
            ("proxy", "keyword", 0.889, None, False),
            ("gt", "cosine", 0.7881, 1709, False),
        ]),
        ("85,2% GT (1,494 images)", "Done", [("gt", "cosine", 0.852, 1494, False)]),
        ("GT: 81.1% (600 samples)", "Done", [("gt", "cosine", 0.811, 600, False)]),
        ("0.811 GT, n=600", "Done", [("gt", "cosine", 0.811, 600, False)]),
        ("proxy ~.75 (n = 250); v1.0", "Done", [("proxy", "keyword", 0.75, 250, True)]),
        ("1,494% GT", "Done", []),
        ("25.6 tok/s", "TODO", [("perf", "tokens_per_s", 25.6, None, False)]),
        ("0% - domain mismatch", "Tested", [("gt", "cosine", 0.0, None, False)]),
        ("0% - domain mismatch", "TODO", []),
        ("82.9% OpenMed", "Tested", []),
        ("250% GT", "Tested", []),
        ("2x faster", "Tested", []),
        ("acc 71%", "Tested", []),
        ("BLEU: 12%", "Fine-tuned", []),
        ("1,494 images, 50%", "Tested", [("gt", "cosine", 0.5, None, False)]),
        ("81.1 ± 0.3 % GT on 600 samples", "TODO", [("gt", "cosine", 0.811, 600, False)]),
        ("81.1% +/- 0.3% ground-truth (600 images, 3 seeds)", "TODO", [("gt", "cosine", 0.811, 600, False)]),
        ("81.1%GT, 600 samples", "TODO", [("gt", "cosine", 0.811, 600, False)]),
        ("<b>60%</b> proxy", "Tested", [("proxy", "keyword", 0.6, None, False)]),
        ("v1.81% GT", "Tested", []),
        ("**81.1%** GT (600 samples)", "TODO", [("gt", "cosine", 0.811, 600, False)]),
        ("`~75%` [proxy](x)", "TODO", [("proxy", "keyword", 0.75, None, True)]),
        (">80% proxy", "TODO", [("proxy", "keyword", 0.8, None, True)]),
        ("60-70% proxy", "TODO", []),
        ("60% – 70%", "Tested", []),
        ("-5% GT", "Tested", []),
        ("GT 0.7-0.8 %", "TODO", []),
        ("20-25 tok/s, 3%-4%", "TODO", []),
        ("~21.5 tokens/sec", "TODO", [("perf", "tokens_per_s", 21.5, None, True)]),
        ("88.9% proxy - 25.6 tok/s", "TODO", [
            ("proxy", "keyword", 0.889, None, False),
            ("perf", "tokens_per_s", 25.6, None, False),
        ]),
    ],
)  # fmt: skip
def test_scores_in_prose(text, status, expected):
    scores, unclear = scores_in_prose(text, status)
    assert [(s.kind, s.metric, s.value, s.n, s.approximate) for s in scores] == expected
    assert bool(unclear) == ("%" in text and not expected and not text.startswith(("v1", "1,")))


def test_of_two_figures_with_one_word_only_the_one_beside_it_is_taken():
    scores, unclear = scores_in_prose("70%/80% proxy", "Tested")
    assert ([(score.kind, score.value) for score in scores], unclear) == ([("proxy", 0.8)], ["70%"])


def test_a_range_is_listed_whole():
    assert scores_in_prose("60-70% proxy, then 20-25 tok/s", "TODO") == ([], ["60-70% proxy", "20-25 tok/s"])


def test_a_score_column_holds_bare_numbers():
    scores, _ = scores_in_prose("0.811", "Tested", is_score_column=True)
    assert [(score.kind, score.value) for score in scores] == [("gt", 0.811)]
    assert scores_in_prose("0.811", "TODO", is_score_column=True)[0] == []


LINKER = Linker(
    [
        ("InternVL2-2B", (2.0,)),
        ("InternVL2-4B", (4.0,)),
        ("InternVL3-78B", (78.0,)),
        ("Llama-3.2-Vision", (11.0,)),
        ("Gemma-3-Vision", (4.0, 12.0)),
        ("MiniCPM-V-2.6", (8.0,)),
        ("minicpm V 2.6 ", (8.0,)),
        ("Ox", ()),
    ],
    {"the llama": "Llama-3.2-Vision", "gone": "not there"},
)


@pytest.mark.parametrize(
    ("text", "names", "unsure"),
    [
        ("InternVL2-2B/4B", ("InternVL2-2B", "InternVL2-4B"), []),
        ("InternVL2-2B/9B", ("InternVL2-2B",), ["9B"]),
        ("Llama-3.2-Vision-11B", ("Llama-3.2-Vision",), []),
        ("Llama-3.2-Vision-90B", (), ["Llama-3.2-Vision-90B"]),
        ("Gemma-3-Vision-12B, then The  Llama.", ("Gemma-3-Vision", "Llama-3.2-Vision"), []),
        ("**internvl2_4b** (600 to 1,494)", ("InternVL2-4B",), []),
        ("InternVL2 once more", (), ["InternVL2"]),
        ("InternVL or Intern or Chex", (), ["InternVL"]),
        ("InternVL3", (), ["InternVL3"]),
        ("MiniCPM-V-2.6 is one, minicpm-v-2.6 may be either", ("MiniCPM-V-2.6",), ["minicpm-v-2.6"]),
        ("Ox alone", ("Ox",), []),
        ("an ox inside", (), []),
        ("write the paper", (), []),
        ("", (), []),
    ],
)
def test_mentions(text, names, unsure):
    links = LINKER.find(text)
    assert (links.names, [phrase for phrase, _ in links.unsure]) == (names, unsure)


def _read(text: str):
    return read_document(Source.decode(text.encode(), "n.md"))


@pytest.mark.parametrize(
    ("headings", "columns", "expected"),
    [
        ("# Fine-tuning tracker\n## General\n", "Model | Notes", "models"),
        ("## Fine-tuned models\n", "Model | Method | Status", "models"),
        ("## Fine-tuning\n### Others\n", "Model | Method", "finetune"),
        ("## Anything\n", "Model | Train Time (2 samples)", "finetune"),
        ("## Mobile/Edge VLMs (For Deployment)\n", "Model | Size | Speed", "models"),
        ("## Mobile Export Guide\n### Native (No Fine-tuning)\n", "Model | Size", "exports"),
        ("## Anything\n", "Priority | Model | Q4 Size", "exports"),
        ("## Wishes\n", "Priority | Model | Status", "models"),
        ("## Wishes\n", "Priority | Model | Format", "models"),
        ("## General\n", "Model | Train Time | Q4 Size | Status", "models"),
        ("## External Benchmarks\n### X-BENCH\n", "Model | Score", None),
        ("## Summary\n", "Model | Count", None),
    ],
)
def test_which_tables_list_models(headings, columns, expected):
    width = columns.count("|") + 1
    row = " | ".join("Alpha" if name.strip() == "Model" else "x" for name in columns.split("|"))
    document = _read(f"{headings}\n| {columns} |\n|{'---|' * width}\n| {row} |\n\n## Last\n")
    found = {
        "models": [row.name for row in document.models],
        "finetune": [row.model for row in document.finetune],
        "exports": [row.model for row in document.exports],
    }
    assert found == {kind: ["Alpha"] if kind == expected else [] for kind in found}


def test_patches_find_their_place_or_refuse():
    source = Source.decode(b"\xef\xbb\xbfone\r\ntwo\rthree", "n.md")
    assert source.lines == ["one", "two", "three"]
    patched = source.patched([Patch(2, 0, "three", "3"), Patch(1, 1, "w", "WW")])
    assert patched.encode() == b"\xef\xbb\xbfone\r\ntWWo\r3"
    assert patched.patched([Patch(1, 1, "WW", "w"), Patch(2, 0, "3", "three")]) == source
    with pytest.raises(ValueError, match="line 2"):
        source.patched([Patch(1, 0, "one", "1")])
    with pytest.raises(ValueError, match="no line 9"):
        source.patched([Patch(8, 0, "", "x")])
