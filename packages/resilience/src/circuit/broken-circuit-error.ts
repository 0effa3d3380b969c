import type { CircuitState } from "./circuit-breaker.ts";

export interface BrokenCircuitDetails {
  /** The circuit's name. */
  readonly circuit: string;
  readonly state: CircuitState;
  /** How long until a probe may be tried, in milliseconds; Infinity while isolated. */
  readonly retryAfterMs: number;
  /** The circuit's era at the refusal. */
  readonly era: number;
}

/**
 * The circuit did not let the call through: nothing was sent. Recognise it by
 * `isBrokenCircuitError`. The brand is cockatiel's, so its predicates recognise our errors, and our
 * predicates its errors.
 */
export class BrokenCircuitError extends Error {
  override readonly name: string = "BrokenCircuitError";
  readonly isBrokenCircuitError: true = true;
  readonly circuit: string;
  readonly state: CircuitState;
  readonly retryAfterMs: number;
  readonly era: number;

  constructor(details: BrokenCircuitDetails, message: string = describe(details)) {
    super(message);
    this.circuit = details.circuit;
    this.state = details.state;
    this.retryAfterMs = details.retryAfterMs;
    this.era = details.era;
  }
}

/** An operator holds the circuit open. */
export class IsolatedCircuitError extends BrokenCircuitError {
  override readonly name: string = "IsolatedCircuitError";
  readonly isIsolatedCircuitError: true = true;
  /** What the operator said. */
  readonly reason: string;

  constructor(details: BrokenCircuitDetails, reason: string) {
    const circuit = JSON.stringify(details.circuit);
    super(details, `The circuit ${circuit} is isolated by hand: ${reason}. Nothing was sent.`);
    this.reason = reason;
  }
}

function describe({ circuit, state, retryAfterMs }: BrokenCircuitDetails): string {
  const until = `Try again in ${Math.ceil(retryAfterMs)} ms, or do without it.`;
  return `The circuit ${JSON.stringify(circuit)} is ${state}: nothing was sent. ${until}`;
}

/** Whether a circuit refused the call: one of ours, or one of cockatiel's, which has no details. */
export function isBrokenCircuitError(error: unknown): error is Error & Partial<BrokenCircuitDetails> {
  return (
    typeof error === "object" &&
    error !== null &&
    (error as Partial<BrokenCircuitError>).isBrokenCircuitError === true
  );
}
