import { invalidArgument } from "@leasehold/core";
import type { EtcdClient, EtcdSource } from "../options.ts";

/**
 * What all keys of a client begin with, if it is a namespace (`client.namespace("team/")`). Our
 * calls name whole keys and pass etcd3's own namespacing by, so the backend puts it in front.
 *
 * @throws `INVALID_ARGUMENT` for one that is no text: our keys are texts.
 */
export function namespaceOf(source: EtcdSource | EtcdClient): string {
  const { prefix } = source as { readonly prefix?: unknown };
  if (!("kv" in source) || !(prefix instanceof Uint8Array)) return "";
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(prefix);
  } catch {
    throw invalidArgument("The namespace of the client of etcd3 is no text. Hand in the client itself.");
  }
}
