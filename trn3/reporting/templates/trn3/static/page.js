// The script of every page: draws its charts, moves sliders, switches the theme, sorts and searches
// tables, saves charts. Everything else works without it.
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const root = document.documentElement;
  const main = root.querySelector("main");
  const add = (tag, to, properties) => Object.assign(to.appendChild(document.createElement(tag)), properties);

  // ---------------------------------------------------------------------------------------- charts
  const boxes = all(".vl");
  const views = [];
  const options = {
    mode: "vega-lite",
    renderer: "svg",
    ast: true, // formulas are interpreted: the page's policy forbids to compile them
    actions: false,
    defaultStyle: false,
    tooltip: { disableDefaultStyle: true },
    config: CONFIG,
  };
  const specOf = (box) => JSON.parse(box.nextElementSibling.textContent);

  // A page that stands alone carries the charts' script as gzip; the policy knows the hash of its text.
  const chartScript = async () => {
    const packed = document.getElementById("charts");
    if (!packed) return;
    const bytes = Uint8Array.from(atob(packed.textContent), (c) => c.charCodeAt(0));
    const text = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    add("script", document.head, { textContent: await new Response(text).text() });
  };

  // On a phone the names of rows stand above their dots; beside the plot they would crush it.
  const marksOf = (layers) => layers.flatMap((layer) => (layer.layer ? marksOf(layer.layer) : [layer]));
  const nameRowsAbove = (spec, room) => {
    const named = (y) => y?.type === "nominal" && y.axis?.labelAlign;
    const ys = marksOf(spec.layer || []).map((layer) => layer.encoding?.y).filter(named);
    if (!ys.length || room > 450) return;
    const rows = ys[0].scale.domain;
    const grouped = rows.some((row) => row.includes("|"));
    const values = rows.map((row) => {
      const [group, name] = row.split("|");
      return { row, t: name ?? group, head: grouped && name === undefined };
    });
    ys.forEach((y) => Object.assign(y.axis, { labelPadding: 0, labelOpacity: 0 }));
    const mark = {
      type: "text",
      align: "left",
      limit: { expr: `datum.head ? ${room} : ${room - 135}` },
      dy: { expr: "datum.head ? -6 : -14" },
      fontWeight: { expr: "datum.head ? 600 : 400" },
    };
    spec.layer.push({
      data: { values },
      encoding: { x: { value: 0 }, y: { field: "row", type: "nominal" }, text: { field: "t" } },
      layer: [{ mark: { ...mark, style: "halo" } }, { mark }],
    });
  };

  const draw = async (box) => {
    const spec = specOf(box);
    nameRowsAbove(spec, box.clientWidth);
    const { view } = await vegaEmbed(box, spec, options);
    const svg = box.querySelector("svg");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", spec.description);
    all("[aria-roledescription]", svg).forEach((e) => e.removeAttribute("aria-roledescription"));
    views[boxes.indexOf(box)] = view;
    sliders.forEach(send);
  };
  all(".whole").forEach((button) => button.addEventListener("click", () => draw(button.closest("figure").querySelector(".vl"))));

  // --------------------------------------------------------------------------------------- sliders
  const sliders = all(".sliders input");
  const set = (view, slider) => {
    try {
      view.signal(slider.name, +slider.value);
      return true;
    } catch {
      return false; // not in this chart
    }
  };
  const send = (slider) => views.forEach((view) => set(view, slider) && view.runAsync());
  const shown = (slider, value) => {
    const decimals = (slider.step.split(".")[1] || "").length;
    return (+value).toFixed(decimals).replace("-", "−");
  };
  const change = (slider) =>
    `${slider.getAttribute("aria-label")} ${shown(slider, slider.defaultValue)} → ${shown(slider, slider.value)}`;
  const tell = (slider) => {
    slider.previousElementSibling.lastElementChild.textContent = shown(slider, slider.value);
  };
  const moved = (slider) => {
    const panel = slider.closest(".sliders");
    const changed = all("input", panel).filter((one) => one.value !== one.defaultValue);
    tell(slider);
    panel.querySelector("p").textContent = changed.length
      ? `You changed: ${changed.map(change).join("; ")}. The answer above stays as printed.`
      : "";
    send(slider);
  };
  sliders.forEach(tell);
  sliders.forEach((slider) => slider.addEventListener("input", () => moved(slider)));
  all(".reset").forEach((button) =>
    button.addEventListener("click", () =>
      all("input", button.closest(".sliders")).forEach((slider) => {
        slider.value = slider.defaultValue;
        moved(slider);
      }),
    ),
  );

  // ----------------------------------------------------------------------------------------- theme
  const theme = document.getElementById("theme");
  const wishesDark = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : wishesDark.matches);
  const label = () => {
    theme.textContent = dark() ? "Light" : "Dark";
  };
  theme.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    label();
  });
  label();

  // ---------------------------------------------------------------------------------------- tables
  all(".copy").forEach((button) =>
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.previousElementSibling.textContent);
      button.textContent = "Copied";
    }),
  );
  const sortBy = (head) => {
    const body = head.closest("table").tBodies[0];
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const key = (row) => row.cells[head.cellIndex].dataset.v ?? row.cells[head.cellIndex].textContent;
    const order = (a, b) => (isNaN(a - b) ? a.localeCompare(b, "en", { numeric: true }) : a - b);
    all("th", head.parentElement).forEach((one) => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    body.append(...[...body.rows].sort((a, b) => sign * order(key(a), key(b))));
  };
  all("table.sort th button").forEach((button) => button.addEventListener("click", () => sortBy(button.parentElement)));

  // On a phone a table of texts becomes cards, one of numbers scrolls.
  all(".grid").forEach((table) => {
    const heads = all("thead th", table).map((head) => head.textContent);
    const rows = [...table.tBodies[0].rows];
    const texts = [...(rows[0]?.cells || [])].slice(1).filter((cell) => !cell.classList.contains("n"));
    if (texts.length > 1) table.classList.add("stack");
    rows.forEach((row) => [...row.cells].slice(1).forEach((cell, i) => (cell.dataset.h = heads[i + 1])));
  });

  // Rows that hold all words stay; "#find=words" in the address asks for some.
  const find = document.getElementById("find");
  if (find) {
    const groups = all("#found tbody").map((body) => {
      const [head, ...rows] = body.rows;
      const sources = (row) => all("a[href^='#source-']", row).map((link) => link.hash.replace("#source-", "source:") + ";");
      const text = (row) => [head.textContent, row.textContent, ...sources(row)].join(" ").toLowerCase();
      return { body, rows: rows.map((row) => [row, text(row)]) };
    });
    const search = () => {
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      let found = 0;
      groups.forEach(({ body, rows }) => {
        rows.forEach(([row, text]) => (row.hidden = !words.every((word) => text.includes(word))));
        const here = rows.filter(([row]) => !row.hidden).length;
        body.hidden = !here;
        found += here;
      });
      const rows = `${found.toLocaleString("en")} ${found === 1 ? "row" : "rows"}`;
      const none = `Nothing has all of: ${words.join(" ")}. Try fewer or shorter words.`;
      document.getElementById("found").hidden = !found;
      document.getElementById("told").textContent = found ? `${rows}.` : none;
    };
    const asked = () => {
      const [, words] = location.hash.match(/^#find=(.*)/) || [];
      if (words === undefined) return;
      find.value = decodeURIComponent(words);
      search();
      find.scrollIntoView();
    };
    find.addEventListener("input", search);
    addEventListener("hashchange", asked);
    search();
    asked();
  }

  // ---------------------------------------------------------------------------------------- saving
  const number = (text) => text.replace(/^—$/, "").replace(/−/g, "-").replace(/^-?\d[\d,.]*$/, (n) => n.replace(/,/g, ""));
  // A spreadsheet takes text that starts so for a formula, and would run it.
  const inert = (text) => {
    const isNumber = /^(-|[+-]?\d[\d.,]*([eE][+-]?\d+)?\s?%?)$/.test(text);
    return /^[=+\-@\t\r]/.test(text) && !isNumber ? `'${text}` : text;
  };
  const csvOf = (figure) => {
    const quoted = (cell) => `"${inert(number(cell.textContent.trim())).replace(/"/g, '""')}"`;
    return all(".numbers tr", figure).map((row) => [...row.cells].map(quoted).join(",")).join("\r\n");
  };
  // A picture has no style sheet: it takes the colours that the theme has now.
  const coloured = (value) => {
    const token = (_, name) => getComputedStyle(root).getPropertyValue("--" + name);
    return JSON.parse(JSON.stringify(value).replace(/var\(--(\w+)\)/g, token));
  };
  const pngOf = async (figure) => {
    const joined = (selector) => all(selector, figure).map((e) => e.textContent).join(" · ");
    const lines = (selector, width) => joined(selector).match(RegExp(`.{1,${width}}(\\s|$)`, "g")) || [];
    const title = {
      text: lines("h3", 80),
      subtitle: [...lines(".sub", 120), ...lines(".key li", 120), ...lines(".src", 120), ""],
      anchor: "start",
      offset: 12,
      color: "var(--ink)",
      subtitleColor: "var(--ink2)",
    };
    const spec = { ...specOf(figure.querySelector(".vl")), title, width: 800, padding: 24, background: "var(--page)" };
    const { view } = await vegaEmbed(document.createElement("div"), coloured(spec), { ...coloured(options), renderer: "none" });
    sliders.forEach((slider) => set(view, slider));
    return view.toImageURL("png", 2);
  };
  const save = async (figure, kind) => {
    const csv = () => "data:text/csv;charset=utf-8,\ufeff" + encodeURIComponent(csvOf(figure));
    const href = kind === "csv" ? csv() : await pngOf(figure);
    const page = location.pathname.replace(/.*\/|\.html$/g, "");
    const download = `${page}-chart-${all("figure").indexOf(figure) + 1}.${kind}`;
    Object.assign(document.createElement("a"), { href, download }).click();
  };
  all("figure:has(.vl):has(.numbers)").forEach((figure) => {
    const line = add("p", figure, { className: "take", textContent: "Save the chart as " });
    const button = (kind) => add("button", line, { textContent: kind.toUpperCase(), onclick: () => save(figure, kind) });
    ["png", "csv"].forEach(button);
  });

  // ------------------------------------------------------------------------------------------- age
  // By the reader's clock: a page may be opened years later.
  const days = Math.floor((Date.now() - Date.parse(main.dataset.day)) / 864e5);
  if (days > main.dataset.days) {
    const words = `The data of this page are of ${main.dataset.day}, ${days} days old. Look for newer prices before you decide.`;
    main.prepend(add("p", main, { className: "aged", textContent: words }));
  }

  const size = (width) => views.forEach((view, i) => view.width(width || boxes[i].clientWidth).run());
  addEventListener("beforeprint", () => size(680));
  addEventListener("afterprint", () => size(0));
  const undrawn = () => {
    const text = "This browser cannot draw the charts; the numbers stand under each.";
    boxes.forEach((box) => add("p", box, { className: "nothing", textContent: text }));
  };
  chartScript()
    .then(() => Promise.all(boxes.map(draw)), undrawn)
    .then(() => {
      root.dataset.drawn = boxes.length;
    });
})();
