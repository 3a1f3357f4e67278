"""What the panel does in threads and says of it: toasts, and the journal that keeps them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import on, work
from textual.notifications import SeverityLevel

from fada_tui.commands.telling import toast
from fada_tui.journal import Journal, Said
from fada_tui.messages import TaskDone, TaskFailed
from fada_tui.sources.upgrade import Overtaken
from fada_tui.terminal import TerminalApp


class TellingApp(TerminalApp):
    """A panel that says what became of what was asked for."""

    def __init__(self, *, diff: bool, shown: bool) -> None:
        super().__init__(diff=diff, shown=shown)
        self._told_done = False
        """The last toast said that something was done."""
        self._journal = Journal()

    def unread(self, errors: int) -> None:
        """So many errors were said and not looked up."""
        raise NotImplementedError

    def look_again(self) -> None:
        """Something may have changed."""
        raise NotImplementedError

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """What is said of models holds their names: it is made safe here, for all who say something."""
        self._told_done = False
        self._journal.add(Said(title, message, severity))
        self.unread(self._journal.unread)
        title, message = toast(title, message)
        super().notify(message, title=title, severity=severity, timeout=timeout, markup=markup)

    def read_journal(self) -> Sequence[Said]:
        """Everything that was said, the newest first."""
        said = self._journal.read()
        self.unread(0)
        return said

    def carry_out(self, do: Callable[[], None]) -> None:
        """What a key or the palette asks for; it may need a part of the program that was replaced meanwhile."""
        try:
            do()
        except Overtaken as error:
            self.notify(f"{error.message}\n→ {error.hint}", severity="error", markup=False, timeout=12)

    @work(thread=True, exit_on_error=False, group="task")
    def start_task(self, title: str, task: Callable[[], list[str]], quiet: bool = False) -> None:
        """Do something that may take a while, in a thread; say what it changed, or what went wrong.

        ``quiet`` where what it changed is in sight.
        """
        from fada_tui.sources.trouble import explain

        try:
            lines = task()
        except Exception as error:  # noqa: BLE001 - whatever it was, the person who pressed the key is told
            message, hint = explain(error)
            self.post_message(TaskFailed(title, message, hint))
            return
        self.post_message(TaskDone(title, tuple(lines), quiet))

    @on(TaskDone)
    def _task_done(self, event: TaskDone) -> None:
        if not event.quiet:
            if self._told_done:
                # What was done before this is over: a key pressed five times must not hide the panel under toasts.
                self.clear_notifications()
            self.notify("\n".join(event.lines) or "nothing to do", title=event.title, markup=False, timeout=4)
            self._told_done = True
        self.look_again()

    @on(TaskFailed)
    def _task_failed(self, event: TaskFailed) -> None:
        text = event.message if not event.hint else f"{event.message}\n→ {event.hint}"
        self.notify(text, title=event.title, severity="error", markup=False, timeout=12)
        self.look_again()
