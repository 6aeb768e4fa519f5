"""What is never stored: files and variables that hold secrets, recognised by name and by form.

A variable is recorded if its name is on the allow-list, so a secret would have to hide under the name of a
thread count to be seen here, and the other rules catch that case too. One that the program asks for is
recorded by name, and its value only if it is a number or a plain word.
"""

import re
from collections.abc import Container, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

MASK: Final = "***"
LONGEST_VALUE: Final = 1000

# Folders whose whole content is secret, wherever they lie.
_SECRET_FOLDERS: Final = frozenset({".aws", ".azure", ".gnupg", ".kube", ".ssh", ".docker", "gcloud"})
_SECRET_FILES: Final = (
    *(".env", ".env.*", "*.env", ".envrc"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.asc", "*.ppk"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
    *(".netrc", "_netrc", ".pypirc", ".npmrc", ".pgpass", ".my.cnf", ".git-credentials", ".htpasswd"),
    *("*credentials*", "*secret*", "*password*", "*passwd*", "service-account*.json"),
    # Not every name with "token" in it: tokenized texts are data.
    *("token", "token.*", "*.token", "*_token", "*-token", "*access_token*", "*api_token*", "*auth_token*"),
)
# Names that only sound like secrets: examples without values, source code, and what tokenizers are made of.
_HARMLESS_FILES: Final = (
    *(".env.example", ".env.sample", ".env.template", ".env.dist", "*.pub"),
    *("*.py", "*.pyi", "*.ipynb", "*.md", "*.rst", "*.c", "*.cc", "*.cpp", "*.h", "*.rs", "*.js", "*.ts"),
    *("tokenizer*", "*tokenizer.json", "*tokenizer_config.json", "*special_tokens_map.json"),
    *("*added_tokens.json", "*.html", "*.css"),
)

_SECRET_NAME: Final = re.compile(
    r"key|token|secret|pass(?!es)|pwd|credential|auth|cookie|private|dsn|conn|jwt|bearer|signature|webhook"
    r"|(^|_)(pw|pin|otp|salt|sas|sid)(_|$)",
    re.IGNORECASE,
)
# Parts of the names of parameters that hold a secret's word, and no secret.
_HARMLESS_WORD: Final = re.compile(
    r"tokeni[sz]\w*|key_?(point|word|frame)s?|author|monkey|connect(ed|ion)?s?", re.IGNORECASE
)
# What issuers put in front of their tokens, and private keys.
_SECRET_VALUE: Final = re.compile(
    r"\bAKIA[0-9A-Z]{16}\b"
    r"|\bgh[opsur]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}|\bglpat-[\w-]{18,}"
    r"|\bxox[abprs]-[\w-]{10,}|\bsk-[\w-]{20,}|\bhf_[A-Za-z0-9]{30,}|\bpypi-[\w-]{30,}|\bnpm_[A-Za-z0-9]{30,}"
    r"|\bey[\w-]{15,}\.ey[\w-]{15,}\.[\w-]{10,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
_USER_INFO: Final = re.compile(r"(?<=://)[^/@\s]+@")

# They decide how numbers come out, or which library computes them.
_RECORDED_VARIABLES: Final = re.compile(
    r"(?!TF_VAR_)(OMP|MKL|OPENBLAS|BLIS|VECLIB|NUMEXPR|KMP|GOMP|GOTO|TBB|NPY|ATEN|ONEDNN|DNNL|TORCH|PYTORCH|TORCHINDUCTOR"
    r"|TRITON|CUDA|CUBLAS|CUDNN|NVIDIA|NCCL|ROCR|HIP|HSA|MIOPEN|TF|XLA|JAX|KERAS|XGBOOST|LIGHTGBM|POLARS|RAYON"
    r"|MALLOC|GLIBC|PYTHON|LC)_?.*|LANG|LANGUAGE|TZ|SOURCE_DATE_EPOCH|LD_PRELOAD|LD_BIND_NOW"
)
# Which machine, person and run it is: no input, whoever asks.
_NO_INPUT: Final = re.compile(
    r"(RELIVE|MLFLOW|XDG|SSH|DBUS)_.*|PATH|HOME|PWD|OLDPWD|USER|LOGNAME|HOSTNAME|SHELL|TERM|COLUMNS|LINES|SHLVL"
    r"|TMPDIR|TEMP|TMP|_"
)
_PLAIN: Final = re.compile(r"[-+]?[0-9][0-9_.eE+-]{0,30}|[A-Za-z][a-z_-]{0,30}|[A-Z_]{1,31}|")


def secret_file(path: str) -> str:
    """Say why a file is never stored; empty if its name gives no reason.

    Args:
        path: Relative, with `/` between the names.
    """
    *folders, name = path.split("/")
    for folder in folders:
        if folder.lower() in _SECRET_FOLDERS:
            return f"in {folder}/, which holds secrets"
    lower = name.lower()
    if any(fnmatchcase(lower, pattern) for pattern in _HARMLESS_FILES):
        return ""
    for pattern in _SECRET_FILES:
        if fnmatchcase(lower, pattern):
            return f"name of a secret ({pattern})"
    return ""


def holds_secret(text: str) -> bool:
    """Tell whether a text has the form of a known kind of secret."""
    return _SECRET_VALUE.search(text) is not None or _USER_INFO.search(text) is not None


def mask_text(text: str) -> str:
    """Give a text with known kinds of secrets, and the user part of addresses, replaced by `***`."""
    return _USER_INFO.sub(f"{MASK}@", _SECRET_VALUE.sub(MASK, text))


def recorded_variables(environ: Mapping[str, str], asked: Container[str] = ()) -> dict[str, str]:
    """Give the environment variables that belong into a recipe, sorted.

    Only names on the allow-list, and those that the program asked for; a value that could be a secret is
    `***`; values that name places on this machine are left out, because another machine has other places.
    """
    found = {}
    for name, value in sorted(environ.items()):
        is_known = _RECORDED_VARIABLES.fullmatch(name) is not None
        is_asked = name in asked and _NO_INPUT.fullmatch(name) is None
        if (is_known or is_asked) and not _is_place(value):
            is_hidden = _is_secret(name, value) or not (is_known or _PLAIN.fullmatch(value))
            found[name] = MASK if is_hidden else value[:LONGEST_VALUE]
    return found


def masked_param(name: str, value: Any) -> Any:
    """Give a parameter's value, or `***` if its name or its form says that it is a secret."""
    if isinstance(value, list):
        return [masked_param(name, item) for item in value]
    if isinstance(value, dict):
        return {key: masked_param(f"{name}.{key}", item) for key, item in value.items()}
    if not isinstance(value, str) or not value:
        return value  # a switch or a size, such as pin_memory and max_tokens
    return MASK if _SECRET_NAME.search(_HARMLESS_WORD.sub("", name)) else mask_text(value)


def without_user_info(address: str) -> str:
    """Give the address of a repository or server without user, password, query and fragment."""
    scheme, separator, _ = address.partition("://")
    if not separator:
        # The short form of ssh: user@host:path. A path of this machine has no colon before its first slash.
        host, at, rest = address.partition("@")
        return rest if at and "/" not in host else address
    try:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", ""))
    except ValueError:
        return f"{scheme}://"


def _is_secret(name: str, value: str) -> bool:
    return _SECRET_NAME.search(name) is not None or holds_secret(value)


def _is_place(value: str) -> bool:
    return "/" in value and "://" not in value
