import { isLeaseholdError, LeaseholdError } from "@leasehold/core";
import { status as Code } from "@grpc/grpc-js";

/** What is known of a request that did not succeed. */
export type FailureKind =
  /** Nothing of it was carried out: it never left, or the server turned it away at the door. */
  | "unsent"
  /** It left, and no answer says what became of it. */
  | "unanswered"
  /** A lease that it named does not exist: nothing was written. */
  | "lease-gone"
  /** Its authentication token is not valid (any more): nothing was written. */
  | "token"
  /** The server refused access. */
  | "denied"
  /** The server refuses a password that it took before: it may be changing. Nothing was sent. */
  | "locked-out"
  /** The server has no space left and takes no writes until an operator acts. */
  | "no-space"
  /** To be asked later: the server says so, or too much is asked of it already. Nothing was done. */
  | "busy"
  /** Any other definite refusal. */
  | "refused"
  /** This backend is closed. */
  | "closed";

/** A failed request to etcd, before it is known what it means to the caller. */
export class RpcFailure extends Error {
  override readonly name: string = "RpcFailure";
  readonly kind: FailureKind;

  constructor(kind: FailureKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** A gRPC status, as far as this package looks at it. */
export interface Status {
  readonly code: number;
  readonly details: string;
}

/** A call that ended so may have been carried out: the server, or a network, lost the answer. */
const unknownOutcome: ReadonlySet<number> = new Set([
  Code.CANCELLED,
  Code.UNKNOWN,
  Code.DEADLINE_EXCEEDED,
  Code.ABORTED,
  Code.INTERNAL,
  Code.UNAVAILABLE,
  Code.DATA_LOSS,
]);

const tokenTroubles = ["invalid auth token", "revision of auth store is old", "user name is empty"];

/** What the status of a failed call proves. `sent`: whether it was ever given to a connection. */
export function classify({ code, details }: Status, sent: boolean): FailureKind {
  const says = (text: string): boolean => details.includes(text);
  if (!sent) return "unsent";
  if (says("requested lease not found")) return "lease-gone";
  // Asked with `hasleader`, a member without a leader refuses before it does anything.
  if (code === Code.UNAVAILABLE && says("no leader")) return "unsent";
  // A member that only learns serves nobody yet.
  if (says("not supported for learner")) return "unsent";
  if (tokenTroubles.some(says)) return "token";
  if (says("database space exceeded")) return "no-space";
  if (says("authentication failed")) return "denied";
  if (code === Code.PERMISSION_DENIED || code === Code.UNAUTHENTICATED) return "denied";
  if (code === Code.RESOURCE_EXHAUSTED && says("too many requests")) return "busy";
  return unknownOutcome.has(code) ? "unanswered" : "refused";
}

/** Whether the server said no, to writes or to this user, until an operator acts. */
export function isRefusal({ kind }: RpcFailure): boolean {
  return kind === "no-space" || kind === "denied" || kind === "locked-out" || kind === "token";
}

/**
 * What a failure means to the caller of a backend. `what` names the request. `write`: whether it
 * could change the store; an unanswered read or keepalive has no outcome to be unknown.
 */
export function toLeaseholdError(error: unknown, what: string, write: boolean): LeaseholdError {
  if (!(error instanceof RpcFailure)) {
    if (isLeaseholdError(error)) return error;
    return new LeaseholdError("BACKEND_UNAVAILABLE", `etcd: ${what} failed: ${String(error)}`, {
      cause: error,
    });
  }
  const cause = { cause: error };
  switch (error.kind) {
    case "closed":
      return closedError();
    case "unanswered":
      return write
        ? new LeaseholdError(
            "OUTCOME_UNKNOWN",
            `etcd did not say whether it did the ${what}: ${error.message}`,
            cause,
          )
        : new LeaseholdError(
            "BACKEND_UNAVAILABLE",
            `etcd did not answer the ${what}: ${error.message}`,
            cause,
          );
    case "no-space":
      return new LeaseholdError(
        "BACKEND_UNAVAILABLE",
        `etcd takes no writes, its space is used up (alarm NOSPACE). Compact and defragment it, then run ` +
          `"etcdctl alarm disarm"; see --quota-backend-bytes and --auto-compaction-retention. (${error.message})`,
        cause,
      );
    case "locked-out":
    case "denied":
    case "token":
      return new LeaseholdError(
        "BACKEND_UNAVAILABLE",
        `etcd refused access for the ${what}: ${error.message}. Check the user and password, and that its role has ` +
          `readwrite permission on the prefix.`,
        { ...cause, permanent: error.kind !== "locked-out" },
      );
    case "refused":
      return new LeaseholdError("BACKEND_UNAVAILABLE", `etcd refused the ${what}: ${error.message}`, {
        ...cause,
        permanent: true,
      });
    case "busy":
    case "lease-gone":
      return new LeaseholdError(
        "BACKEND_UNAVAILABLE",
        `etcd did not take the ${what}: ${error.message}. Nothing was written.`,
        cause,
      );
    case "unsent": {
      // A member without a leader answers that, and does nothing.
      const fate = error.message.includes("no leader")
        ? "etcd did not take the"
        : "etcd could not be reached for the";
      return new LeaseholdError(
        "BACKEND_UNAVAILABLE",
        `${fate} ${what}: ${error.message}. Nothing was written.`,
        cause,
      );
    }
  }
}

/** What every call gets once the backend is closed. */
export function closedError(): LeaseholdError {
  return new LeaseholdError("CLOSED", "This etcd backend is closed.");
}

/** A step before anything is written: what fails in it leaves no doubt. `what` names it. */
export async function beforeWriting<T>(what: string, step: Promise<T>): Promise<T> {
  try {
    return await step;
  } catch (error) {
    throw toLeaseholdError(error, what, false);
  }
}

/** A step after something was written: when it was not sent, that stands all the same. */
export async function afterWriting<T>(step: Promise<T>): Promise<T> {
  try {
    return await step;
  } catch (error) {
    const isHarmless = error instanceof RpcFailure && (error.kind === "busy" || error.kind === "unsent");
    throw isHarmless ? new RpcFailure("unanswered", error.message) : error;
  }
}
