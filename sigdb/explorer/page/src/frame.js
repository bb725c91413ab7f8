// The frame of the page: the head, the tabs, and the sidebar with signature and filters.
import { cueScroll, h } from "./dom.js";
import { logOut } from "./engines/server.js";
import { filterBox } from "./filters.js";
import { signatureBox } from "./signature-box.js";

// Fill the page around the place of a tab.
// user: who is logged in, or null.
export function fillFrame(app, { name, atlases, user, onOpen }) {
  document.getElementById("atlas").replaceChildren(...atlasChoice(app, name, atlases, onOpen), ...(user ? loggedIn(user) : []));
  document.getElementById("tabs").replaceChildren(...tabList(app));
  cueScroll(document.getElementById("tabs"));
  document.getElementById("signature").replaceChildren(signatureBox(app));
  document.getElementById("filters").replaceChildren(filterBox(app));
  document.body.classList.add("ready");
}

function atlasChoice(app, name, atlases, onOpen) {
  const open = onOpen && h("button", { type: "button", class: "quiet", onclick: onOpen }, "Open a file …");
  if (atlases.length < 2) return [h("span", { class: "name" }, name), open].filter(Boolean);
  const select = h("select", { "aria-label": "Atlas", onchange: () => { app.setState({ atlas: select.value }); location.reload(); } },
    atlases.map((each) => h("option", { value: each.name, selected: each.name === name }, each.name)));
  return [select, open].filter(Boolean);
}

function loggedIn(user) {
  return [h("span", { class: "user" }, user), h("button", { type: "button", class: "quiet", onclick: async () => { await logOut(); location.reload(); } }, "Log out")];
}

// One tab is in the order of the keyboard; arrows go to the others.
function tabList(app) {
  const list = document.getElementById("tabs");
  let shown = null;
  const buttons = app.tabs.map((tab) => h("button", {
    type: "button", role: "tab", id: `tab-${tab.id}`, "aria-controls": "panel", onclick: () => app.setState({ tab: tab.id }),
  }, tab.title));
  function mark() {
    buttons.forEach((button, place) => {
      const isChosen = app.tabs[place] === app.tab;
      button.setAttribute("aria-selected", isChosen);
      button.tabIndex = isChosen ? 0 : -1;
      if (isChosen && app.tab !== shown && list.contains(button)) {
        // Only the list scrolls: scrollIntoView would also move where the Tab key begins.
        list.scrollLeft = button.offsetLeft - list.offsetLeft - (list.clientWidth - button.offsetWidth) / 2;
        shown = app.tab;
      }
    });
  }
  list.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = buttons.indexOf(document.activeElement);
    const last = buttons.length - 1;
    const next = Number.isFinite(step) ? (at + step + buttons.length) % buttons.length : step > 0 ? last : 0;
    buttons[next].focus();
    buttons[next].click();
  };
  app.on("state", mark);
  mark();
  return buttons;
}
