"""Environments of their own, for models of old code, and the code that was agreed to: env."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fada_tui.cli.context import Context
from fada_tui.cli.errors import UsageError
from fada_tui.cli.output import table
from fada_tui.cli.queueing import asking, finish
from fada_tui.format import count, size
from fada_tui.text import printable

if TYPE_CHECKING:
    from backends.jobs.environments import State
    from fada_tui.cli import Verbs


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    parser = verbs.add_parser(
        "env", parents=[shared], help="environments of their own, for models whose code needs an older transformers"
    )
    parser.set_defaults(handler=show)
    inner = parser.add_subparsers(title="what", metavar="WHAT")
    inner.add_parser("list", parents=[shared], help="each with its state, size and models").set_defaults(handler=show)
    create = inner.add_parser("create", parents=[shared], help="make one: a job that installs what its recipe pins")
    create.add_argument("name", metavar="NAME")
    create.add_argument("--again", action="store_true", help="make it anew where it is made already")
    create.add_argument("--no-wait", action="store_true", help="return at once; the job goes on")
    create.set_defaults(handler=make)
    for name, handler, text in (
        ("check", check, "what it imports, in which versions; exit status 1 where something is wrong"),
        ("remove", take_away, "remove it from the disk"),
    ):
        one = inner.add_parser(name, parents=[shared], help=text)
        one.add_argument("name", metavar="NAME")
        one.set_defaults(handler=handler)
    inner.add_parser("agreed", parents=[shared], help="code of models that may be run here").set_defaults(
        handler=show_agreed
    )
    back = inner.add_parser("withdraw", parents=[shared], help="take an agreement back")
    back.add_argument("what", metavar="WHAT", help="the repository, the folder, or the start of the code's hash")
    back.set_defaults(handler=take_back)


def add_environment_options(parser: argparse.ArgumentParser) -> None:
    """Of the verbs that load a model."""
    parser.add_argument(
        "--environment", metavar="NAME", help="load it in this environment of its own (`fada env list`)"
    )
    parser.add_argument(
        "--trust-remote-code", action="store_true", help="agree to run the code that comes with the model, as it is"
    )


@contextmanager
def asking_for_code() -> Iterator[None]:
    """Code that nobody has agreed to is bad input, and the hint is the command that agrees."""
    from backends.jobs.remote_code import CodeConsentNeeded

    with asking():
        try:
            yield
        except CodeConsentNeeded as error:
            words = sys.argv[1:]
            if "eval" in words:
                command = shlex.join(["fada", *words, "--trust-remote-code"])
                error.hint = f"{(error.hint or '').partition('; ')[0]}; to agree: {command}"
            raise


def tell_agreed(plans: Sequence[Mapping[str, Any]]) -> None:
    """Say what was agreed to with the command, and how to take it back."""
    from backends.jobs.remote_code import words_of

    for plan in plans:
        record = plan["model"].get("remote_code")
        if record:
            said = f"fada: {record['repo']}: {words_of(record)}; `fada env withdraw {str(record['digest'])[:12]}`"
            print(printable(said), file=sys.stderr)


def show(args: argparse.Namespace, context: Context) -> None:
    """Each environment, and folders that belong to none."""
    from backends.jobs.disk import bytes_of
    from backends.jobs.environments import envs, left_over, recipes, state_of

    context.prepare()
    with asking():
        states = [state_of(context.home, recipe) for recipe in recipes(context.home).values()]
        strays = left_over(context.home)
    models = _models(context)
    rows = [_document(state, models.get(state.recipe.name, []), bytes_of(state.folder)) for state in states]
    document = {
        "folder": str(envs(context.home)),
        "environments": rows,
        "left_over": [{"name": name, "bytes": bytes_of(envs(context.home) / name)} for name in strays],
    }
    context.emit(document, lambda: _text(document))


def _document(state: State, models: list[str], taken: int) -> dict[str, Any]:
    recipe = state.recipe
    return {
        "name": recipe.name,
        "state": state.state,
        "reason": state.reason,
        "bytes": taken,
        "models": models,
        "python": recipe.python,
        "torch": list(recipe.torch) or "shared",
        "requirements": list(recipe.requirements),
        "recipe": recipe.standing,
        "seen": recipe.seen,
        "versions": state.versions,
        "folder": str(state.folder),
    }


def _models(context: Context) -> dict[str, list[str]]:
    """Models of the catalogue by the environment that they name."""
    from backends.catalog.reader import USER_FILE, load_catalog

    catalog = load_catalog(context.home.root / USER_FILE)
    found: dict[str, list[str]] = {}
    for entry in catalog.entries:
        if entry.loader == "environment" and entry.environment:
            found.setdefault(entry.environment, []).append(entry.name)
    return found


def _text(document: Mapping[str, Any]) -> str:
    rows = [
        (
            printable(one["name"]),
            one["state"],
            size(one["bytes"]) if one["bytes"] else "",
            one["recipe"],
            printable(", ".join(one["models"])),
        )
        for one in document["environments"]
    ]
    lines = [table(("environment", "state", "on disk", "tried", "for"), rows, right=(2,), limits={4: 50})]
    for one in document["environments"]:
        if one["reason"]:
            lines.append(f"{printable(one['name'])}: {one['reason']}: `fada env create {printable(one['name'])}`")
    for one in document["left_over"]:
        lines.append(f"{printable(one['name'])} ({size(one['bytes'])}) has no recipe: `fada env remove` frees it")
    return "\n".join(lines)


def make(args: argparse.Namespace, context: Context) -> int:
    """Queue its making, and wait for it."""
    from backends.jobs.environments import check_free, state_of, the_recipe
    from backends.jobs.launch import enqueue_tool

    context.prepare()
    with asking():
        recipe = the_recipe(context.home, args.name)
        state = state_of(context.home, recipe)
        if state.state == "making":
            raise UsageError(f"{recipe.name} is being made already", hint="`fada jobs` shows the job")
        if state.state == "made" and not args.again:
            context.emit({"runs": [], "environment": recipe.name}, f"{recipe.name} is made already, in {state.folder}")
            return 0
        if not recipe.takes(sys.version_info[:2]):
            raise UsageError(
                f"{recipe.name} needs Python {recipe.python}, and this is {sys.version.split()[0]}",
                hint="its packages have no wheels for another; install fada-tui with such a Python",
            )
        check_free(context.runs, recipe.name)
        run = enqueue_tool(context.home, "environment", {"name": recipe.name}, f"environment {recipe.name}")
    return finish(context, [run], not args.no_wait, more={"environment": recipe.name})


def check(args: argparse.Namespace, context: Context) -> int:
    """Start its Python, and look at what it imports."""
    from backends.jobs.environment_probe import probe, problems
    from backends.jobs.environments import state_of, the_recipe

    context.prepare()
    with asking():
        recipe = the_recipe(context.home, args.name)
    state = state_of(context.home, recipe)
    wrong, versions = ([state.reason or state.state] if state.state != "made" else []), state.versions
    if state.state in ("made", "outdated"):
        from backends.jobs.job import JobError

        try:
            found = probe(recipe, state.folder)
            wrong += problems(recipe, state.folder, found)
            versions = found["versions"]
        except JobError as error:
            wrong.append(str(error))
    document = {"name": recipe.name, "state": state.state, "problems": wrong, "versions": versions}
    lines = [f"{name} {version}" for name, version in sorted(versions.items())]
    end = [f"wrong: {printable(text)}" for text in wrong] or [f"{recipe.name} is as its recipe says"]
    if wrong:
        end.append(f"`fada env create {recipe.name}` makes it" + (" anew" if versions else ""))
    context.emit(document, "\n".join([*lines, *end]))
    return 1 if wrong else 0


def take_away(args: argparse.Namespace, context: Context) -> None:
    """Remove one that no job needs."""
    from backends.jobs.disk import bytes_of
    from backends.jobs.environments import envs, remove

    context.prepare()
    with asking():
        taken = bytes_of(envs(context.home) / args.name) if "/" not in args.name else 0
        gone = remove(context.home, context.runs, args.name)
    changed = [f"removed {args.name}: {size(taken)}"] if gone else []
    context.emit({"changed": changed}, printable("\n".join(changed)) or f"{printable(args.name)} is not made")


def show_agreed(args: argparse.Namespace, context: Context) -> None:
    """What was agreed to, oldest first."""
    from backends.jobs.remote_code import agreements

    context.prepare()
    found = agreements(context.home)
    rows = [
        (
            printable(str(one["repo"])),
            printable(str(one["revision"] or "")[:12]),
            str(one["digest"])[:12],
            count(len(one.get("files") or ()), "file"),
            str(one.get("agreed") or "")[:16].replace("T", " "),
        )
        for one in found
    ]
    text = table(("code of", "revision", "hash", "files", "agreed"), rows, limits={0: 60}) if rows else "nothing yet"
    context.emit(found, text)


def take_back(args: argparse.Namespace, context: Context) -> None:
    """Runs that wait and need it will refuse to run it."""
    from backends.jobs.remote_code import withdraw

    context.prepare()
    gone = withdraw(context.home, args.what)
    if not gone:
        raise UsageError(
            f"nobody has agreed to code of {args.what!r}", hint="`fada env agreed` lists what was agreed to"
        )
    changed = [f"withdrawn: {one['repo']} {str(one['digest'])[:12]}" for one in gone]
    context.emit({"changed": changed}, printable("\n".join(changed)))
