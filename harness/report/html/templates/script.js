"use strict";
(() => {
  const PAGE = 200;      // rows that are drawn at once
  const SHORT = 300;     // characters of a value that needs no box of its own
  const LONGEST = 20000; // characters of one value that are drawn at once
  const FIRST = ["line", "reply", "why", "error", "text", "greeting", "log"];
  const UNSEEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]/gu;
  const $ = (id) => document.getElementById(id);
  const all = [...document.querySelectorAll("details.deployment")];
  const total = all.reduce((sum, each) => sum + Number(each.dataset.total), 0);
  const known = new Map();  // deployment's id → its observations
  let words = [];

  const visible = (text) => String(text).replace(UNSEEN, (found) => {
    const code = found.codePointAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code)
      : code === 0x7f ? "\u2421"
        : `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
  const add = (parent, name, text, more = {}) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = visible(text);
    for (const [key, value] of Object.entries(more)) made.setAttribute(key, value);
    parent.append(made);
    return made;
  };
  const many = (number, what) => `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;

  async function observations(details) {
    if (!known.has(details.id)) known.set(details.id, unpacked($(`${details.id}-data`)));
    return known.get(details.id);
  }
  async function unpacked(element) {
    const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const rows = JSON.parse(await new Response(stream).text());
    let at = 0;  // each moment is the milliseconds since the one before
    return rows.map(([kind, subject, vantage, outcome, later, evidence]) =>
      ({ kind, subject, vantage: vantage ?? "", outcome, at: (at += later) / 1000,
        evidence: evidence ?? {}, hay: null }));
  }
  const hay = (row) => row.hay ??= [row.kind, row.subject, row.vantage, row.outcome,
    JSON.stringify(row.evidence)].join("\n").toLowerCase();
  const isNamed = (details) => words.every((word) => details.dataset.name.toLowerCase().includes(word));
  const matching = (details, rows) => words.length === 0 || isNamed(details) ? rows
    : rows.filter((row) => words.every((word) =>
      details.dataset.name.toLowerCase().includes(word) || hay(row).includes(word)));

  // -- a deployment's observations ------------------------------------------------------------

  async function show(details, wanted = {}) {
    const place = details.querySelector("[data-rows]");
    let rows;
    try {
      rows = await observations(details);
    } catch (error) {
      place.textContent = `The observations cannot be unpacked by this browser: ${error.message}`;
      return;
    }
    if (!place.hasChildNodes()) {
      const controls = add(place, "div", undefined, { class: "controls" });
      for (const key of ["kind", "vantage"]) {
        const label = add(controls, "label", key === "kind" ? "Kind" : "Vantage");
        const select = add(label, "select", undefined, { "data-by": key });
        add(select, "option", "all", { value: "" });
        for (const value of [...new Set(rows.map((row) => row[key]))].sort()) {
          if (value) select.append(new Option(visible(value), value));
        }
        select.addEventListener("change", () => draw(details, rows));
      }
      add(controls, "span", undefined, { role: "status", "data-shown": "" });
      add(place, "div", undefined, { class: "scroll", tabindex: "0", role: "region",
        "aria-label": `Observations of ${details.dataset.name}` });
    }
    for (const [key, value] of Object.entries(wanted)) {
      const select = place.querySelector(`[data-by="${key}"]`);
      if (select) select.value = value;
    }
    draw(details, rows);
  }

  function draw(details, rows) {
    const place = details.querySelector("[data-rows]");
    const of = (key) => place.querySelector(`[data-by="${key}"]`).value;
    const chosen = matching(details, rows).filter((row) =>
      (!of("kind") || row.kind === of("kind")) && (!of("vantage") || row.vantage === of("vantage")));
    place.querySelector("[data-shown]").textContent =
      `${many(chosen.length, "observation")}${chosen.length < rows.length ? ` of ${rows.length.toLocaleString("en")}` : ""}`;
    const region = place.querySelector(".scroll");
    region.replaceChildren();
    const table = add(region, "table", undefined, { class: "seen" });
    add(table, "caption", `Observations of ${details.dataset.name}`, { class: "hidden" });
    const head = add(add(table, "thead"), "tr");
    for (const name of ["s", "Kind", "Subject", "Vantage", "Outcome", "Evidence"]) {
      add(head, "th", name, { scope: "col" });
    }
    const body = add(table, "tbody");
    const began = rows.reduce((first, row) => Math.min(first, row.at), Infinity);
    const next = (from) => {
      for (const row of chosen.slice(from, from + PAGE)) body.append(line(row, began));
      if (from + PAGE >= chosen.length) return;
      const left = chosen.length - from - PAGE;
      const cell = add(add(body, "tr"), "td", undefined, { colspan: "6" });
      const button = add(cell, "button", `Show ${Math.min(PAGE, left)} more of ${left}`, { type: "button" });
      button.addEventListener("click", () => {
        const last = cell.parentNode.previousElementSibling;
        cell.parentNode.remove();
        next(from + PAGE);
        last.nextElementSibling?.querySelector("summary")?.focus();
      });
    };
    next(0);
  }

  function line(row, began) {
    const made = document.createElement("tr");
    add(made, "td", (row.at - began).toFixed(1));
    for (const key of ["kind", "subject", "vantage", "outcome"]) add(made, "td", short(row[key], 300));
    const cell = add(made, "td");
    const keys = Object.keys(row.evidence);
    if (keys.length === 0) {
      cell.textContent = "none";
      return made;
    }
    const details = add(cell, "details");
    add(details, "summary", preview(row.evidence, keys));
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) evidence(details, row.evidence);
    });
    return made;
  }
  const short = (value, longest) => {
    const text = String(value);
    return text.length > longest ? `${text.slice(0, longest)}…` : text;
  };
  const flat = (value) => Array.isArray(value) ? value.map(flat).join("\n")
    : value !== null && typeof value === "object" ? JSON.stringify(value, null, 1) : String(value);
  const isSaid = (value) => value !== null && value !== "" && !(Array.isArray(value) && !value.length);
  function preview(evidence, keys) {
    const key = [...FIRST, ...keys].find((each) => each in evidence && isSaid(evidence[each]));
    if (key === undefined) return keys.join(", ");
    return `${key}: ${short(short(flat(evidence[key]), 400).replace(/\s+/g, " "), 90)}`;
  }
  function evidence(details, given) {
    const list = add(details, "dl");
    for (const [key, value] of Object.entries(given)) {
      add(list, "dt", key);
      const text = flat(value);
      const where = add(list, "dd");
      if (text.length <= SHORT && !text.includes("\n")) {
        add(where, "code", text);
        continue;
      }
      const shown = add(where, "pre", text.slice(0, LONGEST), { tabindex: "0" });
      if (text.length > LONGEST) {
        const more = add(where, "button", `Show all ${text.length.toLocaleString("en")} characters`,
          { type: "button" });
        more.addEventListener("click", () => {
          shown.textContent = visible(text);
          more.remove();
          shown.focus();
        });
      }
    }
  }

  // -- the filter -----------------------------------------------------------------------------

  let turn = 0;
  async function filter() {
    const mine = ++turn;
    words = $("words").value.toLowerCase().split(/\s+/).filter(Boolean);
    const which = $("which").value;
    if (words.length) $("count").textContent = "Searching…";
    let seen = 0, found = 0;
    const kept = new Set();
    for (const details of all) {
      const fits = which === "all" || which in details.dataset;
      let number = Number(details.dataset.total);
      if (fits && words.length && !isNamed(details)) {
        try {
          number = matching(details, await observations(details)).length;
        } catch {
          number = 0;
        }
        if (mine !== turn) return;
      }
      if (fits && (number > 0 || words.length === 0)) {
        kept.add(details.id);
        seen += 1;
        found += number;
      }
    }
    for (const details of all) {
      details.hidden = !kept.has(details.id);
      if (details.open && !details.hidden) await show(details);
    }
    for (const part of document.querySelectorAll(".folder, .variant")) {
      part.hidden = !part.querySelector("details.deployment:not([hidden])");
    }
    for (const row of document.querySelectorAll(".matrix tr[data-of]")) {
      row.classList.toggle("out", !row.dataset.of.split(" ").some((id) => kept.has(id)));
    }
    for (const block of document.querySelectorAll(".matrix tbody.block")) {
      block.classList.toggle("out", !block.querySelector("tr[data-of]:not(.out)"));
    }
    if (mine !== turn) return;
    const isAll = words.length === 0 && which === "all";
    $("count").textContent = isAll ? `${many(all.length, "deployment")}, ${many(total, "observation")}`
      : `${seen.toLocaleString("en")} of ${many(all.length, "deployment")}, ${found.toLocaleString("en")} of ${many(total, "observation")}`;
  }

  // -- ways there -----------------------------------------------------------------------------

  async function go(details, wanted) {
    if (details.hidden) {
      document.querySelector("form.filter").reset();
      await filter();
    }
    if (details.offsetParent === null) showOnly(false);
    details.open = true;
    await show(details, wanted);
    const target = wanted.kind ? details.querySelector("[data-rows]") : details;
    target.scrollIntoView();
    details.querySelector("summary").focus({ preventScroll: true });
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-vantage]");
    if (!link) return;
    event.preventDefault();
    history.replaceState(null, "", link.hash);
    go($(link.hash.slice(1)), { kind: link.closest("table").dataset.kind, vantage: link.dataset.vantage });
  });
  const arrive = () => {
    const target = location.hash.length > 1 && $(decodeURIComponent(location.hash.slice(1)));
    if (target && target.matches("details.deployment")) go(target, {});
    else if (target && target.matches("details")) {
      if (target.offsetParent === null) showOnly(false);
      target.open = true;
      target.scrollIntoView();
    }
  };
  addEventListener("hashchange", arrive);

  // In a matrix the arrow keys go from cell to cell; Tab goes from row to row.
  document.addEventListener("keydown", (event) => {
    const from = event.target.closest?.(".matrix tbody a");
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [];
    if (!from || down === undefined) return;
    const rows = [...from.closest("table").querySelectorAll("tr[data-of]:not(.out)")]
      .filter((each) => each.offsetParent !== null);
    let row = rows.indexOf(from.closest("tr"));
    let column = from.closest("th, td").cellIndex;
    for (;;) {
      row += down;
      column += right;
      const cell = rows[row]?.cells[column];
      if (!cell) return;
      const link = cell.querySelector("a");
      if (!link) continue;
      event.preventDefault();
      link.focus();
      return;
    }
  });

  // -- only what differs ------------------------------------------------------------------------

  const showOnly = (on) => {
    document.documentElement.classList.toggle("only-differing", on);
    if ($("only")) $("only").checked = on;
  };
  $("only")?.addEventListener("change", () => showOnly($("only").checked));

  // -- the theme ------------------------------------------------------------------------------

  const stored = { get: () => { try { return localStorage.getItem("theme"); } catch { return null; } },
    set: (value) => { try { localStorage.setItem("theme", value); } catch { /* for this page only */ } } };
  const isDark = () => (document.documentElement.dataset.theme
    ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const say = () => { $("theme").textContent = isDark() ? "Light" : "Dark";
    $("theme").setAttribute("aria-label", `Show the page ${isDark() ? "light" : "dark"}`); };
  if (["light", "dark"].includes(stored.get())) document.documentElement.dataset.theme = stored.get();
  $("theme").addEventListener("click", () => {
    const next = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    stored.set(next);
    say();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", say);
  say();

  // -- begin ----------------------------------------------------------------------------------

  for (const element of document.querySelectorAll(".needs-js")) element.hidden = false;
  for (const details of all) {
    details.addEventListener("toggle", () => {
      if (details.open && !details.querySelector("[data-rows]").hasChildNodes()) show(details);
    });
  }
  const form = document.querySelector("form.filter");
  let later;
  $("words").addEventListener("input", () => { clearTimeout(later); later = setTimeout(filter, 150); });
  $("which").addEventListener("change", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  filter();
  arrive();
})();
