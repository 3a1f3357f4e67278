"""A fine-tune's parts: the method, its samples, what it scores and keeps."""
