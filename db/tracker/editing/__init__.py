"""What one edit is made of; ``db.tracker.edits`` is the door."""
