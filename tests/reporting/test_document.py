"""Test pages about several runs. tests/experiments/test_compare.py has one with everything in it."""

from paddle_ft.reporting.document import Document, Section, Table, to_html, to_markdown, to_text
from paddle_ft.reporting.layout import Link


def test_no_text_becomes_html():
    script = "<script>alert(1)</script>"
    groups = [(script, [{"headline": script, "fields": [(script, script)]}])]
    section = Section(script, [script], [Table([script], [[script]], title=script)], groups=groups)
    document = Document(script, [script], [script], [section])
    assert to_text(document).count(script) == 12
    markdown = to_markdown(document)
    assert "<" not in markdown and markdown.count("&lt;script>alert(1)&lt;/script>") == 12
    assert script not in to_html(document)


def test_a_cell_that_leads_to_a_file():
    table = Table(["run", "report"], [["<a>", Link("<b>", "a/report.html")]])
    document = Document("runs", sections=[Section("All", tables=[table])])
    assert '<td class="number"><a href="a/report.html">&lt;b&gt;</a></td>' in to_html(document)
    assert "| &lt;a> | [&lt;b>](a/report.html) |" in to_markdown(document)
    assert "<a>     <b>" in to_text(document)
