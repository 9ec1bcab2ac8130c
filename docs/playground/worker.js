// cnnprof in Python, off the page's thread: loads it once, and then answers one question after another.

import { loadPyodide } from "./pyodide/pyodide.mjs";

const here = (name) => new URL(name, import.meta.url).href;

async function bytes(name) {
  const found = await fetch(here(name));
  if (!found.ok) throw new Error(`cannot load ${name}: ${found.status}`);
  return found.arrayBuffer();
}

async function start() {
  const [pyodide, wheel, yaml, glue] = await Promise.all([
    loadPyodide({ indexURL: here("pyodide/") }),
    bytes("cnnprof.whl"),
    bytes("yaml.zip"),
    bytes("playground.py"),
  ]);
  pyodide.unpackArchive(wheel, "wheel");
  const site = pyodide.runPython("import site; site.getsitepackages()[0]");
  pyodide.unpackArchive(yaml, "zip", { extractDir: site });
  pyodide.FS.writeFile(`${site}/playground.py`, new Uint8Array(glue));
  pyodide.runPython("import importlib; importlib.invalidate_caches()");
  return [pyodide, pyodide.pyimport("playground")];
}

const begun = start();

begun.then(
  ([, playground]) => postMessage({ ready: true, networks: JSON.parse(playground.networks()) }),
  (error) => postMessage({ failed: String(error) }),
);

onmessage = async ({ data: { id, spec, file } }) => {
  const [pyodide, playground] = await begun;
  const begin = performance.now();
  let answer;
  try {
    if (file) {
      const path = `/tmp/${file.name.replace(/[^\w.-]/g, "_")}`;
      pyodide.FS.writeFile(path, new Uint8Array(file.bytes));
      answer = playground.imported(path);
      pyodide.FS.unlink(path);
    } else {
      answer = playground.analyzed(spec.text, spec.variant, spec.set, spec.input, spec.batch, spec.with);
    }
    answer = JSON.parse(answer);
  } catch (error) {
    answer = { problems: [{ line: null, text: `internal error, a bug in cnnprof:\n${error}` }] };
  }
  postMessage({ id, ...answer, took: performance.now() - begin });
};
