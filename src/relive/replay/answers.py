"""The answer to why, kept on the hub: a run of its own, whose report is an artifact."""

import msgspec

from relive.client.hub import HubClient
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.causes import AFTER_TAG, ANSWER, BEFORE_TAG, WhyReport, WhyStatus
from relive.core.ids import short_id
from relive.core.run import Artifact, Metric, RunStatus
from relive.wire.hub import RunDetail
from relive.wire.jobs import StageReport
from relive.wire.runs import CreatedRun, CreateRun


def keep_answer(report: WhyReport, project: str, hub: HubClient) -> CreatedRun:
    """Keep an answer, also one that was stopped, and give the run that holds it.

    Raises:
        HubUnreachable, HubRefused: The hub went away, or did not take it.
    """
    named = f"{short_id(report.before)} {short_id(report.after)}"
    metric = f" --metric {report.metric}" if report.metric else ""
    created = hub.create_run(
        CreateRun(project=project, name=f"why {named}", command=f"relive why {named}{metric}")
    )
    hub.set_tags(created.run_id, {BEFORE_TAG: report.before, AFTER_TAG: report.after})
    end_with_answer(report, created.run_id, hub)
    return created


def end_with_answer(
    report: WhyReport, run_id: str, hub: HubClient, *, log: str = "", log_bytes: int = 0
) -> None:
    """Keep an answer in a run that was made for it, and end the run. Raises as `keep_answer`.

    Args:
        log: Digest of what the search said meanwhile.
    """
    data = msgspec.json.encode(msgspec.structs.replace(report, id=run_id))
    entry = ManifestEntry(path=ANSWER, digest=hub.blobs.put_bytes(data), size_bytes=len(data))
    artifact = Artifact(
        run_id=run_id,
        path=ANSWER,
        manifest=hub.blobs.put_manifest(Manifest.of([entry])),
        size_bytes=len(data),
        files=1,
        kind="report",
    )
    hub.run(run_id).finish(
        StageReport(
            fence=0,
            status=RunStatus.KILLED if report.status is WhyStatus.STOPPED else RunStatus.FINISHED,
            reason=report.reason,
            artifacts=(artifact,),
            metrics=(Metric("runs", report.runs()), Metric("causes", len(report.causes))),
            log=log,
            log_bytes=log_bytes,
        )
    )


def find_answer(detail: RunDetail, hub: HubClient) -> WhyReport | None:
    """Read the answer that a run holds, if it holds one.

    Raises:
        BlobNotFound: The hub has lost it.
    """
    kept = next((it for it in detail.artifacts if it.path == ANSWER and it.kind == "report"), None)
    entry = hub.blobs.fetch_manifest(kept.manifest).find(ANSWER) if kept else None
    return msgspec.json.decode(hub.blobs.get_bytes(entry.digest), type=WhyReport) if entry else None
