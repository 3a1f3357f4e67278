"""The figures of a note's summary, counted from its tables; ``db.tracker.stats`` is the door."""
