import type { Session } from "@holdfast/client";
import { HoldfastProvider, useConnection, useSession } from "@holdfast/client/react";
import { useState } from "react";

export function App({ session }: { session: Session }) {
  return (
    <HoldfastProvider session={session}>
      <Page />
    </HoldfastProvider>
  );
}

function Page() {
  const { status, user } = useSession();
  if (user === null) return status === "signed_out" ? <SignIn /> : <p>One moment …</p>;
  return (
    <>
      {/* Another person's page is another page: nothing of the first stays on it. */}
      <Jobs key={user.id} name={user.name} />
      {status === "ended" && <SignIn over />}
    </>
  );
}

function Jobs({ name }: { name: string }) {
  const [lines, setLines] = useState<string[]>([]);
  const { status, send } = useConnection("/jobs", (message) => {
    setLines((before) => [...before, JSON.stringify(message)]);
  });
  return (
    <section>
      <h1>
        {name}: {status}
      </h1>
      <button type="button" onClick={() => void send({ start: "job" }).catch(console.error)}>
        Start
      </button>
      <pre>{lines.join("\n")}</pre>
    </section>
  );
}

function SignIn({ over = false }: { over?: boolean }) {
  const { session } = useSession();
  const [problem, setProblem] = useState("");
  const signIn = (form: FormData) =>
    session
      .login(String(form.get("name")), String(form.get("password")))
      .catch((error: Error) => setProblem(error.message));
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void signIn(new FormData(event.currentTarget));
      }}
    >
      {over && <p>Your session is over. Sign in again; your page waits.</p>}
      <input name="name" autoComplete="username" aria-label="Name" />
      <input name="password" type="password" autoComplete="current-password" aria-label="Password" />
      <button type="submit">Sign in</button>
      {problem && <p role="alert">{problem}</p>}
    </form>
  );
}
