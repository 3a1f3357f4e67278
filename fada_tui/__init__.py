"""The panel and the `fada` command. Draws and asks; computes nothing heavy."""

__version__ = "0.1.0"
