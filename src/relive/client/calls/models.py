"""The calls about registered models and endpoints."""

from typing import Any

from relive.client.calls.base import Calls
from relive.client.transport import path_of
from relive.core.model import Alias, ModelVersion
from relive.wire.hub import DeployVersion, EndpointDetail, ModelDetail, MoveAlias


class ModelCalls(Calls):
    """Calls about models, their versions and the endpoints that serve them."""

    def list_models(self, *, project: str = "") -> list[ModelDetail]:
        """List registered models."""
        return self.transport.get(path_of("models"), list[ModelDetail], {"project": project or None})

    def get_model(self, name: str) -> ModelDetail:
        """Give a model with its versions and aliases."""
        return self.transport.get(path_of("models", name), ModelDetail)

    def get_version(self, name: str, ref: str) -> ModelVersion:
        """Give a version by number or alias."""
        return self.transport.get(path_of("models", name, "versions", ref), ModelVersion)

    def get_provenance(self, name: str, ref: str) -> bytes:
        """Give a version's signed statement, byte for byte."""
        return b"".join(self.transport.stream(path_of("models", name, "versions", ref, "provenance")))

    def get_sbom(self, name: str, ref: str) -> bytes:
        """Give a version's bill of materials, CycloneDX as JSON."""
        return b"".join(self.transport.stream(path_of("models", name, "versions", ref, "sbom")))

    def verify_version(self, name: str, ref: str) -> dict[str, Any]:
        """Have a version's signature and files checked."""
        path = path_of("models", name, "versions", ref, "verify")
        return self.transport.post(path, None, dict[str, Any], repeatable=True)

    def move_alias(self, name: str, alias: str, version: int) -> Alias:
        """Point an alias at a version."""
        message = MoveAlias(alias=alias, version=version)
        return self.transport.post(path_of("models", name, "aliases"), message, Alias, repeatable=True)

    def list_endpoints(self, *, project: str = "") -> list[EndpointDetail]:
        """List endpoints."""
        return self.transport.get(path_of("endpoints"), list[EndpointDetail], {"project": project or None})

    def get_endpoint(self, name: str) -> EndpointDetail:
        """Give an endpoint with its revisions."""
        return self.transport.get(path_of("endpoints", name), EndpointDetail)

    def deploy_version(self, endpoint: str, model: str, ref: str) -> EndpointDetail:
        """Serve a version."""
        message = DeployVersion(model=model, ref=ref)
        return self.transport.post(path_of("endpoints", endpoint, "deploy"), message, EndpointDetail)

    def roll_back(self, endpoint: str) -> EndpointDetail:
        """Give the traffic back to the revision before."""
        return self.transport.post(path_of("endpoints", endpoint, "rollback"), None, EndpointDetail)

    def cancel_deployment(self, endpoint: str) -> EndpointDetail:
        """Stop what is on its way to an endpoint."""
        return self.transport.post(path_of("endpoints", endpoint, "cancel"), None, EndpointDetail)

    def delete_endpoint(self, name: str) -> None:
        """Stop an endpoint and forget it."""
        self.transport.delete(path_of("endpoints", name))
