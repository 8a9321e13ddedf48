import type { Tone } from "../../lib/hold.js";
import type { Standing } from "../../lib/job.js";

export const TONES: Readonly<Record<Standing, Tone>> = {
  running: "busy",
  done: "good",
  failed: "bad",
  cancelled: "off",
  unknown: "off",
  silent: "warn",
  away: "off",
  refused: "bad",
  revoked: "bad",
};
