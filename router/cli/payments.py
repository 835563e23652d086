"""Commands on money that has no place: what waits, and what a person decides about it."""

from __future__ import annotations

from typing import Annotated

import typer

from router.cli import output
from router.cli.recipient import told
from router.cli.session import ConfigOption, JsonOption, ReasonOption, WhoOption, ask_money, user
from router.masking import mask
from router.procedures.suspended import Waiting
from router.reports.words import money

app = typer.Typer(no_args_is_help=True, help="Money that waits for a person: look at it, release it, give it back.")
Dossier = Annotated[str, typer.Argument(help="Any code of the dossier, or its internal id.")]
Payment = Annotated[str, typer.Argument(help="The payment's id as `payments suspended` prints it, or its reference.")]
Amount = Annotated[
    int, typer.Option("--amount", min=0, help="Only so much of it, in đồng. Without it: all that waits.")
]


@app.command("suspended", epilog="Example: lgsp payments suspended --json | jq '.[] | select(.suspended > 0)'")
def list_suspended(
    code: Annotated[str, typer.Argument(help="A code of one dossier; without it: all dossiers.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Stop after so many.")] = 200,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List payments of which something waits: suspended for a person, or carried over to new notices."""
    found = ask_money(config, lambda desk: desk.waiting(code, limit))
    output.listing([_row(each, as_json=json) for each in found], as_json=json, empty="No money waits.")


@app.command(
    epilog='Example: lgsp payments release H39.16-250616-0007 3f9a01c2 TB-0412 --reason "đã đối chiếu kho bạc"'
)
def release(
    code: Dossier,
    payment: Payment,
    notice: Annotated[str, typer.Argument(help="The notice that the money is for.")],
    reason: ReasonOption,
    amount: Amount = 0,
    who: WhoOption = "",
    config: ConfigOption = None,
) -> None:
    """Let money that waits pay a notice; what is more than the notice asks for is given back. Exit 1 if it cannot."""
    _decided(code, payment, notice, amount, who, reason, config)


@app.command(epilog='Example: lgsp payments refund H39.16-250616-0007 3f9a01c2 --reason "nộp nhầm hồ sơ"')
def refund(
    code: Dossier,
    payment: Payment,
    reason: ReasonOption,
    amount: Amount = 0,
    who: WhoOption = "",
    config: ConfigOption = None,
) -> None:
    """Have money that waits given back: its agency gets `payment.refund_requested`. Exit 1 if it cannot."""
    _decided(code, payment, "", amount, who, reason, config)


def _decided(code: str, payment: str, notice: str, amount: int, who: str, why: str, config: ConfigOption) -> None:
    by = who or user()
    told(
        ask_money(
            config,
            lambda desk: desk.decide(code, payment, notice=notice, amount=amount, who=by, why=why),
            deciding=True,
        )
    )


def _row(each: Waiting, *, as_json: bool) -> dict[str, object]:
    amounts = {"amount": each.amount, "suspended": each.suspended, "carried": each.carried}
    owed = {mask(number): rest for number, rest in each.open_notices.items()}
    return {
        "code": each.code,
        "id": each.id,
        "reference": mask(each.reference),
        "notice": mask(each.notice),
        **({name: value if as_json else money(value) for name, value in amounts.items()}),
        "reason": each.reason,
        "agency": each.agency,
        "open_notices": owed if as_json else ", ".join(f"{number}: {money(rest)}" for number, rest in owed.items()),
    }
