"""What is known of the partners' answers, as one table: every code of the field has its row and means what it means."""

from __future__ import annotations

import pytest

from connectors.land_registry.connector import LandRegistry
from connectors.national_portal.connector import NationalPortal
from connectors.one_stop.connector import OneStop
from connectors.tax.connector import Tax
from router.sdk import Manifest, Outcome

PORTAL, ONE_STOP, LAND, TAX = (each.manifest for each in (NationalPortal, OneStop, LandRegistry, Tax))
SYNC = "DongBoHoSoMC"
KNOWN = [
    (PORTAL, SYNC, "0", "Thành công", Outcome.DELIVERED),
    (PORTAL, SYNC, "00", "Thành công", Outcome.DELIVERED),
    (PORTAL, SYNC, "0", "Hồ sơ đã tồn tại", Outcome.DUPLICATE),
    (PORTAL, SYNC, "00", "Hồ sơ đã tồn tại", Outcome.DUPLICATE),
    (PORTAL, SYNC, "3", "Mã hồ sơ đã tồn tại", Outcome.DUPLICATE),
    (PORTAL, SYNC, "-3", "Hồ sơ ĐÃ TỒN TẠI trên hệ thống", Outcome.DUPLICATE),
    (PORTAL, SYNC, "3", "Thiếu thông tin", Outcome.REJECTED),
    (PORTAL, SYNC, "-3", "Thiếu thông tin", Outcome.REJECTED),
    (PORTAL, SYNC, "01", "Không thể chuyển sang trạng thái này", Outcome.REJECTED),
    (PORTAL, SYNC, "03", "Bị gián đoạn, vui lòng thử lại", Outcome.TRANSIENT),
    (PORTAL, SYNC, "-1", "Phiên làm việc đã hết hạn", Outcome.TRANSIENT),
    (ONE_STOP, "submission", "00", "Thành công", Outcome.DELIVERED),
    (ONE_STOP, "submission", "01", "Không thể chuyển sang trạng thái này", Outcome.DUPLICATE),
    (ONE_STOP, "submission", "01", "Hồ sơ không ở trạng thái yêu cầu bổ sung", Outcome.REJECTED),
    (ONE_STOP, "submission", "03", "Bị gián đoạn, vui lòng thử lại", Outcome.TRANSIENT),
    (LAND, "tiepnhan", "0", "Thành công", Outcome.DELIVERED),
    (LAND, "tiepnhan", "1", "Số biên nhận đã tồn tại", Outcome.DUPLICATE),
    (TAX, "pctt", "00", "Đã nhận", Outcome.DELIVERED),
    (TAX, "pctt", "01", "Phiếu chuyển đã tồn tại", Outcome.DUPLICATE),
    (TAX, "pctt", "03", "Hệ thống bị gián đoạn, thử lại", Outcome.TRANSIENT),
]


@pytest.mark.parametrize(("manifest", "operation", "code", "message", "outcome"), KNOWN)
def test_a_code_of_the_field_means_at_its_partner_what_is_known_of_it(
    manifest: Manifest, operation: str, code: str, message: str, outcome: Outcome
):
    row = manifest.error(operation, code=code, message=message)
    assert row is not None
    assert row.outcome is outcome


@pytest.mark.parametrize("manifest", [PORTAL, ONE_STOP, LAND, TAX])
@pytest.mark.parametrize("code", ["-2", "7", "98", "E1001"])
def test_any_other_code_is_in_no_row(manifest: Manifest, code: str):
    assert manifest.error(manifest.operations[0].name, code=code, message="Lỗi không rõ") is None
