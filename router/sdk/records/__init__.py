"""Typed records for code that needs them: one model per Avro record, by family."""

from collections.abc import Mapping
from typing import Final

from router.sdk.records.common import (
    Applicant,
    ApplicantKind,
    Attachment,
    DossierStatus,
    Fee,
    Parcel,
    PaymentStatus,
    Record,
)
from router.sdk.records.document import (
    BusinessType,
    Document,
    DocumentPriority,
    DocumentStatus,
    DocumentStatusCode,
    Party,
    ReceiverChange,
    Replacement,
    Trace,
)
from router.sdk.records.dossier import (
    Apology,
    Channel,
    ComponentState,
    ComponentStatus,
    DeliveryStatus,
    Dossier,
    Overdue,
    ProgressLine,
    ProgressStep,
    ServiceLevel,
    Supplement,
    SupplementRound,
    SynchronisationStatus,
)
from router.sdk.records.land import LandFile, LandMessage
from router.sdk.records.notification import Notification, NotificationChannel
from router.sdk.records.operations import Failure, OutcomeCode, ProcedureSignal, Receipt
from router.sdk.records.payment import Payment, PaymentPhase
from router.sdk.records.reference import Agency, AgencyStatus
from router.sdk.records.tax import (
    NoticeLine,
    NoticeStatus,
    ObligationCompletion,
    ObligationRequest,
    ObligationReturn,
    TaxNotice,
)

#: Models by the full name of their Avro record.
RECORDS: Final[Mapping[str, type[Record]]] = {
    "vn.lgsp.dossier.Dossier": Dossier,
    "vn.lgsp.dossier.ProgressLine": ProgressLine,
    "vn.lgsp.dossier.SupplementRound": SupplementRound,
    "vn.lgsp.dossier.ComponentStatus": ComponentStatus,
    "vn.lgsp.dossier.Apology": Apology,
    "vn.lgsp.dossier.Overdue": Overdue,
    "vn.lgsp.document.Document": Document,
    "vn.lgsp.document.DocumentStatus": DocumentStatus,
    "vn.lgsp.land.LandFile": LandFile,
    "vn.lgsp.tax.ObligationRequest": ObligationRequest,
    "vn.lgsp.tax.ObligationReturn": ObligationReturn,
    "vn.lgsp.tax.TaxNotice": TaxNotice,
    "vn.lgsp.tax.ObligationCompletion": ObligationCompletion,
    "vn.lgsp.payment.Payment": Payment,
    "vn.lgsp.notification.Notification": Notification,
    "vn.lgsp.reference.Agency": Agency,
    "vn.lgsp.operations.Receipt": Receipt,
    "vn.lgsp.operations.Failure": Failure,
    "vn.lgsp.operations.ProcedureSignal": ProcedureSignal,
}

__all__ = [
    "RECORDS",
    "Agency",
    "AgencyStatus",
    "Apology",
    "Applicant",
    "ApplicantKind",
    "Attachment",
    "BusinessType",
    "Channel",
    "ComponentState",
    "ComponentStatus",
    "DeliveryStatus",
    "Document",
    "DocumentPriority",
    "DocumentStatus",
    "DocumentStatusCode",
    "Dossier",
    "DossierStatus",
    "Failure",
    "Fee",
    "LandFile",
    "LandMessage",
    "NoticeLine",
    "NoticeStatus",
    "Notification",
    "NotificationChannel",
    "ObligationCompletion",
    "ObligationRequest",
    "ObligationReturn",
    "OutcomeCode",
    "Overdue",
    "Parcel",
    "Party",
    "Payment",
    "PaymentPhase",
    "PaymentStatus",
    "ProcedureSignal",
    "ProgressLine",
    "ProgressStep",
    "Receipt",
    "ReceiverChange",
    "Record",
    "Replacement",
    "ServiceLevel",
    "Supplement",
    "SupplementRound",
    "SynchronisationStatus",
    "TaxNotice",
    "Trace",
]
