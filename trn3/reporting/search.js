(() => {
  const get = (id) => document.getElementById(id), most = 100;
  const { rows, badges, meanings, publishers } = JSON.parse(get("rows").textContent);
  const texts = rows.map((r) => [...r, meanings[r[9]] || ""].join(" ").toLowerCase());
  const field = get("find"), body = get("found").tBodies[0];
  const put = (into, tag, text, css = "") => {
    const e = document.createElement(tag);
    e.textContent = text;
    if (css) e.className = css;
    into.append(e);
    return e;
  };
  const draw = ([kind, name, value, span, unit, status, link, source, note]) => {
    const row = document.createElement("tr"), head = put(row, "th", "");
    head.scope = "row";
    put(head, "a", name).href = link;
    put(head, "small", " " + kind);
    put(row, "td", value, "n");
    put(row, "td", span, "n");
    put(row, "td", unit);
    const state = put(row, "td", "");
    if (status) put(state, "span", status[0].toUpperCase() + status.slice(1), badges[status]);
    const from = put(row, "td", note && note + " ");
    if (source) put(from, "a", publishers[source]).href = `sources/${source}.html`;
    return row;
  };
  const show = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = rows.filter((_, i) => words.every((w) => texts[i].includes(w))), n = hits.length.toLocaleString("en");
    body.replaceChildren(...hits.slice(0, most).map(draw));
    get("told").textContent = !hits.length ? `Nothing has all of: ${words.join(" ")}. Try fewer or shorter words.`
      : n + (hits.length > 1 ? " rows" : " row") + (hits.length > most ? `; the first ${most} are shown.` : ".");
  };
  field.addEventListener("input", show);
  show();
})();
