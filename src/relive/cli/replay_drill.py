"""`relive replay --drill`: the first operation in which two runs of one step differ, as typed and printed."""

from collections.abc import Callable
from typing import NoReturn

from relive.cli.output import err, escape, out, plural, print_json
from relive.client.hub import HubClient
from relive.core.ids import short_id
from relive.core.trajectory import FirstDivergence
from relive.errors import CommandFailed
from relive.replay.drill import Drilled, clock_of, drill
from relive.replay.operations import FirstOperation, Kind, Operation
from relive.replay.plan import ReplayPlan, make_plan
from relive.replay.substitutes import Substitutes

_DIFFERS = 3
_MOST_NAMES = 8
_SENTENCES = {
    Kind.ANOTHER: "the two do another thing here",
    Kind.ARGUMENTS: "it is called with other shapes or numbers",
    Kind.INPUTS: "its inputs differ, and no operation before it made them so: they come from before the "
    "step, or from outside of what is recorded (a file, NumPy, the program's own numbers)",
    Kind.RANDOM: "it draws from a random generator that is in another state: it was seeded otherwise, not at "
    "all, or something else drew from it",
    Kind.RESULT: "its inputs are the same bit by bit: what differs is how it is computed (version, threads, "
    "processor, an operation that is not deterministic)",
    Kind.MISSING: "only one of the two comes to it",
}


def replay_drill(
    hub: HubClient,
    target: str,
    asked: str,
    other: str,
    accepted: Substitutes,
    echo: Callable[[bytes], None] | None,
) -> Drilled:
    """Run both sides up to a step and compare them; see `relive replay --help`.

    Raises:
        CannotReplay, InvalidInput: A side cannot be made again here, or has no such step.
    """
    of_machine = Substitutes(machine=accepted.machine)
    one = make_plan(hub, target, of_machine)
    clock = clock_of(one.trajectory, asked)
    first = f"run {short_id(one.run_id)}"
    sides: dict[str, ReplayPlan] = {first: one}
    if other:
        plan = make_plan(hub, other, accepted)
        sides[f"run {short_id(plan.run_id)}" + ("" if plan.run_id != one.run_id else " again")] = plan
    elif accepted.texts:
        sides[f"with {', '.join(accepted.texts)}"] = make_plan(hub, target, accepted)
    else:
        sides[f"{first} again"] = one
    return drill(hub, sides, clock, echo=echo, told=lambda what: err.print(escape(f"drilling {what} …")))


def end_drill(found: Drilled, *, as_json: bool) -> NoReturn:
    """Print what a drill showed and leave: 0 both agree, 3 they differ, 1 a side failed."""
    if as_json:
        print_json(found)
    else:
        _print(found)
    if found.failure:
        if as_json:
            raise SystemExit(1)
        raise CommandFailed(command="relive replay --drill", exit_code=1, reason=found.failure)
    raise SystemExit(0 if found.first is None else _DIFFERS)


def _print(found: Drilled) -> None:
    clock = found.clock
    out.print(escape(f"what makes step {clock.step} ({clock.stream}):"))
    for side in found.sides:
        short = "" if side.is_whole or side.failure else ", up to its end"
        at = "the record" if side.parts is None else f"{_place(side.parts)} of the record on"
        agrees = "its steps are those of" if side.parts is None else "its steps differ from"
        out.print(escape(f"  {side.what}: {plural(side.operations, 'operation')}{short}; {agrees} {at}"))
    if found.failure:
        return
    if found.first is None:
        out.print(f"[bold green]≡ both agree[/] in every operation{escape(_beside_record(found))}")
        return
    _print_first(found.first, [it.what for it in found.sides])
    if found.earlier is not None:
        at = f"{found.earlier.stream}@{found.earlier.step}"
        out.print(escape(f"the two part before this step: look there with --drill {at}"))


def _print_first(first: FirstOperation, sides: list[str]) -> None:
    shown = first.shown
    rank = f" of rank {first.rank}" if first.rank else ""
    out.print(f"[bold red]≠ first in operation {first.index}{rank}[/]: {escape(_named(shown))}")
    for text in shown.texts[:_MOST_NAMES]:
        out.print(escape(f"    {text}"))
    if first.kind in (Kind.ANOTHER, Kind.MISSING):
        for what, operation in zip(sides, (first.one, first.other), strict=True):
            out.print(escape(f"  {what}: {_named(operation) if operation else 'nothing more'}"))
    elif first.names:
        more = " …" if len(first.names) > _MOST_NAMES else ""
        out.print(escape(f"  differs: {', '.join(first.names[:_MOST_NAMES])}{more}"))
    out.print(escape(f"  {_SENTENCES[first.kind]}"))


def _named(operation: Operation) -> str:
    node = f", in {operation.node}" if operation.node else ""
    return f"{operation.name}{node}{f' ({operation.at})' if operation.at else ''}"


def _beside_record(found: Drilled) -> str:
    if all(side.parts is None for side in found.sides):
        return ", and with the record"
    return (
        ", and part from the record together: what differs is none of the recipe's inputs, but this machine, "
        "or what the command reads from outside"
    )


def _place(at: FirstDivergence) -> str:
    return f"{at.stream} step {at.step}"
