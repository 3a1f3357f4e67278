"""The tables of fada.db from what a note says: whole, or row by row."""
