"""The calls about pipelines."""

from relive.client.calls.base import Calls
from relive.client.transport import path_of
from relive.wire.hub import PipelineDetail, StartedPipeline, StartPipeline, WhyStage


class PipelineCalls(Calls):
    """Calls about pipelines; a pipeline is named by its id or as PROJECT:NUMBER."""

    def list_pipelines(self, *, project: str = "", commit: str = "", limit: int = 50) -> list[PipelineDetail]:
        """List pipelines, newest first, without their stages."""
        query = {"project": project or None, "commit": commit or None, "limit": limit}
        return self.transport.get(path_of("pipelines"), list[PipelineDetail], query)

    def get_pipeline(self, ref: str) -> PipelineDetail:
        """Give a pipeline with its stages."""
        return self.transport.get(path_of("pipelines", ref), PipelineDetail)

    def start_pipeline(self, request: StartPipeline) -> StartedPipeline:
        """Start a pipeline of a commit, or repeat one."""
        return self.transport.post(path_of("pipelines"), request, StartedPipeline)

    def cancel_pipeline(self, ref: str) -> PipelineDetail:
        """End a pipeline."""
        return self.transport.post(path_of("pipelines", ref, "cancel"), None, PipelineDetail, repeatable=True)

    def explain_pipeline(self, ref: str, *, stage: str = "") -> list[WhyStage]:
        """Ask why stages were or were not taken from the cache."""
        return self.transport.get(path_of("pipelines", ref, "why"), list[WhyStage], {"stage": stage or None})
