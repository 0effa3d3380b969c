import type { EtcdCredentials, EtcdSource } from "../options.ts";

/** The certificates for TLS, which may be renewed while the process runs. */
export class Credentials {
  readonly #source: NonNullable<EtcdSource["credentials"]>;
  #used: EtcdCredentials | undefined;

  constructor(source: NonNullable<EtcdSource["credentials"]>) {
    this.#source = source;
  }

  /** What a new connection is made with. Throws what a function that was given throws. */
  current(): EtcdCredentials {
    this.#used = typeof this.#source === "function" ? this.#source() : this.#source;
    return this.#used;
  }

  /**
   * Whether connections should be made anew: they were made with others. gRPC goes on to use those
   * that its channel was made with. A function that fails has nothing new to tell.
   */
  haveChanged(): boolean {
    if (typeof this.#source !== "function") return false;
    try {
      const now = this.#source();
      return parts.some((part) => !isSame(now[part], this.#used?.[part]));
    } catch {
      return false;
    }
  }
}

const parts = ["rootCertificate", "privateKey", "certChain"] as const satisfies (keyof EtcdCredentials)[];

function isSame(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.equals(b));
}
