"""Ask a page of the demo without a browser, and pick blocks of its answer."""

from paddle_ft.demo.app import answer_page
from paddle_ft.demo.page import Reply
from paddle_ft.demo.worker import Job


def ask(page, **values):
    """Return everything that a page shows for these values, in order. Fields that are not named have the value they start with."""
    shown = []
    fields = page.fields()
    inputs = [values.get(field.name, field.value) for field in fields]
    answer_page(page, fields, inputs, Reply(Job(shown.append), tuple))
    return shown


def find(answer, kind):
    return [block for block in answer if isinstance(block, kind)]
