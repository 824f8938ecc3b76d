// Entity: one sender's signals, newest values and charts, from a minute to a month.

import { kinds, query } from "./api.js";
import { address, bdi, debounce, el, field, fill, select } from "./dom.js";
import { EntityPane } from "./entity-pane.js";
import { note, showError } from "./table.js";

const PAGE = 50; // ids that a search shows at a time

async function mountInto(root, page) {
  const state = Object.fromEntries(page.parameters);
  const list = await kinds();
  if (page.signal.aborted) {
    return () => {};
  }
  state.kind ??= (list.find((kind) => kind.first) ?? list[0])?.name;
  const search = el("input", {
    type: "search",
    value: state.prefix ?? "",
    placeholder: "first characters of the id",
    spellcheck: "false",
    autocomplete: "off",
    oninput: () => searchSoon(),
    onkeydown: (event) => event.key === "Enter" && search.value && open(search.value.trim()),
  });
  const kind = select(
    list.map(({ name }) => name),
    state.kind,
    {
      onchange: () => {
        page.setParameters({ kind: kind.value });
        Object.assign(state, { kind: kind.value, entity: undefined, prefix: "" });
        search.value = "";
        find();
        showPane();
      },
    },
  );
  const found = el("ul", { class: "choices", "aria-label": "Entities found" });
  const more = el("button", { type: "button", class: "small", hidden: true, onclick: () => find(after) }, "More");
  const words = el("div", { role: "status" });
  const place = el("div");
  let after = null;
  let pane = null;
  let asked = 0;
  const searchSoon = debounce(150, () => {
    state.prefix = search.value;
    page.setParameters({ ...state, kind: kind.value }, true);
    find();
  });

  async function find(from) {
    const number = (asked += 1);
    try {
      const answer = await query(
        "/v1/entities",
        { kind: kind.value, prefix: search.value, limit: PAGE, after: from },
        page.signal,
      );
      if (number !== asked) {
        return;
      }
      const items = answer.entities.map((id) =>
        el(
          "li",
          {},
          el(
            "a",
            {
              href: address("entity", { kind: kind.value, entity: id, prefix: search.value, range: state.range }),
              "aria-current": id === state.entity ? "true" : null,
            },
            bdi(id),
          ),
        ),
      );
      if (from) {
        found.append(...items);
      } else {
        fill(found, items);
      }
      after = answer.next;
      more.hidden = !after;
      fill(words, found.children.length === 0 ? note("No id of the last day begins so.") : null);
    } catch (error) {
      showError(words, error);
    }
  }

  function open(entity) {
    page.go(address("entity", { kind: kind.value, entity, prefix: search.value, range: state.range }));
  }

  function showPane() {
    pane?.remove();
    pane = null;
    if (!state.entity) {
      fill(place, note("Choose an entity: its signals, their newest values and their history are shown here."));
      return;
    }
    const declared = list.find(({ name, aliases }) => name === state.kind || aliases?.includes(state.kind));
    pane = new EntityPane(state, declared, page);
    fill(place, pane.root);
  }

  fill(
    root,
    el(
      "div",
      { class: "split" },
      el("div", {}, el("div", { class: "controls" }, field("Kind", kind), field("Entity", search)), found, words, more),
      place,
    ),
  );
  find();
  showPane();
  return () => pane?.remove();
}

function mount(root, page) {
  let end = () => {};
  let isOver = false;
  mountInto(root, page).then(
    (unmount) => {
      end = unmount;
      if (isOver) {
        end();
      }
    },
    (error) => showError(root, error),
  );
  return {
    unmount() {
      isOver = true;
      end();
    },
  };
}

export default { title: "Entity", mount };
