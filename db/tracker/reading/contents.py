"""How much of each kind a note holds, beside its models: what an import says that it has read."""

from __future__ import annotations

from collections import Counter

from db.tracker.reading.document import Document


def contents(document: Document) -> dict[str, dict[str, int]]:
    """Counts by part of the note and by what stands there, for instance ``finetune`` by kind; parts that it lacks left
    out.
    """
    parts = {
        "checklist": {"phases": len(document.phases), "items": len(document.items)},
        "finetune": Counter(row.kind for row in document.finetune),
        "export": Counter(row.kind for row in document.exports) + Counter(pipeline=len(document.pipelines)),
        "papers": Counter(paper.list for paper in document.papers),
        "benchmarks": {
            f"{benchmark.name} {what}": len(rows)
            for benchmark in document.benchmarks
            for what, rows in (("facts", benchmark.facts), ("tasks", benchmark.tasks))
        },
        "summary": {"figures": len(document.summary)},
    }
    return {name: counts for name, part in parts.items() if (counts := {key: n for key, n in part.items() if n})}
