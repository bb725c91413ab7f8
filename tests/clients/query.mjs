// Run queries on atlases with DuckDB's Node client. Standard input is JSON, {name: [atlas, query]}, and standard output
// {name: rows}, with the text of the error in place of the rows where a query failed.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.CLIENT + "/");
const { DuckDBInstance } = require("@duckdb/node-api");

async function run(atlas, query) {
  const instance = await DuckDBInstance.create(atlas, { access_mode: "READ_ONLY" });
  const connection = await instance.connect();
  const reader = await connection.runAndReadAll(query);
  connection.closeSync();
  instance.closeSync();
  return reader.getRows().map((row) => row.map((value) => (typeof value === "bigint" ? Number(value) : value)));
}

const answers = {};
for (const [name, [atlas, query]] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  answers[name] = await run(atlas, query).catch(String);
}
console.log(JSON.stringify(answers));
