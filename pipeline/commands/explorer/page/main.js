// The page: reads site.json, keeps the trip, asks the engines, shows what they answer.

import {bytesEngine, fetched, goldenCheck, javascriptEngine, microseconds, textOf} from "./engines.js";
import {TripMap, gridOf} from "./map.js";
import {featureField, item, legendOf, mapWords, rowOf, words} from "./show.js";
import {completed, weekdayOf} from "./trip.js";

const WAIT_MS = 120, FAR_SHARE = 1 / 8;
const ENDS = ["pickup", "dropoff"];
const find = selector => document.querySelector(selector);
const form = find("#trip");
let site, version, map, timer, round = 0;
const engines = new Map();  // by version and kind: an engine, or the Error that says why there is none

start().catch(error => showFault(textOf(error)));

async function start() {
  site = await (await fetched("site.json")).json();
  version = site.versions[0];
  find("#city").textContent = version.city ? ` ${version.city}` : "";
  document.title = `Fare explorer ${version.city}`;
  find("#model").textContent = `Version ${version.name}${version.created ? `, pushed ${version.created.slice(0, 10)}` : ""}; ${version.bytes.toLocaleString("en")} bytes; fares in ${version.unit || "the label's unit"}${version.rmse === null ? "" : `; RMSE ${version.rmse.toFixed(2)} on trips it has not seen`}.`;
  for (const each of document.querySelectorAll(".unit")) each.textContent = version.unit ? `, ${version.unit}` : "";
  fillForm();
  map = new TripMap(find("#map"), gridOf(site, version), site.density, setActive);
  find("#map-words").textContent = mapWords(map, site);
  readAddress();
  form.addEventListener("input", event => { changed(event.target); });
  form.addEventListener("submit", event => event.preventDefault());
  find("#map").addEventListener("keydown", moveByKey);
  find("#surface").addEventListener("change", update);
  find("[name=compare]").addEventListener("change", update);
  find("#check").addEventListener("click", check);
  await update();
  document.body.dataset.ready = "true";
}

function fillForm() {
  const passengers = version.inputs.find(input => input.name === "passenger_count");
  if (passengers?.maximum) form.elements.passenger_count.max = passengers.maximum;
  if (!passengers) form.elements.passenger_count.disabled = true;
  if (site.places) {
    for (const label of document.querySelectorAll(".place")) label.hidden = false;
    find("#places").replaceChildren(...Object.entries(site.places).map(([id, [, , name]]) => new Option(name, id)));
  }
  const own = version.inputs.filter(input => input.own);
  find("#features").hidden = !own.length;
  find("#features").append(...own.map(featureField));
  const others = site.versions.slice(1);
  find("#older").hidden = !others.length;
  find("[name=compare]").replaceChildren(...others.map(each => new Option(`${each.name}, ${each.created.slice(0, 10)}`, each.name)), new Option("no other version", ""));
  find("#check").hidden = !version.golden;
}

/** The trip of the address (#pickup=-87.6,41.9&hour=8...), else two places with many trips. */
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1)), [pickup, dropoff] = firstPlaces();
  setEnd("pickup", pairOf(given.get("pickup")) ?? pickup);
  setEnd("dropoff", pairOf(given.get("dropoff")) ?? dropoff);
  for (const field of [...form.elements, find("[name=compare]")]) {
    if (field.name && given.has(field.name)) field.value = given.get(field.name);
  }
}

function pairOf(text) {
  const numbers = (text ?? "").split(",").map(Number);
  return text && numbers.length === 2 && numbers.every(Number.isFinite) ? numbers : null;
}

function firstPlaces() {
  const {west, east, south, north} = map.grid;
  if (!site.density?.pickups[0].length || !site.density.dropoffs[0].length) {
    return [[0.6, 0.4], [0.4, 0.6]].map(([x, y]) => rounded([west + x * (east - west), south + y * (north - south)]));
  }
  const most = (kind, allowed) => {
    const [cells, counts] = site.density[kind];
    const among = cells.map((cell, i) => [counts[i], map.centre(cell)]).filter(([, place]) => allowed(place));
    return among.length ? among.reduce((best, each) => each[0] > best[0] ? each : best)[1] : null;
  };
  const pickup = most("pickups", () => true);
  const far = ([x, y]) => Math.hypot((x - pickup[0]) / (east - west), (y - pickup[1]) / (north - south)) > FAR_SHARE;
  return [rounded(pickup), rounded(most("dropoffs", far) ?? most("dropoffs", () => true))];
}

function rounded(place) {
  return place.map(value => Number(value.toFixed(5)));
}

function setEnd(end, [longitude, latitude]) {
  form.elements[`${end}_longitude`].value = longitude;
  form.elements[`${end}_latitude`].value = latitude;
}

function activeEnd() {
  return find("[name=end]:checked").value;
}

function setActive(place) {
  setEnd(activeEnd(), place);
  form.elements[`${activeEnd()}_location`].value = "";
  later();
}

function moveByKey(event) {
  const {west, east, south, north, columns, rows} = map.grid, cells = event.shiftKey ? 5 : 1;
  const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}[event.key];
  const end = {p: "pickup", d: "dropoff"}[event.key.toLowerCase()];
  if (end) find(`[name=end][value=${end}]`).checked = true;
  if (!step) return;
  event.preventDefault();
  const [longitude, latitude] = placeOf(activeEnd());
  setActive(rounded([
    Math.min(Math.max(longitude + cells * step[0] * (east - west) / columns, west), east),
    Math.min(Math.max(latitude + cells * step[1] * (north - south) / rows, south), north),
  ]));
}

function changed(field) {
  const end = ENDS.find(each => field.name === `${each}_location`);
  const place = end && placeNamed(field.value);
  field.setCustomValidity?.("");
  if (place) setEnd(end, place);
  if (field.name === "date" && field.value) form.elements.pickup_weekday.value = weekdayOf(field.value);
  if (field.name === "pickup_weekday") form.elements.date.value = "";
  for (const each of ENDS) {
    if (field.name === `${each}_longitude` || field.name === `${each}_latitude`) form.elements[`${each}_location`].value = "";
  }
  later();
}

/** The coordinates of an id, or of a name that one place alone has. */
function placeNamed(text) {
  const key = text.trim().toLowerCase();
  if (site.places[text.trim()]) return site.places[text.trim()];
  const named = Object.values(site.places).filter(([, , name]) => name.toLowerCase() === key);
  return named.length === 1 ? named[0] : null;
}

/** `completed`, with a fault for a zone that is not in the model's table. */
function checked(trip, each) {
  const done = completed(trip, each, site);
  for (const {name, value} of ENDS.map(end => form.elements[`${end}_location`])) {
    if (value && !placeNamed(value)) done.faults[name] = `${name}=${value} must be the id or name of one of the model's ${Object.keys(site.places).length} places`;
  }
  return done;
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(update, WAIT_MS);
}

function placeOf(end) {
  return [Number(form.elements[`${end}_longitude`].value), Number(form.elements[`${end}_latitude`].value)];
}

function engineOf(each, kind) {
  const key = `${each.name} ${kind}`, make = kind === "bytes" ? bytesEngine : javascriptEngine;
  if (!engines.has(key)) engines.set(key, make(each, site).catch(error => error));
  return engines.get(key);
}

async function update() {
  const mine = ++round, trip = Object.fromEntries(new FormData(form));
  ENDS.forEach(end => { map.ends[end] = placeOf(end); });
  const older = site.versions.find(each => each.name === find("[name=compare]").value);
  const rows = [];
  for (const each of older ? [version, older] : [version]) {
    const done = checked(trip, each);
    for (const kind of ["bytes", "javascript"]) rows.push(await answerOf(each, kind, done));
  }
  if (mine !== round) return;
  showAnswer(rows, checked(trip, version));
  find("#engines").replaceChildren(...rows.map(row => rowOf(row, version)));
  map.show(find("#surface").checked ? await surface(trip) : null);
  if (mine === round) find("#legend").replaceChildren(...legendOf(map, version));
  keepAddress(trip);
}

async function answerOf(each, kind, {values, faults}) {
  const engine = await engineOf(each, kind), title = kind === "bytes" ? "the file, LiteRT.js" : "exported JavaScript";
  if (engine instanceof Error) return {each, kind, title, fault: textOf(engine)};
  const refused = Object.values(faults)[0];
  if (refused) return {each, kind, title: engine.title, fault: refused, refused: true};
  try {
    const fare = await engine.predict(values);
    return {each, kind, title: engine.title, fare, time: await microseconds(engine, values)};
  } catch (error) {
    return {each, kind, title: engine.title, fault: textOf(error)};
  }
}

function showAnswer(rows, {faults, notes}) {
  const answer = rows.find(row => row.each === version && row.fare !== undefined);
  const refused = Object.values(faults);
  const broken = rows.filter(row => row.each === version && row.fault && !row.refused).map(row => row.fault);
  find("#fault").hidden = !broken.length;
  find("#fault").textContent = broken.join(" ");
  for (const field of form.elements) field.setAttribute?.("aria-invalid", String(faults[field.name] !== undefined));
  find("#fare").replaceChildren(...(answer ? words(answer, version) : [refused.length ? "No fare" : "Nothing here can compute a fare"]));
  find("#notes").replaceChildren(...refused.map(text => item(text, "refused")), ...notes.map(text => item(text)), ...fewTrips().map(text => item(text)));
}

function fewTrips() {
  return [["pickups", "pickup", "begin"], ["dropoffs", "dropoff", "end"]].flatMap(([kind, end, verb]) =>
    map.cellOf(placeOf(end)) >= 0 && map.tripsAt(kind, placeOf(end)) === 0
      ? [`Fewer than ${site.density.min_trips} trips of training ${verb} in this cell: the model knows little of it`] : []);
}

/** The fare of a drop-off in the middle of each cell; by the exported JavaScript, or by the file without it. */
async function surface(trip) {
  const javascript = await engineOf(version, "javascript");
  const engine = javascript instanceof Error ? await engineOf(version, "bytes") : javascript;
  if (engine instanceof Error) return null;
  const {values, faults} = checked(trip, version);
  if (Object.keys(faults).some(name => !name.startsWith("dropoff_"))) return null;
  const fares = [];
  for (let cell = 0; cell < map.grid.columns * map.grid.rows; cell++) {
    const [dropoff_longitude, dropoff_latitude] = map.centre(cell);
    const fare = engine.predict({...values, dropoff_longitude, dropoff_latitude});
    fares.push(fare instanceof Promise ? await fare : fare);
  }
  return fares;
}

function keepAddress(trip) {
  const kept = new URLSearchParams({pickup: placeOf("pickup").join(), dropoff: placeOf("dropoff").join()});
  for (const [name, value] of Object.entries(trip)) if (value && !/_(longitude|latitude|location)$/.test(name)) kept.set(name, value);
  history.replaceState(null, "", `#${kept}`);
}

async function check() {
  const lines = [];
  find("#checked").textContent = "…";
  for (const kind of ["bytes", "javascript"]) {
    const engine = await engineOf(version, kind);
    if (engine instanceof Error) continue;
    try {
      const {rows, largest} = await goldenCheck(engine, version);
      lines.push(`${rows} golden rows, ${engine.title}: largest difference ${largest.toPrecision(2)} ${version.unit}`);
    } catch (error) {
      lines.push(textOf(error));
    }
  }
  find("#checked").textContent = lines.join("; ") || "nothing here can compute a fare";
}

function showFault(text) {
  find("#fault").hidden = false;
  find("#fault").textContent = text;
}
