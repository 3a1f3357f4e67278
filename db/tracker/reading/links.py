"""Which tracked models a phrase speaks of. What may mean several models is reported, never chosen."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from db.tracker.reading.values import parse_size

_MOST_WORDS = 6
_SHORTEST_INSIDE = 4
_LONGEST = 100
_EDGES = " ,;:.!?()[]{}\"'*`_"
_SIZE_SUFFIX = re.compile(r"(.+?)[-_ :](\d+(?:\.\d+)?[KMBT])", re.IGNORECASE)


@dataclass(frozen=True)
class Links:
    """``names``: the models meant, in the order of the text. ``unsure``: phrases with the models that they may mean."""

    names: tuple[str, ...]
    unsure: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass
class _Found:
    names: list[str] = field(default_factory=list)
    unsure: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)


def key_of(name: str) -> str:
    """What two spellings of a name share: case, spaces, hyphens and underscores do not count."""
    return "".join(name.replace("-", " ").replace("_", " ").split()).casefold()


def keys_of(name: str) -> set[str]:
    """The keys of the models that :meth:`Linker.named` can give for a name: its own, and that without a size."""
    match = _SIZE_SUFFIX.fullmatch(name)
    return {key_of(name), key_of(match[1])} if match else {key_of(name)}


class Linker:
    """Finds names, aliases, names with their size (``Llama-3.2-Vision-11B``) and lists (``InternVL2-2B/4B``).

    Args:
        models: Each model's name and the sizes of its row in billions of parameters.
        aliases: Alias to model name; one that is a model's own name again means that model.
        absent: Those of the models that the note no longer has: a name that one of the others shares means the other.
    """

    def __init__(
        self,
        models: Iterable[tuple[str, tuple[float, ...]]],
        aliases: Mapping[str, str],
        absent: Collection[str] = frozenset(),
    ) -> None:
        self.sizes = dict(models)
        self.absent = absent
        self.by_key: dict[str, tuple[str, ...]] = {}
        spelt = [(name, name) for name in self.sizes]
        spelt += [(alias, name) for alias, name in aliases.items() if name in self.sizes and alias not in self.sizes]
        for text, name in spelt:
            key = key_of(text)
            known = self.by_key.get(key, ())
            if key and name not in known:
                self.by_key[key] = tuple(sorted((*known, name))) if known else (name,)
        for key, names in self.by_key.items():
            if absent and len(names) > 1:
                self.by_key[key] = tuple(name for name in names if name not in absent) or names

    @cached_property
    def keys(self) -> list[str]:
        """The keys in order, to find those that begin alike."""
        return sorted(self.by_key)

    def find(self, text: str) -> Links:
        """The models that a line of the note mentions."""
        words = text.split()
        found = _Found()
        at = 0
        while at < len(words):
            at += self._phrase(words, at, found)
        return Links(tuple(dict.fromkeys(found.names)), tuple(found.unsure))

    def named(self, name: str) -> tuple[str, ...]:
        """The models that one name stands for: by spelling, by alias, or by name and size."""
        return self._spelt(name) or self._with_size(name)

    def _spelt(self, name: str) -> tuple[str, ...]:
        """A name spelt exactly as one that stands in the note means that one, whatever others are spelt alike."""
        return (name,) if name in self.sizes and name not in self.absent else self.by_key.get(key_of(name), ())

    def _phrase(self, words: list[str], at: int, found: _Found) -> int:
        """Take the longest name that starts at a word; the number of words taken."""
        for length in range(min(_MOST_WORDS, len(words) - at), 0, -1):
            written = " ".join(words[at : at + length])
            phrase = written.strip(_EDGES)
            names: tuple[str, ...] = ()
            for spelt in (written, phrase):
                # A short name is too easily an ordinary word, but where the line starts with it.
                if not names and (at == 0 or len(key_of(spelt)) >= _SHORTEST_INSIDE):
                    names = self._spelt(spelt)
            names = names or (self._with_size(phrase) if length == 1 else ())
            if len(names) == 1:
                found.names.append(names[0])
            elif names:
                found.unsure.append((phrase, names))
            if names:
                return length
        self._single(words[at].strip(_EDGES), found)
        return 1

    def _single(self, word: str, found: _Found) -> None:
        if "/" in word and self._list(word, found):
            return
        candidates = self._near(word)
        if candidates:
            found.unsure.append((word, candidates))

    def _list(self, word: str, found: _Found) -> bool:
        """``InternVL2-2B/4B``: the parts after the first stand alone or replace the first one's last piece."""
        first, *rest = word.split("/")
        base = first.rpartition("-")[0]
        parts = [self.named(first)]
        parts += [self.named(part) or (self.named(f"{base}-{part}") if base else ()) for part in rest]
        for part, names in zip((first, *rest), parts, strict=True):
            if len(names) == 1:
                found.names.append(names[0])
            elif names or any(parts):
                found.unsure.append((part, names))
        return any(parts)

    def _with_size(self, phrase: str) -> tuple[str, ...]:
        match = _SIZE_SUFFIX.fullmatch(phrase)
        if match is None:
            return ()
        size = parse_size(match[2]).value
        return tuple(name for name in self.by_key.get(key_of(match[1]), ()) if size in self.sizes[name])

    def _near(self, word: str) -> tuple[str, ...]:
        """Models whose name starts with the word, or the longest name that the word goes on from.

        A word without a digit or a hyphen may be an ordinary one: it must be spelt like a name (``SmolVLM``), and a
        piece of the model's.
        """
        key = key_of(word)
        is_plain = not any(char.isdigit() or char == "-" for char in word)
        if not _SHORTEST_INSIDE <= len(key) <= _LONGEST or (is_plain and word[1:].islower()):
            return ()
        names: list[str] = []
        for index in range(bisect_left(self.keys, key), len(self.keys)):
            if not self.keys[index].startswith(key) or len(names) > 5:
                break
            names += self.by_key[self.keys[index]]
        if is_plain:
            return tuple(dict.fromkeys(name for name in names if _is_piece(word, name)))
        stem = word
        while not names and "-" in stem:
            stem = stem.rpartition("-")[0]
            names += self.by_key.get(key_of(stem), ())
        return tuple(dict.fromkeys(names))


def _is_piece(word: str, name: str) -> bool:
    """True where the name starts with the word and does not go on with a letter."""
    return name.casefold().startswith(word.casefold()) and not name[len(word) : len(word) + 1].isalpha()
