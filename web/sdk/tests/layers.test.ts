import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const SOURCE = new URL("../src/", import.meta.url);

/** From the bottom up: a module knows only what stands below it. */
const LAYERS = [
  ["limits", "errors", "events"],
  ["timing", "protocol"],
  ["alarm", "machine", "live-machine", "channels"],
  ["answers"],
  ["tabs"],
  ["driver", "subscriptions"],
  ["session", "live"],
  ["session-only", "index"],
  ["react"],
];

const PURE = ["limits", "timing", "protocol", "machine", "live-machine", "channels", "answers"];

const modules = readdirSync(SOURCE).map((name) => name.replace(/\.ts$/, ""));
const source = (name: string) => readFileSync(new URL(`${name}.ts`, SOURCE), "utf8");
const layerOf = (name: string) => LAYERS.findIndex((layer) => layer.includes(name));

test("every module has a place", () => {
  expect(LAYERS.flat().sort()).toEqual(modules.sort());
});

test.each(modules)("%s imports only from below", (name) => {
  const imported = [...source(name).matchAll(/from "\.\/([\w-]+)\.js"/g)].map(([, found]) => String(found));
  const wrong = imported.filter((other) => layerOf(other) >= layerOf(name));
  expect(wrong).toEqual([]);
});

test.each(modules)("%s imports nothing of others", (name) => {
  const foreign = [...source(name).matchAll(/from "([^."][^"]*)"/g)].map(([, found]) => found);
  expect(foreign).toEqual(name === "react" ? ["react"] : []);
});

test.each(PURE)("%s is pure: no clock, no chance, no timers, no network", (name) => {
  const code = source(name).replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
  expect(code).not.toMatch(
    /\b(Date|performance|Math\.random|setTimeout|fetch\(|document|window|navigator|await|async)\b/,
  );
});
