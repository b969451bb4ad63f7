// A trip as the model's inputs: what `farebox predict` completes, refuses and warns of, in the same words.

const DAY_MS = 86400000;
const PLACES = [["pickup_longitude", "pickup_latitude"], ["dropoff_longitude", "dropoff_latitude"]];

/** `{values, faults, notes}`: numbers by input, lines that refuse the trip by input, lines that warn. */
export function completed(trip, version, site) {
  const values = {}, faults = {}, notes = [];
  for (const input of version.inputs) {
    values[input.name] = input.own ? ownValue(trip, input, faults) : standardValue(trip, input.name, version, site);
  }
  checkDate(trip.date, version, site, faults, notes);
  for (const input of version.inputs) {
    const value = values[input.name];
    const outside = !(value >= (input.minimum ?? -Infinity) && value <= (input.maximum ?? Infinity));
    if (faults[input.name] === undefined && outside) {
      faults[input.name] = `${input.name}=${short(value)} must be ${input.must || "a number"}${swapHint(values, input.name, version)}`;
    } else if (faults[input.name] === undefined && input.dtype.startsWith("int") && !Number.isInteger(value)) {
      faults[input.name] = `${input.name}=${short(value)} must be a whole number`;
    }
  }
  return {values, faults, notes};
}

/** The range of a fare, [low, high]; bands as components/tflite/bands.py stores them. */
export function rangeOf(bands, fare) {
  let band = 0;
  while (band < bands.edges.length && fare >= bands.edges[band]) band++;
  const low = fare + bands.lower[band], floor = bands.floor ?? -Infinity;
  return [Math.min(Math.max(low, floor), fare), fare + bands.upper[band]];
}

/** Monday 0 to Sunday 6 of a day, YYYY-MM-DD. */
export function weekdayOf(date) {
  return (new Date(`${date}T00:00:00Z`).getUTCDay() + 6) % 7;
}

function standardValue(trip, name, version, site) {
  if (name === "pickup_era") return eraOf(trip, version, site);
  if (name === "pickup_weekday" && trip.date) return weekdayOf(trip.date);
  return number(trip[name]);
}

/** The number of the tariff's changes before the pickup; the last tariff without a date. */
function eraOf(trip, version, site) {
  if (!trip.date) return site.last_era;
  const moment = `${trip.date}T${String(trip.pickup_hour).padStart(2, "0")}:00:00`;
  const changes = version.tariff_changes.map(change => change.length > 10 ? change : `${change}T00:00:00`);
  return changes.filter(change => change <= moment).length;
}

function ownValue(trip, input, faults) {
  const given = trip[input.name];
  if (given === undefined || given === "") {
    if (input.default === null) faults[input.name] = `${input.name} is missing: the model asks for it, and its city has no default`;
    return input.default ?? NaN;
  }
  return number(given);
}

function checkDate(date, version, site, faults, notes) {
  if (!date || !version.days) return;
  const [first, last] = version.days;
  if (date < first) {
    faults.date = `pickup_time=${date} must be on ${first} or later: the model was made from trips of ${first} to ${last}`;
  } else if ((Date.parse(date) - Date.parse(last)) / DAY_MS > site.far_days) {
    notes.push(`pickup_time=${date} is more than ${site.far_days} days after ${last}, the last day that the model was made from: fares may have changed`);
  }
}

function swapHint(values, name, version) {
  const bounds = Object.fromEntries(version.inputs.map(each => [each.name, each]));
  for (const [longitude, latitude] of PLACES) {
    const fits = (end, value) => bounds[end] && value >= bounds[end].minimum && value <= bounds[end].maximum;
    if ((name === longitude || name === latitude) && fits(longitude, values[latitude]) && fits(latitude, values[longitude])) {
      return `; swap ${longitude} and ${latitude}: then the place fits`;
    }
  }
  return "";
}

function number(text) {
  return text === "" || text === undefined || text === null ? NaN : Number(text);
}

/** As Python's `:g`: six significant digits, no zeros at the end. */
function short(value) {
  return Number.isFinite(value) ? String(Number(value.toPrecision(6))) : String(value).toLowerCase();
}
