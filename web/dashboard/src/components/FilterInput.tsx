import { Input } from "antd";
import { type ReactNode, useId } from "react";
import { useLanguage } from "../i18n/language.js";
import { Icon } from "./icons.js";

interface FilterInputProps {
  readonly className: string;
  readonly label: string;
  readonly text: string;
  readonly change: (text: string) => void;
}

/** A field that narrows down a list. */
export function FilterInput({ className, label, text, change }: FilterInputProps): ReactNode {
  const { t } = useLanguage();
  const id = useId();
  const clearIcon = (
    <>
      <Icon name="close" />
      <span className="sr-only">{t("filter.clear")}</span>
    </>
  );
  return (
    <>
      <label className="sr-only" htmlFor={id}>
        {label}
      </label>
      <Input
        id={id}
        className={className}
        size="small"
        allowClear={{ clearIcon }}
        placeholder={label}
        prefix={<Icon name="search" />}
        value={text}
        onChange={(event) => change(event.target.value)}
      />
    </>
  );
}
