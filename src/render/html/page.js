// The table of calls: sorting, searching, expanding. Text comes into the page by textContent alone.
"use strict";
(() => {
  const STEP = 100;
  const [ID, TIME, AT, NODE, VERB, POD, PLUGIN, TOOK, OUTCOME, CAUSE, FATE, ERROR, CONFIG, DETAIL] = Array(14).keys();
  const FATES = ["good", "running", "suspect", "failed"];

  const byId = (id) => document.getElementById(id);
  const parsed = (id) => JSON.parse(byId(id).textContent);
  const data = parsed("data");
  const rows = data.rows;

  const make = (name, properties, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(properties ?? {})) {
      if (key === "class") element.className = value;
      else element.setAttribute(key, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };

  // As the pages of the command line write them.
  const duration = (ms) => {
    if (ms === null || ms === undefined) return "";
    if (ms < 9.95) return `${ms.toFixed(1)} ms`;
    if (ms < 999.5) return `${Math.round(ms)} ms`;
    if (ms < 9950) return `${(ms / 1e3).toFixed(1)} s`;
    if (ms < 120000) return `${Math.round(ms / 1e3)} s`;
    return `${Math.round(ms / 6e4)} min`;
  };
  const microseconds = (us) =>
    us === undefined || us === null ? "" : us < 995 ? `${Math.round(us)} µs` : duration(us / 1000);
  const count = (number) => number.toLocaleString("en-US");
  const nodeOf = (row) => data.nodes[row[NODE]] ?? "";

  const columns = [
    { name: "Time", key: (row) => row[AT] ?? 0, text: (row) => row[TIME], class: "time" },
    { name: "Node", key: nodeOf, text: nodeOf, class: "node" },
    { name: "Verb", key: (row) => row[VERB], text: (row) => row[VERB] },
    { name: "Pod", key: (row) => row[POD], text: (row) => row[POD], class: "pod" },
    { name: "Plugin", key: (row) => row[PLUGIN], text: (row) => row[PLUGIN] },
    { name: "Took", key: (row) => row[TOOK] ?? -1, text: (row) => duration(row[TOOK]), class: "number" },
    { name: "Outcome", key: (row) => row[OUTCOME], text: (row) => row[OUTCOME], class: "outcome" },
    { name: "Cause", key: (row) => row[CAUSE], text: (row) => row[CAUSE] },
  ].filter((column) => column.name !== "Node" || data.nodes.length > 1);

  const haystacks = rows.map((row) =>
    [row[ID], row[TIME], nodeOf(row), row[VERB], row[POD], row[PLUGIN], row[OUTCOME], row[CAUSE], row[ERROR]]
      .join("\n")
      .toLowerCase());

  const table = byId("table");
  const more = byId("more");
  const search = byId("search");
  const failed = byId("failed");
  const state = { by: columns[0], down: true, shown: 0, wanted: [] };

  // --- Which calls, and in which order

  const choose = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter((word) => word !== "");
    const passes = (place) =>
      (!failed.checked || rows[place][FATE] === 3) && words.every((word) => haystacks[place].includes(word));
    const wanted = [];
    for (let place = 0; place < rows.length; place += 1) if (passes(place)) wanted.push(place);
    const keys = rows.map(state.by.key);
    const sign = state.down ? -1 : 1;
    // Places are in the order of time: of equal ones the latest comes first, whatever they are sorted by.
    wanted.sort((one, other) =>
      keys[one] < keys[other] ? -sign : keys[one] > keys[other] ? sign : other - one);
    state.wanted = wanted;
    byId("count").textContent =
      wanted.length === rows.length ? `${count(rows.length)} calls` : `${count(wanted.length)} of ${count(rows.length)} calls`;
  };

  const refresh = () => {
    choose();
    table.querySelectorAll("tbody").forEach((body) => body.remove());
    state.shown = 0;
    showMore();
    for (const heading of table.tHead.rows[0].cells) {
      const isBy = heading.dataset.column === state.by.name;
      heading.setAttribute("aria-sort", isBy ? (state.down ? "descending" : "ascending") : "none");
    }
  };

  // A row is made when it is about to be seen.
  const showMore = () => {
    const body = make("tbody");
    for (const place of state.wanted.slice(state.shown, state.shown + STEP)) body.append(rowOf(place));
    table.append(body);
    state.shown = Math.min(state.shown + STEP, state.wanted.length);
    const left = state.wanted.length - state.shown;
    more.hidden = left === 0;
    more.textContent = `Show more (${count(left)} left)`;
  };

  const rowOf = (place) => {
    const row = rows[place];
    const cells = columns.map((column) => make("td", { class: column.class ?? "" }, column.text(row)));
    const element = make("tr", { class: FATES[row[FATE]], "data-place": place }, ...cells);
    const toggle = make("button", { type: "button", "aria-expanded": "false", "aria-label": `Details of ${row[ID]}` });
    cells[0].prepend(toggle);
    return element;
  };

  // --- One call, expanded

  const blocks = new Map();
  const detailOf = (place) => {
    if (!rows[place][DETAIL]) return null;
    const number = Math.floor(place / data.block);
    if (!blocks.has(number)) blocks.set(number, parsed(`details-${number}`));
    return blocks.get(number)[place % data.block];
  };
  let configs = null;
  const configOf = (row) => {
    configs ??= new Map(Object.entries(parsed("configs")));
    return configs.get(row[CONFIG]);
  };

  const part = (heading, ...children) => make("section", null, make("h4", null, heading), ...children);
  const list = (heading, items, kind = "ul") =>
    items?.length ? part(heading, make(kind, null, ...items.map((item) => make("li", null, String(item))))) : null;
  const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
  const block = (heading, value) => {
    if (value === undefined || value === null || value === "") return null;
    return part(heading, make("pre", { tabindex: "0" }, shown(value)));
  };
  const folded = (heading, value) => {
    if (value === undefined || value === null) return null;
    return make("details", null, make("summary", null, heading), make("pre", { tabindex: "0" }, shown(value)));
  };
  const facts = (pairs) => {
    const told = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
    return make("dl", { class: "facts" },
      ...told.map(([name, value]) => make("div", null, make("dt", null, name), make("dd", null, String(value)))));
  };
  const error = (heading, of) => {
    if (!of) return null;
    const code = of.code === undefined || of.code === null ? "" : ` (code ${of.code})`;
    return part(heading + code, make("pre", { tabindex: "0" }, [of.msg, of.details].filter(Boolean).join("\n")));
  };

  const timeline = (row, detail) => {
    const all = row[TOOK] ?? detail.stalls?.at(-1)?.after_ms;
    if (!all) return null;
    const bar = make("div", { class: "bar", "aria-hidden": "true" });
    const place = (name, at, width) => {
      const piece = make("i", { class: name });
      piece.style.left = `${Math.min(100, (100 * at) / all)}%`;
      if (width !== undefined) piece.style.width = `${Math.max(0.4, Math.min(100, (100 * width) / all))}%`;
      bar.append(piece);
    };
    const steps = [`0 ms: the call begins, ${row[TIME]}`];
    const plugin = detail.plugin_ms;
    if (plugin !== undefined) place("plugin", Math.max(0, all - plugin) / 2, plugin);
    for (const stall of detail.stalls ?? []) {
      place("stall", stall.after_ms);
      steps.push(`${duration(stall.after_ms)}: the plugin still runs, and is looked at`);
    }
    if (plugin !== undefined) steps.push(`the plugin runs for ${duration(plugin)}`);
    if (row[TOOK] !== null) steps.push(`${duration(row[TOOK])}: the answer${detail.overhead_ms === undefined ? "" : `; ${duration(detail.overhead_ms)} of it for checks, diagnosis and record`}`);
    else steps.push(`no end was recorded: ${row[OUTCOME]}`);
    return part("Timeline", bar, make("ul", { class: "steps" }, ...steps.map((step) => make("li", null, step))));
  };

  const diagnosis = (of) => {
    if (!of) return null;
    const fixes = of.fix?.length ? [make("h5", null, "What to do"), make("ol", null, ...of.fix.map((fix) => make("li", null, fix)))] : [];
    const evidence = of.evidence?.length ? [make("h5", null, "Evidence"), make("ul", null, ...of.evidence.map((one) => make("li", null, one)))] : [];
    const out = of.ruled_out?.length ? [make("h5", null, "Ruled out"), make("ul", null, ...of.ruled_out.map((one) => make("li", null, one)))] : [];
    return part(`Cause: ${of.cause ?? "unknown"}`, make("p", { class: "says" }, [of.title, of.summary].filter(Boolean).join(": ")), ...evidence, ...out, ...fixes);
  };

  const checks = (of) => {
    if (!of?.length) return null;
    const lines = of.map((check) => {
      const evidence = check.evidence && Object.keys(check.evidence).length ? folded("evidence", check.evidence) : null;
      return make("tr", { class: `check-${/^[a-z]+$/.test(check.status) ? check.status : ""}` },
        make("td", { class: "status" }, String(check.status ?? "")), make("td", null, String(check.check ?? "")),
        make("td", null, String(check.summary ?? ""), evidence),
        make("td", { class: "number" }, microseconds(check.took_us)));
    });
    return part("Checks", make("table", { class: "checks" }, make("tbody", null, ...lines)));
  };

  const changed = (of) => {
    if (!of) return null;
    const items = (of.changes ?? []).map((change) => `${change.what}: ${change.before || "(none)"} → ${change.now || "(none)"}`);
    return list(`Changed since the last good call, ${of.time}`, items.length ? items : ["nothing that is kept"]);
  };

  const expanded = (place) => {
    const row = rows[place];
    const detail = detailOf(place);
    if (detail === null) {
      return make("div", { class: "detail" }, make("p", { class: "none" },
        `The details of this call were left out to keep the file small: cniscope show ${row[ID]}`));
    }
    const ended = detail.exit_status !== undefined ? `exit status ${detail.exit_status}` : detail.signal !== undefined ? `signal ${detail.signal}` : "";
    const plugin = [detail.plugin_path, detail.plugin_target && `→ ${detail.plugin_target}`].filter(Boolean).join(" ");
    return make("div", { class: "detail" },
      timeline(row, detail),
      diagnosis(detail.diagnosis),
      error("The plugin's error", detail.error),
      error("What the runtime got", detail.returned),
      checks(detail.checks),
      changed(detail.changed),
      part("The call", facts([
        ["id", row[ID]], ["node", nodeOf(row)], ["container", detail.container_id],
        ["interface", [detail.ifname, detail.netns].filter(Boolean).join(" in ")],
        ["network", detail.network], ["CNI version", detail.cni_version], ["Pod's uid", detail.pod_uid], ["plugin", plugin],
        ["called by", detail.caller && `${detail.caller.name} (pid ${detail.caller.pid})`], ["ended with", ended],
        ["processor time", detail.plugin_cpu_ms === undefined ? "" : duration(detail.plugin_cpu_ms)],
        ["memory", detail.plugin_rss_kb === undefined ? "" : `${count(detail.plugin_rss_kb)} KiB`],
        ["boot", detail.boot_id], ["cniscope", detail.cniscope_version], ["stands for", detail.repeated && `${detail.repeated} calls`],
      ])),
      list("Settings", detail.warnings),
      block("stderr", detail.stderr),
      block("stdout", detail.stdout_raw),
      ...(detail.stalls ?? []).map((stall) => folded(`What it waited for after ${duration(stall.after_ms)}`, stall.snapshot)),
      folded("Result", detail.result),
      folded("Configuration", configOf(row)),
      folded("Environment", detail.env),
      list("Cut in the record", detail.truncated),
      list("Cut in this report: cniscope show has it", detail.cut));
  };

  const toggle = (line) => {
    const button = line.querySelector("button");
    const isOpen = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!isOpen));
    if (isOpen) {
      line.nextElementSibling.remove();
      return;
    }
    const cell = make("td", { colspan: columns.length }, expanded(Number(line.dataset.place)));
    line.after(make("tr", { class: "expanded" }, cell));
  };

  // --- What people do

  for (const column of columns) {
    const heading = make("th", { scope: "col", "data-column": column.name, class: column.class ?? "" },
      make("button", { type: "button" }, column.name));
    heading.addEventListener("click", () => {
      // Times and durations are wanted with the largest first.
      state.down = state.by === column ? !state.down : column.name === "Time" || column.name === "Took";
      state.by = column;
      refresh();
    });
    table.tHead.rows[0].append(heading);
  }
  table.addEventListener("click", (event) => {
    const line = event.target.closest("tbody > tr[data-place]");
    // Whoever selects text wants to copy it.
    if (line && String(getSelection()) === "") toggle(line);
  });
  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(refresh, 120);
  });
  failed.addEventListener("change", refresh);
  search.form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", showMore);
  const watch = new IntersectionObserver((seen) => {
    if (more.hidden || !seen.some((one) => one.isIntersecting)) return;
    showMore();
    // It is asked anew whether the button is near: it may have left and come back between two pictures.
    watch.unobserve(more);
    watch.observe(more);
  }, { rootMargin: "600px" });
  watch.observe(more);
  for (const link of document.querySelectorAll("a[data-id]")) {
    link.addEventListener("click", () => {
      search.value = link.dataset.id;
      failed.checked = false;
      refresh();
      const line = table.querySelector("tbody > tr[data-place]");
      if (line) toggle(line);
    });
  }

  search.form.hidden = false;
  table.hidden = false;
  refresh();
  performance.mark("ready");
})();
