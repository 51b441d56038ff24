
"use strict";
// Names come from a file: they are put into the page as text and never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const [search, found, answer, map, tip, stage] =
    ["search", "found", "answer", "map", "tip", "stage"].map((id) => document.getElementById(id));
  // The most matches listed; the most names on the map, and the width that one needs to be read.
  const LISTED = 12, WRITTEN = 40, ROOM = 20;
  const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const keys = data.names.slice(0, data.n).map(folded);
  const most = data.counts ? Math.max(1, ...data.counts) : 1;
  let asked = -1, pointed = -1, spots = [];

  function element(tag, text, parent) {
    const made = document.createElement(tag);
    made.textContent = text;
    parent.append(made);
    return made;
  }

  /** A name: a button where the item is on the map. */
  function named(item, parent) {
    const isHere = item < data.n;
    const holder = element(isHere ? "button" : "span", "", parent);
    element("bdi", data.names[item], holder);
    if (isHere) holder.addEventListener("click", () => ask(item));
    else holder.className = "off";
    return holder;
  }

  function about(item) {
    const id = data.ids ? ` · id ${data.ids[item]}` : "";
    return data.counts ? `${id} · ${data.counts[item].toLocaleString("en")} users` : id;
  }

  /** A distance with the four digits that it was given in. */
  function written(far) {
    if (far === null) return "";
    if (far && Math.abs(far) < 0.001) return far.toExponential(3);
    return far.toFixed([1, 10, 100, 1000].filter((power) => Math.abs(far) < power).length);
  }

  function list() {
    const wanted = folded(search.value.trim());
    found.replaceChildren();
    if (!wanted) return [];
    const all = keys.flatMap((key, item) => (key.includes(wanted) ? [item] : []));
    const start = (item) => (keys[item] === wanted ? 0 : keys[item].startsWith(wanted) ? 1 : 2);
    all.sort((a, b) => start(a) - start(b) || a - b);
    all.slice(0, LISTED).forEach((item) => named(item, element("li", "", found)));
    const more = all.length - LISTED;
    if (!all.length) element("li", `None of the ${data.n.toLocaleString("en")} items on this page; nearwood similar asks about all.`, found);
    else if (more > 0) element("li", `and ${more.toLocaleString("en")} more`, found);
    return all;
  }

  function ask(item) {
    asked = item;
    found.replaceChildren();
    search.value = "";
    answer.replaceChildren();
    const head = element("h3", "", answer);
    element("bdi", data.names[item], head);
    const told = about(item).replace(/^ · /, "");
    if (told) element("p", told, answer).className = "quiet";
    const near = element("ol", "", answer);
    data.near[item].forEach((other, at) => {
      const row = element("li", "", near);
      named(other, row);
      element("span", written(data.far[item][at]), row).title = data.value;
    });
    draw();
  }

  // The map.

  function colours() {
    const style = getComputedStyle(document.documentElement);
    return (name) => style.getPropertyValue(name).trim();
  }

  /** Puts the items into the canvas, on one scale across and up. */
  function settle() {
    const { width, height } = map.getBoundingClientRect();
    const dots = window.devicePixelRatio || 1;
    [map.width, map.height] = [width * dots, height * dots].map(Math.round);
    map.getContext("2d").setTransform(dots, 0, 0, dots, 0, 0);
    const along = (axis) => {
      const values = data.places.filter((_, at) => at % 2 === axis);
      return [Math.min(...values), Math.max(...values)];
    };
    const [[left, right], [low, high]] = [along(0), along(1)];
    const room = 22;
    const scale = Math.min((width - 2 * room) / Math.max(1, right - left), (height - 2 * room) / Math.max(1, high - low));
    spots = [];
    for (let item = 0; item < data.n; item++) {
      spots.push([
        width / 2 + (data.places[2 * item] - (left + right) / 2) * scale,
        height / 2 - (data.places[2 * item + 1] - (low + high) / 2) * scale,
        data.counts ? 1.5 + 5 * Math.sqrt(data.counts[item] / most) : 2.5,
      ]);
    }
    draw();
  }

  function draw() {
    const { width, height } = map.getBoundingClientRect();
    const pen = map.getContext("2d"), colour = colours();
    const near = asked < 0 ? [] : data.near[asked].filter((item) => item < data.n);
    const dot = (item, fill, grow) => {
      const [x, y, radius] = spots[item];
      pen.beginPath();
      pen.arc(x, y, radius + grow, 0, 7);
      pen.fillStyle = fill;
      pen.fill();
    };
    pen.clearRect(0, 0, width, height);
    pen.globalAlpha = asked < 0 ? 0.5 : 0.22;
    for (let item = data.n - 1; item >= 0; item--) dot(item, colour("--one"), 0);
    pen.globalAlpha = 1;
    near.forEach((item) => dot(item, colour("--two"), 1));
    if (asked >= 0) dot(asked, colour("--three"), 2);
    if (pointed >= 0) dot(pointed, colour("--ink"), 1);
    const first = asked < 0 ? [] : [asked, ...near];
    // Numbers say nothing on a map: without names only what was asked about is written.
    const others = asked < 0 && (data.ids || data.counts) ? [...spots.keys()].slice(0, 400) : [];
    write(pen, [...first, ...others], colour, width);
  }

  /** Writes names beside their dots, the first ones first, as long as they cross no other. */
  function write(pen, items, colour, width) {
    const taken = [];
    pen.font = "12px system-ui, sans-serif";
    pen.lineWidth = 3;
    pen.lineJoin = "round";
    for (const item of items) {
      if (taken.length >= Math.min(WRITTEN, width / ROOM)) break;
      const [x, y, radius] = spots[item];
      const name = data.names[item].length > 24 ? data.names[item].slice(0, 23) + "…" : data.names[item];
      const long = pen.measureText(name).width;
      const left = x + radius + 4 + long > width ? x - radius - 4 - long : x + radius + 4;
      const box = [left - 3, y - 9, left + long + 3, y + 9];
      const crosses = (other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3];
      if (left < 0 || taken.some(crosses)) continue;
      taken.push(box);
      pen.strokeStyle = colour("--ground");
      pen.strokeText(name, left, y + 4);
      pen.fillStyle = item === asked ? colour("--three") : colour("--ink");
      pen.fillText(name, left, y + 4);
    }
  }

  function point(item) {
    if (item !== pointed) {
      pointed = item;
      draw();
    }
    tip.hidden = item < 0;
    if (item < 0) return;
    tip.replaceChildren();
    element("bdi", data.names[item], tip);
    element("span", about(item), tip);
    const [x, y] = spots[item];
    const { width, height } = map.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 12, width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${y + 14 + tip.offsetHeight > height ? y - tip.offsetHeight - 10 : y + 12}px`;
  }

  /** The item at the pointer, or -1. */
  function under(event) {
    const { left, top } = map.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - top];
    let best = -1, least = 14;
    spots.forEach((spot, item) => {
      const far = Math.hypot(spot[0] - x, spot[1] - y);
      if (far < least) [best, least] = [item, far];
    });
    return best;
  }

  /** The nearest item in a direction, or the first one. */
  function beside(item, [across, down]) {
    if (item < 0) return asked < 0 ? 0 : asked;
    let best = item, least = Infinity;
    spots.forEach((spot, other) => {
      const [dx, dy] = [spot[0] - spots[item][0], spot[1] - spots[item][1]];
      const ahead = dx * across + dy * down, aside = Math.abs(dx * down) + Math.abs(dy * across);
      const far = ahead + 2 * aside;
      if (ahead > 0.5 && far < least) [best, least] = [other, far];
    });
    return best;
  }

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  map.addEventListener("pointermove", (event) => point(under(event)));
  map.addEventListener("pointerleave", () => point(-1));
  map.addEventListener("blur", () => point(-1));
  map.addEventListener("click", (event) => {
    const item = under(event);
    point(item);
    if (item >= 0) ask(item);
  });
  map.addEventListener("keydown", (event) => {
    const way = ARROWS[event.key];
    if (way) {
      event.preventDefault();
      point(beside(pointed, way));
    } else if (event.key === "Enter" && pointed >= 0) ask(pointed);
    else if (event.key === "Escape") point(-1);
  });
  search.addEventListener("input", list);
  search.addEventListener("keydown", (event) => {
    const all = event.key === "Enter" ? list() : [];
    if (all.length) ask(all[0]);
    if (event.key === "ArrowDown") found.querySelector("button")?.focus();
  });
  new ResizeObserver(settle).observe(stage);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  settle();
})();
