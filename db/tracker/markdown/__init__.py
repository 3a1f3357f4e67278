"""The text of a note: lines, blocks, table cells, and patches on them."""
