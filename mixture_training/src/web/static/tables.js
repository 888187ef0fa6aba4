// Tables, the plain form of everything that is also drawn.

import { el } from "/static/dom.js";

/**
 * Make a table.
 *
 * `columns` are `{name, of, kind}`: `of` takes a row and returns a string or a node, `kind` is "text" or "number".
 * The first column heads its row.
 */
export function table(caption, columns, rows, { rowClass = () => null } = {}) {
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el(
      "table",
      {},
      el("caption", { class: "hidden-text" }, caption),
      el("thead", {}, el("tr", {}, columns.map((column) => el("th", { scope: "col", class: column.kind }, column.name)))),
      el(
        "tbody",
        {},
        rows.map((row) =>
          el(
            "tr",
            { class: rowClass(row) },
            columns.map((column, index) =>
              el(index ? "td" : "th", { scope: index ? null : "row", class: column.kind }, column.of(row)),
            ),
          ),
        ),
      ),
    ),
  );
}

/** Make what is folded away until asked for; `make` is called at the first time. */
export function folded(summary, make, { isOpen = false } = {}) {
  const body = el("div", { class: "folded" });
  const details = el("details", { open: isOpen }, el("summary", {}, summary), body);
  let isMade = false;
  const fill = () => {
    if (details.open && !isMade) {
      isMade = true;
      body.append(make());
    }
  };
  details.addEventListener("toggle", fill);
  fill();
  return details;
}

/** Make a list of terms and what is said of them; those without anything are left out. */
export function facts(pairs) {
  return el(
    "dl",
    { class: "facts" },
    pairs.filter(([, said]) => said !== null && said !== undefined).map(([term, said]) => el("div", {}, el("dt", {}, term), el("dd", {}, said))),
  );
}

/** Make a row of large figures. */
export function tiles(entries) {
  return el(
    "dl",
    { class: "tiles" },
    entries.map(([term, figure, more]) =>
      el("div", {}, el("dt", {}, term), el("dd", {}, figure, more ? el("small", {}, more) : null)),
    ),
  );
}
