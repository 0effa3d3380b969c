import type { EtcdSource } from "../options.ts";

type Credentials = NonNullable<EtcdSource["auth"]>;
type Authenticate = (request: { name: string; password: string }) => Promise<{ token: string }>;

/**
 * The token that a password buys. One request for all who need it at once. etcd forgets tokens
 * (after five minutes without use by default, and at a restart); the call that is told so asks for
 * another, and so does the next stream: etcd3's own authenticator renews the token for unary calls
 * only, and never closes the channel that it asks on.
 */
export class AuthToken {
  readonly #credentials: Credentials;
  #token: Promise<string> | undefined;
  #value: string | undefined;

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  get(authenticate: Authenticate): Promise<string> {
    this.#token ??= this.#ask(authenticate);
    return this.#token;
  }

  /** `token` was refused. A newer one, that another call has asked for meanwhile, stays. */
  forget(token: string | undefined): void {
    if (token !== this.#value) return;
    this.#token = undefined;
    this.#value = undefined;
  }

  async #ask(authenticate: Authenticate): Promise<string> {
    const { username, password } = this.#credentials;
    try {
      const { token } = await authenticate({ name: username, password });
      this.#value = token;
      return token;
    } catch (error) {
      // As etcd's own clients do: a password for a server that asks for none is no error.
      if (String(error).includes("authentication is not enabled")) return "";
      this.#token = undefined;
      throw error;
    }
  }
}
