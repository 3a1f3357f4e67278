"""Everything that touches a GPU, a model or a process."""
