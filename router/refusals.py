"""How files of settings and data are refused, in both languages: where, what was found, which form would do.

Every reader of a file comes here for its words, so that routes, calendars, definitions, registries and settings are
refused in one form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pydantic_core import ErrorDetails

from router.errors import ConfigError


class Words(NamedTuple):
    """A problem, and the form that would do, in English and Vietnamese; ``{…}`` are facts of the case."""

    en: str
    vi: str
    form: str = ""
    form_vi: str = ""

    def about(self, facts: Mapping[str, object]) -> Words:
        """The words with the facts of a case in their places."""
        return Words(*(text.format_map(facts) for text in self))


#: What can be wrong with a file, by a short name of the problem.
PROBLEMS: Final[Mapping[str, Words]] = {
    "unreadable": Words("cannot be read: {found}", "không đọc được: {found}", "a readable {kind} file",
                        "một tệp {kind} đọc được"),
    "not_utf8": Words("is not UTF-8", "không phải UTF-8", "{kind} UTF-8", "{kind} mã hóa UTF-8"),
    "no_folder": Words("is no folder", "không phải thư mục", "a folder of {kind}", "một thư mục chứa {kind}"),
    "no_table": Words("there is no such table", "không có bảng này"),
    "no_syntax": Words("is not {kind}: {found}", "không phải {kind}: {found}", "{kind}", "{kind}"),
    "too_large": Words("is too large", "quá lớn", "at most {most:,} characters", "nhiều nhất {most:,} ký tự"),
    "empty_file": Words("is empty", "tệp rỗng"),
    "empty": Words("is empty", "để trống", "a text", "một chuỗi ký tự"),
    "twice": Words("{found} stands there twice", "{found} có hai lần", "each once", "mỗi tên một lần"),
    "same_name": Words("the name is used twice", "tên đã dùng cho mục khác", "another name", "một tên khác"),
    "stands": Words("{found!r} stands in line {other} already", "{found!r} đã có ở dòng {other}", "each once",
                    "mỗi mã một lần"),
    "no_rules": Words("has no list of rules", "không có danh sách quy tắc", "rules: [ … ]", "rules: [ … ]"),
    "no_list": Words("is no list", "không phải danh sách"),
    "no_entry": Words("is neither an event nor a time", "không phải sự kiện, cũng không phải thời gian"),
    "columns": Words("the first row names other columns", "dòng đầu có tên cột khác"),
    "cells": Words("{found} cells", "có {found} ô", "{many}: {names}", "{many} ô: {names}"),
    "no_date": Words("{found!r} is no date", "{found!r} không phải ngày", "yyyy-mm-dd", "năm-tháng-ngày: yyyy-mm-dd"),
    "no_instant": Words("{found!r} is no instant", "{found!r} không phải thời điểm", "yyyy-mm-ddThh:mm:ss+07:00",
                        "năm-tháng-ngày, giờ và múi giờ: yyyy-mm-ddThh:mm:ss+07:00"),
    "no_number": Words("{found!r} is no number", "{found!r} không phải số", "18 digits at most",
                       "nhiều nhất 18 chữ số"),
    "no_truth": Words("{found!r} is neither", "{found!r} không phải giá trị nào trong hai giá trị đó"),
    "no_agency": Words("{found!r} is no agency", "{found!r} không phải cơ quan", "an id of {table}",
                       "một id trong {table}"),
    "no_pair": Words("{found!r} is no pair", "{found!r} không phải cặp tên=giá trị"),
    "not_after": Words("{found} is not after {start}", "{found} không sau {start}", "a day after valid_from",
                       "một ngày sau valid_from"),
    "grace": Words("is before the agency ends", "trước ngày cơ quan kết thúc", "valid_to ({end}) or later",
                   "valid_to ({end}) hoặc sau đó"),
    "relation": Words("is unknown", "không có quan hệ này"),
    "shared_code": Words("{found!r} is a code of {agency} then (line {other})",
                         "{found!r} lúc đó là mã của {agency} (dòng {other})",
                         "one agency at a time: valid_from and valid_to apart",
                         "mỗi lúc một cơ quan: valid_from và valid_to không chồng nhau"),
    "circle": Words("goes in a circle: {found}", "đi vòng tròn: {found}", "{ways} that come to an end",
                    "chuỗi phải có điểm cuối"),
    "never_open": Words("an office that is always closed never finishes anything",
                        "cơ quan luôn đóng cửa thì không bao giờ giải quyết xong"),
    "no_event": Words("there is no event type `{found}`", "không có loại sự kiện `{found}`", "see procedures events",
                      "xem lgsp procedures events"),
    "no_fact": Words("`{event}` does not tell `{found}`", "`{event}` không có `{found}`"),
    "no_value": Words("`{name}` is not `{found}`", "`{name}` không nhận `{found}`"),
    "no_time": Words("`{found}` is no time", "`{found}` không phải thời điểm", "2025-08-04 09:00", "2025-08-04 09:00"),
    "order": Words("comes before the one above it", "xảy ra trước mục bên trên", "events in order",
                   "sự kiện theo thứ tự thời gian"),
    "two_holders": Words("{found!r} is a code of {one} and of {other} at the same time",
                         "{found!r} cùng lúc là mã của {one} và {other}", "one agency at a time",
                         "mỗi lúc một cơ quan"),
    "removed": Words("{found} names {other}, which is removed", "{found} trỏ tới {other}, cơ quan bị xóa"),
    "two_versions": Words("there are two of this version", "phiên bản này có hai định nghĩa", "a new version number",
                          "một số phiên bản mới"),
    "version_gone": Words("open dossiers run by definition {found}, which is not there",
                          "còn hồ sơ chạy theo định nghĩa {found}, nhưng không có định nghĩa đó",
                          "the file of {found}, until its last dossier is closed",
                          "tệp của {found}, cho đến khi hồ sơ cuối cùng đóng"),
    "version_changed": Words("definition {found} was changed while dossiers run by it",
                             "định nghĩa {found} đã bị sửa khi còn hồ sơ chạy theo nó",
                             "{found} as it was, and the change as a new version",
                             "{found} như cũ, và phần sửa là một phiên bản mới"),
    "no_definition": Words("there is no definition `{found}`", "không có định nghĩa `{found}`"),
    "no_working_day": Words("{days} days off in a row after {day}", "{days} ngày nghỉ liền nhau sau {day}"),
    "directory_taken": Words("process {holder} works in this data directory already",
                             "tiến trình {holder} đang dùng thư mục dữ liệu này", "one process at a time",
                             "mỗi lúc một tiến trình"),
    "directory_full": Words("{found} holds a ledger already", "{found} đã có sổ cái", "an empty directory",
                            "một thư mục trống"),
    "directory_empty": Words("there is no ledger in {found}", "không có sổ cái trong {found}",
                             "a directory that `lgsp run` uses", "thư mục mà `lgsp run` dùng"),
    "short_key": Words("too short", "quá ngắn", "`lgsp owner-key`", "`lgsp owner-key`"),
    "no_key_file": Words("no file is named", "chưa nêu tệp", "the path of the key to make",
                         "đường dẫn của khóa cần tạo"),
    "no_credentials": Words("the schema registry refuses the credentials",
                            "sổ đăng ký lược đồ không chấp nhận tài khoản"),
    "partitions": Words("the installation has {found} partitions", "hệ thống có {found} phân vùng"),
    "topic_partitions": Words("topic {topic} has {found} partitions", "chủ đề {topic} có {found} phân vùng"),
    "no_topic": Words("topic {topic} does not exist", "chưa có chủ đề {topic}", "`lgsp topics create`",
                      "`lgsp topics create`"),
    "running": Words("{found} processes are running", "{found} tiến trình đang chạy", "all processes stopped",
                     "mọi tiến trình đã dừng"),
    "not_drained": Words("not drained: {found}", "chưa xử lý hết: {found}", "nothing under way",
                         "không còn gì dang dở"),
    "bus_older": Words("the ledger has accepted more of {found} than the bus holds",
                       "sổ cái đã nhận của {found} nhiều hơn bus đang có",
                       "bus and ledger of the same installation, the bus not older than the ledger",
                       "bus và sổ cái của cùng một hệ thống, bus không cũ hơn sổ cái"),
    "no_tables": Words("the ledger has no tables yet", "sổ cái chưa có bảng nào", "a ledger prepared by `lgsp migrate`",
                       "sổ cái đã qua `lgsp migrate`"),
    "other_revision": Words("the ledger is at revision {found}, not {wanted}",
                            "sổ cái ở bản {found}, không phải {wanted}", "a ledger prepared by `lgsp migrate`",
                            "sổ cái đã qua `lgsp migrate`"),
    "no_url": Words("not a URL", "không phải URL", "sqlite:///… or postgresql://…", "sqlite:///… hoặc postgresql://…"),
    "other_ledger": Words("unknown kind of ledger", "không có loại sổ cái này", "sqlite:///… or postgresql://…",
                          "sqlite:///… hoặc postgresql://…"),
    "not_there": Words("does not exist", "không có"),
    "no_connector": Words("unknown connector {found!r}", "không có bộ kết nối {found!r}"),
    "no_operation": Words("no operation {found!r}", "không có thao tác {found!r}"),
    "payments_wait": Words("payments never expire without a person",
                           "khoản thanh toán chỉ hết hạn khi có người quyết định"),
    "other_runtime": Words("only the embedded runtime is copied like this", "chỉ bản nhúng được sao lưu theo cách này",
                           "embedded", "embedded"),
    "no_copies": Words("holds no {found}", "không có {found}", "the folder of a ledger", "thư mục của một sổ cái"),
    "no_setting": Words("there is no such setting", "không có mục này"),
    "unusable": Words("cannot be used", "không dùng được"),
    "fault": Words("{found}", "không dùng được: {found}"),
}  # fmt: skip

#: What is wrong with a value, by pydantic's name of the error.
VALUES: Final[Mapping[str, Words]] = {
    "missing": Words("is missing", "còn thiếu"),
    "extra_forbidden": Words("there is no such setting", "không có mục này"),
    "string_pattern_mismatch": Words("has the wrong form", "sai dạng"),
    "literal_error": Words("is not one of the values it may have", "không thuộc các giá trị cho phép", "{expected}",
                           "{expected_vi}"),
    "enum": Words("is not one of the values it may have", "không thuộc các giá trị cho phép", "{expected}",
                           "{expected_vi}"),
    "greater_than": Words("is too small", "quá nhỏ", "more than {gt}", "lớn hơn {gt}"),
    "greater_than_equal": Words("is too small", "quá nhỏ", "{ge} or more", "{ge} trở lên"),
    "less_than": Words("is too large", "quá lớn", "less than {lt}", "nhỏ hơn {lt}"),
    "less_than_equal": Words("is too large", "quá lớn", "{le} or less", "{le} trở xuống"),
    "string_too_short": Words("is too short", "quá ngắn", "{min_length} characters or more",
                              "{min_length} ký tự trở lên"),
    "string_too_long": Words("is too long", "quá dài", "{max_length} characters or fewer",
                             "{max_length} ký tự trở xuống"),
    "too_short": Words("is empty", "để trống", "{min_length} or more", "{min_length} mục trở lên"),
}  # fmt: skip

#: The form that a kind of value has, by the first part of pydantic's name of the error.
KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "int": ("a whole number", "một số nguyên"),
    "float": ("a number", "một số"),
    "bool": ("true or false", "true hoặc false"),
    "string": ("text in quotes", "chuỗi trong ngoặc kép"),
    "path": ("a path in quotes", "đường dẫn trong ngoặc kép"),
    "dict": ("a table", "một bảng"),
    "model": ("a table", "một bảng"),
    "list": ("a list", "một danh sách"),
    "tuple": ("a list", "một danh sách"),
    "datetime": ("a time such as 2025-09-03T20:00:00+07:00", "thời điểm như 2025-09-03T20:00:00+07:00"),
    "date": ("a date such as 2025-07-01", "ngày như 2025-07-01"),
    "time": ("a time of day such as 15:00", "giờ trong ngày như 15:00"),
}


def refused(
    problem: str, *, file: str = "", line: int = 0, key: str = "", form: str = "", form_vi: str = "", **facts: Any
) -> ConfigError:
    """The refusal of a file by one of ``PROBLEMS``. ``form`` is the form that would do, where it depends on the case;
    alone it stands in both languages.
    """
    words = PROBLEMS[problem].about(facts)
    expected, expected_vi = form or words.form, form_vi or form or words.form_vi
    return ConfigError(words.en, file=file, line=line, key=key, expected=expected, vi=words.vi, expected_vi=expected_vi)


def unfit(words: Words, *, file: str, line: int = 0, key: str = "", form: str = "", form_vi: str = "") -> ConfigError:
    """The refusal of a value in the words of ``words_of``. ``form`` is the form that would do, where the reader knows
    it better; alone it stands in both languages.
    """
    expected, expected_vi = form or words.form, form_vi or form or words.form_vi
    return ConfigError(words.en, file=file, line=line, key=key, expected=expected, vi=words.vi, expected_vi=expected_vi)


def words_of(error: ErrorDetails) -> Words:
    """What pydantic found, in plain words; never the value. A validator's own text stays as it is."""
    context, kind = error.get("ctx") or {}, error["type"]
    if kind in VALUES:
        listed = str(context.get("expected", "")).replace(" or ", " hoặc ")  # pydantic's list of choices
        return VALUES[kind].about({**context, "expected_vi": listed})
    if kind == "value_error":
        said = str(context["error"])
        return Words(said, f"giá trị không dùng được: {said}")
    form = next((form for start, form in KINDS.items() if kind.startswith(start)), None)
    return Words("has the wrong form", "sai dạng", *form) if form else Words(error["msg"], "giá trị không dùng được")
