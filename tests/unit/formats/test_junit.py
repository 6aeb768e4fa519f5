"""JUnit reports of several writers, counted alike; and what is no report is refused."""

import subprocess
import sys
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.run import TestReport as Report
from relive.errors import InvalidInput
from relive.formats.junit import LONGEST_MESSAGE, MAX_BYTES, MOST_FAILURES, parse_junit

PYTEST = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" tests="4" time="0.2">
<testcase classname="tests.test_a" name="test_good" time="0.010" />
<testcase classname="tests.test_a" name="test_bad[1-x]" time="0.020">
  <failure message="assert 1 == 2">def test_bad():
&gt;       assert 1 == 2</failure>
  <system-out>printed</system-out></testcase>
<testcase classname="tests.test_a" name="test_broken" time="0.030">
  <error message="failed on setup">E</error></testcase>
<testcase classname="tests.test_a" name="test_left_out" time="0.000">
  <skipped type="pytest.skip" message="no GPU"/></testcase>
</testsuite></testsuites>"""

GOOGLETEST = b"""<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="4" failures="1" disabled="1" errors="0" time="0.5" name="AllTests">
  <testsuite name="Matrix" tests="4" failures="1" disabled="1" skipped="1" errors="0" time="0.5">
    <testcase name="Adds" status="run" result="completed" time="0.1" classname="Matrix" />
    <testcase name="Breaks" status="run" result="completed" time="0.3" classname="Matrix">
      <failure message="m.cc:12&#x0A;Expected equality" type=""><![CDATA[m.cc:12
Expected equality]]></failure>
      <failure message="m.cc:13" type=""><![CDATA[m.cc:13]]></failure>
    </testcase>
    <testcase name="DISABLED_Slow" status="notrun" result="suppressed" time="0." classname="Matrix" />
    <testcase name="Skips" status="run" result="skipped" time="0" classname="Matrix">
      <skipped message="no"/></testcase>
  </testsuite>
</testsuites>"""

SUREFIRE = b"""<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" name="a.BTest" tests="4">
  <properties><property name="failure" value="x"/></properties>
  <testcase name="ok" classname="a.BTest" time="1,000.25"/>
  <testcase name="flaky" classname="a.BTest" time="0.1">
    <flakyFailure message="once">stack</flakyFailure></testcase>
  <testcase name="bad" classname="a.BTest" time="0.2"><failure type="java.lang.AssertionError">stack
  trace</failure><rerunFailure type="x">again</rerunFailure></testcase>
  <testcase name="silent" classname="a.BTest" time="x"><error type="java.io.IOException"/></testcase>
</testsuite>"""

NESTED = b"""<testsuites><testsuite name="outer"><testsuite name="inner"><testcase name="a"/></testsuite>
<testcase name="b"/></testsuite>
<testsuite name="cannot start"><error message="import failed">x</error></testsuite></testsuites>"""


def test_pytest():
    assert parse_junit(PYTEST) == Report(
        tests=4,
        passed=1,
        failed=1,
        errors=1,
        skipped=1,
        duration_s=0.06,
        failures=(
            ("tests.test_a::test_bad[1-x]", "assert 1 == 2"),
            ("tests.test_a::test_broken", "failed on setup"),
        ),
    )


def test_googletest():
    report = parse_junit(GOOGLETEST)
    assert (report.tests, report.passed, report.failed, report.errors, report.skipped) == (4, 1, 1, 0, 2)
    assert report.duration_s == 0.4
    assert report.failures == (("Matrix::Breaks", "m.cc:12\nExpected equality"),)


def test_surefire():
    report = parse_junit(SUREFIRE)
    assert (report.tests, report.passed, report.failed, report.errors, report.skipped) == (4, 2, 1, 1, 0)
    assert report.duration_s == 1000.55
    assert report.failures == (
        ("a.BTest::bad", "stack\n  trace"),
        ("a.BTest::silent", "java.io.IOException"),
    )


def test_nested_suites_and_a_suite_that_could_not_start():
    report = parse_junit(NESTED)
    assert (report.tests, report.passed, report.errors) == (3, 2, 1)
    assert report.failures == (("cannot start", "import failed"),)


def test_the_report_that_a_real_pytest_writes(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert [1, '<&>'] == [2]\n"
        "@pytest.fixture\ndef broken(): raise OSError('gone')\n"
        "def test_broken(broken): pass\n"
        "def test_skipped(): pytest.skip('why')\n"
        "@pytest.mark.xfail\ndef test_expected(): assert 0\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--junitxml=r.xml",
        "test_it.py",
    ]
    subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
    report = parse_junit((tmp_path / "r.xml").read_bytes())
    assert (report.tests, report.passed, report.failed, report.errors, report.skipped) == (5, 1, 1, 1, 2)
    assert report.failures[0][0] == "test_it::test_bad"
    assert "[1, '<&>'] == [2]" in report.failures[0][1]
    assert "gone" in report.failures[1][1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_encodings_that_xml_declares(encoding):
    case = '<testcase name="für"><failure/></testcase>'
    text = f'<?xml version="1.0" encoding="{encoding}"?><testsuite>{case}</testsuite>'
    assert parse_junit(text.encode(encoding)).failures == (("für", ""),)


def test_an_empty_suite_is_a_report():
    assert parse_junit(b"<testsuites/>").tests == 0


def test_what_is_kept_of_failures_is_bounded():
    case = '<testcase name="t"><failure>' + "x" * 5000 + "</failure></testcase>"
    report = parse_junit(f"<testsuite>{case * (MOST_FAILURES + 50)}</testsuite>".encode())
    assert report.failed == MOST_FAILURES + 50
    assert len(report.failures) == MOST_FAILURES
    assert len(report.failures[0][1]) == LONGEST_MESSAGE


LAUGHS = b"""<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">]>
<testsuite><testcase name="&lol2;"/></testsuite>"""
OUTSIDE = b"""<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<testsuite><testcase name="a"><failure>&x;</failure></testcase></testsuite>"""


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "a JUnit report in XML"),
        (b"rubbish", "a JUnit report in XML"),
        (b"\x00\xff", "a JUnit report in XML"),
        (b"<testsuite><testcase name='a'>", "a JUnit report in XML"),
        (b"<testsuite></testsuites>", "mismatched tag"),
        (b"<html><body/></html>", "<testsuites> or <testsuite> as its root"),
        (b'<?xml version="1.0" encoding="klingon"?><testsuite/>', "a JUnit report in XML"),
        (b"<testsuite>&nbsp;</testsuite>", "undefined entity"),
        (LAUGHS, "a report without a document type"),
        (OUTSIDE, "a report without a document type"),
        (b'<!DOCTYPE t SYSTEM "http://127.0.0.1/x.dtd"><testsuite/>', "without a document type"),
        (b"<testsuite>" * 100, "at most 50 elements inside one another"),
        (b" " * (MAX_BYTES + 1), "at most 67108864 bytes"),
    ],
)
def test_what_is_no_report_is_refused(data, words):
    with pytest.raises(InvalidInput) as caught:
        parse_junit(data, path="reports/junit.xml")
    assert caught.value.field == "reports/junit.xml"
    assert words in str(caught.value)


OUTCOMES = {"passed": "", "failed": "<failure/>", "errors": "<error/>", "skipped": "<skipped/>"}
names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1)


@given(st.lists(st.tuples(names, st.sampled_from(list(OUTCOMES)), st.floats(0, 1e3)), max_size=20))
def test_what_is_written_is_counted(cases):
    body = "".join(
        f"<testcase name={quoteattr(name)} time='{seconds}'>{OUTCOMES[outcome]}</testcase>"
        for name, outcome, seconds in cases
    )
    report = parse_junit(f"<testsuites><testsuite>{body}</testsuite></testsuites>".encode())
    counts = {outcome: sum(case[1] == outcome for case in cases) for outcome in OUTCOMES}
    assert report.tests == len(cases)
    assert {outcome: getattr(report, outcome) for outcome in OUTCOMES} == counts
    assert [name for name, _ in report.failures] == [c[0] for c in cases if c[1] in ("failed", "errors")]
    assert report.duration_s == pytest.approx(sum(case[2] for case in cases), abs=1e-5)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    try:
        report = parse_junit(b"<testsuite>" + data)
    except InvalidInput:
        return  # and nothing else
    assert report.tests >= 0
