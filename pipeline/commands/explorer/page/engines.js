// What computes a fare here: LiteRT.js with the shipped bytes, and the JavaScript that `farebox export` made of them.

const ARRAYS = {float32: Float32Array, int32: Int32Array};
const LOAD_MS = 30000, BATCHES = 7;

let runtime;  // a promise of LiteRT.js: one runtime for all versions
let turn = Promise.resolve();  // LiteRT.js runs one trip at a time

/** An engine: `title`, and `predict(values)`, which promises a fare. Throws an Error whose text says what is wrong. */
export async function bytesEngine(version, site) {
  if (!site.litert) {
    throw new Error("LiteRT.js is not beside this page: run `make explorer`, then `farebox explore` again");
  }
  const other = version.inputs.find(input => !ARRAYS[input.dtype]);
  if (other) throw new Error(`LiteRT.js takes float32 and int32, and ${other.name} is ${other.dtype}`);
  const bytes = await modelBytes(version);
  const {loadAndCompile, Tensor} = await (runtime ??= loadRuntime(site));
  const model = await loadAndCompile(bytes, {accelerator: "wasm"}).catch(error => {
    throw new Error(`fare.tflite of ${version.name}: LiteRT.js cannot load it: ${textOf(error)}`);
  });
  const predict = values => {
    const answer = turn.then(async () => {
      const tensors = version.inputs.map(({name, dtype}) => new Tensor(new ARRAYS[dtype]([values[name]]), [1, 1]));
      const [result] = await model.run(tensors);
      const fare = (await result.data())[0];
      for (const tensor of [...tensors, result]) tensor.delete();
      return fare;
    });
    turn = answer.catch(() => {});
    return answer;
  };
  await microseconds({predict, batch: 100}, Object.fromEntries(version.inputs.map(({name}) => [name, 1])));  // warm up
  return {title: `the file, LiteRT.js ${site.litert}`, predict, batch: 20};
}

/** The engine of the exported JavaScript; it answers at once, not by a promise. */
export async function javascriptEngine(version) {
  if (version.javascript_fault) throw new Error(version.javascript_fault);
  const {model} = await import(`./${version.folder}/model.mjs`).catch(error => {
    throw new Error(`model.mjs of ${version.name} cannot be read: ${textOf(error)}`);
  });
  const names = version.inputs.map(input => input.name);
  return {title: "exported JavaScript", predict: values => model(...names.map(name => values[name])), batch: 2000};
}

/** Median time of one fare in µs, by batches, since a page's clock has steps of 5 to 100 µs. */
export async function microseconds(engine, values) {
  const times = [];
  for (let i = 0; i < BATCHES; i++) {
    const start = performance.now();
    for (let j = 0; j < engine.batch; j++) {
      const fare = engine.predict(values);
      if (fare instanceof Promise) await fare;
    }
    times.push(1000 * (performance.now() - start) / engine.batch);
  }
  return times.sort((a, b) => a - b)[BATCHES >> 1];
}

/** Largest difference from the golden rows, and their number. */
export async function goldenCheck(engine, version) {
  const golden = await (await fetched(`${version.folder}/golden.json`)).json();
  const expected = Object.values(golden.outputs)[0];
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const values = Object.fromEntries(version.inputs.map(({name}) => [name, golden.inputs[name][i] ?? NaN]));
    const fare = await engine.predict(values), wanted = Math.fround(expected[i] ?? NaN);
    const difference = Object.is(fare, wanted) ? 0 : Math.abs(fare - wanted);
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Infinity : difference;
  }
  return {rows: expected.length, largest};
}

export async function fetched(path) {
  const answer = await fetch(path).catch(error => { throw new Error(`${path} cannot be read: ${textOf(error)}`); });
  if (!answer.ok) throw new Error(`${path} cannot be read: the server answers ${answer.status}`);
  return answer;
}

export function textOf(error) {
  return String(error?.message || error?.type || error).split("\n")[0];
}

/** The bytes of a version, which must be those that its manifest names. */
async function modelBytes(version) {
  const bytes = new Uint8Array(await (await fetched(`${version.folder}/fare.tflite`)).arrayBuffer());
  if (globalThis.crypto?.subtle) {  // only over https and on this machine
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const sha256 = Array.from(digest, byte => byte.toString(16).padStart(2, "0")).join("");
    if (sha256 !== version.sha256) {
      throw new Error(`fare.tflite of ${version.name} is not the pushed file: its SHA-256 is ${sha256}, must be ${version.sha256}`);
    }
  }
  return bytes;
}

async function loadRuntime(site) {
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error(`no answer within ${LOAD_MS / 1000} s`)), LOAD_MS));
  try {
    const litert = await import("@litertjs/core");
    await Promise.race([litert.loadLiteRt(new URL("vendor/", document.baseURI).href), late]);
    return litert;
  } catch (error) {
    const mend = "write the page again: `make explorer`, then `farebox explore`";
    throw new Error(`LiteRT.js ${site.litert} cannot be loaded from vendor/ beside this page; ${mend} (${textOf(error)})`);
  }
}
