"""What is never stored, and what only sounds like a secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.capture.secrets import (
    MASK,
    holds_secret,
    mask_text,
    recorded_variables,
    secret_file,
    without_user_info,
)

# Put together here, so that no scanner takes this file for a leak.
TOKENS = [
    "AKIA" + "ABCDEFGHIJKLMNOP",
    "ghp_" + "a1" * 18,
    "github_pat_" + "a1" * 20,
    "glpat-" + "a1" * 12,
    "xoxb-" + "123456789012-abc",
    "sk-" + "a1" * 20,
    "hf_" + "a1" * 17,
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "abcdefghijkl",
    "-----BEGIN RSA " + "PRIVATE KEY-----",
]


@pytest.mark.parametrize(
    "path",
    [
        *(".env", ".env.production", "prod.env", "server.pem", "deep/down/tls.key", "id_rsa", "id_ed25519"),
        *("home/.aws/credentials", ".ssh/config", ".kube/config", ".netrc", ".pypirc", ".npmrc"),
        *("credentials.json", "client_secret.json", "secrets.yaml", "api_token.txt", ".token", "TOKEN"),
        *("Passwords.csv", "service-account-prod.json", "keys.p12"),
    ],
)
def test_secret_files_are_known_by_their_names(path):
    assert secret_file(path)


@pytest.mark.parametrize(
    "path",
    [
        *("train.py", "src/secrets.py", "tests/test_password.py", ".env.example", "docs/credentials.md"),
        *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "tokenized_train.parquet"),
        *("token_counts.csv", "environment.yml", "keys.csv", "id_rsa.pub", "monkey.png", "data/train.csv"),
    ],
)
def test_what_only_sounds_like_a_secret_is_kept(path):
    assert secret_file(path) == ""


@pytest.mark.parametrize("token", TOKENS)
def test_tokens_are_known_by_their_form(token):
    assert holds_secret(f"--with {token} --more")
    masked = mask_text(f"--with {token} --more")
    assert token not in masked
    assert masked == f"--with {MASK} --more"


def test_the_user_part_of_an_address_is_masked():
    assert mask_text("pip install git+https://me:pw@host/x") == f"pip install git+https://{MASK}@host/x"
    assert mask_text("mail me@example.org") == "mail me@example.org"


def test_only_variables_that_can_change_results_are_recorded():
    environ = {
        "OMP_NUM_THREADS": "4",
        "MKL_CBWR": "AVX2,STRICT",
        "CUDA_VISIBLE_DEVICES": "0,1",
        "PYTHONHASHSEED": "0",
        "LANG": "C.UTF-8",
        "LC_ALL": "C",
        "TZ": "UTC",
        "HOME": "/srv/me",
        "USER": "me",
        "DATABASE_URL": "postgres://me:pw@host",
        "MY_API_KEY": "x",
        "PATH": "/usr/bin",
        "PYTHONPATH": "/srv/me/src",
        "CUDA_HOME": "/usr/local/cuda",
        "RELIVE_TOKEN": "x",
    }
    assert recorded_variables(environ) == {
        "CUDA_VISIBLE_DEVICES": "0,1",
        "LANG": "C.UTF-8",
        "LC_ALL": "C",
        "MKL_CBWR": "AVX2,STRICT",
        "OMP_NUM_THREADS": "4",
        "PYTHONHASHSEED": "0",
        "TZ": "UTC",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [("TF_AUTH_TOKEN", "plain"), ("CUDA_X", TOKENS[1]), ("NVIDIA_PROXY", "https://me:pw@proxy:80")],
)
def test_a_secret_under_a_recorded_name_is_masked(name, value):
    assert recorded_variables({name: value}) == {name: MASK}


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20)), st.sampled_from(TOKENS))
def test_no_token_gets_through_under_any_name(environ, token):
    found = recorded_variables({**environ, **dict.fromkeys(environ, token), "OMP_X": token})
    assert token not in "".join(found.values())


@pytest.mark.parametrize(
    ("address", "without"),
    [
        ("https://user:pw@host.example/team/repo.git", "https://host.example/team/repo.git"),
        ("https://token@host:8443/r?private_token=x#y", "https://host:8443/r"),
        ("ssh://git@host/r.git", "ssh://host/r.git"),
        ("git@host.example:team/repo.git", "host.example:team/repo.git"),
        ("https://host/r", "https://host/r"),
        ("/srv/git/r.git", "/srv/git/r.git"),
        ("../me@home/r", "../me@home/r"),
        ("file:///srv/r.git", "file:///srv/r.git"),
        ("http://[broken", "http://"),
        ("", ""),
    ],
)
def test_addresses_lose_their_user_info(address, without):
    assert without_user_info(address) == without


@given(st.text(max_size=40))
def test_any_address_is_taken(address):
    assert isinstance(without_user_info(address), str)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "DB_PASS",
            "SMTP_PASS",
            "PGPASSWORD",
            "passphrase",
            "MYSQL_PWD",
            "DB_PW",
            "PW",
            "CARD_PIN",
            "MY_OTP",
        ),
        *("HASH_SALT", "AZURE_SAS", "TWILIO_SID", "SESSION_JWT", "BEARER", "SLACK_WEBHOOK", "X_SIGNATURE"),
        *("API_KEY", "HF_TOKEN", "CLIENT_SECRET", "TF_VAR_db_pass", "NVIDIA_API_KEY", "JAX_CREDENTIALS"),
    ],
)
@pytest.mark.parametrize("value", ["hunter", "1234", "correct-horse-battery", "SESAME"])
def test_a_secret_that_is_a_plain_word_or_number_is_hidden_by_its_name(name: str, value: str) -> None:
    assert recorded_variables({name: value}, {name}) == {name: MASK}


@pytest.mark.parametrize(
    "name", ["N_PASSES", "PINNED", "SIDE", "SALTED_ROWS", "PWM", "RESIDUAL", "SPIN_UP", "SPINS"]
)
def test_a_name_that_only_looks_a_little_like_one_keeps_its_value(name: str) -> None:
    assert recorded_variables({name: "3"}, {name}) == {name: "3"}


def test_what_terraform_hands_over_is_no_switch_of_tensorflow() -> None:
    assert recorded_variables({"TF_VAR_admin": "anna-marie", "TF_CPP_MIN_LOG_LEVEL": "2"}) == {
        "TF_CPP_MIN_LOG_LEVEL": "2"
    }
