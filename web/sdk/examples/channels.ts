import type { HoldfastError, LiveConnection, Position, Subscription } from "@holdfast/client";

/** Follow a job; `load` all of it at first, and whenever something was missed that cannot be had any more. */
export function followJob(
  live: LiveConnection,
  id: string,
  show: (progress: unknown) => void,
  load: () => void,
): Subscription {
  const job = live.subscribe(`job:${id}`, ({ data }) => show(data));
  job.on("subscribed", ({ recovered }) => {
    if (!recovered) load();
  });
  job.on("refused", ({ code }) => console.info(`job ${id}: ${code}`));
  return job;
}

/** Publish, and go on trying: by its key the server knows what it has had already. */
export async function say(live: LiveConnection, room: string, text: string): Promise<Position> {
  const key = crypto.randomUUID();
  for (;;) {
    try {
      return await live.publish(`room:${room}`, text, { key });
    } catch (error) {
      if ((error as HoldfastError).code !== "lost") throw error;
    }
  }
}
