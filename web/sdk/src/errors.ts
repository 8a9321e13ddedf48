/** Something could not be done. `code` is stable and for programs, the message is for people. */
export class HoldfastError extends Error {
  override readonly name = "HoldfastError";
  declare readonly code: string;
  /** In how many seconds to try again; 0 where that is not known. */
  declare readonly retryIn: number;

  /** The message is the server's sentence, where there is one. */
  constructor(code: string, message?: unknown, retryIn = 0) {
    super(`${message || code}`);
    this.code = code;
    this.retryIn = retryIn;
  }
}
