// The map: trips by cell, the fare of a drop-off in each cell, and the two ends of the trip. No tiles.

const STEPS = 8, FALLBACK_CELLS = 64;
const MAX_HEIGHT = 0.72;  // of the window's

/** The map's grid: that of density.json, else one over the box of the model's coordinates. */
export function gridOf(site, version) {
  if (site.density) return site.density.grid;
  const bound = Object.fromEntries(version.inputs.map(each => [each.name, each]));
  const {minimum: west, maximum: east} = bound.dropoff_longitude, {minimum: south, maximum: north} = bound.dropoff_latitude;
  const ratio = Math.cos((south + north) / 360 * Math.PI) * (east - west) / (north - south);
  const columns = Math.max(1, Math.round(FALLBACK_CELLS * Math.min(1, ratio)));
  return {west, east, south, north, columns, rows: Math.max(1, Math.round(columns / ratio))};
}

export class TripMap {
  constructor(element, grid, density, choose) {
    Object.assign(this, {element, grid, density, choose, canvas: element.querySelector("canvas"), fares: null, ends: {}});
    const middle = (grid.south + grid.north) / 360 * Math.PI;
    this.ratio = Math.cos(middle) * (grid.east - grid.west) / (grid.north - grid.south);
    element.addEventListener("click", event => this.choose(this.placeAt(event)));
    new ResizeObserver(() => this.draw()).observe(element.parentElement);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Longitude and latitude of a click, to five digits, about a metre. */
  placeAt(event) {
    const box = this.canvas.getBoundingClientRect(), {west, east, south, north} = this.grid;
    const x = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    const y = Math.min(Math.max((event.clientY - box.top) / box.height, 0), 1);
    return [west + x * (east - west), north - y * (north - south)].map(value => Number(value.toFixed(5)));
  }

  /** The middle of a cell. */
  centre(cell) {
    const {west, east, south, north, columns, rows} = this.grid;
    return [west + (cell % columns + 0.5) * (east - west) / columns, south + (Math.floor(cell / columns) + 0.5) * (north - south) / rows];
  }

  /** The cell of a place; -1 outside. */
  cellOf([longitude, latitude]) {
    const {west, east, south, north, columns, rows} = this.grid;
    const x = Math.floor((longitude - west) / (east - west) * columns), y = Math.floor((latitude - south) / (north - south) * rows);
    return x < 0 || y < 0 || x > columns || y > rows || Number.isNaN(x + y) ? -1 : Math.min(y, rows - 1) * columns + Math.min(x, columns - 1);
  }

  /** Trips that end, or begin, in a place's cell; null if nobody counted. */
  tripsAt(kind, place) {
    if (!this.density) return null;
    const [cells, counts] = this.density[kind];
    return counts[cells.indexOf(this.cellOf(place))] ?? 0;
  }

  draw() {
    const width = this.element.parentElement.clientWidth - 2;
    const height = Math.min(width / this.ratio, window.innerHeight * MAX_HEIGHT), shown = Math.min(width, height * this.ratio);
    this.element.style.width = `${shown + 2}px`;
    this.element.parentElement.style.setProperty("--map-width", `${shown + 2}px`);
    this.element.style.height = `${shown / this.ratio + 2}px`;
    const scale = window.devicePixelRatio || 1, canvas = this.canvas;
    canvas.width = Math.round(shown * scale);
    canvas.height = Math.round(shown / this.ratio * scale);
    const context = canvas.getContext("2d"), colour = name => getComputedStyle(this.element).getPropertyValue(`--${name}`);
    context.fillStyle = colour("panel");
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (this.fares) this.drawFares(context, colour);
    if (this.density) this.drawTrips(context, colour("trips"));
    this.drawScale(context, colour, scale);
    for (const [end, letter] of [["pickup", "P"], ["dropoff", "D"]]) this.drawEnd(context, end, letter, colour, scale);
  }

  rectangle(cell) {
    const {columns, rows} = this.grid, width = this.canvas.width / columns, height = this.canvas.height / rows;
    const x = Math.floor(cell % columns * width), y = Math.floor((rows - 1 - Math.floor(cell / columns)) * height);
    return [x, y, Math.ceil(width), Math.ceil(height)];
  }

  drawFares(context, colour) {
    const colours = Array.from({length: STEPS}, (_, i) => colour(`fare-${i}`));
    this.fares.forEach((fare, cell) => {
      if (!Number.isFinite(fare)) return;
      context.fillStyle = colours[this.step(fare)];
      context.fillRect(...this.rectangle(cell));
    });
  }

  /** A square a cell, the larger the more trips end there, by the logarithm. */
  drawTrips(context, ink) {
    const [cells, counts] = this.density.dropoffs, largest = Math.log(Math.max(...counts, 2));
    const least = Math.log(this.density.min_trips);
    context.fillStyle = ink;
    cells.forEach((cell, i) => {
      const [x, y, width, height] = this.rectangle(cell);
      const share = 0.22 + 0.5 * (Math.log(counts[i]) - least) / Math.max(largest - least, 1e-9);
      context.globalAlpha = 0.75;
      context.fillRect(x + width * (1 - share) / 2, y + height * (1 - share) / 2, width * share, height * share);
    });
    context.globalAlpha = 1;
  }

  /** A bar of a round number of kilometres. */
  drawScale(context, colour, scale) {
    const {west, east, south, north} = this.grid;
    const km = (east - west) * Math.cos((south + north) / 360 * Math.PI) * 111.195;
    const length = 10 ** Math.floor(Math.log10(km / 3)), bar = length * (km / length > 15 ? 5 : km / length > 6 ? 2 : 1);
    const pixels = bar / km * this.canvas.width, x = 10 * scale, y = this.canvas.height - 10 * scale;
    context.font = `${12 * scale}px system-ui, sans-serif`;
    const words = `${bar} km`;
    context.fillStyle = colour("paper");
    context.globalAlpha = 0.85;
    context.fillRect(x - 5 * scale, y - 22 * scale, Math.max(pixels, context.measureText(words).width) + 10 * scale, 28 * scale);
    context.globalAlpha = 1;
    context.fillStyle = colour("ink");
    context.fillText(words, x, y - 7 * scale);
    context.fillRect(x, y - 2 * scale, pixels, 2 * scale);
  }

  drawEnd(context, end, letter, colour, scale) {
    const place = this.ends[end], {west, east, south, north} = this.grid;
    if (!place || this.cellOf(place) < 0) return;
    const x = (place[0] - west) / (east - west) * this.canvas.width, y = (north - place[1]) / (north - south) * this.canvas.height;
    context.beginPath();
    context.arc(x, y, 10 * scale, 0, 2 * Math.PI);
    context.fillStyle = colour(end);
    context.fill();
    context.lineWidth = 2 * scale;
    context.strokeStyle = colour("paper");
    context.stroke();
    context.fillStyle = colour("paper");
    context.font = `bold ${12 * scale}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(letter, x, y + scale / 2);
    context.textAlign = "start";
    context.textBaseline = "alphabetic";
  }

  /** Sets the fare of each cell, or none; chooses limits of the colours that are round. */
  show(fares) {
    this.fares = fares;
    const finite = (fares ?? []).filter(Number.isFinite);
    this.limits = finite.length ? roundLimits(Math.min(...finite), Math.max(...finite)) : null;
    this.draw();
  }

  step(fare) {
    const [low, width] = this.limits;
    return Math.min(Math.max(Math.floor((fare - low) / width), 0), STEPS - 1);
  }
}

/** The lowest limit and the width of a step: 1, 2, 2.5 or 5 times a power of ten. */
function roundLimits(low, high) {
  const least = Math.max((high - low) / STEPS, 1e-9), power = 10 ** Math.floor(Math.log10(least));
  for (const width of [1, 2, 2.5, 5, 10, 20].map(factor => factor * power)) {
    const start = Math.floor(low / width) * width;
    if (start + STEPS * width >= high) return [start, width];
  }
  return [low, least];
}
