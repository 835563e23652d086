"""Registry ids from a file: Confluent framing is read, and written where the file says so."""

from pathlib import Path

import pytest

from router.assembly import build_codec
from router.codec import CONFLUENT, SINGLE_OBJECT, Codec, PackagedSchemas, fingerprint_of
from router.errors import ConfigError, UnknownSchema
from router.schema_ids import load_schema_ids
from router.settings import SchemasSection, Settings
from schemas.catalogue import current_schemas, released_schemas
from tests.codec.samples import CURRENT, filled

APOLOGY, OVERDUE = "vn.lgsp.dossier.Apology", "vn.lgsp.dossier.Overdue"
OLD = fingerprint_of(next(s for s in released_schemas() if s["name"] == "ProgressLine"))


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "ids.toml"
    file.write_text(text, "utf-8")
    return file


def test_what_the_file_names_is_written_and_read_in_confluent_framing_and_all_else_as_before(tmp_path):
    file = written(tmp_path, f'[written]\n"{APOLOGY}" = 12\n[read]\n7 = "{OLD.hex()}"\n')
    codec = build_codec(Settings(data=tmp_path, schemas=SchemasSection(ids=file)))
    payload = codec.encode_record(APOLOGY, filled(CURRENT[APOLOGY]))
    assert payload[:5] == CONFLUENT + (12).to_bytes(4, "big")
    plain = Codec(PackagedSchemas())
    assert codec.decode(payload) == plain.decode(plain.encode_record(APOLOGY, filled(CURRENT[APOLOGY])))
    assert codec.encode_record(OVERDUE, filled(CURRENT[OVERDUE]))[:2] == SINGLE_OBJECT
    assert codec.record_name(CONFLUENT + (7).to_bytes(4, "big")) == "vn.lgsp.dossier.ProgressLine"
    with pytest.raises(UnknownSchema):
        codec.decode(CONFLUENT + (13).to_bytes(4, "big"))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[written]\n'vn.lgsp.Nothing' = 1", "written.vn.lgsp.Nothing"),
        (f"[written]\n'{APOLOGY}' = -1", f"written.{APOLOGY}"),
        (f"[written]\n'{APOLOGY}' = 'x'", f"written.{APOLOGY}"),
        (f"[written]\n'{APOLOGY}' = 1\n'{OVERDUE}' = 1", f"written.{OVERDUE}"),
        ("[read]\n7 = 'c0ffee'", "read.7"),
        ("[read]\n7 = 7", "read.7"),
        (f"[read]\nseven = '{OLD.hex()}'", "read.seven"),
        ("[wrote]", "wrote"),
        ("read = 1", "read"),
    ],
)
def test_a_wrong_file_is_refused_by_file_key_and_expected_form(tmp_path, text, key):
    with pytest.raises(ConfigError) as caught:
        load_schema_ids(written(tmp_path, text))
    assert (caught.value.file, caught.value.key) == (str(tmp_path / "ids.toml"), key)
    assert caught.value.expected


@pytest.mark.parametrize("text", [None, "[written", "\x00"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path, text):
    file = tmp_path / "ids.toml" if text is None else written(tmp_path, text)
    with pytest.raises(ConfigError):
        load_schema_ids(file)


def test_an_id_fits_four_bytes(tmp_path):
    assert load_schema_ids(written(tmp_path, f"[written]\n'{APOLOGY}' = {2**32 - 1}")).written == {APOLOGY: 2**32 - 1}
    with pytest.raises(ConfigError):
        load_schema_ids(written(tmp_path, f"[written]\n'{APOLOGY}' = {2**32}"))
    assert APOLOGY in current_schemas()
