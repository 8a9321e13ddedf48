import { createSession } from "@holdfast/client";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Root } from "./Root.js";
import "./styles/fonts.css";
import "./styles/base.css";
import "./styles/header.css";
import "./styles/sign-in.css";

const place = document.getElementById("root");
if (place === null) throw new Error("index.html has no #root");

const session = createSession();
void session.restore();

createRoot(place).render(
  <StrictMode>
    <Root session={session} />
  </StrictMode>,
);
