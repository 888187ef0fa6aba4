import asyncio
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataset_build import Answer, ConfigError, ExpertError, Instruction, Price, call_expert
from dataset_build.src.config import ExpertConfig
from dataset_build.src.experts.python_function import PythonFunctionExpert
from dataset_build.src.model_loader import load_expert
from dataset_build.src.records import Response

FUNCTIONS = """
    import asyncio, functools, threading
    from dataset_build import Answer, CannotAnswerError, ExpertRefusedError, Instruction
    # A sibling is imported together with this module.
    from my_sibling import SUFFIX

    def plain(text): return text.upper() + SUFFIX
    def styled(text, *, style, times=1): return f"{text} {style}" * times
    async def waits(text):
        await asyncio.sleep(0)
        return f"waited {text}"
    def by_name(instruction): return instruction.reference
    def by_hint(question: Instruction) -> str: return question.category
    def full(text): return Answer(text, 3, 4, cost=0.5)
    def mapping(text): return {"text": text, "completion_tokens": 7, "samples": [text, text]}
    def where(text): return threading.current_thread().name
    def returns_awaitable(text): return waits(text)
    class Callable:
        async def __call__(self, text): return "called"
        def method(self, text): return "method"
    instance = Callable()
    partly = functools.partial(styled, style="short")
    def busy(text): return str(sum(range(200_000)))
    def nothing(text): pass
    def number(text): return 3
    def odd(text): return {"text": text, "tokens": 3}
    def textless(text): return {"cost": 3}
    def crash(text): raise ValueError("broke")
    def stop(text): raise StopIteration
    def refuse(text): raise CannotAnswerError("not mine")
    def filtered(text): raise ExpertRefusedError("no", expert="other", kind="content_filter")
    def late(text): raise TimeoutError("late")
    def leave(text): raise SystemExit(3)
    async def leaves(text): raise SystemExit(3)
    async def interrupts(text): raise KeyboardInterrupt
    def letters(text): return {"text": text, "samples": "ab"}
    def reset(text): raise ConnectionResetError
    constant = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder a command is started in, with a module of functions."""
    (tmp_path / "my_functions.py").write_text(textwrap.dedent(FUNCTIONS))
    (tmp_path / "my_sibling.py").write_text("SUFFIX = '!'\n")
    monkeypatch.chdir(tmp_path)
    for name in ("my_functions", "my_sibling"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


@pytest.fixture
def make(folder: Path) -> Callable[..., PythonFunctionExpert]:
    return lambda function, **options: PythonFunctionExpert("mine", f"my_functions:{function}", **options)


QUESTION = Instruction.create("hello", category="greeting", reference="hi")


def answer(expert: PythonFunctionExpert) -> Answer:
    return asyncio.run(expert.answer(QUESTION))


def test_a_module_in_the_folder_of_the_command_is_found_and_the_path_left_as_it_was(folder: Path):
    before = list(sys.path)
    config = ExpertConfig.model_validate({"provider": "python", "name": "mine", "function": "my_functions:plain"})
    expert = load_expert(config)
    assert sys.path == before
    assert asyncio.run(expert.answer(QUESTION)).text == "HELLO!"


def test_a_folder_that_is_on_the_path_anyway_stays_on_it(
    make: Callable[..., PythonFunctionExpert], folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(folder)
    make("plain")
    assert sys.path[0] == str(folder)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("plain", "HELLO!"),
        ("waits", "waited hello"),
        ("by_name", "hi"),
        ("by_hint", "greeting"),
        ("returns_awaitable", "waited hello"),
        ("instance", "called"),
        ("instance.method", "method"),
        ("partly", "hello short"),
        ("refuse", "I cannot answer this: not mine"),
    ],
)
def test_any_callable_answers(make: Callable[..., PythonFunctionExpert], function: str, text: str):
    assert answer(make(function)).text == text


def test_options_are_passed_by_name(make: Callable[..., PythonFunctionExpert]):
    assert answer(make("styled", options={"style": "loud", "times": 2})).text == "hello loudhello loud"


def test_a_plain_function_does_not_block_the_event_loop(make: Callable[..., PythonFunctionExpert]):
    assert answer(make("where")).text != "MainThread"


def test_an_answer_or_a_mapping_may_hold_more_than_the_text(make: Callable[..., PythonFunctionExpert]):
    assert answer(make("full")) == Answer("hello", 3, 4, cost=0.5)
    assert answer(make("mapping")) == Answer("hello", completion_tokens=7, samples=("hello", "hello"))


def test_prices_are_per_call_per_token_or_per_core_hour(make: Callable[..., PythonFunctionExpert]):
    def cost(function: str, price: Price) -> float:
        response = asyncio.run(call_expert(make(function, price=price), QUESTION, timeout_s=30, retries=0))
        assert isinstance(response, Response)
        assert response.cost is not None
        return response.cost

    assert cost("plain", Price(per_call=0.25)) == 0.25
    assert cost("mapping", Price(completion_per_million=1e6)) == 7
    assert cost("full", Price(per_call=0.25)) == 0.5
    assert cost("busy", Price(per_core_hour=3600.0)) > 0


@pytest.mark.parametrize(
    ("function", "kind", "retryable"),
    [
        ("nothing", "crash", False),
        ("number", "crash", False),
        ("odd", "crash", False),
        ("textless", "crash", False),
        ("crash", "crash", False),
        ("stop", "crash", False),
        ("leave", "crash", False),
        ("leaves", "crash", False),
        ("interrupts", "crash", False),
        ("filtered", "content_filter", False),
        ("late", "timeout", True),
        ("reset", "connection", True),
    ],
)
def test_what_goes_wrong_has_a_kind(
    make: Callable[..., PythonFunctionExpert], function: str, kind: str, retryable: bool
):
    with pytest.raises(ExpertError) as caught:
        answer(make(function))
    assert (caught.value.kind, caught.value.retryable, caught.value.expert) == (kind, retryable, "mine")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"function": "my_functions"}, "package.module:function"),
        ({"function": "my_functions:"}, "package.module:function"),
        ({"function": "my-functions:plain"}, "package.module:function"),
        ({"function": "no_such_module:plain"}, "looked for among the installed packages and in"),
        ({"function": "broken:plain"}, "cannot import broken: ZeroDivisionError: division by zero"),
        ({"function": "half:plain"}, "No module named 'not_installed'"),
        ({"function": "my_functions:missing"}, "has no missing"),
        ({"function": "my_functions:instance.missing"}, "has no instance.missing"),
        ({"function": "my_functions:constant"}, "is a int; a function was expected"),
        ({"function": "my_functions:Callable"}, "is a type; a function was expected"),
        ({"function": "my_functions:plain", "options": {"style": "x"}}, "unexpected keyword argument 'style'"),
        ({"function": "my_functions:styled"}, "missing a required argument: 'style'"),
    ],
)
def test_a_function_of_no_use_is_said_when_it_is_loaded(folder: Path, options: dict[str, Any], said: str):
    (folder / "broken.py").write_text("1 / 0\n")
    (folder / "half.py").write_text("import not_installed\n")
    with pytest.raises(ConfigError) as caught:
        PythonFunctionExpert("mine", **options)
    assert said in str(caught.value)


def test_version_and_options_are_part_of_what_decides_the_answer(make: Callable[..., PythonFunctionExpert]):
    plain = make("plain")
    assert plain.fingerprint() == make("plain").fingerprint()
    loud = make("styled", options={"style": "loud"})
    others = [make("plain", version="2"), make("waits"), loud, make("styled", options={"style": "soft"})]
    assert len({expert.fingerprint() for expert in [plain, *others]}) == 5
