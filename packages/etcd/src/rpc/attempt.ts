import {
  credentials,
  InterceptingCall,
  Metadata,
  status as Code,
  type CallOptions,
  type Interceptor,
  type StatusObject,
} from "@grpc/grpc-js";
import type { Status } from "./failure.ts";

/**
 * One request, seen from inside gRPC. It knows what the layers above do not tell: whether the
 * request was ever given to a connection, what the server's status really was, and how to stop it.
 *
 * etcd3 repeats every failed call that it deems recoverable up to three times, writes included, and
 * cuts off a host for five seconds after three failures. Neither is ours to switch off in a client
 * that we were handed, so an attempt shows etcd3 a status that it leaves alone, and keeps the true
 * one for us: a request leaves at most once.
 *
 * A client that we were handed does see that a request could not leave, and makes its connection
 * anew, as its owner expects. One of our own does not: gRPC connects again by itself, and etcd3
 * would let the connection that it replaces linger for a second, with a timer that keeps a process
 * alive (see `closeClient`).
 */
export class RpcAttempt {
  /** The true status of the call; undefined while there is none. */
  status: Status | undefined;
  readonly #token: string | undefined;
  readonly #ours: boolean;
  readonly #onSent: () => void;
  #sent = false;
  #abandoned = false;
  #call: { cancelWithStatus(code: Code, details: string): void } | undefined;

  /**
   * `token`: ours to send. A client that is not `ours` keeps its own, and must hear that it has
   * expired.
   */
  constructor(token: string | undefined, ours: boolean, onSent: () => void) {
    this.#token = token;
    this.#ours = ours;
    this.#onSent = onSent;
  }

  /** Whether the request was given to a connection: from then on it may be carried out. */
  get sent(): boolean {
    return this.#sent;
  }

  /** What to pass to a call of etcd3's raw layer. */
  get callOptions(): CallOptions {
    return {
      interceptors: [this.#interceptor],
      // gRPC asks for call credentials when it has picked a live connection, and sends right after:
      // it is the one place that tells "never left" from "left, unanswered". The channel's state
      // only tells how things are now.
      credentials: credentials.createFromMetadataGenerator((_, callback) => {
        if (this.#abandoned) return callback(new Error("given up"));
        this.#sent = true;
        this.#onSent();
        callback(null, new Metadata());
      }),
    };
  }

  /** Stops the call, and any that etcd3 may still begin for it. */
  abandon(): void {
    this.#abandoned = true;
    this.#call?.cancelWithStatus(Code.CANCELLED, "given up");
  }

  readonly #interceptor: Interceptor = (options, nextCall) => {
    const call = nextCall(options);
    this.#call = call;
    return new InterceptingCall(call, {
      start: (metadata, listener, next) => {
        if (this.#abandoned) return listener.onReceiveStatus(inert(metadata));
        // A member that has lost its leader must say so instead of falling silent.
        metadata.set("hasleader", "true");
        if (this.#token) metadata.set("token", this.#token);
        next(metadata, {
          onReceiveStatus: (status, pass) => {
            this.status = { code: status.code, details: status.details };
            const isTold = !this.#sent || status.details.includes("invalid auth token");
            pass(status.code === Code.OK || (!this.#ours && isTold) ? status : inert(status.metadata));
          },
        });
      },
    });
  };
}

/** A status that etcd3 neither retries nor counts against a host. */
function inert(metadata: Metadata): StatusObject {
  return { code: Code.FAILED_PRECONDITION, details: "leasehold: see the attempt", metadata };
}
