import type { ReactNode } from "react";
import { en, type Key } from "../../i18n/en.js";
import { type Translate, useLanguage } from "../../i18n/language.js";
import type { Close } from "../../lib/admin.js";

/** Why connections have ended, most frequent first. */
export function Closings({ closes }: { readonly closes: readonly Close[] }): ReactNode {
  const { language, t } = useLanguage();
  const number = new Intl.NumberFormat(language);
  const total = closes.reduce((sum, { count }) => sum + count, 0);
  const ordered = closes.toSorted((a, b) => b.count - a.count);
  return (
    <section className="card closings" aria-labelledby="closings-title">
      <h2 id="closings-title">{t("overview.codes")}</h2>
      {closes.length === 0 ? (
        <p className="closings-none">{t("overview.codes.empty")}</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">{t("overview.codes.code")}</th>
              <th scope="col">{t("overview.codes.reason")}</th>
              <th scope="col">{t("overview.codes.by")}</th>
              <th scope="col" className="number">
                {t("overview.codes.count")}
              </th>
              <th scope="col">
                <span className="sr-only">{t("overview.codes.share")}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {ordered.map(({ by, code, reason, count }) => (
              <tr key={`${by} ${code} ${reason}`}>
                <td>
                  <code>{code}</code>
                </td>
                <td>{reasonWord(reason, t)}</td>
                <td>{by === "server" || by === "peer" ? t(`overview.by.${by}`) : by}</td>
                <td className="number">{number.format(count)}</td>
                <td className="share">
                  <Share share={count / total} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Share({ share }: { readonly share: number }): ReactNode {
  const { language } = useLanguage();
  const percent = new Intl.NumberFormat(language, { style: "percent" }).format(share);
  return (
    <span className="share-track">
      <span className="share-part" style={{ transform: `scaleX(${share.toFixed(4)})` }} />
      <span className="sr-only">{percent}</span>
    </span>
  );
}

function reasonWord(reason: string, t: Translate): string {
  const key = `reason.${reason}`;
  return isKey(key) ? t(key) : reason;
}

function isKey(key: string): key is Key {
  return key in en;
}
