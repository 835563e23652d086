"""Objects by content, in a folder."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.errors import ObjectError
from router.objects import FolderObjectStore
from router.ports import ObjectStore

CONTENT = "Giấy chứng nhận quyền sử dụng đất".encode()
KEY = sha256(CONTENT).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return FolderObjectStore(tmp_path / "objects", most_bytes=1000)


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


async def test_what_was_put_is_got_byte_for_byte_under_its_sha256(store: ObjectStore) -> None:
    assert await store.put(CONTENT) == KEY
    assert await store.get(KEY) == CONTENT


async def test_the_empty_object_is_an_object(store: ObjectStore) -> None:
    assert await store.get(await store.put(b"")) == b""


async def test_the_same_content_is_stored_once(store: ObjectStore, tmp_path: Path) -> None:
    assert await store.put(CONTENT) == await store.put(CONTENT)
    assert files(tmp_path / "objects") == [f"{KEY[:2]}/{KEY[2:4]}/{KEY}"]


async def test_an_object_outlives_the_store_that_wrote_it(store: ObjectStore, tmp_path: Path) -> None:
    await store.put(CONTENT)
    assert await FolderObjectStore(tmp_path / "objects").get(KEY) == CONTENT


async def test_an_object_that_is_missing_is_an_error(store: ObjectStore) -> None:
    with pytest.raises(ObjectError, match="there is no object"):
        await store.get(KEY)


@pytest.mark.parametrize("spoilt", [CONTENT[:-1], CONTENT + b"x", b"", b"x" * len(CONTENT)])
async def test_an_object_that_changed_on_the_disk_is_an_error(
    store: ObjectStore, tmp_path: Path, spoilt: bytes
) -> None:
    await store.put(CONTENT)
    (tmp_path / "objects" / KEY[:2] / KEY[2:4] / KEY).write_bytes(spoilt)
    with pytest.raises(ObjectError, match="not what its hash says"):
        await store.get(KEY)


async def test_putting_the_content_again_repairs_a_spoilt_object(store: ObjectStore, tmp_path: Path) -> None:
    await store.put(CONTENT)
    (tmp_path / "objects" / KEY[:2] / KEY[2:4] / KEY).write_bytes(b"torn")
    await store.put(CONTENT)
    assert await store.get(KEY) == CONTENT


async def test_content_above_the_limit_is_refused_and_leaves_nothing(store: ObjectStore, tmp_path: Path) -> None:
    assert await store.put(b"x" * 1000)
    with pytest.raises(ObjectError, match="1001 bytes are above the limit of 1000"):
        await store.put(b"x" * 1001)
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize(
    "key", ["", "../../etc/passwd", KEY.upper(), KEY[:-1], KEY + "\n", KEY + "0", f"{KEY[:2]}/{KEY[2:]}", "٣" * 64]
)
async def test_what_is_no_key_is_refused(store: ObjectStore, key: str) -> None:
    with pytest.raises(ObjectError, match="not an object key"):
        await store.get(key)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(key=st.text(max_size=80))
async def test_no_text_leads_out_of_the_folder(store: ObjectStore, tmp_path: Path, key: str) -> None:
    (tmp_path / "secret").write_bytes(CONTENT)
    with pytest.raises(ObjectError):
        await store.get(key)


async def test_a_half_written_object_is_never_seen_under_its_key(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails at the moment the bytes should become durable."""

    def fails(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        with pytest.raises(ObjectError, match="cannot be written: No space left on device"):
            await store.put(CONTENT)
    assert files(tmp_path) == []
    with pytest.raises(ObjectError, match="there is no object"):
        await store.get(KEY)


async def test_bytes_and_names_are_durable_before_put_returns(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def noted(opened: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{opened}"))
        real(opened)

    monkeypatch.setattr(os, "fsync", noted)
    await store.put(CONTENT)
    folder = tmp_path / "objects" / KEY[:2] / KEY[2:4]
    assert synced[0].startswith(str(folder / KEY))
    assert {str(folder), str(folder.parent), str(folder.parent.parent), str(tmp_path)} <= set(synced[1:])


async def test_an_object_that_cannot_be_read_is_an_error(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "objects" / KEY[:2] / KEY[2:4] / KEY).mkdir(parents=True)
    with pytest.raises(ObjectError, match="cannot be read"):
        await store.get(KEY)
