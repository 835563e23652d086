"""The documented headers of dead letters are those that are written: no more, no fewer."""

from __future__ import annotations

import re
from pathlib import Path

from router.events import DEAD_LETTER_TOPIC, FAILURE_PREFIX, TopicPartition
from router.sdk import Invalid
from tests.delivery.installation import PARTITIONS, Script, installation, message

PAGE = Path(__file__).resolve().parents[2] / "docs" / "dead-letters.md"


async def test_a_dead_letter_has_the_documented_headers_behind_its_own(tmp_path: Path) -> None:
    documented = re.findall(r"^\| `(lgsp_failure_\w+)` \|", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    script = Script()
    script.answers["A-0"] = [Invalid("contract", code="17")]
    async with installation(tmp_path, script=script) as place:
        await place.publish(("A-0", "A"))
        await place.settled("A-0", "dead")
        await place.until(lambda: place.service.outbox.published == 1)
        reader = await place.bus.reader("test")
        await reader.set({TopicPartition(DEAD_LETTER_TOPIC, n): 0 for n in range(PARTITIONS)})
        [record] = [r for records in (await reader.next(10, 1.0)).values() for r in records]
    original = message("A-0", "A")[2]
    assert [name for name, _ in record.headers] == [*(name for name, _ in original), *documented]
    assert all(name.startswith(FAILURE_PREFIX) and value.decode() is not None for name, value in record.headers[-1:])
