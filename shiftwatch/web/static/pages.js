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

  /* --- charts: evidence over its threshold, the alarm shaded, a click opens the report --------- */

  const squash = (ratio) => (ratio === null ? null : ratio / (1 + ratio));

  function shaded(points) {
    return (chart) => {
      const { ctx, bbox } = chart;
      ctx.save();
      ctx.fillStyle = colour("--shift");
      ctx.globalAlpha = 0.14;
      const half = bbox.width / Math.max(1, chart.scales.x.max - chart.scales.x.min) / 2;
      points.alarm.forEach((on, place) => {
        if (!on || place < chart.scales.x.min - 0.5 || place > chart.scales.x.max + 0.5) return;
        const middle = chart.valToPos(place, "x", true);
        ctx.fillRect(middle - half, bbox.top, 2 * half, bbox.height);
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

  function series(label, name, dash) {
    return {
      label,
      stroke: () => colour(name),
      width: 1.5,
      dash,
      spanGaps: true,
      points: { show: true, size: 5 },
      value: (_chart, share) => (share === null ? "-" : (share / (1 - share)).toFixed(2)),
    };
  }

  function draw(place) {
    const points = JSON.parse(place.dataset.points);
    if (!points.when.length) return;
    const told = (at) => (at === null || at === undefined ? "-" : points.told[at]);
    const xs = points.when.map((_, index) => index);
    place.replaceChildren();
    const chart = new uPlot(
      {
        width: place.clientWidth || 600,
        height: Number(place.dataset.height || 150),
        legend: { live: true },
        cursor: { drag: { x: true, y: false, setScale: true } },
        scales: { x: { time: false }, y: { range: [0, 1] } },
        hooks: { drawClear: [shaded(points)] },
        axes: [
          {
            stroke: () => colour("--soft"),
            grid: { show: false },
            values: (_chart, splits) => splits.map((at) => (Number.isInteger(at) ? points.when[at] ?? "" : "")),
            space: 130,
          },
          {
            stroke: () => colour("--soft"),
            grid: { stroke: () => colour("--line") },
            splits: () => [0, 0.5, 0.75, 0.9],
            values: () => ["0", "1", "3", "9"],
            size: 44,
          },
        ],
        series: [
          { label: "Check", value: (_chart, at) => told(at) },
          series("Inputs", "--link"),
          series("Predictions", "--second", [6, 4]),
        ],
      },
      [xs, points.input.map(squash), points.prediction.map(squash)],
      place,
    );
    chart.over.addEventListener("click", () => {
      const at = chart.cursor.idx;
      const zoomed = chart.select.width > 2;
      if (at !== null && at !== undefined && !zoomed) location.assign(points.href[at]);
    });
    new ResizeObserver(() => {
      if (place.clientWidth) chart.setSize({ width: place.clientWidth, height: chart.height });
    }).observe(place);
  }

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      draw(entry.target);
    }
  });
  const charts = (root) => by("[data-points]", root).forEach((place) => seen.observe(place));

  /* --- filter ---------------------------------------------------------------------------------- */

  const filter = document.querySelector("form.filter[role=search]");

  function sift() {
    if (!filter) return;
    const text = filter.elements.q.value.trim().toLowerCase();
    const state = filter.elements.state.value;
    let shown = 0;
    for (const card of by("section[data-name]")) {
      const fits = card.dataset.name.includes(text) && (!state || card.dataset.states.split(" ").includes(state));
      card.hidden = !fits;
      shown += fits;
    }
    const told = document.getElementById("shown");
    if (told) told.textContent = `${shown} shown`;
  }

  /* --- news ------------------------------------------------------------------------------------ */

  const live = document.getElementById("live");
  let known = null;
  let lostAt = null;

  function say(text) {
    if (live && live.textContent !== text) live.textContent = text;
  }

  async function renew() {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const old of by("[data-version]")) {
      if (!fresh.getElementById(old.id)) old.remove();
    }
    for (const part of by("[data-version]", fresh)) {
      const old = document.getElementById(part.id);
      if (old && old.dataset.version === part.dataset.version) continue;
      const after = part.nextElementSibling;
      const adopted = document.adoptNode(part);
      if (old) old.replaceWith(adopted);
      else document.querySelector("main").insertBefore(adopted, after && document.getElementById(after.id));
      charts(adopted);
    }
    sift();
  }

  async function look() {
    if (document.hidden) return;
    try {
      const answer = await fetch("/api/v1/state", { cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      const now = (await answer.json()).state;
      if (known !== null && now !== known) await renew();
      known = now;
      lostAt = null;
      say("Live: news appear by themselves.");
    } catch {
      lostAt = lostAt ?? new Date();
      say(`No connection since ${lostAt.toISOString().slice(11, 19)} UTC; what is shown may be old.`);
    }
  }

  /* --- forms of an operator -------------------------------------------------------------------- */

  function body(form) {
    const told = {};
    for (const [name, value] of new FormData(form)) {
      if (value === "") continue;
      const [first, second] = name.split(".");
      if (second) (told[first] ??= {})[second] = value;
      else if (name === "scopes") (told[name] ??= []).push(value);
      else told[name] = value;
    }
    return told;
  }

  async function ask(form, output) {
    const method = form.dataset.method;
    const url = form.dataset.url;
    const options = { method, headers: { "content-type": "application/json" } };
    if (method === "POST") options.body = JSON.stringify(body(form));
    const answer = await fetch(url, options);
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.detail || `answered ${answer.status}`);
    return follow(told, output);
  }

  async function follow(told, output) {
    while (told.status === "queued" || told.status === "running") {
      const part = told.progress ? `: ${told.progress.what}, ${Math.round(100 * told.progress.share)} %` : "";
      output.textContent = `${told.status}${part}`;
      await new Promise((done) => setTimeout(done, 500));
      const answer = await fetch(told.status_url);
      told = await answer.json();
    }
    if (told.status === "failed") throw new Error(told.detail || "failed");
    return told;
  }

  for (const form of by("form[data-url]")) {
    const output = form.querySelector("output");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      output.textContent = "asking ...";
      output.className = "";
      try {
        const told = await ask(form, output);
        output.textContent = "done. ";
        if (told.report) {
          const link = document.createElement("a");
          link.href = told.report.includes("?") ? `${told.report}&format=html` : `${told.report}?format=html`;
          link.textContent = "Open the report";
          output.append(link);
        }
        await renew();
      } catch (fault) {
        output.className = "fault";
        output.textContent = fault.message;
      }
    });
  }

  charts(document);
  if (filter) {
    filter.addEventListener("input", sift);
    filter.addEventListener("submit", (event) => {
      event.preventDefault();
      sift();
    });
    sift();
  }
  by(".scripted").forEach((part) => { part.hidden = false; });
  if (live) {
    look();
    setInterval(look, POLL_MS);
    document.addEventListener("visibilitychange", look);
  }
})();
