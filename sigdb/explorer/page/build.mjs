// Build the page into sigdb/data/explorer: one bundle, one worker, and DuckDB as .gz, which the page unpacks itself.
import { build } from "esbuild";
import { cp, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "../../data/explorer");
const duckdb = join(here, "node_modules/@duckdb/duckdb-wasm/dist");

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });

const bundled = await build({
  entryPoints: [join(here, "src/main.js")],
  outfile: join(out, "app.js"),
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  legalComments: "none", // LICENSES.txt has them
  metafile: true,
});

// The worker of DuckDB gets its WebAssembly from the page: from a file on disk, a worker cannot fetch anything.
const worker = await readFile(join(duckdb, "duckdb-browser-eh.worker.js"), "utf8");
const shim = await readFile(join(here, "src/engines/worker-shim.js"), "utf8");
await writeFile(join(out, "duckdb.worker.js"), shim + worker.replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n"));
await writeFile(join(out, "duckdb.wasm.gz"), gzipSync(await readFile(join(duckdb, "duckdb-eh.wasm")), { level: 9 }));
for (const name of ["index.html", "style.css"]) await cp(join(here, name), join(out, name));

// The licences of all packages whose code is in the bundle.
const packages = new Set(["@duckdb/duckdb-wasm"]);
for (const path of Object.keys(bundled.metafile.inputs)) {
  const found = path.match(/.*node_modules\/((?:@[^/]+\/)?[^/]+)\//);
  if (found) packages.add(found[1]);
}
const licences = [];
for (const name of [...packages].sort()) {
  const folder = join(here, "node_modules", name);
  const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const files = (await readdir(folder)).filter((file) => /^(licen[cs]e|notice)/i.test(file));
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")));
  licences.push([`${name} ${version} (${license})`, ...texts].join("\n\n"));
}
await writeFile(join(out, "LICENSES.txt"), licences.join(`\n\n${"-".repeat(80)}\n\n`));
