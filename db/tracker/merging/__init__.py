"""Two versions of a note against what they last agreed on: bytes in, bytes out."""
