"""Which rows a list shows and in what order: pure, quick for 100,000 models, and nothing of the screen."""
