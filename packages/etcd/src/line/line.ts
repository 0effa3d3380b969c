import type { IKeyValue } from "etcd3";
import { hasLease } from "../format/answers.ts";
import type { ClaimKeys } from "../format/claim-keys.ts";
import { decodeRecord, type ClaimRecord } from "../format/claim-record.ts";

/** A claim as it stands in a line. */
export interface LineClaim {
  readonly key: Buffer;
  readonly ticket: bigint;
  readonly weight: number;
  readonly capacity: number;
  /** When its value was last written. */
  readonly revision: bigint;
  /** The lease that keeps it, as etcd writes it: decimal digits. */
  readonly leaseId: string;
  /** What its value says; where only keys were read, of nobody. */
  readonly record: ClaimRecord;
  /** The weights of all who stand before it. */
  readonly ahead: number;
  readonly granted: boolean;
}

const nobody: ClaimRecord = { owner: "", sequence: 0, evicted: false, value: "" };

/** A key of a claim's form without a lease. It is nobody's claim, and it would never end. */
export interface Litter {
  readonly key: Buffer;
  /** When it was last written. */
  readonly revision: bigint;
}

/** A resource's claims as one read saw them. */
export class Line {
  /** The store's revision that was read. */
  readonly revision: bigint;
  /** Oldest first. */
  readonly claims: readonly LineClaim[];
  /**
   * How many keys were found that this backend cannot have written. They are nobody's claim, and
   * take no room.
   */
  readonly malformed: number;
  /** These take no room either. */
  readonly litter: readonly Litter[];

  constructor(keys: ClaimKeys, kvs: readonly IKeyValue[], revision: bigint) {
    this.revision = revision;
    const formed = kvs.flatMap((kv) => {
      const key = keys.parse(kv.key);
      return key === undefined ? [] : [{ kv, key, ticket: BigInt(kv.create_revision) }];
    });
    const parsed = formed.filter(({ kv }) => hasLease(kv));
    this.malformed = kvs.length - formed.length;
    this.litter = formed.flatMap(({ kv }) =>
      hasLease(kv) ? [] : [{ key: kv.key, revision: BigInt(kv.mod_revision) }],
    );
    parsed.sort((a, b) => (a.ticket < b.ticket ? -1 : a.ticket > b.ticket ? 1 : 0));
    let ahead = 0;
    this.claims = parsed.map(({ kv, key: { weight, capacity }, ticket }) => {
      const record = decodeRecord(kv.value) ?? nobody;
      const granted = ahead + weight <= capacity;
      ahead += weight;
      const place = { ahead: ahead - weight, granted };
      const stored = { key: kv.key, leaseId: kv.lease, revision: BigInt(kv.mod_revision), record };
      return { ticket, weight, capacity, ...stored, ...place };
    });
  }

  /** Whether it holds anything that is no claim. */
  get isStrange(): boolean {
    return this.malformed > 0 || this.litter.length > 0;
  }

  withTicket(ticket: bigint): LineClaim | undefined {
    return this.claims.find((claim) => claim.ticket === ticket);
  }

  /** Only where values were read. */
  ofOwner(owner: string): LineClaim | undefined {
    return this.claims.find(({ record }) => record.owner === owner);
  }

  /** The weights of all claims: what a newcomer would have ahead of it. */
  get total(): number {
    const last = this.claims.at(-1);
    return last === undefined ? 0 : last.ahead + last.weight;
  }
}
