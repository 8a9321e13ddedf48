/** Fail when the SDK has grown past its budget: what a bundler ships for it, minified and gzipped. */

import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const source = new URL("../src/", import.meta.url).pathname;

const budgets = [
  ["session alone", 'export * from "./session-only.js"', 4000],
  ["with live connections", 'export * from "./index.js"', 9000],
  ["React hooks, beside that", 'export * from "./react.js"', 1500],
];

let failed = false;
for (const [name, contents, budget] of budgets) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: source, loader: "ts" },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
    external: ["react"],
  });
  const bytes = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  const over = bytes > budget;
  failed ||= over;
  console.log(`${name}: ${bytes} of ${budget} bytes${over ? ", too large" : ""}`);
}
process.exitCode = failed ? 1 : 0;
