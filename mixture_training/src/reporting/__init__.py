"""The forms that an evaluation is shown in: words, tables, a terminal, Markdown, and a page with charts."""
