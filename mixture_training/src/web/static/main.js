// Puts the page together: views by address, the key, light and dark, and whether the server can be reached.

import { key, notices, Problem, read } from "/static/api.js";
import { inWords } from "/static/answer.js";
import { compareView } from "/static/compare_view.js";
import { el, put } from "/static/dom.js";
import { liveView } from "/static/live_view.js";
import { routerView } from "/static/router_view.js";
import { tryView } from "/static/try_view.js";

const NAMES = ["try", "compare", "live", "router"];
const TITLES = { try: "Try", compare: "Compare", live: "Live", router: "Router" };
const byId = (id) => document.getElementById(id);
const views = {};
let router = null;
let shown = null;

async function start() {
  try {
    router = await read("/v1/page/router");
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    const section = byId(`view-${place().name}`);
    for (const name of NAMES) byId(`view-${name}`).hidden = name !== place().name;
    put(section, el("h1", { id: `${place().name}-title`, class: "hidden-text" }, TITLES[place().name]),
      el("div", { class: "card empty" }, el("p", {}, problem.status === 401 ? "This server asks for a key." : inWords(problem)),
        el("button", { type: "button", class: "primary", click: () => (problem.status === 401 ? wantKey(false) : start()) }, problem.status === 401 ? "Give the key" : "Try again")));
    return;
  }
  byId("version").textContent = `router ${router.version}`;
  byId("key-button").hidden = router.key === null;
  for (const view of Object.values(views)) view.hide();
  views.try = tryView(byId("view-try"), router);
  views.compare = compareView(byId("view-compare"), router);
  views.live = liveView(byId("view-live"));
  views.router = routerView(byId("view-router"));
  shown = null;
  go();
}

function place() {
  const [name, ...rest] = location.hash.slice(1).split("/");
  return { name: NAMES.includes(name) ? name : "try", rest: rest.join("/") };
}

function go({ isByHand = false } = {}) {
  const { name, rest } = place();
  document.title = `${TITLES[name]} · moe`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!router) return;
  for (const other of NAMES) byId(`view-${other}`).hidden = other !== name;
  if (shown !== name) {
    if (shown) views[shown].hide();
    shown = name;
    views[name].show();
    if (isByHand) {
      scrollTo(0, 0);
      byId("main").focus({ preventScroll: true });
    }
  }
  if (name === "try" && rest) views.try.explain(decodeURIComponent(rest));
}

addEventListener("hashchange", () => {
  if (location.hash === "#main") {
    history.replaceState(null, "", `#${shown ?? "try"}`);
    byId("main").focus();
    return;
  }
  go({ isByHand: true });
});

// The key

function wantKey(isRefused) {
  const dialog = byId("key-dialog");
  if (isRefused) {
    byId("key-reason").textContent = "The server refused the key: it is unknown or was revoked. Give another one.";
    byId("key-reason").className = "bad-text";
  }
  byId("key-forget").hidden = key.get() === null;
  byId("key-input").value = "";
  if (!dialog.open) dialog.showModal();
  byId("key-input").focus();
}

byId("key-button").addEventListener("click", () => wantKey(false));
byId("key-cancel").addEventListener("click", () => byId("key-dialog").close());
byId("key-forget").addEventListener("click", () => {
  byId("key-dialog").close();
  key.forget();
});
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  byId("key-dialog").close();
  key.set(byId("key-input").value.trim());
  byId("key-input").value = "";
});
notices.addEventListener("key-wanted", ({ detail }) => wantKey(detail.isRefused));
notices.addEventListener("key-changed", () => start());

// Whether the server can be reached

let retry = 0;
notices.addEventListener("away", () => {
  put(byId("banner"), el("p", {}, "The server cannot be reached. Trying again every few seconds …"));
  clearInterval(retry);
  retry = setInterval(() => read("/healthz").catch(() => {}), 3000);
});
notices.addEventListener("back", () => {
  clearInterval(retry);
  put(byId("banner"));
  if (!router) start();
});

// Light and dark

const THEMES = { "": "Auto", light: "Light", dark: "Dark" };

function showTheme() {
  const chosen = document.documentElement.dataset.theme ?? "";
  const button = byId("theme-button");
  button.textContent = THEMES[chosen];
  button.setAttribute("aria-label", `Colours: ${THEMES[chosen]}`);
}

byId("theme-button").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(document.documentElement.dataset.theme ?? "") + 1) % names.length];
  if (next) document.documentElement.dataset.theme = next;
  else delete document.documentElement.dataset.theme;
  try {
    localStorage.setItem("moe-theme", next);
  } catch {
    // A browser that keeps nothing keeps no choice of colours either.
  }
  showTheme();
});

showTheme();
start();
