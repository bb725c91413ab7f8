// The first message is the WebAssembly of DuckDB, as .gz. The worker asks for it by fetch, and for nothing else. It is
// compiled while it is unpacked. Some hosts unpack a .gz on the way: then it begins as WebAssembly does.
{
  const module = new Promise((resolve) => {
    self.addEventListener("message", function take(event) {
      event.stopImmediatePropagation();
      self.removeEventListener("message", take);
      resolve(event.data);
    });
  });
  self.fetch = async () => {
    const bytes = await module;
    const { body } = new Response(bytes);
    const isPacked = bytes[0] === 0x1f && bytes[1] === 0x8b;
    const unpacked = isPacked ? body.pipeThrough(new DecompressionStream("gzip")) : body;
    return new Response(unpacked, { headers: { "content-type": "application/wasm" } });
  };
}
