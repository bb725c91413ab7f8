// The first message is the WebAssembly of DuckDB. The worker asks for it by fetch, and for nothing else.
{
  const module = new Promise((resolve) => {
    self.addEventListener("message", function take(event) {
      event.stopImmediatePropagation();
      self.removeEventListener("message", take);
      resolve(event.data);
    });
  });
  self.fetch = async () => new Response(await module, { headers: { "content-type": "application/wasm" } });
}
