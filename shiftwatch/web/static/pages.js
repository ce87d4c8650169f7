/* What the pages do for who lets them: charts with zoom, a filter while typing, news without a
   reload, forms. Without it each page says the same, and is read anew by the browser itself.

   In:    the page, /api/v1/state, the API for the forms.
   Out:   changes of the page; texts only as text, never as markup of our making.
   Never: asks another server; keeps anything; runs while nobody looks. */
"use strict";
(() => {
  const POLL_MS = 5000;
  const by = (selector, root = document) => [...root.querySelectorAll(selector)];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  /* --- charts: evidence over its threshold, the alarm shaded, verdicts below, words above -------- */

  const squash = (ratio) => (ratio === null ? null : ratio / (1 + ratio));
  const figure = (ratio) => (ratio === null ? "-" : ratio >= 1000 ? "over 1000" : String(Number(ratio.toPrecision(3))));

  /* Behind the lines: what is known of each check beside its evidence. */
  function behind(points) {
    return (chart) => {
      const { ctx, bbox } = chart;
      const dot = devicePixelRatio;
      const edge = (at) => chart.valToPos(at, "x", true);
      const band = (first, last, top, height, name, alpha) => {
        const left = Math.max(bbox.left, edge(first));
        const right = Math.min(bbox.left + bbox.width, edge(last));
        if (right <= left) return;
        ctx.fillStyle = colour(name);
        ctx.globalAlpha = alpha;
        ctx.fillRect(left, top, right - left, height);
      };
      ctx.save();
      points.alarm.forEach((on, at) => on && band(at - 0.5, at + 0.5, bbox.top, bbox.height, "--shift", 0.14));
      points.words.forEach(([first, last]) => band(first - 0.5, last - 0.5, bbox.top, 4 * dot, "--link", 0.8));
      points.kind.forEach((kind, at) => {
        const high = (points.kinds[kind][0] === "no_shift" ? 3 : 7) * dot;
        band(at - 0.42, at + 0.42, bbox.top + bbox.height - high, high, `--${points.kinds[kind][0]}`, 1);
      });
      ctx.globalAlpha = 1;
      ctx.strokeStyle = colour("--soft");
      ctx.setLineDash([6, 6]);
      const one = chart.valToPos(0.5, "y", true);
      ctx.beginPath();
      ctx.moveTo(bbox.left, one);
      ctx.lineTo(bbox.left + bbox.width, one);
      ctx.stroke();
      ctx.restore();
    };
  }

  function series(name, dash, small) {
    return {
      stroke: () => colour(name),
      width: 1.5,
      dash,
      spanGaps: false,
      points: { show: !small, size: 5 },
    };
  }

  /* One check in words: what a hover, the keyboard and a reader of the screen are told. */
  function inWords(points, at) {
    const alarm = points.alarm[at] ? ", alarm on" : "";
    const parts = [`${points.when[at]} ${points.kinds[points.kind[at]][1]}${alarm}`];
    if (points.input[at] !== null) parts.push(`inputs ${figure(points.input[at])}`);
    if (points.prediction[at] !== null) parts.push(`predictions ${figure(points.prediction[at])}`);
    parts.push(`batch ${points.batch[at]}`);
    for (const [first, last, text] of points.words) if (first <= at && at < last) parts.push(text);
    return parts.join("; ");
  }

  function element(name, properties, ...inside) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...inside);
    return made;
  }

  const all = (points) => ({ min: -0.5, max: points.when.length - 0.5 });

  function options(place, points, told, reset) {
    const small = "small" in place.dataset;
    const count = points.when.length;
    /* Asked for the ends of the data and for those of a zoom alike. */
    const whole = (_chart, low, high) =>
      low === null || high <= low || (low === 0 && high === count - 1) ? [-0.5, count - 0.5] : [low, high];
    return {
      width: place.clientWidth || 600,
      height: small ? 54 : "tall" in place.dataset ? 260 : 160,
      padding: small ? [2, 2, 2, 0] : [6, 8, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: true, y: false, setScale: true }, y: false },
      scales: { x: { time: false, range: whole }, y: { range: [0, 1] } },
      hooks: {
        drawClear: [behind(points)],
        setCursor: [(chart) => told(chart.cursor.idx)],
        setScale: [(chart, name) => {
          if (name !== "x") return;
          const { min, max } = chart.scales.x;
          reset.hidden = max - min > count - 0.01;
        }],
      },
      axes: [
        {
          show: !small,
          stroke: () => colour("--soft"),
          grid: { show: false },
          ticks: { show: false },
          values: (_chart, splits) =>
            splits.map((at) => (Number.isInteger(at) && points.when[at] ? points.when[at].slice(5) : "")),
          space: 130,
          size: 30,
        },
        {
          stroke: () => colour("--soft"),
          grid: { stroke: () => colour("--line"), width: 1 },
          ticks: { show: false },
          splits: () => (small ? [0.5] : [0, 0.5, 0.75, 0.9]),
          values: () => (small ? ["1"] : ["0", "1", "3", "9"]),
          size: small ? 20 : 30,
        },
      ],
      series: [{}, series("--link", undefined, small), series("--second", [6, 4], small)],
    };
  }

  const drawn = new WeakMap();

  function draw(place, zoomed) {
    if (drawn.has(place)) return;
    const points = JSON.parse(place.dataset.points);
    const count = points.when.length;
    const line = element("span", { className: "told" }, "\u00a0");
    const reset = element("button", { type: "button", hidden: true }, "Show all");
    const canvas = element("div", { className: "plot", tabIndex: 0 });
    const key = (name, text) => element("span", { className: `key ${name}` }, text);
    const told = (at) => {
      if (at === null || at === undefined) return;
      line.textContent = inWords(points, at);
      canvas.setAttribute("aria-valuenow", String(at + 1));
      canvas.setAttribute("aria-valuetext", line.textContent);
    };
    canvas.setAttribute("role", "slider");
    canvas.setAttribute("aria-label", `Checks of ${place.dataset.label}`);
    canvas.setAttribute("aria-valuemin", "1");
    canvas.setAttribute("aria-valuemax", String(count));
    const under = element("p", { className: "small soft under" });
    const has = (ratios) => ratios.some((ratio) => ratio !== null);
    if (!("small" in place.dataset)) {
      if (has(points.input)) under.append(key("i", "inputs"));
      if (has(points.prediction)) under.append(key("o", "predictions"));
    }
    under.append(line, reset);
    place.replaceChildren(canvas, under);
    const xs = points.when.map((_, at) => at);
    const settings = options(place, points, told, reset);
    const chart = new uPlot(settings, [xs, points.input.map(squash), points.prediction.map(squash)], canvas);
    drawn.set(place, { chart, points, reset });
    told(count - 1);
    steer(canvas, chart, points, reset);
    if (zoomed) chart.setScale("x", zoomed(points));
    new ResizeObserver(() => {
      if (place.clientWidth) chart.setSize({ width: place.clientWidth, height: settings.height });
    }).observe(place);
  }

  /* A click opens the report of a check; the keyboard does all that the pointer does. */
  function steer(canvas, chart, points, reset) {
    const count = points.when.length;
    const whole = () => chart.setScale("x", all(points));
    const go = (at, event) => {
      const url = points.report + encodeURIComponent(points.batch[at]);
      if (event.ctrlKey || event.metaKey) open(url, "_blank", "noopener");
      else location.assign(url);
    };
    chart.over.addEventListener("click", (event) => {
      const at = chart.cursor.idx;
      if (at !== null && at !== undefined) go(at, event);
    });
    reset.addEventListener("click", () => {
      whole();
      canvas.focus();
    });
    const move = (at) => {
      const to = Math.min(count - 1, Math.max(0, at));
      const { min, max } = chart.scales.x;
      if (to < min || to > max) chart.setScale("x", { min: to - (max - min) / 2, max: to + (max - min) / 2 });
      queueMicrotask(() => chart.setCursor({ left: chart.valToPos(to, "x"), top: 0 }));
    };
    const zoom = (factor, at) => {
      const half = Math.max(1, ((chart.scales.x.max - chart.scales.x.min) / 2) * factor);
      if (2 * half >= count - 1) whole();
      else chart.setScale("x", { min: at - half, max: at + half });
    };
    const keys = {
      ArrowLeft: (at) => move(at - 1),
      ArrowRight: (at) => move(at + 1),
      Home: () => move(0),
      End: () => move(count - 1),
      "+": (at) => zoom(0.5, at),
      "-": (at) => zoom(2, at),
      Escape: whole,
      Enter: (at, event) => go(at, event),
    };
    canvas.addEventListener("keydown", (event) => {
      const act = keys[event.key];
      if (!act || event.altKey) return;
      event.preventDefault();
      act(Number(canvas.getAttribute("aria-valuenow")) - 1, event);
    });
  }

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      draw(entry.target);
    }
  });
  const charts = (root) => by("[data-points]", root).forEach((place) => seen.observe(place));

  /* The part of a chart that was looked at, to be looked at again when news have come. */
  function looked(root) {
    const place = root.querySelector("[data-points]");
    if (place) seen.unobserve(place);
    const was = place && drawn.get(place);
    if (!was) return null;
    const { min, max } = was.chart.scales.x;
    const first = was.reset.hidden ? null : was.points.batch[Math.max(0, Math.round(min))];
    was.chart.destroy();
    return (points) => {
      const at = points.batch.indexOf(first);
      return at < 0 ? all(points) : { min: at - 0.5, max: at - 0.5 + max - min };
    };
  }

  /* --- filter ---------------------------------------------------------------------------------- */

  const filter = document.querySelector("form.filter[role=search]");

  const part = filter && "part" in filter.dataset;

  function sift() {
    if (!filter || part) return;
    const text = filter.elements.q.value.trim().toLowerCase();
    const state = filter.elements.state.value;
    let shown = 0;
    for (const card of by("section[data-name]")) {
      const fits = card.dataset.name.includes(text) && (!state || card.dataset.states.split(" ").includes(state));
      card.hidden = !fits;
      shown += fits;
    }
    const told = document.getElementById("shown");
    const words = `${shown} of ${by("section[data-name]").length} shown`;
    if (told && told.textContent !== words) told.textContent = words;
  }

  if (filter) {
    filter.addEventListener("input", (event) => {
      if (part && event.target.matches("select")) filter.requestSubmit();
      else sift();
    });
    filter.addEventListener("submit", (event) => {
      if (part) return;
      event.preventDefault();
      sift();
    });
    sift();
  }

  /* --- news ------------------------------------------------------------------------------------ */

  const live = document.getElementById("live");
  let known = null;
  let lostAt = null;
  let busy = false;
  let notBefore = 0;

  function say(text) {
    if (live && live.textContent !== text) live.textContent = text;
  }

  class Refused extends Error {
    constructor(answer, detail) {
      super(detail || `the server answers ${answer.status}`);
      this.status = answer.status;
      this.after = Number(answer.headers.get("retry-after")) || 0;
    }
  }

  async function get(url, options) {
    const answer = await fetch(url, options);
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => ({}));
    throw new Refused(answer, told.detail);
  }

  /* Puts a new part where the old one was, with what its reader had opened, zoomed and focused. */
  function replace(old, fresh) {
    const opened = by("details", old).map((each) => each.open);
    by("details", fresh).forEach((each, place) => { each.open = opened[place] ?? each.open; });
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const trail = focused && (focused.getAttribute("href") || focused.className || focused.name);
    const zoomed = looked(old);
    by(".scripted", fresh).forEach((each) => { each.hidden = false; });
    old.replaceWith(fresh);
    const place = fresh.querySelector("[data-points]");
    if (zoomed && place) draw(place, zoomed);
    else charts(fresh);
    if (!focused) return;
    const same = by("a, button, input, select, [tabindex]", fresh).find(
      (each) => trail && trail === (each.getAttribute("href") || each.className || each.name),
    );
    if (!same) fresh.tabIndex = -1;
    (same || fresh).focus({ preventScroll: true });
  }

  async function renew() {
    const began = performance.now();
    const answer = await get(location.href, { headers: { accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const parts = by("[data-version]", fresh);
    const old = by("[data-version]");
    if (!parts.length || !old.length) return location.reload();
    const order = (list) => list.map((each) => each.id).join(" ");
    const moved = order(parts) !== order(old);
    if (moved) arrange(parts, old);
    for (const each of parts) {
      const shown = document.getElementById(each.id);
      if (!shown || shown.dataset.version === each.dataset.version || editing(shown)) continue;
      replace(shown, document.adoptNode(each));
    }
    sift();
    notBefore = performance.now() + 10 * (performance.now() - began);
    return undefined;
  }

  /* Models that have come, gone, or become more urgent than others. */
  function arrange(parts, old) {
    const wanted = new Set(parts.map((each) => each.id));
    const mark = document.createComment("");
    old[0].before(mark);
    for (const each of old) if (!wanted.has(each.id)) each.remove();
    for (const each of parts) {
      const known = document.getElementById(each.id);
      const empty = element("section", { id: each.id });
      empty.dataset.version = "";
      mark.before(known || empty);
    }
    mark.remove();
  }

  /* Whether the reader is in the middle of a form, which no news may take away. */
  function editing(root = document) {
    const active = document.activeElement;
    const typed = by("main form:not(.filter)", root).some((form) =>
      by("input:not([type=hidden])", form).some((input) => input.value !== input.defaultValue));
    return typed || (root.contains(active) && active.matches("input, select, textarea"));
  }

  async function look() {
    if (document.hidden || busy || performance.now() < notBefore) return;
    busy = true;
    try {
      const answer = await get("/api/v1/state", { cache: "no-store" });
      const now = (await answer.json()).state;
      if (known !== null && now !== known) await renew();
      known = now;
      lostAt = null;
      say("Live: news appear by themselves.");
    } catch (fault) {
      lost(fault);
    } finally {
      busy = false;
    }
  }

  function lost(fault) {
    lostAt = lostAt ?? new Date();
    const since = `since ${lostAt.toISOString().slice(11, 19)} UTC; what is shown may be old.`;
    if (!(fault instanceof Refused)) return say(`No connection ${since}`);
    notBefore = performance.now() + 1000 * fault.after;
    const why = { 401: "Your token is not taken any more", 429: "Too many requests from this address" };
    return say(`${why[fault.status] || `The server answers ${fault.status}`} ${since}`);
  }

  /* --- forms of an operator -------------------------------------------------------------------- */

  const LISTS = new Set(["scopes", "files"]);

  function body(form) {
    const told = {};
    for (const [name, value] of new FormData(form)) {
      if (value === "") continue;
      const path = name.split(".");
      const last = path.pop();
      const into = path.reduce((inside, part) => (inside[part] ??= {}), told);
      into[last] = LISTS.has(last) ? [value] : value;
    }
    return told;
  }

  async function ask(form, output) {
    const { method, url } = form.dataset;
    const sent = { method, headers: { "content-type": "application/json" } };
    if (method === "POST") sent.body = JSON.stringify(body(form));
    const answer = await get(url, sent);
    return follow(await answer.json(), output);
  }

  async function follow(first, output) {
    let told = first;
    while (told.status === "queued" || told.status === "running") {
      const step = told.progress ? `: ${told.progress.what}, ${Math.round(100 * told.progress.share)} %` : "";
      output.textContent = `${told.status}${step}`;
      await new Promise((done) => setTimeout(done, 500));
      told = await (await get(told.status_url)).json();
    }
    if (told.status === "failed") throw new Error(told.detail || "failed");
    return told;
  }

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("form[data-url]")) return;
    event.preventDefault();
    if (form.dataset.busy) return;
    form.dataset.busy = "yes";
    const output = form.querySelector("output");
    output.textContent = "asking ...";
    output.className = "";
    try {
      const told = await ask(form, output);
      output.textContent = "done. ";
      if (told.report) {
        const url = new URL(told.report, location.origin);
        url.searchParams.set("format", "html");
        output.append(element("a", { href: url.pathname + url.search }, "Open the report"));
      }
      form.reset();
      await renew();
    } catch (fault) {
      output.className = "fault";
      output.textContent = fault instanceof TypeError ? "no answer; is the daemon running?" : fault.message;
    } finally {
      delete form.dataset.busy;
    }
  });

  document.documentElement.classList.add("js");
  by(".scripted").forEach((each) => { each.hidden = false; });
  charts(document);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const place of by("[data-points]")) drawn.get(place)?.chart.redraw();
  });
  if (live) {
    look();
    setInterval(look, POLL_MS);
    document.addEventListener("visibilitychange", look);
  }
})();
