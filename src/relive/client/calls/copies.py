"""The calls that take traces and data sets for evaluation out of a hub whole, and bring them to one."""

from collections.abc import Iterator, Sequence
from types import NoneType

from relive.client.calls.base import Calls
from relive.client.transport import path_of
from relive.core.evaluation import EvaluationRecord
from relive.wire.copies import BringEvaluation, BringRecords, BringTraces, Brought, EvaluationCopy, TraceCopy


class CopyCalls(Calls):
    """Calls of `relive export` and `relive import`; all may be repeated."""

    def each_trace_copy(self, project: str) -> Iterator[TraceCopy]:
        """Give every trace of a project with all that is its, the newest first, a page at a time."""
        after = ""
        while True:
            query = {"project": project, "after": after or None}
            page, headers = self.transport.get_page(path_of("copies", "traces"), list[TraceCopy], query)
            yield from page
            after = headers.get("x-next-page", "")
            if not after:
                return

    def bring_traces(self, project: str, traces: Sequence[TraceCopy]) -> Brought:
        """Keep traces in a project."""
        message = BringTraces(project, tuple(traces))
        return self.transport.post(path_of("copies", "traces"), message, Brought, repeatable=True)

    def list_evaluation_copies(self, project: str) -> list[EvaluationCopy]:
        """Give the data sets for evaluation of a project, without their records."""
        path = path_of("copies", "evaluation")
        return self.transport.get(path, list[EvaluationCopy], {"project": project})

    def each_evaluation_record(self, dataset_id: str) -> Iterator[EvaluationRecord]:
        """Give every record of a data set, in their order, a page at a time."""
        path, after = path_of("copies", "evaluation", dataset_id, "records"), 0
        while page := self.transport.get(path, list[EvaluationRecord], {"after": after}):
            yield from page
            after = page[-1].number

    def bring_evaluation(self, project: str, copy: EvaluationCopy) -> Brought:
        """Keep a data set in a project; its records come later."""
        message = BringEvaluation(project, copy)
        return self.transport.post(path_of("copies", "evaluation"), message, Brought, repeatable=True)

    def bring_records(self, dataset_id: str, records: Sequence[EvaluationRecord]) -> None:
        """Keep records of a data set."""
        path = path_of("copies", "evaluation", dataset_id, "records")
        self.transport.post(path, BringRecords(tuple(records)), NoneType, repeatable=True)
