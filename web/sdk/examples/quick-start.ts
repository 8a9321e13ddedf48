import { createSession, type HoldfastError } from "@holdfast/client";

export const session = createSession({ url: "/" });

session.on("signed_out", ({ reason }) => {
  // The page and what is typed in it may stay: show a sign-in form over it, and call signIn.
  console.info(`signed out: ${reason}`);
});

/** Tells what to show instead, if anything. */
export async function signIn(name: string, password: string): Promise<string | null> {
  try {
    await session.login(name, password); // refreshes by itself from here on
    return null;
  } catch (error) {
    const { code, message, retryIn } = error as HoldfastError;
    return code === "throttled" ? `Too many tries. Again in ${retryIn} s.` : message;
  }
}

/** When the page is loaded: whoever was signed in still is. */
export async function start(): Promise<boolean> {
  const { status } = await session.restore();
  return status === "active";
}

export function watch(show: (message: unknown) => void) {
  const live = session.connect("/ws");
  live.on("message", show);
  live.on("state", ({ status, retryAt }) => console.info(status, retryAt));
  return live;
}
