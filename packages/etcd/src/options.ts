import type { Clock, Random } from "@leasehold/core";

/**
 * Where an etcd is, and how to be let in. Leasehold makes a client of its own from it, with safe
 * settings.
 */
export interface EtcdSource {
  /** `http://host:port` or `https://host:port`, one or several members of one cluster. */
  readonly hosts: string | readonly string[];
  /**
   * For TLS: the authority to trust, and this client's key and certificate chain if the server asks
   * for one.
   */
  readonly credentials?: {
    readonly rootCertificate: Buffer;
    readonly privateKey?: Buffer;
    readonly certChain?: Buffer;
  };
  /**
   * For servers with authentication on. See `role.md` in this package for the smallest role that
   * works.
   */
  readonly auth?: { readonly username: string; readonly password: string };
}

export interface EtcdBackendOptions {
  /** All keys begin with `<prefix>/`. Default `leasehold`. */
  readonly prefix?: string;
  /** Default: the system's clocks. */
  readonly clock?: Clock;
  /** Default: the system's generator. */
  readonly random?: Random;
  /**
   * The shortest ttl that callers may ask for, in milliseconds; a multiple of 1000. Default 2000,
   * which is what a server with default timing grants (1.5 election timeouts, rounded up to
   * seconds). Set 1000 for a server that grants it. A server that grants more than it was asked for
   * is refused at the first grant: `INVALID_ARGUMENT`.
   */
  readonly minTtlMs?: number;
}
