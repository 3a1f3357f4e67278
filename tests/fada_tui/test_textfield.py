from __future__ import annotations

import pytest
from textual import events
from textual.app import App, ComposeResult

from fada_tui.widgets.textfield import TextField


class OneField(App[None]):
    def compose(self) -> ComposeResult:
        yield TextField("/an/old/path")


def sent(app: App[None], *keys: tuple[str, str | None]) -> None:
    """As a slow line delivers them: all at once."""
    for key, character in keys:
        app.post_message(events.Key(key, character))


@pytest.mark.parametrize(
    ("first", "typed", "left"),
    [("ctrl+u", "new", "new"), ("backspace", "xy", "/an/old/patxy"), ("home", "no", "no/an/old/path")],
)
async def test_what_follows_an_editing_key_at_once_is_typed_after_it(first: str, typed: str, left: str) -> None:
    app = OneField()
    async with app.run_test() as pilot:
        field = app.query_one(TextField)
        await pilot.press("end")
        sent(app, (first, None), *((letter, letter) for letter in typed))
        await pilot.pause(0.2)
        assert field.value == left
