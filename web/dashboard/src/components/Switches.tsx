import { Button, Tooltip } from "antd";
import type { ReactNode } from "react";
import { useLanguage } from "../i18n/language.js";
import type { Language } from "../i18n/translate.js";
import { THEMES, type Theme, usePreferences } from "../lib/preferences.js";
import { useShade } from "../theme.js";
import { Icon, type IconName } from "./icons.js";
import { MenuButton } from "./MenuButton.js";

/** Each language in its own words: whoever needs the switch cannot read the other one. */
const NAMES: Readonly<Record<Language, string>> = { en: "English", ru: "Русский" };
const ICONS: Readonly<Record<Theme, IconName>> = { system: "display", light: "sun", dark: "moon" };

/** There are two languages, so one button says what the other one is. */
export function LanguageSwitch(): ReactNode {
  const { language } = useLanguage();
  const [, change] = usePreferences();
  const other = language === "en" ? "ru" : "en";
  return (
    <Tooltip title={<span lang={other}>{NAMES[other]}</span>}>
      <Button
        type="text"
        className="tool tool-language"
        lang={other}
        aria-label={`${other.toUpperCase()}, ${NAMES[other]}`}
        onClick={() => change({ language: other })}
      >
        {other.toUpperCase()}
      </Button>
    </Tooltip>
  );
}

export function ThemeSwitch(): ReactNode {
  const { t } = useLanguage();
  const [{ theme }, change] = usePreferences();
  const shade = useShade();
  const items = THEMES.map((key) => ({
    key,
    icon: <Icon name={ICONS[key]} />,
    label: t(`theme.${key}`),
    extra: key === theme ? <Icon name="check" /> : null,
  }));
  const choose = ({ key }: { readonly key: string }): void => {
    const chosen = THEMES.find((known) => known === key);
    if (chosen !== undefined) change({ theme: chosen });
  };
  return (
    <MenuButton
      menu={{ items, onClick: choose, selectable: true, selectedKeys: [theme] }}
      className="tool"
      aria-label={`${t("theme.label")}: ${t(`theme.${theme}`)}`}
      icon={<Icon name={ICONS[shade]} />}
    />
  );
}
