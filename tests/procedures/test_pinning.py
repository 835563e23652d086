"""Which version a dossier runs by: that of its acceptance, whatever came before it and in whatever order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from router.errors import ConfigError
from router.ledger.procedure_tables import instance
from router.ports import Ledger
from router.procedures.definition import Definition
from router.procedures.definitions_file import parse_definition, shipped_definitions
from router.procedures.duration import Duration
from router.procedures.library import Library, Used
from router.procedures.recipient import Procedures
from router.sdk.dates import VIETNAM
from tests.ledger.harness import in_memory
from tests.ledger.test_instances import CODE, CODEC, START, Desk, snapshot
from tests.procedures.story import definition

TREE = definition("land_transfer")


@pytest.fixture
async def ledger() -> AsyncIterator[Ledger]:
    async with in_memory() as made:
        yield made


def changed(**parts: Any) -> Definition:
    made = TREE.model_copy(update=parts)
    made.__dict__.pop("digest", None)
    return made


def versions() -> Library:
    """The shipped definitions, and a second version of the land transfer from 1 September 2025."""
    return Library([*shipped_definitions(), changed(version=2, valid_from=date(2025, 9, 1))])


def desk(ledger: Ledger, library: Library | None = None) -> Desk:
    made = Desk(ledger)
    made.recipient = Procedures(
        ledger, made.clock, library or versions(), made.calendar,
        decode=CODEC.decode, encode=CODEC.encode, level_of=lambda code: "commune",
    )  # fmt: skip
    return made


async def pinned(made: Desk) -> tuple[str, int, dict[str, Any]]:
    (row,) = await made.rows(instance)
    return row.procedure, row.definition, row.state


LAND_FILE = {
    "message": "L1", "code": CODE, "provincial": False, "parcels": [], "papers": [], "is_return": False,
    "pauses": False, "results": [],
}  # fmt: skip


async def test_the_day_of_acceptance_chooses_the_version_and_not_the_day_of_arrival(ledger: Ledger) -> None:
    made = desk(ledger)
    made.clock.at = datetime(2025, 9, 3, 9, tzinfo=VIETNAM)
    accepted = datetime(2025, 8, 29, 9, tzinfo=VIETNAM)
    await made.take("dossier.accepted", snapshot("ACCEPTED", accepted_at=accepted))
    assert (await pinned(made))[:2] == ("land_transfer", 1)


async def test_a_dossier_submitted_before_and_accepted_after_a_change_runs_by_the_new_version(
    ledger: Ledger,
) -> None:
    made = desk(ledger)
    await made.take("dossier.submitted", snapshot("SUBMITTED"))
    assert (await pinned(made))[:2] == ("land_transfer", 1)
    made.clock.at = datetime(2025, 9, 3, 9, tzinfo=VIETNAM)
    await made.take("dossier.accepted", snapshot("ACCEPTED"))
    name, version, state = await pinned(made)
    assert (name, version, state["digest"]) == ("land_transfer", 2, versions().pinned(name, 2).digest)


async def test_what_comes_before_its_dossier_waits_until_it_is_known_what_it_runs_by(ledger: Ledger) -> None:
    made = desk(ledger)
    effect = await made.take("land.file_submitted", LAND_FILE)
    assert effect.receipt is not None
    assert effect.receipt["verdict"] == "early"
    made.clock.at = START + timedelta(minutes=5)
    await made.take("dossier.accepted", snapshot("ACCEPTED"))
    name, _, state = await pinned(made)
    assert name == "land_transfer"
    assert [token[0] for token in state["tokens"]] == ["appraisal"]


@pytest.mark.parametrize("signal", ["procedure.child_opened", "procedure.recall_requested"])
async def test_a_signal_before_its_document_opens_a_document(ledger: Ledger, signal: str) -> None:
    made = desk(ledger)
    record = {"procedure": "official_document", "definition": 1, "name": "opened", "related_key": "k",
              "role": None, "kind": None, "text": None, "stated_at": START}  # fmt: skip
    await made.take(signal, record)
    assert (await pinned(made))[0] == "official_document"


async def test_a_start_without_a_version_that_dossiers_run_by_names_it(ledger: Ledger) -> None:
    made = desk(ledger)
    made.clock.at = datetime(2025, 9, 3, 9, tzinfo=VIETNAM)
    await made.take("dossier.accepted", snapshot("ACCEPTED"))
    await made.recipient.check()
    with pytest.raises(ConfigError, match="land_transfer/2, which is not there"):
        await desk(ledger, Library(shipped_definitions())).recipient.check()


def test_a_definition_that_was_changed_under_its_dossiers_is_refused_and_mended_words_are_not() -> None:
    library = Library([TREE])
    library.require([Used("land_transfer", 1, TREE.digest)])
    shorter = changed(budget=Duration.read("12 working days"))
    with pytest.raises(ConfigError, match="land_transfer/1 was changed"):
        Library([shorter]).require([Used("land_transfer", 1, TREE.digest)])
    words = changed(source="một nguồn khác")
    Library([words]).require([Used("land_transfer", 1, TREE.digest)])


def test_a_digest_is_of_the_content() -> None:
    one, other = (parse_definition(FORM.format(days=days), "x.yaml") for days in ("3", "4"))
    assert one.digest != other.digest
    assert one.digest == parse_definition(FORM.format(days="3"), "y.yaml").digest


FORM = """
procedure: x
version: 1
title: {{vi: a, en: a}}
source: a
roles: {{one: {{vi: a, en: a}}}}
start: work
nodes:
  work: {{kind: task, role: one, days: {days}, title: {{vi: a, en: a}}, edges: [{{event: "dossier.*", to: done}}]}}
  done: {{kind: end, state: returned, title: {{vi: a, en: a}}}}
  refused: {{kind: end, state: refused, title: {{vi: a, en: a}}}}
  withdrawn: {{kind: end, state: withdrawn, title: {{vi: a, en: a}}}}
"""
