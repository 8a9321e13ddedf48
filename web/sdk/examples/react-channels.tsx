import type { ChannelEvent } from "@holdfast/client";
import { useChannel, useChannelState, useConnection } from "@holdfast/client/react";
import { useEffect, useState } from "react";

const share = (_before: number, { data }: ChannelEvent) => (data as { share: number }).share;

export function JobProgress({ id }: { id: string }) {
  // Each publication says how far it is, so one that was missed does not matter.
  const [done, status] = useChannelState(`job:${id}`, share, 0, { onLost: "keep" });
  return <progress value={done} aria-busy={status !== "subscribed"} />;
}

type Lines = ReadonlyMap<number, string>;

const withMore = (lines: Lines, more: readonly Omit<ChannelEvent, "channel">[]): Lines =>
  new Map([...lines, ...more.map(({ offset, data }) => [offset, String(data)] as const)]);

export function Room({ name }: { name: string }) {
  const channel = `room:${name}`;
  const { publish, history } = useConnection();
  const [lines, setLines] = useState<Lines>(new Map());
  const hear = (event: ChannelEvent) => setLines((before) => withMore(before, [event]));
  const { recovered, position, members } = useChannel(channel, hear, { presence: true });

  // At first, and whenever something was missed that did not come by itself.
  useEffect(() => {
    if (position === null || recovered) return;
    setLines(new Map());
    history(channel).then(
      ({ publications }) => setLines((before) => withMore(before, publications)),
      console.error,
    );
  }, [history, channel, position, recovered]);

  return (
    <section>
      <h2>
        {name}: {members.map((member) => member.name).join(", ")}
      </h2>
      <pre>{[...lines].sort(([a], [b]) => a - b).map(([, line]) => `${line}\n`)}</pre>
      <button type="button" onClick={() => void publish(channel, "hello").catch(console.error)}>
        Say hello
      </button>
    </section>
  );
}
