(() => {
  const all = (s, e = document) => [...e.querySelectorAll(s)], root = document.documentElement, views = [];
  const options = { mode: "vega-lite", renderer: "svg", ast: true, actions: false, defaultStyle: false,
    tooltip: { disableDefaultStyle: true }, config: CONFIG };
  const column = (c, n) => c.w ? c.i.map((i) => i < 0 ? null : [i].flat().map((j) => c.w[j]).join(", ")) : c.v ? c.v.flatMap((v, i) => Array(c.n[i]).fill(v))
    : Array.from({ length: n }, (_, i) => c[i % c.length]);
  const unpacked = ([spec, ...parts]) => {  // see packing.py
    const put = (v) => {
      if (v === null || typeof v !== "object") return v;
      if (Array.isArray(v)) return v.map(put);
      if ("$" in v) return put(parts[v.$ - 1]);
      const all = Object.fromEntries(Object.entries(v).map(([k, x]) => [k, put(x)]));
      if (!("#" in v)) return all;
      const columns = Object.entries(all.c).map(([k, c]) => [k, column(c, v["#"])]);
      return Array.from({ length: v["#"] }, (_, i) => Object.fromEntries(columns.map(([k, c]) => [k, c[i]])));
    };
    return put(spec);
  };
  const rowNames = (spec, room) => {  // on a phone they stand above their dots; beside the plot they would crush it
    const [axis, ...rest] = (spec.layer || []).map((v) => v.encoding?.y?.axis).filter((v) => v?.labelExpr);
    if (!axis || room > 450) return;
    const heads = axis.labelFontWeight?.condition.test.match(/\d+/g) || [];
    const values = [...axis.labelExpr.matchAll(/'((?:[^'\\]|\\.)*)'/g)].map((m, y) =>
      ({ y, t: m[1].replace(/\\(.)/g, "$1"), w: heads.includes(String(y)) ? 600 : 400 }));
    const mark = { type: "text", align: "left", limit: room, dy: { expr: "datum.w>400?-6:-14" }, fontWeight: { expr: "datum.w" } };
    [axis, ...rest].forEach((v) => Object.assign(v, { labelPadding: 0, labelOpacity: 0 }));
    spec.layer.push({ data: { values }, encoding: { x: { value: 0 }, y: { field: "y", type: "quantitative" }, text: { field: "t" } },
      layer: [{ mark: { ...mark, style: "halo" } }, { mark }] });
  };
  const draw = async (box) => {
    const spec = unpacked(JSON.parse(box.nextElementSibling.textContent));
    rowNames(spec, box.clientWidth);
    const { view } = await vegaEmbed(box, spec, options), svg = box.querySelector("svg");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", spec.description);
    all("[aria-roledescription]", svg).forEach((e) => e.removeAttribute("aria-roledescription"));
    views[box.dataset.n] = view;
    sliders.forEach(send);
  };
  const sliders = all(".sliders input");
  const decimals = (e) => (e.step.split(".")[1] || "").length;
  const show = (e, v) => (+v).toFixed(decimals(e)).replace("-", "−");
  const send = (e) => views.forEach((view) => {
    try { if (view.signal(e.name) !== +e.value) view.signal(e.name, +e.value).runAsync(); } catch { /* not in this chart */ }
  });
  const tell = (e) => {
    const panel = e.closest(".sliders"), changed = all("input", panel).filter((i) => i.value !== i.defaultValue);
    e.previousElementSibling.lastElementChild.textContent = show(e, e.value);
    panel.querySelector("p").textContent = changed.length ? "You changed: " + changed.map((i) =>
      i.getAttribute("aria-label") + " " + show(i, i.defaultValue) + " → " + show(i, i.value)).join("; ") +
      ". The answer above stays as printed." : "";
    send(e);
  };
  sliders.forEach((e) => e.addEventListener("input", () => tell(e)));
  all(".reset").forEach((b) => b.addEventListener("click", () => all("input", b.closest(".sliders")).forEach((e) => {
    e.value = e.defaultValue;
    tell(e);
  })));
  all(".whole").forEach((b) => b.addEventListener("click", () => draw(b.closest("figure").querySelector(".vl"))));
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = document.getElementById("theme"), label = () => { theme.textContent = dark() ? "Light" : "Dark"; };
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; label(); });
  label();
  all(".copy").forEach((b) => b.addEventListener("click", async () => {
    await navigator.clipboard.writeText(b.previousElementSibling.textContent);
    b.textContent = "Copied";
  }));
  all("table.sort th button").forEach((b) => b.addEventListener("click", () => {
    const th = b.parentElement, body = th.closest("table").tBodies[0], i = th.cellIndex;
    const up = th.getAttribute("aria-sort") !== "ascending", key = (r) => r.cells[i].dataset.v ?? r.cells[i].textContent;
    all("th", th.parentElement).forEach((e) => e.removeAttribute("aria-sort"));
    th.setAttribute("aria-sort", up ? "ascending" : "descending");
    const order = (a, c) => (isNaN(key(a) - key(c)) ? key(a).localeCompare(key(c), "en", { numeric: true }) : key(a) - key(c));
    body.append(...[...body.rows].sort((a, c) => (up ? 1 : -1) * order(a, c)));
  }));
  all(".grid").forEach((table) => {  // on a phone a table of texts becomes cards, one of numbers scrolls
    const heads = all("thead th", table).map((e) => e.textContent), rows = [...table.tBodies[0].rows];
    const text = (e, i) => !table.classList.contains(`n${i + 2}`);
    if (rows.length && [...rows[0].cells].slice(1).filter(text).length > 1) table.classList.add("stack");
    rows.forEach((row) => [...row.cells].slice(1).forEach((e, i) => { e.dataset.h = heads[i + 1]; }));
  });
  const inert = (text) => (/^[=+\-@\t\r]/.test(text) && !/^(-|[+-]?\d[\d.,]*([eE][+-]?\d+)?\s?%?)$/.test(text) ? `'${text}` : text);  // no formula for a spreadsheet
  const cell = (c) => `"${inert(c.textContent.trim().replace(/^—$/, "").replace(/−/g, "-").replace(/^-?\d[\d,.]*$/, (n) => n.replace(/,/g, "")))
    .replace(/"/g, '""')}"`;
  const plain = (v) => JSON.parse(JSON.stringify(v).replace(/var\(--(\w+)\)/g, (_, n) => getComputedStyle(root).getPropertyValue("--" + n)));
  const png = async (f) => {  // with title, key and source, in the colours of the theme
    const lines = (s, n) => all(s, f).map((e) => e.textContent).join(" · ").match(RegExp(`.{1,${n}}(\\s|$)`, "g")) || [];
    const title = { text: lines("h3", 80), subtitle: [...lines(".sub", 120), ...lines(".key li", 120), ...lines(".src", 120), ""],
      anchor: "start", offset: 12, color: "var(--ink)", subtitleColor: "var(--ink2)" }, spec = unpacked(JSON.parse(f.querySelector(".vl").nextElementSibling.textContent));
    const made = plain({ ...spec, title, width: 800, padding: 24, background: "var(--page)" });
    const { view } = await vegaEmbed(document.createElement("div"), made, { ...plain(options), renderer: "none" });
    sliders.forEach((e) => { try { view.signal(e.name, +e.value); } catch { /* not in this chart */ } });
    return view.toImageURL("png", 2);
  };
  const saved = async (f, kind) => {
    const csv = all(".numbers tr", f).map((r) => [...r.cells].map(cell)).join("\r\n");
    const href = kind === "csv" ? "data:text/csv;charset=utf-8,\ufeff" + encodeURIComponent(csv) : await png(f);
    const download = location.pathname.replace(/.*\/|\.html$/g, "") + `-chart-${all("figure").indexOf(f) + 1}.${kind}`;
    Object.assign(document.createElement("a"), { href, download }).click();
  };
  const add = (tag, to, words) => Object.assign(to.appendChild(document.createElement(tag)), words);
  all("figure:has(.vl):has(.numbers)").forEach((f) => {
    const p = add("p", f, { className: "take", textContent: "Save the chart as " });
    ["png", "csv"].forEach((kind) => add("button", p, { textContent: kind.toUpperCase(), onclick: () => saved(f, kind) }));
  });
  const main = root.querySelector("main"), day = main.dataset.day, days = Math.floor((Date.now() - Date.parse(day)) / 864e5);
  if (days > PRICE_DAYS)  // by the reader's clock: a page may be opened years later
    main.prepend(add("p", main, { className: "aged", textContent: `The data of this page are of ${day}, ${days} days old. Look for newer prices before you decide.` }));
  const boxes = all(".vl"), size = (width) => views.forEach((v, i) => v.width(width || boxes[i].clientWidth).run());
  addEventListener("beforeprint", () => size(680));
  addEventListener("afterprint", () => size(0));
  Promise.all(boxes.map(draw)).then(() => { root.dataset.drawn = boxes.length; });
})();
