"""The Tracker pane: sections of models, then the checklist by phase."""

from __future__ import annotations

from rich.cells import cell_len
from textual.reactive import reactive

from db.tracker.rows import Item, Model, Section, Tracker
from fada_tui.sources.views import RunList
from fada_tui.widgets.line import Line, Row, left, right, spread
from fada_tui.widgets.lineview import LineView
from fada_tui.widgets.status import Best, best_score, live_line, scores_by_model, scores_of, status_span

_SIZE, _VRAM, _STATUS, _SCORE = 5, 5, 7, 7
_NOTES_FROM = 84
_VRAM_FROM = 44
_SIZE_FROM = 38
_KIND_FROM = 58
_TUNED_FROM = 48


class TrackerPane(LineView):
    """Keys of its rows: ``section:TITLE``, ``model:NAME``, ``phase:TITLE``, ``item:NUMBER``."""

    tracker: reactive[Tracker | None] = reactive(None, repaint=False)
    runs: reactive[RunList] = reactive(RunList, repaint=False)
    filter_text: reactive[str] = reactive("", repaint=False)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.folded: set[str] = set()
        self._marks = 0
        """Cells that the marks of tuned models' scores need."""

    def watch_tracker(self) -> None:
        self.rebuild()

    def watch_runs(self) -> None:
        self.rebuild()

    def watch_filter_text(self, text: str) -> None:
        self.set_title("1 Tracker", f"/ {text}  esc clears" if text else "")
        self.rebuild()

    def toggle(self, key: str) -> None:
        """Fold a section (or phase), or unfold it."""
        self.folded ^= {key}
        self.rebuild()

    def model_at(self, key: str | None) -> Model | None:
        """The model of a row's key."""
        if self.tracker is None or not key or not key.startswith("model:"):
            return None
        name = key.removeprefix("model:")
        return next((model for model in self.tracker.models if model.name == name), None)

    def item_at(self, key: str | None) -> Item | None:
        """The checklist item of a row's key."""
        if self.tracker is None or not key or not key.startswith("item:"):
            return None
        number = int(key.removeprefix("item:"))
        return next((item for item in self.tracker.items if item.number == number), None)

    def first_row(self) -> int:
        """The first model, so that its keys work at once."""
        return next((index for index, row in enumerate(self.rows) if (row.key or "").startswith("model:")), 0)

    def build(self, width: int, height: int) -> list[Row]:
        if self.tracker is None:
            return [Row((("Reading the tracker …", "dim"),))]
        grouped = scores_by_model(self.runs.scores)
        shown = [model for model in self.tracker.models if not model.absent]
        best = {model.name: best_score(model, scores_of(model, grouped)) for model in shown}
        self._marks = max((cell_len(one.tuned) for one in best.values() if one), default=0)
        rows: list[Row] = []
        for section in self.tracker.sections:
            rows += self._section(section, best, width)
        rows += self._items(width)
        if not rows:
            said = "Nothing matches; esc clears the filter." if self.filter_text else "The tracker holds no models."
            hint = "" if self.filter_text else "Import a note: fada import FILE.md"
            return [Row(((said, "dim"),)), Row(((hint, "dim"),))]
        return rows

    def _matches(self, *texts: str | None) -> bool:
        wanted = self.filter_text.casefold().split()
        held = " ".join(text for text in texts if text).casefold()
        return all(word in held for word in wanted)

    def _section(self, section: Section, best: dict[str, Best | None], width: int) -> list[Row]:
        present = [model for model in section.models if not model.absent]
        shown = [m for m in present if self._matches(m.name, m.status, m.size, m.notes, section.title, *m.aliases)]
        if not shown:
            return []
        tested = sum(model.is_tested for model in present)
        key = f"section:{section.title}"
        head = self._head(key, section.title, f"{tested}/{len(present)}", width)
        if key in self.folded and not self.filter_text:
            return [head]
        return [head, *(self._model(model, best[model.name], width) for model in shown)]

    def _head(self, key: str, title: str, figure: str, width: int) -> Row:
        sign = "▸" if key in self.folded and not self.filter_text else "▾"
        return Row(spread(((f"{sign} {title}", "title"),), ((figure, "dim"),), width), key)

    def _model(self, model: Model, best: Best | None, width: int) -> Row:
        run = self.runs.live_of(model)
        word, token = status_span(model.status)
        tail: Line = live_line(run) if run else ((left(word, _STATUS), token), *_score_spans(best, width, self._marks))
        wide = 3 if width >= _NOTES_FROM else 0
        facts = f" {right(_known(model.size), _SIZE + wide)}" if width >= _SIZE_FROM else ""
        if width >= _VRAM_FROM:
            facts += f" {right(_known(model.vram).replace('~', '').replace('GB', 'G'), _VRAM + wide)}"
        columns = _STATUS + _score_width(width, self._marks)
        rest = width - len(facts) - columns - 3
        name = min(48, max(20, rest // 2)) if wide else rest
        notes: Line = ((left(f"  {model.notes or ''}", rest - name), "dim"),) if wide else ()
        padded = spread((), tail, columns) if run else tail
        return Row(
            (("  ", ""), (left(model.name, name), ""), (facts, "dim"), (" ", ""), *padded, *notes),
            f"model:{model.name}",
        )

    def _items(self, width: int) -> list[Row]:
        assert self.tracker is not None
        phases: dict[str, list[Item]] = {}
        for item in self.tracker.items:
            phases.setdefault(item.phase, []).append(item)
        rows: list[Row] = []
        for phase, items in phases.items():
            shown = [item for item in items if self._matches(item.text, phase, *item.models)]
            if not shown:
                continue
            key = f"phase:{phase}"
            rows.append(self._head(key, phase, f"{sum(item.done for item in items)}/{len(items)}", width))
            if key not in self.folded or self.filter_text:
                rows += [_item(item, width) for item in shown]
        return rows


def _known(text: str | None) -> str:
    return text if text and text != "-" else "–"


def _score_width(width: int, marks: int) -> int:
    if width >= _KIND_FROM:
        return _SCORE + 11 + marks
    return _SCORE + (marks if width >= _TUNED_FROM else 0)


def _score_spans(best: Best | None, width: int, marks: int) -> Line:
    """The value, its marks, and in a wide pane its kind and where it comes from.

    What a fine-tune made is marked with its number, or where there is no room for that with the arrow alone.
    """
    if best is None:
        return ((" " * _score_width(width, marks), ""),)
    token = "alarm" if best.alarm else "dim" if best.approximate else ""
    value = best.text if best.metric != "tokens_per_s" else best.text.removesuffix(" t/s")
    if width < _TUNED_FROM:
        signs = f"{best.mark or ' '}{best.tuned[:1]}" if best.tuned else f" {best.mark or ' '}"
        return ((f"{right(value, 5)}{signs}", token),)
    spans: Line = ((f"{right(value, 5)} {best.mark or ' '}", token),)
    if width < _KIND_FROM:
        return (*spans, (left(best.tuned, marks), "dim")) if marks else spans
    kind = "t/s" if best.metric == "tokens_per_s" else best.kind
    return (*spans, (left(f" {kind} {best.source}{best.tuned}", 11 + marks), "dim"))


def _item(item: Item, width: int) -> Row:
    box, token = ("[x]", "good") if item.done else ("[ ]", "")
    text = f" {item.number:>2} {item.text}"
    return Row((("  ", ""), (box, token), (left(text, width - 5), "dim" if item.done else "")), f"item:{item.number}")
