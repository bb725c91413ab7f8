// Whether the host of an atlas serves parts of a file. If not, the whole file is downloaded, and the reader is told why.
import { AskError } from "../errors.js";

export async function inspectHost(url) {
  let answer, start;
  try {
    answer = await get(url, { headers: { range: "bytes=0-99" } });
    start = answer.status === 206 ? new Uint8Array(await answer.arrayBuffer()) : null;
  } catch (error) {
    // A part of a compressed file cannot be unpacked. The whole file can.
    if (error.kind !== "unreadable") throw error;
    answer = await get(url, {});
  }
  if (answer.status !== 206) await answer.body?.cancel().catch(() => {});
  const isCompressed = ![null, "identity"].includes(answer.headers.get("content-encoding"));
  // A DuckDB file has DUCK at its bytes 8 to 11.
  const isWhole = start?.length === 100 && String.fromCharCode(...start.slice(8, 12)) === "DUCK";
  if (isWhole && !isCompressed) return {};
  const reason = isCompressed
    ? "compresses the atlas on the way, so parts of it cannot be read"
    : "does not serve parts of a file (HTTP range requests)";
  return {
    warning: `The host of this atlas ${reason}. The whole file is downloaded instead.`,
    downloadAll: (tell) => downloadAll(url, tell),
  };
}

async function get(url, options) {
  let answer;
  try {
    answer = await fetch(url, { ...options, cache: "no-store" });
  } catch (error) {
    throw new AskError("unreadable", `The atlas at ${url} cannot be fetched (${error.message}). Is the address right, and does its host allow this page to read it (CORS)?`);
  }
  if (!answer.ok) throw new AskError("unreachable", `There is no atlas at ${url}: its host answers ${answer.status} ${answer.statusText}.`);
  return answer;
}

async function downloadAll(url, tell) {
  const answer = await get(url, {});
  const parts = [];
  let n = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    n += value.length;
    tell(`Downloading the whole atlas: ${(n / 1e6).toFixed(0)} MB …`);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
