import { Button } from "antd";
import { type ReactNode, useEffect, useState } from "react";
import { useLanguage } from "../i18n/language.js";
import { Icon } from "./icons.js";

interface CopyButtonProps {
  readonly text: string;
  /** What is copied, for those who do not see beside what the button stands. */
  readonly label: string;
}

export function CopyButton({ text, label }: CopyButtonProps): ReactNode {
  const { t } = useLanguage();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = (): void => {
    // There is no clipboard over plain http, but on this machine.
    navigator.clipboard?.writeText(text).then(
      () => setCopied(true),
      () => undefined,
    );
  };
  return (
    <Button
      type="text"
      size="small"
      className="copy"
      aria-label={copied ? t("live.copied") : label}
      icon={<Icon name={copied ? "check" : "copy"} />}
      onClick={copy}
    />
  );
}
