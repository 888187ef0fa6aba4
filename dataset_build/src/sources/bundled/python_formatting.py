"""Untidy Python to be formatted as Black does; each pair is a hand-written untidy and tidy form."""

import random

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task

#: Untidy and tidy form. @f, @a, @b, @c are names; @m, @n are numbers; @w is a word.
PAIRS: tuple[tuple[str, str], ...] = (
    ("@a=@m+@n", "@a = @m + @n"),
    ("@a = @f( @b,@c )", "@a = @f(@b, @c)"),
    ("@a='@w'", '@a = "@w"'),
    ("@a=[@m,@n,@m]", "@a = [@m, @n, @m]"),
    ("@a={'@w':@m,'@b':@n}", '@a = {"@w": @m, "@b": @n}'),
    ("if @a==@m :\n    print('@w')", 'if @a == @m:\n    print("@w")'),
    ("def @f(@a,@b):\n  return @a+@b", "def @f(@a, @b):\n    return @a + @b"),
    ("def @f(@a,@b=@m):\n    @c=@a*@b\n    return @c", "def @f(@a, @b=@m):\n    @c = @a * @b\n    return @c"),
    ("def @f(@a):\n    return @a**2\nprint(@f(@m))", "def @f(@a):\n    return @a**2\n\n\nprint(@f(@m))"),
    ("import os\ndef @f():\n    return os.getcwd()", "import os\n\n\ndef @f():\n    return os.getcwd()"),
    ("for @a in range( @m ):\n  print( @a )", "for @a in range(@m):\n    print(@a)"),
    ("@a = @b[@m :@n]", "@a = @b[@m:@n]"),
    ("while(@a<@m):\n    @a+=@n", "while @a < @m:\n    @a += @n"),
    ("if not(@a) : @f(@b)", "if not (@a):\n    @f(@b)"),
    ("@a = (@m)", "@a = @m"),
    ("x = @m; y = @n", "x = @m\ny = @n"),
    ("class @T:\n    @a=@m\n    def @f(self):\n        return self.@a",
     "class @T:\n    @a = @m\n\n    def @f(self):\n        return self.@a"),
    ("@a = lambda @b:@b+@m", "@a = lambda @b: @b + @m"),
    ("@a = 0XFF+@m", "@a = 0xFF + @m"),
    ("@a = [\n    @m,@n,\n]", "@a = [\n    @m,\n    @n,\n]"),
    ("@f(@a,@b,@c,)", "@f(\n    @a,\n    @b,\n    @c,\n)"),
    ("return_@a = @b if @c>@m else None #@w", "return_@a = @b if @c > @m else None  # @w"),
    ("@a = not @b and(@c or @m)", "@a = not @b and (@c or @m)"),
    ("@a=-@m\n\n\n\n@b=@n", "@a = -@m\n\n\n@b = @n"),
    ("try:\n  @f()\nexcept  ValueError as e :\n  print('@w',e)",
     'try:\n    @f()\nexcept ValueError as e:\n    print("@w", e)'),
    ("with open('@w.txt')as @a:\n    @b=@a.read()", 'with open("@w.txt") as @a:\n    @b = @a.read()'),
    ("def @f(@a:int,@b:str='@w')->bool:\n    return @b*@a=='@w'",
     'def @f(@a: int, @b: str = "@w") -> bool:\n    return @b * @a == "@w"'),
    (
        "@a = @f(first_argument_name=@m, second_argument_name=@n, third_argument_name=@m, last=@n)",
        "@a = @f(\n    first_argument_name=@m, second_argument_name=@n, third_argument_name=@m, last=@n\n)",
    ),
    (
        "def @f(first_parameter, second_parameter, third_parameter, the_fourth_one, last_of_them):\n    pass",
        "def @f(\n    first_parameter, second_parameter, third_parameter, the_fourth_one, last_of_them\n):\n    pass",
    ),
    ("from os import (path)", "from os import path"),
    ("del (@a)\nassert(@b==@m)", "del @a\nassert @b == @m"),
    ("for (@a) in @b:\n    print(@a if(@a)else @m)", "for @a in @b:\n    print(@a if (@a) else @m)"),
    ("@a = '''@w'''", '@a = """@w"""'),
    ("@a = 'say \"@w\" @m'", "@a = 'say \"@w\" @m'"),
)  # fmt: skip
_FUNCTIONS = ("area", "load", "total", "greet", "shift", "parse", "clean", "rank", "solve", "merge")
_NAMES = ("width", "items", "name", "count", "left", "right", "price", "rows", "data", "value", "speed", "index")
_TYPES = ("Box", "Order", "Train", "Point", "Queue")
_WORDS = ("hello", "blue", "May 2024", "sum", "ready", "day 3", "total")


def fill(form: str, names: dict[str, str]) -> str:
    """Return a form with its @-letters replaced."""
    for letter, value in names.items():
        form = form.replace(f"@{letter}", value)
    return form


def draw_pair(rng: random.Random, pair: tuple[str, str]) -> tuple[str, str]:
    """Return the untidy and the tidy code of a pair with names drawn."""
    a, b, c = rng.sample(_NAMES, 3)
    names = {"a": a, "b": b, "c": c, "f": rng.choice(_FUNCTIONS), "T": rng.choice(_TYPES)}
    names |= {"m": str(rng.randrange(2, 99)), "n": str(rng.randrange(2, 99)), "w": rng.choice(_WORDS)}
    return fill(pair[0], names), fill(pair[1], names)


def _draw(rng: random.Random) -> Draw:
    untidy, tidy = draw_pair(rng, rng.choice(PAIRS))
    fence = rng.choice(("```python\n{}\n```", "```\n{}\n```", "```py\n{}\n```"))
    return Draw({"code": fence.format(untidy), "raw": untidy}, tidy)


KIND = Kind(
    category="python_formatting",
    metric="code_text",
    tasks=(
        Task(
            "black",
            (
                "Format this snippet the Black way:\n{code}",
                "black this\n{code}",
                "What would the black formatter make of the following?\n\n{code}",
                "{code}\nApply the usual Python auto-formatter (black, default settings) to that.",
                "My CI fails with 'would reformat'. Send me the version it wants:\n{code}",
                "Tidy up the code, black style:\n\n{raw}\n\nThat's the whole file.",
                "Please clean the layout of my script without changing what it does. We use black.\n{code}",
                "run black -\n{code}",
                (
                    "I'm a beginner and my teacher insists on consistent spacing and quotes (black's). Rewrite for "
                    "me:\n{code}"
                ),
                "pretty-print python\n{code}",
                "Source as I typed it:\n{raw}\n\nSource as Black would leave it:",
                "Spacing, quotes, blank lines: put them right, as black does.\n{code}",
                "Here's a function from a hurried intern. Make it look professional (black formatting).\n{code}",
                "Could you lint-fix the style here? Only whitespace and the like.\n{code}",
                "The reviewer wrote: 'please format'. Do it.\n{code}",
                "pre-commit hook rejected this file, formatting only. Expected contents?\n{code}",
                "Reformat, line length 88, double quotes.\n{code}",
                "What does this look like after the uncompromising formatter has gone over it?\n{code}",
                "In our repo the code is auto-styled. Style this fragment likewise:\n{code}",
                "ugly.py:\n{raw}\n\nbeautiful.py (black):",
                "PEP 8 it, black flavour.\n{code}",
                "I pasted from a PDF and the layout suffered. Restore canonical formatting.\n{code}",
                "Would you mind making this readable? Black defaults, code only in your reply.\n{code}",
                "{code}\n^ fix indentation, operators and quotes so that black --check passes",
                "Before I commit: formatted form of\n{code}",
                "Beautify (Python):\n{code}",
                "editor without format-on-save here, please be my format-on-save\n{code}",
                "Some lines by my 12 year old, written on 3 May. Lay them out properly, as black prescribes.\n{code}",
                "Give this the standard look.\n{code}\nDon't rename anything, don't reorder anything.",
                "normalise python source, style=black\n{code}",
                "The code works, the style doesn't. Same code, Black style:\n{code}",
                "Take the following, feed it to the formatter in your head, print what comes out.\n{code}",
                "Gold-standard whitespace wanted for:\n{code}",
                "How should these lines be laid out by the book (black)?\n{code}",
                "Convert to black-compliant source text.\n{code}\nCheers",
                "What's wrong with the layout below? Just send the corrected lines.\n{code}",
            ),
            _draw,
        ),
    ),
)
