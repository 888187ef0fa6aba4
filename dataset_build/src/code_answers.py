r"""The program in an answer that is half prose: fenced blocks, an unclosed fence, a console session, bare code.

    "Sure!\n```python\ndef f(x):\n    return x\n```\nTry `f(2)`."      def f(x): ...
    ">>> def f(x):\n...     return x\n>>> f(2)\n2"                    def f(x): ...
    "    return x"   after the prompt "def f(x):"                      def f(x): ...

Nothing is run here; the text is only parsed.
"""

import ast
import builtins
import re
import textwrap
import warnings
from collections.abc import Iterable

#: An answer this much longer is read from its end only.
MAX_LENGTH = 100_000
#: Deepest nesting of brackets or indentation that is parsed, and the longest chain of operators.
MAX_DEPTH = 90
#: Most attempts at finding where code begins and ends in prose.
MAX_TRIES = 200

_FENCE = re.compile(r"^[ \t]{0,12}(```+|~~~+)[ \t]*([\w+#.-]*)[^\n`]*$", re.MULTILINE)
_PYTHON = frozenset({"", "py", "python", "python3", "py3", "pycon", "ipython", "sage", "python-repl"})
_THOUGHT = re.compile(r"\A.*</think(?:ing)?>", re.DOTALL)
_TAG = re.compile(r"^[ \t]*(?:\[/?(?:BEGIN|DONE|END|PYTHON|CODE|ANSWER)\]|</?(?:code|answer|python)>)[ \t]*$", re.M)
_STARTS = re.compile(r"(?:import|from|def|class|async|@|if|for|while|try|with|print|#|[A-Za-z_]\w*\s*(?:=|\())")
_OPENING, _CLOSING = "([{", ")]}"


def parsed(text: str) -> ast.Module | None:
    """Return the syntax tree of a program, or None when it is none or too deep to be read safely."""
    depth = deepest = 0
    for letter in text:
        if letter in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif letter in _CLOSING:
            depth -= 1
    if deepest > MAX_DEPTH or re.search(r"(?:[-+~]\s*|\b(?:not|lambda\s*:|await)\s*){200}", text):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def defined_names(tree: ast.Module) -> set[str]:
    """Return the names a program defines at its top level."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.For | ast.With | ast.If | ast.Try):
            names |= {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and _is_stored(inner)}
    return names


def free_names(tree: ast.AST) -> set[str]:
    """Return the names a program reads and nowhere binds, builtins left out."""
    read: set[str] = set()
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (bound if _is_stored(node) else read).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return read - bound - set(dir(builtins))


def _is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _blocks(text: str) -> list[tuple[str, str]]:
    """Return the (language, text) of each fenced block; one that never closes reaches to the end."""
    found: list[tuple[str, str]] = []
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened = fence
        elif fence[1][0] == opened[1][0] and len(fence[1]) >= len(opened[1]) and not fence[2]:
            found.append((opened[2].lower(), text[opened.end() + 1 : fence.start()]))
            opened = None
        elif fence[2]:  # the last one was never closed
            found.append((opened[2].lower(), text[opened.end() + 1 : fence.start()]))
            opened = fence
    if opened is not None:
        found.append((opened[2].lower(), text[opened.end() + 1 :]))
    return found


def _without_prompts(text: str) -> str:
    """Return the input lines of a console session; other text as it is."""
    lines = text.splitlines()
    if not any(re.match(r"\s*>>> ", line) for line in lines):
        return text
    return "\n".join(match[1] for line in lines if (match := re.match(r"\s*(?:>>>|\.\.\.)(?: |$)(.*)", line)))


def _in_prose(text: str) -> str | None:
    """Return the longest run of lines that is a program, of text without fences."""
    lines = text.splitlines()
    tries = 0
    for first, line in enumerate(lines):
        if not _STARTS.match(line):
            continue
        indented = [n for n in range(first + 1, len(lines) + 1) if n == len(lines) or _ends_before(lines[n])]
        for last in reversed(indented):
            tries += 1
            if tries > MAX_TRIES:
                return None
            tree = parsed("\n".join(lines[first:last]))
            if tree is not None and any(not isinstance(node, ast.Expr) for node in tree.body):
                return "\n".join(lines[first:last])
    return None


def _ends_before(line: str) -> bool:
    return bool(line.strip()) and not line[0].isspace()


def extract_program(answer: str, *, entry_point: str | None = None, prompt: str | None = None) -> str | None:
    """Return the Python program an answer means, or None when it holds none.

    Of several blocks the last one that defines the entry point counts, with what earlier blocks define and it needs;
    without an entry point the longest block does. An answer that only goes on where the prompt ends is put behind it.

    Args:
        answer: The text.
        entry_point: The function (or class, or method of a class `Solution`) that is asked for.
        prompt: The beginning of a program that the answer may continue, and whose imports and helpers it may use.
    """
    text = answer[-MAX_LENGTH:].replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    text = _TAG.sub("", _THOUGHT.sub("", text))
    fenced = _blocks(text)
    texts = [block for language, block in fenced if language in _PYTHON] or [block for _, block in fenced] or [text]
    texts = [_without_prompts(textwrap.dedent(block)) for block in texts]
    readable = [(block, tree) for block in texts if (tree := parsed(block)) is not None and tree.body]
    start = prompt if prompt is not None and parsed(prompt) is not None else None
    if entry_point is not None:
        chosen = _defining(entry_point, readable)
        if chosen is None:
            chosen = _continued(entry_point, prompt, [block for _, block in fenced] or [text])
            start = None if chosen is not None else start
        if chosen is None and not fenced:
            found = _in_prose(text)
            tree = parsed(found) if found else None
            chosen = _defining(entry_point, [(found, tree)]) if found and tree else None
    else:
        chosen = max((block for block, _ in readable), key=len, default=None)
        if chosen is None:
            chosen = _in_prose(text) if not fenced else None
    if chosen is None:
        # What does not parse is a program all the same: it fails its tests with the error it has.
        return max(texts, key=len) if fenced else None
    return _with_prelude(chosen, start, entry_point)


def _offers(tree: ast.Module, entry_point: str) -> bool:
    return entry_point in defined_names(tree) or is_method(tree, entry_point)


def is_method(tree: ast.Module, entry_point: str) -> bool:
    """Return whether the program has a class `Solution` with that method."""
    return any(
        isinstance(node, ast.ClassDef)
        and node.name == "Solution"
        and any(isinstance(inner, ast.FunctionDef) and inner.name == entry_point for inner in node.body)
        for node in tree.body
    )


def _defining(entry_point: str, readable: Iterable[tuple[str, ast.Module]]) -> str | None:
    blocks = list(readable)
    positions = [number for number, (_, tree) in enumerate(blocks) if _offers(tree, entry_point)]
    if not positions:
        return None
    chosen, tree = blocks[positions[-1]]
    needed = free_names(tree)
    before = []
    for block, other in blocks[: positions[-1]]:
        if defined_names(other) & needed and not _offers(other, entry_point):
            before.append(block)
    return "\n\n".join([*before, chosen])


def _continued(entry_point: str, prompt: str | None, texts: Iterable[str]) -> str | None:
    if prompt is None:
        return None
    for text in texts:
        body = text if re.match(r"\s*\n?[ \t]", text) else textwrap.indent(text, "    ")
        for rest in (body, *(body[: match.start()] for match in re.finditer(r"^\S", body, re.MULTILINE))):
            whole = prompt.rstrip() + "\n" + rest.strip("\n")
            tree = parsed(whole)
            if tree is not None and _offers(tree, entry_point) and rest.strip():
                return whole
    return None


def _with_prelude(program: str, prompt: str | None, entry_point: str | None) -> str:
    """Return the program after the imports and helpers of the prompt that it needs and does not define itself."""
    tree, given = parsed(program), parsed(prompt) if prompt else None
    if tree is None or given is None:
        return program
    own = defined_names(tree)
    kept = [
        ast.unparse(node)
        for node in given.body
        if (isinstance(node, ast.Import | ast.ImportFrom) and not _is_future(node))
        or (isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name not in own | {entry_point})
        or (isinstance(node, ast.Assign) and not defined_names(ast.Module([node], [])) & own)
    ]
    future = [ast.unparse(node) for node in tree.body if _is_future(node)]
    return "\n".join([*future, *kept, program]) if kept and not future else program


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"
