"""docs/fund-arithmetic.md is right: each of its calculations is carried out and compared with what the page shows."""

import doctest
import re

from tests.docs.readme import ROOT

PAGE = ROOT / "docs" / "fund-arithmetic.md"


def test_the_worked_examples_come_out_as_shown() -> None:
    calculations = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL))
    page = doctest.DocTestParser().get_doctest(calculations, {}, PAGE.name, str(PAGE), 0)
    assert len(page.examples) > 10
    failed: list[str] = []
    doctest.DocTestRunner(verbose=False).run(page, out=failed.append)
    assert "".join(failed) == ""
