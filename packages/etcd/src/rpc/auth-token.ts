import type { EtcdSource } from "../options.ts";
import { RpcFailure } from "./failure.ts";

type Authenticate = (request: { name: string; password: string }) => Promise<{ token: string }>;

/** What is sent where etcd says that it asks for no password: nothing. */
const noToken = "";

/**
 * The token that a password buys. One request for all who need it at once. etcd forgets tokens
 * (after five minutes without use by default, at a restart, and whenever a user or a role is
 * changed); the call that is told so asks for another, and so does the next stream: etcd3's own
 * authenticator renews the token for unary calls only, and never closes the channel that it asks
 * on.
 */
export class AuthToken {
  readonly #auth: NonNullable<EtcdSource["auth"]>;
  #token: Promise<string> | undefined;
  #value: string | undefined;
  #wasLetIn = false;

  constructor(auth: NonNullable<EtcdSource["auth"]>) {
    this.#auth = auth;
  }

  get(authenticate: Authenticate): Promise<string> {
    this.#token ??= this.#ask(authenticate);
    return this.#token;
  }

  /**
   * `token` was refused. A newer one, that another call has asked for meanwhile, stays. "None" is
   * refused, too: once authentication has been enabled.
   */
  forget(token: string | undefined): void {
    if (token !== this.#value) return;
    this.#token = undefined;
    this.#value = undefined;
  }

  async #ask(authenticate: Authenticate): Promise<string> {
    try {
      const { username, password } = await this.#login();
      const token = await this.#buy(authenticate, username, password);
      this.#value = token;
      this.#wasLetIn = true;
      return token;
    } catch (error) {
      this.#token = undefined;
      if (!(error instanceof RpcFailure)) throw error;
      // What needed the token has not left.
      if (error.kind === "unanswered") throw new RpcFailure("unsent", `${error.message} (asked for a token)`);
      // A password that was right until now is being changed: on the server first, here next.
      if (error.kind === "denied" && this.#wasLetIn) throw new RpcFailure("locked-out", error.message);
      throw error;
    }
  }

  async #login(): Promise<{ readonly username: string; readonly password: string }> {
    if (typeof this.#auth !== "function") return this.#auth;
    try {
      return await this.#auth();
    } catch (error) {
      throw new RpcFailure("unsent", `the function given as auth failed: ${String(error)}`);
    }
  }

  async #buy(authenticate: Authenticate, name: string, password: string): Promise<string> {
    try {
      return (await authenticate({ name, password })).token;
    } catch (error) {
      // As etcd's own clients do: a password for a server that asks for none is no error.
      if (String(error).includes("authentication is not enabled")) return noToken;
      throw error;
    }
  }
}
