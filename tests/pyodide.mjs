// Run Python under Pyodide, in node: `node pyodide.mjs PYODIDE CHECKOUT PROGRAM.py`. The checkout is /checkout there.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, checkout, program] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`));
const python = await loadPyodide({ stdout: (line) => console.log(line) });
python.FS.mkdirTree("/checkout");
python.FS.mount(python.FS.filesystems.NODEFS, { root: checkout }, "/checkout");
python.runPython("import sys; sys.path.insert(0, '/checkout'); sys.dont_write_bytecode = True");
python.runPython(readFileSync(program, "utf-8"));
