/** What the tabs of one browser share: the news of a token, of a sign-out, and one turn at a time with the cookie. */

import { type Answer, type Body, judge, NOTHING, type Reply } from "./answers.js";
import { LOCK_MS } from "./limits.js";
import type { Grant } from "./machine.js";

/** The other tabs of this origin that use the same server. */
export interface Tabs {
  /** Tell them of tokens. */
  granted(reply: Reply): void;
  /** Tell them that the person has signed out of this session. */
  signedOut(session: string): void;
  /** Do `work` when it is our turn: one at a time in this tab, and among the tabs that do not keep us waiting. */
  turn<Result>(work: () => Promise<Result>): Promise<Result>;
  close(): void;
}

/** Join the tabs that use the same `name`, and hear of what they tell. */
export function joinTabs(
  name: string,
  granted: (answer: Answer, grant: Grant) => void,
  signedOut: (session: unknown) => void,
): Tabs {
  let channel: BroadcastChannel | undefined;
  let last: Promise<unknown> = Promise.resolve();
  try {
    channel = new BroadcastChannel(name);
    channel.onmessage = ({ data }: MessageEvent<unknown>): void => {
      // Other versions of this code, and other code, may be on the channel.
      const { at, body, signed_out: session } = Object(data) as Body;
      signedOut(session);
      // A frozen tab hears it late.
      const seconds = Math.max(0, Date.now() - Number(at)) / 500;
      const answer = judge({ ...NOTHING, ok: true, body: Object(body) as Body, seconds });
      const { grant } = answer;
      if (grant && grant.age >= 0) granted(answer, grant);
    };
  } catch {
    // Firefox throws where cookies are blocked.
  }
  return {
    granted: ({ body, seconds }) => channel?.postMessage({ at: Date.now() - seconds * 500, body }),
    signedOut: (session) => channel?.postMessage({ signed_out: session }),
    turn(work) {
      const turn = last.then(() => locked(name, work));
      last = turn;
      return turn;
    },
    close: () => channel?.close(),
  };
}

async function locked<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  let result: Promise<Result> | undefined;
  try {
    // Not there over plain http, and not allowed in some frames.
    await navigator.locks.request(name, { signal: AbortSignal.timeout(LOCK_MS) }, () => {
      result = work();
      return result;
    });
  } catch {}
  return result ?? work();
}
