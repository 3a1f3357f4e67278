"""What the Hugging Face hub has of a model: its commit, its files, what they weigh. Asked through huggingface_hub.

huggingface_hub is imported inside the functions: the panel and the command start without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.util import find_spec
from typing import Any

from backends.catalog.hub import endpoint, has_token, is_offline

COMMIT = re.compile(r"[0-9a-f]{40}")
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")
"""Weights whose format can carry code."""
AGREE_TO_PICKLE = (
    "where you trust who made it: --allow-pickle (only plain tensors are then read from it, weights_only=True)"
)
_KEPT = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken", "*.vocab", "merges*")
"""What a processor, tokenizer and configuration are made of."""
_SAME_TWICE = ("consolidated*.safetensors", "*.fp16.safetensors", "*.non_ema.safetensors")
"""The same weights once more, in the layout of another program."""


class HubError(Exception):
    """The hub cannot or will not give it; ``hint`` says what to do. ``final``: asking again changes nothing."""

    def __init__(self, message: str, hint: str, *, final: bool = True) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.final = final


@dataclass(frozen=True)
class HubFile:
    """``sha256`` is known of large files only."""

    name: str
    bytes: int
    sha256: str | None = None


@dataclass(frozen=True)
class HubModel:
    """The files of a model at one commit that loading it takes."""

    repo: str
    commit: str
    files: tuple[HubFile, ...]
    gated: bool = False
    licence: str | None = None

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def pickled(self) -> str | None:
        """The first file of weights whose format can carry code."""
        return next((file.name for file in self.files if _is(file, PICKLED)), None)


def ask_hub(
    repo: str,
    revision: str | None = None,
    *,
    allow_pickle: bool = False,
    timeout: float = 10.0,
    token: str | None = None,
) -> HubModel:
    """The model as the hub has it now, and that its files will be given.

    Args:
        allow_pickle: A person has agreed to weights whose format can carry code, where there are no others.
        timeout: Seconds for each of at most two requests.
        token: What gives access; default: HF_TOKEN, or what `hf auth login` has kept.

    Raises:
        HubError: There is no such model or revision, it is gated, the network is away or switched off, or its
            weights are only there as pickles and nobody agreed to that.
    """
    if is_offline():
        raise HubError(
            f"{repo} is not on this machine, and downloads are switched off (HF_HUB_OFFLINE)",
            "unset HF_HUB_OFFLINE, or give a checkpoint folder that was downloaded elsewhere",
        )
    if find_spec("huggingface_hub") is None:
        raise HubError(f"{repo}: huggingface_hub is not installed", "pip install 'fada-tui[eval]'")
    try:
        return _ask(repo, revision, allow_pickle, timeout, token)
    except HubError:
        raise
    except Exception as error:
        raise explained(error, repo, revision, with_token=token is not None or has_token()) from error


def _ask(repo: str, revision: str | None, allow_pickle: bool, timeout: float, token: str | None) -> HubModel:
    from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url

    hub = HfApi(endpoint=endpoint(), token=token)
    info = hub.model_info(repo, revision=revision, files_metadata=True, timeout=timeout)
    found = tuple(_file(sibling) for sibling in info.siblings or ())
    files = tuple(needed(repo, found, allow_pickle=allow_pickle))
    if not files:
        raise HubError(f"{repo} holds no model: no configuration and no weights", f"look at it: {_page(repo)}")
    if info.gated:
        # Everybody may look at its list of files; only who has access is given one.
        url = hf_hub_url(repo, files[0].name, revision=info.sha, endpoint=endpoint())
        get_hf_file_metadata(url, token=token, timeout=timeout)
    licence = info.card_data.get("license") if info.card_data else None
    return HubModel(repo, str(info.sha), files, bool(info.gated), str(licence) if licence else None)


def commit_of(repo: str, name: str, token: str | None = None, timeout: float = 10.0) -> str | None:
    """The commit that a branch stands for now; None where the hub does not say."""
    from huggingface_hub import HfApi

    try:
        return HfApi(endpoint=endpoint(), token=token).model_info(repo, revision=name, timeout=timeout).sha
    except Exception:  # noqa: BLE001 - whatever it is, it is not known
        return None


def _file(sibling: Any) -> HubFile:
    large = sibling.lfs
    return HubFile(sibling.rfilename, int(sibling.size or 0), large.sha256 if large else None)


def needed(repo: str, files: Iterable[HubFile], *, allow_pickle: bool) -> list[HubFile]:
    """Of the files of a repo those that loading takes: never code, weights once, safetensors where there are any.

    Raises:
        HubError: The weights are only there as pickles.
    """
    top = [file for file in files if "/" not in file.name]
    kept = [file for file in top if _is(file, _KEPT)]
    safe = [file for file in top if file.name.endswith(".safetensors")]
    pickled = [file for file in top if _is(file, PICKLED)]
    weights = [file for file in safe if not _is(file, _SAME_TWICE)] or safe
    if not weights and pickled:
        if not allow_pickle:
            raise HubError(
                f"{repo}: the weights are only there as {pickled[0].name}, a pickle, which can carry code",
                AGREE_TO_PICKLE,
            )
        weights = pickled
    others = [file for file in kept if not (file.name.endswith(".index.json") and _of_others(file, weights))]
    return others + weights


def _is(file: HubFile, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(file.name, pattern) for pattern in patterns)


def _of_others(index: HubFile, weights: list[HubFile]) -> bool:
    """The index of weights that are not taken would send the loader looking for them."""
    suffix = index.name.removesuffix(".index.json").rpartition(".")[2]
    return not any(file.name.endswith(f".{suffix}") for file in weights)


def explained(error: Exception, repo: str, revision: str | None, with_token: bool | None = None) -> HubError:
    """An error of huggingface_hub as a sentence, and what to do. A token is never part of it.

    Args:
        with_token: Whether one was sent; default: whether one is set up.
    """
    from huggingface_hub import errors

    tokened = has_token() if with_token is None else with_token
    where = f"{repo}@{revision}" if revision else repo
    if isinstance(error, errors.GatedRepoError):
        said = "the token that is set up here has no access to it" if tokened else "no token is set up here"
        then = "with the account whose token it is" if tokened else f"then {_LOGIN}"
        return HubError(f"{repo} is gated, and {said}", f"accept its terms at {_page(repo)}, {then}, and try again")
    if isinstance(error, errors.RevisionNotFoundError):
        return HubError(f"{repo} has no revision {revision}", f"its branches and commits: {_page(repo)}/commits/main")
    if isinstance(error, errors.RepositoryNotFoundError):
        private = "; the token here may not see it" if tokened else f"; for a private one {_LOGIN}"
        return HubError(f"the hub has no model {repo}", f"check the spelling{private}")
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        said = "check HF_TOKEN: it may be expired or too narrow" if tokened else _LOGIN
        return HubError(f"the hub refuses {where} (HTTP {status})", said)
    if status is not None:
        return HubError(
            f"the hub answered HTTP {status} for {where}", "try again later", final=status < 500 and status != 429
        )
    if isinstance(error, errors.HFValidationError):
        return HubError(f"{where} is no name of a model on the hub", "a hub id is ORG/NAME")
    return HubError(
        f"{where} is not on this machine, and {endpoint()} cannot be reached ({type(error).__name__})",
        "check the network, or give a checkpoint folder that was downloaded elsewhere",
        final=False,
    )


_LOGIN = "set HF_TOKEN (in the shell, or in secrets.env in HOME) or use `hf auth login`"


def _page(repo: str) -> str:
    return f"{endpoint()}/{repo}"
