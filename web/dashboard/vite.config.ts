import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defaultClientConditions, type Plugin } from "vite";
import { defineConfig } from "vitest/config";

const STATIC = fileURLToPath(new URL("../../src/holdfast/server/static", import.meta.url));
/** The server puts another nonce in its place with each answer. */
const NONCE = "__CSP_NONCE__";
/** Smaller files gain nothing. */
const WORTH_COMPRESSING = 1024;

/** Ant Design's scroll lock and its measuring of scroll bars write styles without the nonce that its other styles have. */
function nonceForStyles(): Plugin {
  const written = /\b(?:option\.)?csp\?\.nonce/g;
  const found = 'document.querySelector("meta[property=csp-nonce]")?.nonce';
  return {
    name: "nonce-for-styles",
    transform(code, id) {
      if (!id.endsWith("@rc-component/util/es/Dom/dynamicCSS.js")) return null;
      if (!written.test(code)) throw new Error("dynamicCSS.js has changed: look where it sets the nonce now");
      return code.replace(written, found);
    },
  };
}

/** Compressed once here, so that the server does not do it for each visitor. */
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    writeBundle({ dir }) {
      const assets = join(dir ?? STATIC, "assets");
      for (const name of readdirSync(assets)) {
        if (!/\.(css|js|svg)$/.test(name)) continue;
        const whole = readFileSync(join(assets, name));
        const packed = gzipSync(whole, { level: 9 });
        if (whole.length >= WORTH_COMPRESSING) writeFileSync(join(assets, `${name}.gz`), packed);
      }
    },
  };
}

/** `npm run dev` shows the sources as they change, with a `holdfast serve` behind them. */
const SERVER = process.env["HOLDFAST_URL"] ?? "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react(), nonceForStyles(), compressed()],
  // The SDK as it is now, not as it was built last.
  resolve: { conditions: ["holdfast-source", ...defaultClientConditions] },
  html: { cspNonce: NONCE },
  build: {
    outDir: STATIC,
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
  },
  server: {
    proxy: {
      "/ws": { target: SERVER, ws: true, changeOrigin: true },
      "^/(admin|auth|token|healthz|readyz)": { target: SERVER, changeOrigin: true },
    },
  },
  test: { environment: "happy-dom", include: ["tests/**/*.test.{ts,tsx}"], restoreMocks: true },
});
