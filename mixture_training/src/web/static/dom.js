// Elements made by hand. What comes from outside goes in as text or as the value of a harmless attribute, never as
// markup: there is no innerHTML in this page.

const SVG = "http://www.w3.org/2000/svg";
const FORBIDDEN = new Set(["style", "srcdoc", "src", "action", "formaction"]);

function fill(node, options, children) {
  for (const [name, value] of Object.entries(options)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else if (FORBIDDEN.has(name) || name.startsWith("on")) throw new Error(`an element takes no ${name}`);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...parts(children));
  return node;
}

function parts(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Make an HTML element: attributes and listeners by name, then its children, of which strings are text. */
export function el(name, options = {}, ...children) {
  return fill(document.createElement(name), options, children);
}

/** Make an SVG element. */
export function svg(name, options = {}, ...children) {
  return fill(document.createElementNS(SVG, name), options, children);
}

/** Put `children` in the place of what a node holds. */
export function put(node, ...children) {
  node.replaceChildren(...parts(children));
  return node;
}

let last = 0;

/** Return an id that no other element has. */
export function newId(prefix) {
  last += 1;
  return `${prefix}-${last}`;
}

/** Return `work` so that it is done once, when nobody has called it for so many milliseconds. */
export function settled(work, milliseconds) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), milliseconds);
  };
}

/** Draw now and whenever the width of `box` changes. */
export function drawn(box, draw) {
  let width = 0;
  const watch = new ResizeObserver(() => {
    if (box.clientWidth !== width && box.clientWidth > 0) {
      width = box.clientWidth;
      draw(width);
    }
  });
  watch.observe(box);
  return () => {
    width = box.clientWidth;
    if (width > 0) draw(width);
  };
}
