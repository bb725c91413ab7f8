// Run a query on an atlas with DuckDB's Node client: node query.mjs ATLAS QUERY; prints the rows as JSON.
import { createRequire } from "node:module";

const require = createRequire(process.env.CLIENT + "/");
const { DuckDBInstance } = require("@duckdb/node-api");
const [atlas, query] = process.argv.slice(2);

const instance = await DuckDBInstance.create(atlas, { access_mode: "READ_ONLY" });
const connection = await instance.connect();
const reader = await connection.runAndReadAll(query);
const rows = reader.getRows().map((row) => row.map((value) => (typeof value === "bigint" ? Number(value) : value)));
console.log(JSON.stringify(rows));
