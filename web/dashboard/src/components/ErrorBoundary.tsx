import { Component, type ReactNode } from "react";
import { Crashed } from "./Notices.js";

interface Props {
  readonly children: ReactNode;
}

/** A page that fails leaves the header, and with it the connection, alone. */
export class ErrorBoundary extends Component<Props, { readonly failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override render(): ReactNode {
    return this.state.failed ? <Crashed /> : this.props.children;
  }
}
