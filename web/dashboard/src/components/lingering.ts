import { useEffect, useRef, useState } from "react";
import type { Hold } from "../lib/hold.js";

/** How long a renewal is shown at least, in milliseconds: it is often over sooner than an eye can read. */
const SEEN = 600;

/** `hold`, but a renewal that went well stays for a moment; whatever is worse is shown at once. */
export function useLingering(hold: Hold): Hold {
  const [began, setBegan] = useState<number | null>(null);
  const before = useRef(hold.kind);
  useEffect(() => {
    if (hold.kind === "renewing" && before.current !== "renewing") setBegan(Date.now());
    before.current = hold.kind;
  }, [hold.kind]);
  useEffect(() => {
    if (began === null || hold.kind === "renewing") return;
    const timer = setTimeout(() => setBegan(null), Math.max(0, began + SEEN - Date.now()));
    return () => clearTimeout(timer);
  }, [began, hold.kind]);
  return hold.kind === "connected" && began !== null ? { kind: "renewing" } : hold;
}
