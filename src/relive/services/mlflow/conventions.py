"""What other instrumentations call what MLflow's clients call inputs, outputs, tokens, model and type.

Source: OpenTelemetry's semantic conventions for generative AI; OpenInference; OpenLLMetry (Traceloop);
Langfuse; the AI SDK of Vercel.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

INPUTS: Final = "mlflow.spanInputs"
OUTPUTS: Final = "mlflow.spanOutputs"
TYPE: Final = "mlflow.spanType"
USAGE: Final = "mlflow.chat.tokenUsage"
COST: Final = "mlflow.llm.cost"
MODEL: Final = "mlflow.llm.model"
PROVIDER: Final = "mlflow.llm.provider"

_SAME: Final = {
    INPUTS: (
        *("gen_ai.input.messages", "gen_ai.tool.call.arguments", "input.value", "traceloop.entity.input"),
        *("langfuse.observation.input", "ai.prompt.messages", "ai.prompt", "ai.toolCall.args"),
    ),
    OUTPUTS: (
        *("gen_ai.output.messages", "gen_ai.tool.call.result", "output.value", "traceloop.entity.output"),
        *("langfuse.observation.output", "ai.response.text", "ai.toolCall.result"),
    ),
    MODEL: ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "ai.model.id"),
    PROVIDER: ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "ai.model.provider"),
}
_TOKENS: Final = {
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "output_tokens": (
        *("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
        "llm.token_count.completion",
    ),
    "total_tokens": ("llm.usage.total_tokens", "llm.token_count.total"),
}
_KINDS: Final = {
    "chat": "CHAT_MODEL",
    "create_agent": "AGENT",
    "embeddings": "EMBEDDING",
    "execute_tool": "TOOL",
    "generate_content": "LLM",
    "generation": "LLM",
    "invoke_agent": "AGENT",
    "text_completion": "LLM",
    "response": "LLM",
}
_KIND_KEYS: Final = (
    *("gen_ai.operation.name", "openinference.span.kind"),
    *("traceloop.span.kind", "langfuse.observation.type"),
)
_KNOWN: Final = frozenset(
    (
        *("AGENT", "CHAIN", "EMBEDDING", "EVALUATOR", "GUARDRAIL", "LLM"),
        *("RERANKER", "RETRIEVER", "TASK", "TOOL", "WORKFLOW"),
    )
)


def translated(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Give a span's attributes with those added that MLflow's clients read; what they wrote stays."""
    found = dict(attributes)
    for key, names in _SAME.items():
        value = next((attributes[name] for name in names if attributes.get(name) not in (None, "")), None)
        if key not in found and value is not None:
            found[key] = _loaded(value) if key in (INPUTS, OUTPUTS) else value
    if USAGE not in found and (usage := _usage(attributes)):
        found[USAGE] = usage
    if found.get(TYPE) in (None, "", "UNKNOWN") and (kind := _kind(attributes)):
        found[TYPE] = kind
    return found


def _usage(attributes: Mapping[str, Any]) -> dict[str, int]:
    usage: dict[str, int] = {}
    for part, names in _TOKENS.items():
        counts = (_count(attributes.get(name)) for name in names)
        if (count := next((count for count in counts if count is not None), None)) is not None:
            usage[part] = count
    if "total_tokens" not in usage and {"input_tokens", "output_tokens"} <= usage.keys():
        usage["total_tokens"] = usage["input_tokens"] + usage["output_tokens"]
    return usage


def _count(value: Any) -> int | None:
    """Read a number of tokens, which some write as text."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 19:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _kind(attributes: Mapping[str, Any]) -> str:
    for key in _KIND_KEYS:
        word = attributes.get(key)
        if isinstance(word, str) and word:
            return _KINDS.get(word) or (word.upper() if word.upper() in _KNOWN else "")
    return ""


def _loaded(value: Any) -> Any:
    """Give a value as data: others write JSON as text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
