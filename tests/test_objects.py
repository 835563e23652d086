"""Attachments by content: whole or not there, and never other bytes than the key says."""

from hashlib import sha256

import pytest

from router.errors import ObjectError
from router.objects import FolderObjectStore


async def test_an_object_comes_back_by_the_hash_of_its_bytes(tmp_path):
    store = FolderObjectStore(tmp_path)
    key = await store.put(b"ban ve")
    assert key == sha256(b"ban ve").hexdigest()
    assert await store.get(key) == b"ban ve"


async def test_putting_twice_keeps_one_object_and_leaves_nothing_aside(tmp_path):
    store = FolderObjectStore(tmp_path)
    assert await store.put(b"x") == await store.put(b"x")
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


async def test_an_object_that_was_changed_on_disk_is_refused(tmp_path):
    store = FolderObjectStore(tmp_path)
    key = await store.put(b"x")
    next(path for path in tmp_path.rglob(key)).write_bytes(b"y")
    with pytest.raises(ObjectError, match="not what its hash says"):
        await store.get(key)


async def test_a_missing_object_is_named(tmp_path):
    with pytest.raises(ObjectError, match="no object"):
        await FolderObjectStore(tmp_path).get("0" * 64)


async def test_what_is_above_the_limit_is_not_stored(tmp_path):
    with pytest.raises(ObjectError, match="limit"):
        await FolderObjectStore(tmp_path, most_bytes=3).put(b"four")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["../../etc/passwd", "", "A" * 64, "0" * 63, "0" * 64 + "\n", "/" * 64])
async def test_a_key_that_is_no_hash_reaches_no_file(tmp_path, key):
    with pytest.raises(ObjectError, match="object key"):
        await FolderObjectStore(tmp_path).get(key)
