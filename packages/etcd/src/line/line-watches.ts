import type { GrantListener } from "@leasehold/core";
import type { Calls } from "../rpc/calls.ts";
import type { WatchHub } from "../rpc/watch-hub.ts";
import type { ClaimKeys } from "../format/claim-keys.ts";
import { LineWatch } from "./line-watch.ts";
import type { OwnClaim } from "./own-claim.ts";

export interface GrantsHandler {
  /** A waiting claim of this process was granted, and no listener knows it. */
  unwanted(claim: OwnClaim): void;
  /** A waiting claim is in the store no more. */
  gone(claim: OwnClaim): void;
}

/** The waiting claims of this process, the watches on their lines, and those who hear of grants. */
export class LineWatches {
  readonly #calls: Calls;
  readonly #keys: ClaimKeys;
  readonly #hub: WatchHub;
  readonly #handler: GrantsHandler;
  readonly #watches = new Map<string, LineWatch>();
  readonly #listeners = new Set<GrantListener>();

  constructor(calls: Calls, keys: ClaimKeys, hub: WatchHub, handler: GrantsHandler) {
    this.#calls = calls;
    this.#keys = keys;
    this.#hub = hub;
    this.#handler = handler;
  }

  listen(listener: GrantListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Every listener asks about its waiting claims. */
  lookAgain(): void {
    for (const listener of this.#listeners) listener.lookAgain();
  }

  /**
   * The claim waits, with `ahead` before it at `revision`. True: it is granted by now, and will not
   * be pushed.
   */
  add(claim: OwnClaim, ahead: number, revision: bigint): boolean {
    const id = lineOf(claim);
    let watch = this.#watches.get(id);
    if (watch === undefined) {
      watch = this.#watch(id, claim);
      this.#watches.set(id, watch);
    }
    return watch.add(claim, ahead, revision);
  }

  /** The claim waits no more. */
  delete(claim: OwnClaim): void {
    this.#watches.get(lineOf(claim))?.delete(claim);
  }

  /** Ends all watches. */
  close(): void {
    this.#listeners.clear();
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
  }

  #watch(id: string, line: OwnClaim): LineWatch {
    const watch: LineWatch = new LineWatch(this.#calls, this.#keys, this.#hub, line, {
      granted: (claims) => claims.forEach((claim) => this.#granted(claim)),
      gone: (claims) => {
        for (const claim of claims) this.#handler.gone(claim);
        this.lookAgain();
      },
      resumed: () => this.lookAgain(),
      idle: () => {
        this.#watches.delete(id);
        watch.close();
      },
    });
    return watch;
  }

  #granted(claim: OwnClaim): void {
    claim.granted = true;
    const { resource, owner, ticket } = claim;
    const known = [...this.#listeners].map((listener) => listener.granted({ resource, owner, ticket }));
    if (!known.includes(true)) this.#handler.unwanted(claim);
  }
}

function lineOf({ resource, capacity }: OwnClaim): string {
  return `${capacity}/${resource}`;
}
