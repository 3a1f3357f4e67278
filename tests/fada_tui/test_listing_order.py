"""Sorting by any column."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.tracker.rows import Model
from fada_tui.listing.order import FIXED, Known, Order, columns_offered, natural, other_columns, sort_models
from tests.fada_tui.panel import model


def sized(name: str, size: str | None, *values: float, vram: str | None = None) -> Model:
    one = values[0] if len(values) == 1 else None
    return replace(model(name), size=size, size_b=one, sizes_b=values, vram=vram, vram_gb=None, vrams_gb=())


def celled(name: str, **columns: str) -> Model:
    return replace(model(name), columns_json=json.dumps(columns))


def names(models: list[Model]) -> list[str]:
    return [one.name for one in models]


MODELS = [
    sized("ten", "10B", 10),
    sized("none", "-"),
    sized("range", "1-4.5B", 1, 4.5),
    sized("words", "MoE"),
    sized("two", "2B", 2),
]


def test_numbers_then_words_and_what_is_missing_last_both_ways() -> None:
    assert names(sort_models(MODELS, Order("Size"))) == ["range", "two", "ten", "words", "none"]
    assert names(sort_models(MODELS, Order("Size", reverse=True))) == ["ten", "two", "range", "words", "none"]


def test_the_status_by_its_ladder_and_own_words_after() -> None:
    models = [model("a", "Fine-tuned"), model("b", "Dropped"), model("c", "TODO"), model("d", "Proxy tested")]
    assert names(sort_models(models, Order("Status"))) == ["c", "d", "a", "b"]
    assert names(sort_models(models, Order("Status", reverse=True))) == ["a", "d", "c", "b"]


def test_names_as_people_count() -> None:
    models = [model("Model-10"), model("Model-2"), model("model-1")]
    assert names(sort_models(models, Order.by("Name"))) == ["model-1", "Model-2", "Model-10"]


def test_any_column_of_the_note() -> None:
    models = [
        celled("a", Speed="Fast"),
        celled("b", Speed="25.6 tok/s"),
        celled("c", Speed="~3 tok/s"),
        celled("d", Speed="-"),
        celled("e"),
    ]
    assert names(sort_models(models, Order("Speed"))) == ["c", "b", "a", "d", "e"]
    scaled = [celled("a", **{"Active Params": "2B"}), celled("b", **{"Active Params": "900M"})]
    assert names(sort_models(scaled, Order("Active Params"))) == ["b", "a"]


def test_scores_stay_with_their_kind_and_the_best_comes_first() -> None:
    best = {"proxy": (1, 0.9), "gt": (0, 0.7), "gt2": (0, 0.8)}
    known = Known(lambda one: best.get(one.name), lambda one: {"proxy": 3, "gt": 9}.get(one.name))
    models = [model("unknown"), model("proxy"), model("gt"), model("gt2")]
    assert names(sort_models(models, Order.by("Score"), known)) == ["gt2", "gt", "proxy", "unknown"]
    assert names(sort_models(models, Order("Score"), known)) == ["gt", "gt2", "proxy", "unknown"]
    assert names(sort_models(models, Order.by("Runs"), known)) == ["gt", "proxy", "unknown", "gt2"]


def test_the_columns_are_those_that_the_note_has() -> None:
    models = [celled("a", Model="a", Params="8B", Speed="Fast"), celled("b", Model="b", Provider="x", Notes="")]
    assert columns_offered(other_columns(models)) == (*FIXED, "Speed", "Provider")


@pytest.mark.parametrize(
    ("order", "text"),
    [(Order(), ""), (Order(flat=True), "one list"), (Order("VRAM", True), "by VRAM ↓"), (Order("Name"), "by Name ↑")],
)
def test_the_order_is_said(order: Order, text: str) -> None:
    assert order.text == text


@given(st.lists(st.text(max_size=12), max_size=6), st.sampled_from([*FIXED, "Other"]), st.booleans())
def test_whatever_the_cells_hold_nothing_is_lost(cells: list[str], column: str, reverse: bool) -> None:
    models = [
        replace(
            model(f"{cell}{at}", cell, notes=cell), size=cell, size_b=None, columns_json=json.dumps({"Other": cell})
        )
        for at, cell in enumerate(cells)
    ]
    found = sort_models(models, Order(column, reverse))
    assert sorted(names(found)) == sorted(names(models))
    assert names(sort_models(found, Order(column, reverse))) == names(found)


def test_more_digits_than_an_integer_is_read_from() -> None:
    assert natural("v" + "9" * 5000) > natural("v10")
    assert names(sort_models([model("a", notes="9" * 5000), model("b", notes="7")], Order("Notes"))) == ["b", "a"]
