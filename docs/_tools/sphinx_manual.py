"""For Sphinx: shell cells and examples shown as shell, formulas as MathML, |x| in docstrings."""

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

_MAGIC = "%%bash"
_OUTSIDE_LITERALS = re.compile(r"(``.*?``)")


def _show_shell(app: Sphinx, doctree: nodes.document) -> None:
    """Show a cell ``%%bash -e`` without that line, as shell."""
    for block in list(doctree.findall(nodes.literal_block)):
        if block.astext().startswith(_MAGIC):
            text = block.astext().partition("\n")[2]
            block.replace_self(nodes.literal_block(text, text, language="bash"))


def _hide_builder(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Name the shipped files that a command printed as in the checkout, not where it was built."""
    root = f"{app.srcdir.parent}/"
    for block in list(doctree.findall(nodes.literal_block)):
        text = block.astext()
        if root in text:
            text = text.replace(root, "")
            language = block.get("language", "none")
            block.replace_self(nodes.literal_block(text, text, language=language))


def _keep_bars(app: Sphinx, what: str, name: str, obj, options, lines: list[str]) -> None:
    """Read |x| in a docstring as a modulus, not as a substitution of reStructuredText."""
    for i, line in enumerate(lines):
        parts = _OUTSIDE_LITERALS.split(line)
        lines[i] = "".join(p if p.startswith("``") else p.replace("|", "\\|") for p in parts)


def _show_examples(app: Sphinx, context, lines: list[str]) -> None:
    """Set the example in the help of a command as code."""
    found = []
    for line in lines:
        label, separator, command = line.partition(":  nuhf ")
        found += [f"{label}::", "", f"    nuhf {command}", ""] if separator else [line]
    lines[:] = found


def _inline(translator, node: nodes.math) -> None:
    translator.body.append(convert(node.astext(), display="inline"))
    raise nodes.SkipNode


def _block(translator, node: nodes.math_block) -> None:
    formula = convert(node.astext(), display="block")
    translator.body.append(f'<div class="formula">{formula}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect them."""
    app.connect("doctree-read", _show_shell)
    app.connect("doctree-resolved", _hide_builder)
    app.connect("autodoc-process-docstring", _keep_bars)
    app.connect("sphinx-click-process-description", _show_examples)
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
