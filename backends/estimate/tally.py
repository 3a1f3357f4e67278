"""Counting parameters by what becomes of them: which a 4-bit load packs, which stay, which a LoRA adapts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Tally:
    """The parameters of one part of a network while it is counted."""

    linear: int = 0
    """Weights of linear layers: what 4-bit and 8-bit loads pack."""
    rest: int = 0
    """Everything else: embeddings, biases, norms, convolutions."""
    sides: int = 0
    """Sum of (rows + columns) over the linear layers: the parameters of a LoRA at rank 1."""
    widest: int = 0
    """Weights of the largest linear layer."""

    def __post_init__(self) -> None:
        self.layers = 0

    @property
    def params(self) -> int:
        return self.linear + self.rest

    def add_linear(self, rows: int, columns: int, bias: bool = False, times: int = 1) -> None:
        self.linear += rows * columns * times
        self.sides += (rows + columns) * times
        self.widest = max(self.widest, rows * columns)
        self.rest += rows * times if bias else 0

    def add(self, count: int, times: int = 1) -> None:
        self.rest += count * times


@dataclass(frozen=True)
class Parameters:
    """A whole model; linear weights are apart from the rest, as loads in fewer bits treat them so."""

    embeddings: int
    """Input embeddings; with a tied head also the output's."""
    head: int
    """The output head's own weights; 0 where it is tied."""
    text_linear: int
    text_rest: int
    vision_linear: int
    """Of the vision tower and the projector."""
    vision_rest: int
    text_sides: int
    vision_sides: int
    widest: int

    @property
    def total(self) -> int:
        return self.embeddings + self.head + self.text_linear + self.text_rest + self.vision_linear + self.vision_rest

    @property
    def sides(self) -> int:
        """Parameters at rank 1 of a LoRA over all linear layers but the head."""
        return self.text_sides + self.vision_sides
