import { App, theme as antd, ConfigProvider, type ThemeConfig } from "antd";
import enUS from "antd/locale/en_US";
import ruRU from "antd/locale/ru_RU";
import { type ReactNode, useCallback, useEffect, useMemo, useSyncExternalStore } from "react";
import { useLanguage } from "./i18n/language.js";
import { type Theme, usePreferences } from "./lib/preferences.js";

export type Shade = "light" | "dark";

const LOCALES = { en: enUS, ru: ruRU } as const;
const DARK = "(prefers-color-scheme: dark)";
const STILL = "(prefers-reduced-motion: reduce)";

const SHARED = {
  fontFamily: "'Inter', system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
  fontFamilyCode: "'JetBrains Mono', ui-monospace, 'SF Mono', Menlo, Consolas, monospace",
  fontSize: 13,
  borderRadius: 6,
  controlHeight: 30,
  controlHeightSM: 24,
  controlHeightLG: 38,
  wireframe: false,
} as const;

/** Every colour of the dashboard; style sheets read them as `--ant-…`. Pairs of text and ground keep to WCAG AA. */
const TOKENS = {
  light: {
    colorPrimary: "#0f766e",
    colorInfo: "#1d4ed8",
    colorSuccess: "#15803d",
    colorWarning: "#b45309",
    colorError: "#c81e1e",
    colorTextBase: "#12171f",
    colorTextSecondary: "#4b5563",
    colorTextTertiary: "#5d6775",
    colorTextDescription: "#5d6775",
    colorTextPlaceholder: "#6b7480",
    colorBgLayout: "#f6f7f9",
    colorBgContainer: "#ffffff",
    colorBorder: "#d5dae1",
    colorBorderSecondary: "#e6e9ee",
    colorLink: "#0f766e",
  },
  dark: {
    colorPrimary: "#2dbdae",
    colorInfo: "#6ea8fe",
    colorSuccess: "#4cc38a",
    colorWarning: "#f0a94b",
    colorError: "#f47174",
    colorTextBase: "#e8ecf2",
    colorTextSecondary: "#aab4c2",
    colorTextTertiary: "#8f9bab",
    colorTextDescription: "#8f9bab",
    colorTextPlaceholder: "#8893a3",
    colorBgBase: "#0d1015",
    colorBgLayout: "#0d1015",
    colorBgContainer: "#14181f",
    colorBgElevated: "#1a1f28",
    colorBorder: "#2c343f",
    colorBorderSecondary: "#222932",
    colorLink: "#4fd1c2",
  },
} as const;

export function themeOf(shade: Shade, motion: boolean): ThemeConfig {
  const dark = shade === "dark";
  return {
    algorithm: dark ? antd.darkAlgorithm : antd.defaultAlgorithm,
    // One name, so that our own style sheets may read the variables: see <body class="hf">.
    cssVar: { key: "hf" },
    hashed: false,
    token: { ...SHARED, ...TOKENS[shade], motion },
    components: {
      Button: {
        primaryShadow: "none",
        defaultShadow: "none",
        primaryColor: dark ? "#04211d" : "#ffffff",
        dangerColor: dark ? "#2b0608" : "#ffffff",
      },
      Table: {
        cellPaddingBlockSM: 6,
        cellPaddingInlineSM: 12,
        headerBg: "transparent",
        headerSplitColor: "transparent",
      },
      Segmented: { trackPadding: 2 },
      Drawer: { paddingLG: 20 },
    },
  };
}

export function ThemeProvider({ children }: { readonly children: ReactNode }): ReactNode {
  const { language } = useLanguage();
  const shade = useShade();
  const isStill = useMedia(STILL);
  const config = useMemo(() => themeOf(shade, !isStill), [shade, isStill]);
  const csp = useMemo(() => ({ nonce: nonce() }), []);
  useEffect(() => {
    document.documentElement.dataset["theme"] = shade;
  }, [shade]);
  return (
    <ConfigProvider theme={config} locale={LOCALES[language]} csp={csp}>
      <App component={false} message={{ maxCount: 3 }}>
        {children}
      </App>
    </ConfigProvider>
  );
}

/** What the chosen theme comes to on this machine, now. */
export function useShade(): Shade {
  const [{ theme }] = usePreferences();
  return shadeOf(theme, useMedia(DARK));
}

export function shadeOf(theme: Theme, systemIsDark: boolean): Shade {
  if (theme === "system") return systemIsDark ? "dark" : "light";
  return theme;
}

function useMedia(query: string): boolean {
  const subscribe = useCallback(
    (listener: () => void) => {
      const list = matchMedia(query);
      list.addEventListener("change", listener);
      return () => list.removeEventListener("change", listener);
    },
    [query],
  );
  return useSyncExternalStore(subscribe, () => matchMedia(query).matches);
}

function nonce(): string {
  return document.querySelector<HTMLMetaElement>("meta[property=csp-nonce]")?.nonce ?? "";
}
