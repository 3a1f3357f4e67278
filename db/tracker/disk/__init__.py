"""Notes as files."""
