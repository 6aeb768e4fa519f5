"""Example rows of every accepted form become inputs, and a bad file is named."""

import json
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.serving import example
from relive.serving.faults import BadExample


@pytest.fixture
def written(tmp_path):
    """Write a file and give its path."""

    def write(name: Any, content: Any) -> Any:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return str(path)

    return write


def laid_out(path: Any, columns: Any = ()) -> Any:
    layout, inputs = example.inputs_for(example.read(path), columns)
    return layout, {name: (array.dtype.str, array.tolist()) for name, array in inputs.items()}


def test_a_numeric_table_becomes_one_array(written):
    assert laid_out(written("rows.csv", "a,b\n1,2.5\n3,4\n")) == (
        "array",
        {"input-0": ("<f8", [[1.0, 2.5], [3.0, 4.0]])},
    )


def test_a_mixed_table_becomes_a_column_an_input(written):
    layout, inputs = laid_out(written("rows.csv", "age,city,old,w\n30,Ulm,true,1\n40,Rom,False,\n"))
    assert layout == "columns"
    assert inputs["age"] == ("<i8", [30, 40])
    assert inputs["city"] == ("|O", ["Ulm", "Rom"])
    assert inputs["old"] == ("|b1", [True, False])
    assert inputs["w"][0] == "<f8"
    assert np.isnan(inputs["w"][1][1])


def test_a_numeric_table_stays_columns_for_a_model_fitted_on_names(written):
    path = written("rows.csv", "a,b\n1,2.5\n")
    assert laid_out(path, ("b", "a")) == ("columns", {"a": ("<i8", [1]), "b": ("<f8", [2.5])})
    assert laid_out(path, ("f0", "f1"))[0] == "array"


@pytest.mark.parametrize(
    ("cell", "dtype"), [("007", "<i8"), ("1_000", "|O"), ("1e3", "<f8"), ("nan", "<f8"), ("x", "|O")]
)
def test_cells_are_typed_as_other_tools_do(written, cell, dtype):
    _, inputs = laid_out(written("rows.csv", f"k,t\n{cell},text\n"))
    assert inputs["k"][0] == dtype


def test_a_byte_order_mark_and_blank_lines_do_not_matter(written):
    assert laid_out(written("rows.csv", "\ufeffa,b\n1,2\n\n"))[1] == {"input-0": ("<f8", [[1.0, 2.0]])}


@pytest.mark.parametrize("content", [[[1, 2], [3, 4]], [[1, 2.0], [3, 4]]])
def test_lists_of_numbers_become_one_array_of_floats(written, content):
    assert laid_out(written("rows.json", content)) == (
        "array",
        {"input-0": ("<f8", [[1.0, 2.0], [3.0, 4.0]])},
    )


def test_objects_become_columns_and_null_is_nan(written):
    layout, inputs = laid_out(written("rows.json", [{"a": 1, "b": "x"}, {"b": "y", "a": None}]))
    assert layout == "columns"
    assert np.isnan(inputs["a"][1][1])
    assert inputs["b"] == ("|O", ["x", "y"])


def test_the_body_of_a_request_says_its_own_types(written):
    inputs = [
        {"name": "ids", "datatype": "INT32", "shape": [2, 2], "data": [[1, 2], [3, 4]]},
        {"name": "mask", "datatype": "BOOL", "shape": [2], "data": [True, False]},
    ]
    layout, read = laid_out(written("rows.json", {"inputs": inputs}))
    assert layout == "named"
    assert read == {"ids": ("<i4", [[1, 2], [3, 4]]), "mask": ("|b1", [True, False])}
    assert laid_out(written("one.json", {"inputs": inputs[:1]}))[0] == "array"


def test_arrays_of_an_npz_keep_names_and_types(tmp_path):
    np.savez(tmp_path / "rows.npz", image=np.ones((2, 3, 3), np.float32), n=np.array([1, 2], np.uint8))
    layout, inputs = example.inputs_for(example.read(str(tmp_path / "rows.npz")), ())
    assert layout == "named"
    assert inputs["image"].shape == (2, 3, 3)
    assert inputs["n"].dtype == np.uint8


def test_only_the_first_rows_are_kept(written, tmp_path):
    read = example.read(written("rows.csv", "a\n" + "\n".join(map(str, range(100)))))
    assert read.arrays["a"].tolist() == list(range(example.MAX_ROWS))
    np.savez(tmp_path / "wide.npz", image=np.zeros((20, example.MAX_ELEMENTS // 4), np.uint8))
    assert len(example.read(str(tmp_path / "wide.npz")).arrays["image"]) == 4


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.txt", "1", "expected rows.csv (with a header), rows.json or rows.npz"),
        ("rows.csv", "", "header []"),
        ("rows.csv", "a,a\n1,2\n", "distinct column names"),
        ("rows.csv", "a,\n1,2\n", "distinct column names"),
        ("rows.csv", "a,b\n1,2\n3\n", "1 fields in row 2, expected 2"),
        ("rows.csv", "a,b\n", "the same number from 1 on"),
        ("rows.json", "{", "cannot be read"),
        ("rows.json", {}, "no list of rows"),
        ("rows.json", [], "no list of rows"),
        ("rows.json", [[1, 2], [3]], "'input-0' is no tensor"),
        ("rows.json", [["a", 1]], "mixes types"),
        ("rows.json", [{"a": 1}, {"b": 1}], "row 2 has not the keys of row 1, ['a']"),
        ("rows.json", [{"a": 1}, 2], "row 2"),
        ("rows.json", [{"a": {}}], "cannot be used"),
        ("rows.json", {"inputs": [{}]}, "an input without a name"),
        ("rows.json", {"inputs": []}, "holds no input"),
        (
            "rows.json",
            {"inputs": [{"name": "x", "datatype": "F", "shape": [1], "data": [1]}]},
            "datatype is 'F'",
        ),
        (
            "rows.json",
            {
                "inputs": [
                    {"name": "a", "datatype": "INT8", "shape": [1], "data": [1]},
                    {"name": "b", "datatype": "INT8", "shape": [2], "data": [1, 2]},
                ]
            },
            "{'a': 1, 'b': 2} rows",
        ),
        (
            "rows.json",
            {"inputs": [{"name": "x", "datatype": "INT8", "shape": [1, 0], "data": []}]},
            "without elements",
        ),
        (
            "rows.json",
            {"inputs": [{"name": "x", "datatype": "INT8", "shape": [], "data": [1]}]},
            "{'x': -1} rows",
        ),
        ("rows.npz", "no zip", "cannot be read"),
    ],
)
def test_a_bad_file_is_named_with_what_was_expected(written, name, content, said):
    path = written(name, content)
    with pytest.raises(BadExample) as caught:
        laid_out(path)
    assert said in str(caught.value)
    assert path in str(caught.value)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(BadExample, match="cannot be read"):
        example.read(str(tmp_path / "rows.csv"))


def test_pickles_in_an_npz_are_refused(tmp_path):
    np.savez(tmp_path / "rows.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BadExample, match="allow_pickle"):
        example.read(str(tmp_path / "rows.npz"))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "rows.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", b"\0" * (example.MAX_FILE_BYTES + 1))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(BadExample, match="unpacks to more than 64 MiB"):
        example.read(str(path))


def test_a_huge_file_is_refused(tmp_path):
    path = tmp_path / "rows.csv"
    with open(path, "wb") as file:
        file.truncate(example.MAX_FILE_BYTES + 1)
    with pytest.raises(BadExample, match="larger than 64 MiB"):
        example.read(str(path))


@given(st.text(max_size=60), st.sampled_from(["rows.csv", "rows.json"]))
def test_no_text_crashes_the_reader(tmp_path_factory, text, name):
    path = tmp_path_factory.mktemp("example") / name
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        layout, inputs = example.inputs_for(example.read(str(path)), ())
    except BadExample:
        return
    assert layout in ("array", "columns", "named")
    assert len({len(array) for array in inputs.values()}) == 1


@pytest.mark.parametrize(
    "content",
    [
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [2, "y"]]}},
        {"columns": ["a", "b"], "data": [[1, "x"], [2, "y"]]},
        {"dataframe_records": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]},
        {"instances": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]},
        {"inputs": {"a": [1, 2], "b": ["x", "y"]}, "params": {"t": 1}},
    ],
)
def test_a_table_that_mlflow_kept_as_an_example_is_read(written, content):
    expected = {"a": ("<i8", [1, 2]), "b": ("|O", ["x", "y"])}
    assert laid_out(written("input_example.json", content)) == ("columns", expected)


@pytest.mark.parametrize(
    "content",
    [{"inputs": [[1, 2.5], [3, 4]]}, {"instances": [[1, 2.5], [3, 4]]}, {"data": [[1, 2.5], [3, 4]]}],
)
def test_rows_that_mlflow_kept_as_an_example_are_one_array(written, content):
    expected = {"input-0": ("<f8", [[1.0, 2.5], [3.0, 4.0]])}
    assert laid_out(written("input_example.json", content)) == ("array", expected)


def test_one_row_that_mlflow_kept_as_an_object_is_a_table_of_one_row(written):
    expected = {"a": ("<i8", [1]), "b": ("|O", ["x"])}
    assert laid_out(written("input_example.json", {"inputs": {"a": 1, "b": "x"}})) == ("columns", expected)


def test_texts_are_one_input(written):
    expected = {"input-0": ("|O", ["hello", "you"])}
    assert laid_out(written("input_example.json", {"inputs": ["hello", "you"]})) == ("array", expected)


def test_tensors_by_name_stay_so_for_a_model_that_takes_them_by_name(written):
    path = written("input_example.json", {"inputs": {"a": [[1.0, 2.0]]}})
    assert example.inputs_for(example.read(path), ["a"])[0] == "array"
    assert example.inputs_for(example.read(path), ["a"], named=True)[0] == "named"


@pytest.mark.parametrize("content", [{"messages": [{"role": "user"}]}, {"inputs": "hello"}, {"inputs": {}}])
def test_an_example_of_mlflow_that_is_no_table_and_no_tensor_is_refused(written, content):
    with pytest.raises(BadExample, match="no list of rows"):
        example.read(written("input_example.json", content))


def test_inputs_get_the_datatypes_that_a_model_declares():
    inputs = {"a": np.array([1, 2]), "w": np.array([0.5, 1.5]), "c": np.array(["x", "y"], dtype=object)}
    typed = example.typed(inputs, {"a": "INT32", "w": "FP32"})
    assert {name: array.dtype.str for name, array in typed.items()} == {"a": "<i4", "w": "<f4", "c": "|O"}
    unnamed = example.typed({"input-0": np.array([1.0])}, {"": "FP32"})
    assert unnamed["input-0"].dtype == np.float32


def test_a_value_that_does_not_fit_its_declared_type_is_named():
    with pytest.raises(BadExample, match=r"not what the model declares: input 'a'"):
        example.typed({"a": np.array([1 << 40])}, {"a": "INT32"})
