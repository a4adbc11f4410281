"""Lay out the demo page with gradio: a tab for each task, its form on the left, and the answers of its runs on the right."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, cast

import gradio as gr

from convert.terminal import print_traceback
from paddle_ft.demo.blocks import Block, Note, Problem, render
from paddle_ft.demo.fields import LENGTH, MOST_SENT, BadInput, ChoiceField, Field, TextField
from paddle_ft.demo.labels import LANGUAGES, Label, choose_language
from paddle_ft.demo.page import DemoPage, LoadedRun, Reply
from paddle_ft.demo.worker import Job, Stopped, Worker
from paddle_ft.metrics.registry import find_metric
from paddle_ft.reporting.formats import format_score, has_generated_texts
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import to_json

TITLE = Label("<h1>Trained models</h1>", "<h1>训练好的模型</h1>")
SETTINGS = Label("Settings", "设置")
LANGUAGE = Label("Language", "语言")
EXAMPLES = Label("Examples, from the run's predictions", "示例（取自该次训练的预测结果）")
LABEL_LENGTH = 36  # characters of an example that are shown
STOP, STOPPED = Label("Stop", "停止"), Label("Stopped.", "已停止。")
UNFINISHED = Label("its training has not finished", "训练尚未完成")
# The browser itself says that an answer was stopped: what comes from the server may arrive in another order. Each complete answer
# ends with a mark of its own. As long as the mark is the one that was there at the click on "run", the answer is being computed.
MARK = '<i class="ft-end-{tab}" data-number="{number}" hidden></i>'
_NUMBER = "'' + document.querySelector('.ft-end-{tab}')?.dataset.number"
START_SCRIPT = f"() => {{{{ (window.ftRunning ??= {{{{}}}})['{{tab}}'] = {_NUMBER}; return ''; }}}}"
STOP_SCRIPT = f"""(language) => {{{{
    const before = window.ftRunning?.['{{tab}}'], now = {_NUMBER};
    (window.ftRunning ??= {{{{}}}})['{{tab}}'] = undefined;
    return before !== undefined && (before === now || now === 'undefined') ? {{stopped}}[language] ?? '' : '';
}}}}"""
# Of a text that is far too long it sends the length alone, which the page refuses in the visitor's language.
SEND_SCRIPT = f"(...values) => values.map(value => value?.length > {MOST_SENT} ? {{ {LENGTH}: [...value].length }} : value)"
BUG = Label("Something went wrong on the server. Its console shows what; other inputs still work.",
            "服务器内部出错，详情见其控制台；其他输入不受影响。")  # fmt: skip
TIME = Label("{seconds} s", "用时 {seconds} 秒")
SPLITS = {"test": Label("test", "测试集"), "validation": Label("validation", "验证集")}
SCORES = {"accuracy": Label("accuracy", "准确率"), "perplexity": Label("perplexity", "困惑度"), "loss": Label("loss", "损失"),
          "f1_macro": Label("macro F1", "宏平均 F1")}  # fmt: skip
SAMPLE = Label("trained on generated text only, to show that everything works", "仅用生成的样例文本训练，只用于演示流程")
SAMPLE_ON_OWN_DATA = Label("a short training with --sample, to show that everything works",
                           "用 --sample 进行的短训练，只用于演示流程")  # fmt: skip


class DemoApp:
    """The page of some runs.

    Args:
        groups: the pages of each tab. The pages of one tab have the same fields and answer beside each other.
        worker: the thread of the models.
        language: a key of LANGUAGES, or None for the language of each visitor's browser.
    """

    def __init__(self, groups: list[list[DemoPage]], worker: Worker, language: str | None):
        self.groups, self.worker, self.language = groups, worker, language
        self._answers = itertools.count()
        self._labels: list[tuple[Any, dict[str, Label]]] = []  # component -> its properties that are texts

    def build(self) -> gr.Blocks:
        """Return the page for gradio."""
        first = self.language or "en"
        with gr.Blocks(title="paddle_ft", analytics_enabled=False) as blocks:
            with gr.Row(elem_classes="ft-header"):
                self._label(gr.HTML(), value=TITLE)
                choices = [(name, key) for key, name in LANGUAGES.items()]
                language = gr.Radio(choices, value=first, show_label=False, container=False, scale=0, min_width=230)
            names: set[str] = set()
            with gr.Tabs():
                for group in self.groups:
                    with gr.Tab(tab_label(group)):
                        self._add_group(group, language, _endpoint(group, names))
            components = [component for component, _ in self._labels]
            language.input(self._translate, language, components, queue=False, preprocess=False, api_visibility="private")
            if self.language is None:
                blocks.load(self._greet, None, [language, *components], queue=False, api_visibility="private")
        self._set_labels(first)
        return blocks

    # -------------------------------------------------------------------------------- languages
    def _label(self, component: Any, **labels: Label) -> Any:
        """Remember which properties of a component are texts in the visitor's language, and return the component."""
        self._labels.append((component, labels))
        return component

    def _set_labels(self, language: str) -> None:
        for component, labels in self._labels:
            for name, label in labels.items():
                setattr(component, name, label.text(language))

    def _translate(self, language: str) -> list[Any]:
        """Return an update for each component with texts."""
        texts = [{name: label.text(language) for name, label in labels.items()} for _, labels in self._labels]
        updates: list[Any] = [gr.update(**cast(dict[str, Any], properties)) for properties in texts]
        return updates

    def _greet(self, request: gr.Request) -> list[Any]:
        """Return the visitor's language and the updates for it."""
        language = choose_language(request.headers.get("accept-language"))
        return [language, *self._translate(language)]

    # -------------------------------------------------------------------------------- a tab
    def _add_group(self, pages: list[DemoPage], language: gr.Radio, endpoint: str) -> None:
        """Add the form of some runs, and a column for the answer of each."""
        fields = pages[0].fields()
        texts = [field for field in fields if isinstance(field, TextField)]
        settings = [field for field in fields if field not in texts]
        boxes: dict[str, Any] = {}
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                self._label(gr.HTML(elem_classes="ft-page"), value=_heading(pages[0]))
                boxes |= {field.name: self._add_field(field) for field in texts}
                with gr.Row(elem_classes="ft-buttons"):
                    run = self._label(gr.Button(variant="primary", min_width=100, elem_classes="ft-run"), value=pages[0].button)
                    stop = self._label(gr.Button(min_width=100, elem_classes="ft-stop"), value=STOP)
                self._add_examples(pages[0], boxes)
                if settings:
                    with self._label(gr.Accordion(), label=SETTINGS):
                        boxes |= {field.name: self._add_field(field) for field in settings}
            with gr.Column(scale=3 if len(pages) == 1 else 2 + 2 * len(pages), min_width=320):
                status = gr.HTML(elem_classes="ft-status")
                with gr.Row():
                    outputs = [self._add_output(page) for page in pages]
        inputs = [boxes[field.name] for field in fields]
        triggers = [run.click, *(box.submit for field, box in zip(fields, inputs, strict=True)
                                 if isinstance(field, TextField) and field.lines == 1)]  # fmt: skip
        # before the function itself: gradio calls what belongs to one click in this order, each after the one before has ended
        start = START_SCRIPT.format(tab=endpoint)
        gr.on(triggers, None, None, status, js=start, queue=False, api_visibility="private")
        event = gr.on(
            triggers, self._handler(pages, fields, endpoint), [*inputs, language], outputs,
            api_name=endpoint, concurrency_id="models", concurrency_limit=1, scroll_to_output=True,
            show_progress_on=outputs, js=SEND_SCRIPT, preprocess=False,  # the fields check the values, in the visitor's language
        )  # fmt: skip
        stopped = to_json({key: render([Note(STOPPED)], key) for key in LANGUAGES})
        stop.click(
            None, language, status, js=STOP_SCRIPT.format(tab=endpoint, stopped=stopped), cancels=event, queue=False,
            api_visibility="private",
        )  # fmt: skip

    def _add_field(self, field: Field) -> Any:
        if isinstance(field, TextField):
            box = gr.Textbox(value=field.value, lines=field.lines, max_lines=max(field.lines, 12) if field.lines > 1 else 1)
            return self._label(box, label=field.label, placeholder=field.placeholder)
        if isinstance(field, ChoiceField):
            return self._label(gr.Dropdown(list(field.choices), value=field.value), label=field.label)
        return self._label(gr.Slider(field.low, field.high, value=field.value, step=field.step), label=field.label)

    def _add_examples(self, page: DemoPage, boxes: dict[str, Any]) -> None:
        examples = page.examples()
        if examples:
            names = [name for name in examples[0] if name in boxes]
            rows = [[row[name] for name in names] for row in examples]
            filled = [boxes[name] for name in names]
            buttons = gr.Dataset(components=filled, samples=rows, sample_labels=[_shorten(row) for row in rows], type="index")
            self._label(buttons, label=EXAMPLES)
            # The browser fills in the example itself: a text that came back from the server could arrive after the click on "run".
            texts = to_json([row if len(row) > 1 else row[0] for row in rows])
            buttons.click(None, buttons, filled, js=f"(number) => {texts}[number]", queue=False, api_visibility="private")

    def _add_output(self, page: DemoPage) -> gr.HTML:
        with gr.Column(min_width=300):
            self._label(gr.HTML(elem_classes="ft-run-name"), value=_describe(page.run))
            return gr.HTML(elem_classes="ft-output")

    # -------------------------------------------------------------------------------- answers
    def _handler(self, pages: list[DemoPage], fields: Sequence[Field], endpoint: str) -> Callable:
        """Return the function that gradio calls with the values of the form. It yields the answers of all pages."""

        async def answer(*inputs):
            *values, language = inputs

            def compute(job: Job) -> None:
                shown = [""] * len(pages)
                job.show("" if len(pages) == 1 else list(shown))  # the earlier answer goes
                for number, page in enumerate(pages):

                    def wrap(blocks: Sequence[Block], number: int = number) -> str | list[str]:
                        shown[number] = render(blocks, language)
                        return shown[0] if len(pages) == 1 else list(shown)

                    answer_page(page, fields, values, Reply(job, wrap))
                shown[-1] += MARK.format(tab=endpoint, number=next(self._answers))
                job.show(shown[0] if len(pages) == 1 else list(shown))

            async for update in self.worker.stream(compute):
                yield update

        return answer


def answer_page(page: DemoPage, fields: Sequence[Field], values: list[Any], reply: Reply) -> None:
    """Let a page answer, with the time that it took. What goes wrong becomes a message on the page."""
    start = time.monotonic()
    try:
        page.answer({field.name: field.clean(value) for field, value in zip(fields, values, strict=True)}, reply)
        seconds = time.monotonic() - start
        reply.show(*reply.shown, Note(TIME.format(seconds=f"{seconds:.1f}" if seconds >= 1 else f"{seconds:.2f}")))
    except BadInput as error:
        reply.show(Problem(error.label))
    except UserError as error:
        reply.show(Problem(Label.same(str(error))))
    except Stopped:
        raise
    except Exception as error:
        print_traceback(error)
        reply.show(Problem(BUG))


# -------------------------------------------------------------------------------- names
def group_pages(pages: Sequence[DemoPage]) -> list[list[DemoPage]]:
    """Return the pages of each tab: those of one kind whose forms have the same fields share a tab, to be compared."""
    groups: dict[Any, list[DemoPage]] = {}
    for page in pages:
        forms = [(field.name, getattr(field, "choices", None), field.label) for field in page.fields()]
        groups.setdefault((type(page), tuple(forms)), []).append(page)
    return list(groups.values())


def tab_label(pages: Sequence[DemoPage]) -> str:
    """Return the label of a tab: the name of its first run, and how many others it has.

    It is short, because gradio hides the tabs that do not fit on a phone, and the same in all languages, because gradio does not
    change the labels of tabs that nobody has opened yet.
    """
    return _run_name(pages[0].run) + (f" +{len(pages) - 1}" if len(pages) > 1 else "")


def _heading(page: DemoPage) -> Label:
    return Label(f"<h2>{page.title.en}</h2>", f"<h2>{page.title.zh}</h2>")


def _shorten(texts: list[str]) -> str:
    """Return what the button of an example says: the beginning of each of its texts."""
    length = LABEL_LENGTH // len(texts)
    lines = [" ".join(text.split()) for text in texts]
    return " | ".join(line if len(line) <= length else f"{line[:length].rstrip()}…" for line in lines)


def _run_name(run: LoadedRun) -> str:
    return run.path.rstrip("/").rpartition("/")[2]


def _endpoint(pages: list[DemoPage], taken: set[str]) -> str:
    """Return the name of a tab's function for API clients: the task's, with a number if it is taken. It is added to `taken`."""
    name = task = pages[0].task.name
    while name in taken:
        name = f"{task}_{int(name.removeprefix(task)[1:] or 1) + 1}"
    taken.add(name)
    return name


def _describe(run: LoadedRun) -> Label:
    """Return HTML with the run's directory and its main score."""
    key, texts = run.results.get("best", {}).get("metric"), []
    for language in ("en", "zh"):
        facts = [f"<b>{escape(run.path)}</b>"]
        for split in ("test", "validation"):
            value = run.results.get("metrics", {}).get(split, {}).get(key)
            if value is not None:
                name = SCORES[key].text(language) if key in SCORES else find_metric(key).title
                facts.append(f"{escape(name)} {format_score(key, value)} ({SPLITS[split].text(language)})")
                break
        if run.results.get("status") != "finished":
            facts.append(escape(UNFINISHED.text(language)))
        if run.results.get("sample"):
            generated = has_generated_texts(run.task.config.model_dump())
            facts.append(escape((SAMPLE if generated else SAMPLE_ON_OWN_DATA).text(language)))
        texts.append("<div>" + " · ".join(facts) + "</div>")
    return Label(*texts)
