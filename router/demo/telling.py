"""What the demo says while it runs: a bar on a terminal, a line now and then where there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from router.cli import output

LINE_EVERY: Final = 5.0  # seconds between two lines that only count


class Telling(Protocol):
    """``tell`` says what happened; ``count`` how far it is."""

    def tell(self, text: str) -> None:
        """Something worth a line happened."""
        ...

    def count(self, returned: int, effects: int) -> None:
        """Dossiers returned, deliveries that took effect."""
        ...


class Silence:
    """For programs that read the summary."""

    def tell(self, text: str) -> None:
        """Nothing."""

    def count(self, returned: int, effects: int) -> None:
        """Nothing."""


class Lines:
    """Lines on standard error, each with the seconds since the start."""

    def __init__(self, elapsed: Callable[[], float], total: int) -> None:
        self._elapsed, self._total, self._next = elapsed, total, LINE_EVERY

    def tell(self, text: str) -> None:
        """A line."""
        output.error(f"{self._elapsed():6.1f} s  {text}")

    def count(self, returned: int, effects: int) -> None:
        """A line, not too often."""
        if self._elapsed() >= self._next:
            self._next = self._elapsed() + LINE_EVERY
            self.tell(f"{returned} of {self._total} dossiers returned, {effects} deliveries took effect")


class Bar:
    """A bar on standard error, with lines above it."""

    def __init__(self, elapsed: Callable[[], float], progress: Progress, total: int) -> None:
        self._elapsed, self._progress = elapsed, progress
        self._task = progress.add_task("dossiers returned", total=total, effects=0)

    def tell(self, text: str) -> None:
        """A line above the bar."""
        self._progress.console.print(f"{self._elapsed():6.1f} s  {text}", highlight=False)

    def count(self, returned: int, effects: int) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=returned, effects=effects)


@contextmanager
def telling(elapsed: Callable[[], float], total: int, *, silent: bool) -> Iterator[Telling]:
    """The way of telling that suits where standard error goes."""
    if silent:
        yield Silence()
    elif not sys.stderr.isatty():
        yield Lines(elapsed, total)
    else:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[effects]} deliveries took effect"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            yield Bar(elapsed, progress, total)
