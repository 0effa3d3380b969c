import { invalidArgument } from "@leasehold/core";

/** One member's client address, read and checked. */
export interface Host {
  /** `http://host:port` or `https://host:port`, as etcd3 takes it. */
  readonly url: string;
  /** `host:port`, for messages. */
  readonly address: string;
  readonly secure: boolean;
  /** Whether what is sent there stays on this machine. */
  readonly loopback: boolean;
}

const form = 'as "http://host:2379" or "https://host:2379"';

/**
 * The members that `hosts` names, each once. Taken as meant: a list in one string, separated by
 * commas (the form of `ETCDCTL_ENDPOINTS`), blanks around an entry, a trailing slash, and an entry
 * without a scheme, which is `http`, as for etcd3.
 *
 * Everything else is refused here, since gRPC would take it for a name to resolve and fail for
 * ever: other schemes, a path, user and password, and a missing port (gRPC would ask 443).
 *
 * @throws `INVALID_ARGUMENT`. It repeats no entry that could hold a password.
 */
export function parseHosts(hosts: unknown): Host[] {
  const entries = (typeof hosts === "string" ? hosts.split(",") : hosts) as unknown;
  if (!Array.isArray(entries) || entries.length === 0)
    throw invalidArgument(`hosts must be a text, or a list of texts, that names the members, ${form}.`);
  const parsed = entries.map((entry: unknown) => parseHost(entry));
  if (new Set(parsed.map(({ secure }) => secure)).size > 1)
    throw invalidArgument(
      "hosts mixes http and https: what is sent to one member would be sent to another in clear.",
    );
  return [...new Map(parsed.map((host) => [host.url, host])).values()];
}

function parseHost(entry: unknown): Host {
  if (typeof entry !== "string" || entry.trim() === "")
    throw invalidArgument(`hosts names a member by ${describe(entry)}. Each is a text, ${form}.`);
  const [, scheme, rest = ""] = /^(?:([^/]*):\/\/)?(.*)$/s.exec(entry.trim()) ?? [];
  if (scheme !== undefined && !/^https?$/i.test(scheme))
    throw invalidArgument(`hosts has an entry with a scheme other than http and https. Each is ${form}.`);
  if (rest.includes("@"))
    throw invalidArgument(
      'hosts has an entry with a user in it. Give "auth: { username, password }" instead.',
    );
  const [, name = "", port] = /^([^/:?#\s]+|\[[0-9a-f:.]+\])(?::(\d+))?\/*$/i.exec(rest) ?? [];
  if (name === "") throw invalidArgument(`hosts has an entry that is no address. Each is ${form}.`);
  if (port === undefined)
    throw invalidArgument(`hosts names ${name} without a port. etcd serves clients on 2379 by default.`);
  if (Number(port) < 1 || Number(port) > 65_535)
    throw invalidArgument(`hosts names ${name} with port ${port}. A port is a number from 1 to 65535.`);
  const secure = scheme?.toLowerCase() === "https";
  const address = `${name}:${Number(port)}`;
  const loopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/i.test(name);
  return { url: `${secure ? "https" : "http"}://${address}`, address, secure, loopback };
}

function describe(entry: unknown): string {
  return typeof entry === "string" ? "an empty text" : `a value of type ${typeof entry}`;
}
