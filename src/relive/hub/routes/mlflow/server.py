"""What the server is and can do, as MLflow's clients ask it."""

from typing import Any, Final

from litestar import MediaType, Response, get, route
from litestar.params import FromPath

from relive.core.access import Caller
from relive.hub.http import OPEN, HubRequest
from relive.hub.routes.mlflow.table import Query, Table
from relive.services.context import Services
from relive.services.mlflow.artifacts import presigns

# The version whose protocol is served: clients compare it with the one that brought what they want to use.
MLFLOW_VERSION: Final = "3.17.2"
_WORKSPACES: Final = (
    "Endpoint: {} disabled because the server is running without workspaces support. To enable workspace,"
    " run `mlflow server` with `--enable-workspaces`"
)


def _get_server_info(services: Services, _caller: Caller, _query: Query) -> dict[str, Any]:
    """Tell what this server can do besides the protocol itself."""
    return {
        "store_type": "SqlStore",
        "workspaces_enabled": False,
        "trace_archival_enabled": False,
        "multipart_uploads_enabled": presigns(services),
        "multipart_downloads_enabled": presigns(services),
        "presigned_upload_run_id_supported": False,
        "presigned_upload_model_id_supported": False,
        "features_enabled": {"gateway": False},
    }


@get("/version", sync_to_thread=False, include_in_schema=False, opt=OPEN, media_type=MediaType.TEXT)
def version() -> str:
    """Give the version of MLflow whose protocol is served; needs no token."""
    return MLFLOW_VERSION


@route(
    [f"/{api}/3.0/mlflow/workspaces{rest}" for api in ("api", "ajax-api") for rest in ("", "/{name:str}")],
    http_method=["GET", "POST", "PATCH", "DELETE"],
    sync_to_thread=False,
    include_in_schema=False,
    opt=OPEN,
)
def workspaces(request: HubRequest, name: FromPath[str] = "") -> Response[str]:
    """Say that there are no workspaces, as a server of MLflow's without them does; needs no token."""
    asked = request.url.path.removesuffix(name) + ("<workspace_name>" if name else "")
    return Response(_WORKSPACES.format(asked), status_code=503, media_type=MediaType.TEXT)


TABLE: Table = {("GET", "server-info"): (None, _get_server_info)}
ROUTES = [version, workspaces]
