// Elements and texts of the page, from what the engines, the map and site.json say. No state.

import {rangeOf} from "./trip.js";

export function featureField(input) {
  const field = document.createElement(input.values ? "select" : "input");
  field.name = input.name;
  if (input.values) {
    if (input.default === null) field.append(new Option("", ""));
    field.append(...input.values.map((value, code) => new Option(value, code)));
  } else {
    field.type = "number";
    field.step = "any";
  }
  if (input.default !== null) field.value = input.default;
  const label = document.createElement("label");
  label.append(`${input.name}${input.meaning && input.meaning !== input.name ? `, ${input.meaning}` : ""} `, field);
  return label;
}

export function words(answer, version) {
  const small = document.createElement("small"), unit = version.unit ? ` ${version.unit}` : "";
  const range = version.bands ? `${rangeOf(version.bands, answer.fare).map(money).join(" to ")}${unit}, ${version.odds} trips` : "";
  small.textContent = [range, answer.kind === "bytes" ? "by the shipped bytes" : "by the exported JavaScript"].filter(Boolean).join("; ");
  return [`${money(answer.fare)}${unit} `, small];
}

export function item(text, kind) {
  const line = document.createElement("li");
  line.textContent = text;
  if (kind) line.className = kind;
  return line;
}

export function rowOf(row, version) {
  const line = document.createElement("tr"), head = document.createElement("th");
  head.scope = "row";
  head.textContent = `${row.each.name}${row.each === version ? "" : row.each.created < version.created ? " (older)" : " (newer)"}: ${row.title}`;
  line.append(head);
  if (row.fault) {
    const cell = line.insertCell();
    cell.colSpan = 3;
    cell.className = "fault";
    cell.textContent = row.fault;
    return line;
  }
  const unit = row.each.unit === version.unit ? "" : ` ${row.each.unit}`;
  const range = row.each.bands ? rangeOf(row.each.bands, row.fare).map(money).join(" to ") + unit : "none";
  const time = Number(row.time.toPrecision(2)).toLocaleString("en");
  for (const text of [row.fare.toFixed(4) + unit, range, time]) line.insertCell().textContent = text;
  return line;
}

export function legendOf(map, version) {
  const parts = [], unit = version.unit ? ` ${version.unit}` : "";
  if (!map.limits || !map.fares) return parts;
  const [low, width] = map.limits, used = Math.max(...map.fares.filter(Number.isFinite).map(fare => map.step(fare)));
  for (let i = 0; i <= used; i++) {
    const part = document.createElement("div"), swatch = document.createElement("i");
    swatch.style.background = `var(--fare-${i})`;
    part.append(swatch, `${Number((low + i * width).toPrecision(6))}${i === 0 ? unit : ""}`);
    parts.push(part);
  }
  return parts;
}

export function mapWords(map, site) {
  const {columns, rows} = map.grid, box = `${map.grid.west} to ${map.grid.east} east, ${map.grid.south} to ${map.grid.north} north`;
  const trips = site.density
    ? `Squares: drop-offs of training, the larger the more, ${site.density.dropoffs[1].reduce((a, b) => a + b, 0).toLocaleString("en")} in all. Cells with fewer than ${site.density.min_trips} trips are left out and other numbers are rounded down, so that no single trip shows.`
    : "No trips are drawn: density.json is not beside this model.";
  return `${columns} by ${rows} cells, ${box}. ${trips}`;
}

function money(value) {
  return value.toFixed(2);
}
