"""Specs, queue, dispatcher, per-job runner, event files, ingest. Truth is on disk; runs.db is the index."""
