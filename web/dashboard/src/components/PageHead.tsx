import type { ReactNode } from "react";

interface PageHeadProps {
  readonly title: string;
  readonly lead: string;
  readonly children?: ReactNode;
}

export function PageHead({ title, lead, children }: PageHeadProps): ReactNode {
  return (
    <div className="page-head">
      <div>
        <h1>{title}</h1>
        <p>{lead}</p>
      </div>
      {children !== undefined && <div className="page-tools">{children}</div>}
    </div>
  );
}
