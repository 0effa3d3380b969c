import type { Clock, Random } from "@leasehold/core";
import type { Etcd3, Namespace } from "etcd3";

/** A client of etcd3 that an application has already, or a namespace of it. */
export type EtcdClient = Etcd3 | Namespace;

/** For TLS. */
export interface EtcdCredentials {
  /** The authority to trust, as PEM. */
  readonly rootCertificate: Buffer;
  /** This client's key, if the server asks for a certificate, as PEM. */
  readonly privateKey?: Buffer;
  /** This client's certificate, and those up to the authority, as PEM. */
  readonly certChain?: Buffer;
}

export interface EtcdLogin {
  readonly username: string;
  readonly password: string;
}

/**
 * Where an etcd is, and how to be let in. Leasehold makes a client of its own from it, with safe
 * settings.
 */
export interface EtcdSource {
  /**
   * `http://host:port` or `https://host:port`, one or several members of one cluster; all of one
   * scheme. A list may also be one text, separated by commas.
   */
  readonly hosts: string | readonly string[];
  /**
   * For TLS. A function is asked for each new connection, and when a member cannot be connected to:
   * give one where certificates are renewed while the process runs. It must answer at once, as by
   * `readFileSync`.
   */
  readonly credentials?: EtcdCredentials | (() => EtcdCredentials);
  /**
   * For servers with authentication on. See `role.md` in this package for the smallest role that
   * works. A function is asked whenever etcd asks for a password anew: give one where passwords
   * change while the process runs.
   */
  readonly auth?: EtcdLogin | (() => EtcdLogin | Promise<EtcdLogin>);
  /**
   * Whether `auth` may be sent over `http` to other machines, where others can read it. Default
   * false: such a source is refused.
   */
  readonly plainTextAuth?: boolean;
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
