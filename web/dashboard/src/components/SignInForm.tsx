import { useSession } from "@holdfast/client/react";
import { Alert, Button, Input, type InputRef } from "antd";
import { type ReactNode, type RefObject, type SyntheticEvent, useId, useRef, useState } from "react";
import { useLanguage } from "../i18n/language.js";
import { explainSignIn } from "../lib/problem.js";
import { Icon } from "./icons.js";

export interface SignInFormProps {
  /** Who it was; the password is asked for at once then. */
  readonly name?: string;
  /** The password's field, for whoever opens the form. */
  readonly passwordField?: RefObject<InputRef | null>;
}

/** Name and password. What follows a sign-in is not done here: the session's state has changed. */
export function SignInForm({ name = "", passwordField }: SignInFormProps): ReactNode {
  const { t } = useLanguage();
  const form = useSignIn();
  const id = useId();
  const ownField = useRef<InputRef>(null);
  const password = passwordField ?? ownField;
  const submit = async (event: SyntheticEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    if (await form.submit(String(given.get("username")), String(given.get("password")))) return;
    password.current?.focus({ cursor: "all" });
  };
  return (
    <form className="sign-in" onSubmit={(event) => void submit(event)} noValidate aria-busy={form.busy}>
      <label htmlFor={`${id}-name`}>{t("signIn.name")}</label>
      <Input
        id={`${id}-name`}
        name="username"
        size="large"
        autoComplete="username"
        autoCapitalize="none"
        autoCorrect="off"
        spellCheck={false}
        defaultValue={name}
        autoFocus={name === ""}
      />
      <label htmlFor={`${id}-password`}>{t("signIn.password")}</label>
      <PasswordInput id={`${id}-password`} field={password} autoFocus={name !== ""} />
      <div className="sign-in-problem">
        {form.problem !== null && <Alert type="error" title={form.problem} />}
      </div>
      <Button type="primary" htmlType="submit" size="large" block loading={form.busy}>
        {t("signIn.submit")}
      </Button>
    </form>
  );
}

interface PasswordInputProps {
  readonly id: string;
  readonly field: RefObject<InputRef | null>;
  readonly autoFocus: boolean;
}

function PasswordInput({ id, field, autoFocus }: PasswordInputProps): ReactNode {
  const { t } = useLanguage();
  const [seen, setSeen] = useState(false);
  return (
    <div className="sign-in-password">
      <Input
        id={id}
        ref={field}
        name="password"
        size="large"
        type={seen ? "text" : "password"}
        autoComplete="current-password"
        autoFocus={autoFocus}
      />
      <Button
        type="text"
        size="small"
        aria-pressed={seen}
        aria-label={t(seen ? "signIn.password.hide" : "signIn.password.show")}
        onClick={() => setSeen(!seen)}
        icon={<Icon name={seen ? "eyeOff" : "eye"} />}
      />
    </div>
  );
}

interface SignIn {
  readonly busy: boolean;
  readonly problem: string | null;
  /** Answers whether it was good. */
  readonly submit: (name: string, password: string) => Promise<boolean>;
}

function useSignIn(): SignIn {
  const { session } = useSession();
  const { t } = useLanguage();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>(null);
  const submit = async (name: string, password: string): Promise<boolean> => {
    if (name.trim() === "" || password === "") {
      setFailure("missing");
      return false;
    }
    setBusy(true);
    setFailure(null);
    try {
      await session.login(name.trim(), password);
      return true;
    } catch (error) {
      setFailure(error);
      return false;
    } finally {
      setBusy(false);
    }
  };
  const problem =
    failure === null ? null : failure === "missing" ? t("signIn.missing") : explainSignIn(failure, t);
  return { busy, problem, submit };
}
