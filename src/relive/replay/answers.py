"""The answer to why, kept on the hub: a run of its own, whose report is an artifact."""

import msgspec

from relive.client.hub import HubClient
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.causes import AFTER_TAG, ANSWER, BEFORE_TAG, WhyReport, WhyStatus
from relive.core.ids import short_id
from relive.core.run import Artifact, Metric, RunStatus
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
    data = msgspec.json.encode(msgspec.structs.replace(report, id=created.run_id))
    entry = ManifestEntry(path=ANSWER, digest=hub.blobs.put_bytes(data), size_bytes=len(data))
    artifact = Artifact(
        run_id=created.run_id,
        path=ANSWER,
        manifest=hub.blobs.put_manifest(Manifest.of([entry])),
        size_bytes=len(data),
        files=1,
        kind="report",
    )
    hub.set_tags(created.run_id, {BEFORE_TAG: report.before, AFTER_TAG: report.after})
    hub.run(created.run_id).finish(
        StageReport(
            fence=0,
            status=RunStatus.KILLED if report.status is WhyStatus.STOPPED else RunStatus.FINISHED,
            reason=report.reason,
            artifacts=(artifact,),
            metrics=(Metric("runs", report.runs()), Metric("causes", len(report.causes))),
        )
    )
    return created
