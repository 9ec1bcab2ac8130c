"""Tables for a paper."""

from __future__ import annotations

import re

import pytest

from cnnprof.analysis.layout import lay_out
from cnnprof.cli import main
from cnnprof.render import latex, words
from tests.support.networks import network, report
from tests.support.shown import same_as_golden, table

COMMANDS = ["analyze lenet5", "compare lenet5 alexnet", "separable lenet5", "explain lenet5 C3", "explain lenet5",
            "sweep lenet5 --set classes=10,20 --plot classes,macs", "specs", "kinds", "kinds conv2d"]  # fmt: skip


def test_golden() -> None:
    same_as_golden("lenet5.tex", latex.render(words.document([table("lenet5")])))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("form", ["latex", "markdown"])
def test_every_command_has_it(command: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Braces and environments close, every row has all cells, and nothing is left that TeX would take for its own."""
    assert main([*command.split(), "--format", form]) == 0
    text = capsys.readouterr().out
    assert text.strip()
    if form == "markdown":
        return
    assert text.startswith("% needs \\usepackage{booktabs}\n") == (r"\toprule" in text)
    text = text.removeprefix(latex.NEEDS)
    text = re.sub(r"\\begin{verbatim}.*?\\end{verbatim}", "", text, flags=re.DOTALL)
    bare = re.sub(r"\\[{}$&%#_]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert re.findall(r"\\begin{(\w+)}", text) == re.findall(r"\\end{(\w+)}", text)
    assert not re.search(r"[#%_]", bare.replace("\\\\", ""))
    for columns, body in re.findall(r"\\begin{tabular}{([lr]+)}(.*?)\\end{tabular}", bare, flags=re.DOTALL):
        assert {line.count("&") + 1 for line in body.split("\n") if "rule" not in line and line} == {len(columns)}


def test_what_a_stranger_wrote_is_no_macro() -> None:
    text = network("- relu").replace("name: net", 'name: "a\\\\input{x}%$_^~#&\\e[31m"')
    found = latex.render(words.document([lay_out(report(text))]))
    name = r"a\textbackslash{}input\{x\}\%\$\_\textasciicircum{}\textasciitilde{}\#\&\textbackslash{}x1b{[}31m"
    assert found.removeprefix(latex.NEEDS).startswith(rf"\noindent \textbf{{{name}}}, input ")


def test_tex_is_latex(capsys: pytest.CaptureFixture[str]) -> None:
    written = []
    for form in ("latex", "tex"):
        assert main(["compare", "lenet5", "alexnet", "--format", form]) == 0
        written.append(capsys.readouterr().out)
    assert written[0] == written[1]
