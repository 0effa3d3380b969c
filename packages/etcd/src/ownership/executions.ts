import type { Clock, ExecutionRef } from "@leasehold/core";
import type { SharedLease } from "../leases/shared-lease.ts";
import { hasLapsed, type Execution } from "../idempotency/execution.ts";
import type { RecordKeys } from "../format/record-keys.ts";

/** For how long a begin that was given up may still arrive. As core's own bound for claims. */
const departedForMs = 60_000;

/**
 * The executions of this process, and the owners that have taken theirs back. An owner's key on one
 * of our leases that belongs to neither is litter.
 */
export class Executions {
  readonly #keys: RecordKeys;
  readonly #clock: Clock;
  /** By the owner's key (as latin1 text), then by owner. */
  readonly #byKey = new Map<string, Map<string, Execution>>();
  /** Owners that took back what they may have begun, and until when a copy of it may arrive. */
  readonly #departed = new Map<string, number>();

  constructor(keys: RecordKeys, clock: Clock) {
    this.#keys = keys;
    this.#clock = clock;
  }

  /**
   * A request begins. From before it leaves, a sweep must not touch what it may write. `leave` must
   * follow.
   */
  enter(ref: ExecutionRef & { readonly leaseMs: number }): Execution {
    const execution = this.find(ref) ?? this.#add(ref);
    execution.pending += 1;
    execution.askedAt = this.#clock.now();
    return execution;
  }

  /**
   * A request has ended. An execution of which nothing is in the store, for certain, is dropped.
   */
  leave(execution: Execution): void {
    execution.pending -= 1;
    if (execution.pending === 0 && execution.begun === undefined && !execution.doubtful) this.drop(execution);
  }

  find({ record, owner }: ExecutionRef): Execution | undefined {
    return this.at(textOf(this.#keys.owner(record)), owner);
  }

  /** The execution of that owner whose key this is (as latin1 text). */
  at(ownerKey: string, owner: string): Execution | undefined {
    return this.#byKey.get(ownerKey)?.get(owner);
  }

  /** Whether the key (as latin1 text) may be that of an execution that is wanted. */
  mayHave(ownerKey: string): boolean {
    return [...(this.#byKey.get(ownerKey)?.values() ?? [])].some((execution) => !this.hasLapsed(execution));
  }

  /** Whether it was neither ended nor taken back nor forgotten. */
  has(execution: Execution): boolean {
    return this.at(textOf(execution.ownerKey), execution.owner) === execution;
  }

  hasLapsed(execution: Execution): boolean {
    return hasLapsed(execution, this.#clock);
  }

  get all(): readonly Execution[] {
    return [...this.#byKey.values()].flatMap((owners) => [...owners.values()]);
  }

  /** The leases on which executions hang that were not ended. */
  get leases(): ReadonlySet<SharedLease> {
    return new Set(this.all.flatMap(({ lease }) => (lease === undefined ? [] : [lease])));
  }

  /** It is ended, or of no interest any more. */
  drop(execution: Execution): void {
    // Its owner may have come back since, with another one.
    if (!this.has(execution)) return;
    const text = textOf(execution.ownerKey);
    const owners = this.#byKey.get(text);
    owners?.delete(execution.owner);
    if (owners?.size === 0) this.#byKey.delete(text);
  }

  /** The owner takes back whatever it has begun, and whatever a begin of it may still do. */
  depart(ref: ExecutionRef): void {
    const execution = this.find(ref);
    const forMs = Math.max(departedForMs, execution?.leaseMs ?? 0);
    this.#departed.set(idOf(textOf(this.#keys.owner(ref.record)), ref.owner), this.#nowMs() + forMs);
    if (execution !== undefined) this.drop(execution);
  }

  /**
   * What it had begun was taken back: no begin can find the record as it was before that any more.
   */
  forgetDeparture({ record, owner }: ExecutionRef): void {
    this.#departed.delete(idOf(textOf(this.#keys.owner(record)), owner));
  }

  hasDeparted(ownerKey: string, owner: string): boolean {
    return (this.#departed.get(idOf(ownerKey, owner)) ?? -Infinity) > this.#nowMs();
  }

  /** Whether any begin that was taken back may still arrive. Forgets those whose time is over. */
  someDeparted(): boolean {
    const nowMs = this.#nowMs();
    for (const [id, untilMs] of this.#departed) if (untilMs <= nowMs) this.#departed.delete(id);
    return this.#departed.size > 0;
  }

  #add({ record, owner, leaseMs }: ExecutionRef & { readonly leaseMs: number }): Execution {
    const ownerKey = this.#keys.owner(record);
    const text = textOf(ownerKey);
    const execution: Execution = {
      ...{ record, owner, leaseMs, ownerKey, recordKey: this.#keys.record(record) },
      ...{ pending: 0, doubtful: false, keyInDoubt: true, askedAt: this.#clock.now() },
      ...{ begun: undefined, lease: undefined, retention: undefined },
    };
    const owners = this.#byKey.get(text) ?? new Map<string, Execution>();
    this.#byKey.set(text, owners.set(owner, execution));
    // Whoever asks again wants it again.
    this.#departed.delete(idOf(text, owner));
    return execution;
  }

  #nowMs(): number {
    return this.#clock.now().monoMs;
  }
}

function idOf(ownerKey: string, owner: string): string {
  return `${ownerKey}/${owner}`;
}

function textOf(key: Buffer): string {
  return key.toString("latin1");
}
