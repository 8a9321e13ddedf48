import { defineConfig } from "vitest/config";

// The package's own name leads to its source, in the examples and in the dashboard.
const conditions = ["holdfast-source"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["tests/**/*.test.ts"],
    coverage: { include: ["src/**"], thresholds: { lines: 95, branches: 90 } },
  },
});
