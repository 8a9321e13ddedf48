// What both Node peers do at a handshake: check the bearer token, as the Python ones do.
import jwt from "jsonwebtoken";

export function mayPublish(authorization) {
  const [scheme, token] = (authorization ?? "").split(" ");
  if (scheme.toLowerCase() !== "bearer") throw new Error("no bearer token");
  const claims = jwt.verify(token, process.env.SECRET_KEY, { algorithms: ["HS256"], audience: "holdfast" });
  return claims.roles.includes("admin");
}
