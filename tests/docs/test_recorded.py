"""Each row of the page of what is recorded is held to by a test, which is named here and is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/recorded.md"
CAPTURE = "tests/unit/capture"
# The first cell of a row → the test that would fail if it were not true.
HELD_BY = {
    "commit, branch, origin, and each file that ran": "test_code.py::test_a_clean_work_tree_is_its_commit",
    "staged, changed and new files": "test_code.py::test_staged_changed_and_new_files_are_told_apart",
    "submodules": "test_code.py::test_submodules_are_part_of_the_tree_at_their_own_commit",
    "whether a remote has the commit": (
        "test_code.py::test_the_origin_has_no_user_info_and_pushed_commits_are_known"
    ),
    "secrets and ignored files": "test_code.py::test_ignored_files_and_secrets_are_named_and_never_stored",
    "Python: version, build, digest": "test_observed.py::test_a_recorded_process_makes_a_full_recipe_part",
    "packages: version, digest over their files, origin": (
        "test_environment.py::test_it_agrees_with_importlib_on_this_environment"
    ),
    "address and commit of what no index gave": (
        "test_environment.py::test_the_address_that_a_distribution_came_from_is_kept_without_what_is_secret"
    ),
    "packages that were imported": (
        "test_environment.py::test_imported_distributions_are_told_from_installed_ones"
    ),
    "shared libraries that were loaded": (
        "test_libraries.py::test_it_agrees_with_readelf_on_what_this_python_has_loaded"
    ),
    "their packages of the operating system": (
        "test_system_packages.py::test_the_libraries_of_this_process_are_those_that_dpkg_names"
    ),
    "sizes of thread pools": "test_observed.py::test_a_recorded_process_makes_a_full_recipe_part",
    "variables on the allow-list, and those that the program looks up": (
        "test_asking.py::test_a_variable_that_is_looked_up_is_noted_set_or_not"
    ),
    "processor with flags, cores, memory and their limits": (
        "test_hardware.py::test_this_machine_is_described"
    ),
    "GPUs and driver": "test_hardware.py::test_each_gpu_is_described",
    "governor, turbo, limits of power": "test_hardware.py::test_governor_and_turbo_are_read",
    "declared inputs": "tests/contract/test_runner.py::test_data_changed_by_the_run_taints_it",
    "every file that is read, declared or not": (
        "tests/contract/test_recorder.py::test_a_file_is_seen_however_it_is_read"
    ),
    "the line that opened it": "test_asking.py::test_a_file_is_noted_with_the_line_that_opens_it_first",
    "addresses that were connected to": "tests/contract/test_recorder.py::test_connections_are_seen",
    "files that it left": "test_written.py::test_what_changed_since_is_found_with_its_digest",
    "argparse": "test_on_parsers.py::test_a_namespace_is_recorded_with_its_defaults",
    "click, Typer": "test_on_parsers.py::test_a_command_of_click_is_recorded",
    "Hydra": (
        "test_on_parsers.py::test_hydras_config_is_recorded_with_references_followed_and_resolvers_unasked"
    ),
    "absl": "test_on_parsers.py::test_flags_of_the_program_are_recorded_and_absls_own_are_not",
    "Fire": "test_on_parsers.py::test_what_fire_calls_with_is_recorded_with_defaults",
    "`random`, NumPy's legacy generator": ("test_observed.py::test_another_seed_shows_in_the_random_state"),
    "seeds of JAX's keys": "test_on_jax.py::test_seeds_of_keys_are_recorded",
    "switches of determinism (cuDNN, TF32, x64, precision)": (
        "test_on_jax.py::test_the_switches_of_what_was_imported_are_told"
    ),
    "generators in the middle of a training": (
        "test_checkpoints.py::test_a_planted_change_is_found_in_its_segment_and_only_there"
    ),
    "scikit-learn: what goes into a fit, what it learned": (
        "test_hook_training.py::test_scikit_learn_a_changed_input_is_named"
    ),
    "XGBoost: data, parameters, each round": "test_hook_training.py::test_xgboost_a_changed_input_is_named",
    "LightGBM: data, parameters, each round": "test_hook_training.py::test_lightgbm_a_changed_input_is_named",
    "CatBoost: data, parameters, each round, the trees": (
        "test_on_catboost.py::test_each_round_and_the_learned_trees_are_recorded"
    ),
    "Keras: initial weights, weights after batches, logs": (
        "test_on_keras.py::test_initial_weights_batches_epochs_and_the_end_are_recorded"
    ),
    "PyTorch: batches, losses, weights around each step of an optimizer": (
        "test_hook_training.py::test_weights_batches_and_losses_are_recorded"
    ),
    "PyTorch: weights, optimizers, schedulers as a whole": (
        "test_checkpoints.py::test_a_segment_from_its_checkpoint_is_the_recorded_one"
    ),
    "gensim: vectors before and after (Word2Vec, Doc2Vec, FastText)": (
        "test_on_gensim.py::test_what_a_training_begins_and_ends_with_is_recorded"
    ),
    "JAX: state, batches and losses of a jitted step": (
        "test_on_jax.py::test_a_jitted_step_records_its_state_its_batches_and_its_loss"
    ),
    "a process that is killed, or leaves by `os._exit`": (
        "test_observed.py::test_a_process_that_was_killed_is_said_to_be_missing"
    ),
    "a command without Python": "test_observed.py::test_a_command_that_starts_no_python_is_seen_in_part",
    "files, where the kernel lets nobody watch": "test_reads.py::test_what_was_not_seen_is_said",
    "packages of RPM": "test_system_packages.py::test_a_manager_whose_lists_are_not_read_is_named",
    "workers of a pool": "test_hook_training.py::test_workers_of_a_pool_do_not_write_steps_but_report",
}
ROW = re.compile(r"^\| (.+?) \| .+ \|$", re.MULTILINE)


def test_every_row_names_the_test_that_holds_it() -> None:
    rows = [name for name in ROW.findall(PAGE.read_text()) if name != "what"]
    assert rows == list(HELD_BY)


@pytest.mark.parametrize("test", HELD_BY.values())
def test_that_test_is_there(test: str) -> None:
    file, _, name = test.partition("::")
    path = ROOT / (file if "/" in file else f"{CAPTURE}/{file}")
    tree = ast.parse(path.read_text())
    assert name in {it.name for it in ast.walk(tree) if isinstance(it, ast.FunctionDef)}
