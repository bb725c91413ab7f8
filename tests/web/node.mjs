// Calls functions of the page's modules: a line of JSON [module, function, ...arguments] in, a line with the value out.
import { createInterface } from "node:readline";

for await (const line of createInterface({ input: process.stdin })) {
  const [module, name, ...values] = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await import(new URL(`../../sigdb/explorer/page/src/${module}`, import.meta.url)))[name](...values) };
  } catch (error) {
    answer = { error: error.message };
  }
  console.log(JSON.stringify(answer));
}
