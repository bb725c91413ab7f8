// DuckDB in the browser: on an atlas at an address, of which it reads parts, or on a file that was picked.
import { AsyncDuckDB, DuckDBAccessMode, DuckDBDataProtocol, VoidLogger } from "@duckdb/duckdb-wasm";
import { Table } from "apache-arrow";
import { AskError, isAbort } from "../errors.js";
import { inline } from "../inline.js";
import { inspectHost } from "./host.js";
import { refusal } from "./reading.js";
import { toResult } from "./result.js";

// A file is an atlas of others, so it gets no extension and no address. Then nothing can be set any more.
const SETTINGS = [
  "SET autoinstall_known_extensions = false",
  "SET autoload_known_extensions = false",
  "SET allow_community_extensions = false",
  "SET enable_external_access = false",
  "SET lock_configuration = true",
];

// source: {url} or {file}. Calls tell(sentence) while it works, and warn(sentence) for what a reader should know.
export async function wasmEngine(source, { tell, warn }) {
  tell("Starting DuckDB in the browser …");
  const [db, host] = await Promise.all([startDuckDB(), source.url ? inspectHost(source.url) : null]);
  try {
    await open(db, source, host, { tell, warn });
    const connection = await db.connect();
    for (const setting of SETTINGS) await connection.query(setting);
    return engineOf(db, connection);
  } catch (error) {
    await db.terminate();
    throw new AskError("not an atlas", `This file cannot be opened as an atlas: ${error.message}`);
  }
}

async function startDuckDB() {
  const module = inline("duckdb.wasm.gz") ?? (await download("duckdb.wasm.gz"));
  const script = inline("duckdb.worker.js");
  const address = script ? URL.createObjectURL(new Blob([script], { type: "text/javascript" })) : "duckdb.worker.js";
  const worker = new Worker(address);
  worker.postMessage(module, [module.buffer]);
  const db = new AsyncDuckDB(new VoidLogger(), worker);
  await db.instantiate(new URL("duckdb.wasm", location.href).href);
  return db;
}

async function download(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new AskError("unreachable", `The file ${name} of this page is missing: the host answers ${answer.status}.`);
  return new Uint8Array(await answer.arrayBuffer());
}

async function open(db, { url, file }, host, { tell, warn }) {
  tell("Opening the atlas …");
  const path = file ? "atlas.duckdb" : url;
  if (file) await db.registerFileHandle(path, file, DuckDBDataProtocol.BROWSER_FILEREADER, true);
  else if (host.warning) {
    warn(host.warning);
    await db.registerFileBuffer(path, await host.downloadAll(tell));
  }
  await db.open({
    path,
    accessMode: DuckDBAccessMode.READ_ONLY,
    filesystem: { forceFullHTTPReads: false },
  });
}

function engineOf(db, connection) {
  let last = Promise.resolve();
  return {
    kind: "wasm",
    // One question at a time: the worker has one thread.
    ask(sql, { signal } = {}) {
      const answer = last.then(() => answerOne(db, connection, sql, signal));
      last = answer.catch(() => {});
      return answer;
    },
    async close() {
      await db.terminate();
    },
  };
}

async function answerOne(db, connection, sql, signal) {
  signal?.throwIfAborted();
  const refused = await refusal(sql, (text) => db.tokenize(text));
  if (refused) throw new AskError("forbidden", refused);
  signal?.throwIfAborted();
  const cancel = () => connection.cancelSent();
  signal?.addEventListener("abort", cancel);
  try {
    const reader = await (await connection.send(sql)).open();
    if (reader.schema.dictionaries.size) {
      // DuckDB-WASM leaves the values of an ENUM out of an answer in parts.
      await connection.cancelSent();
      return toResult(await connection.query(sql));
    }
    const batches = [];
    for await (const batch of reader) {
      signal?.throwIfAborted();
      batches.push(batch);
    }
    return toResult(new Table(reader.schema, batches));
  } catch (error) {
    signal?.throwIfAborted();
    if (isAbort(error)) throw error;
    throw new AskError("bad_query", error.message);
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}
