import type { Disposition } from "@leasehold/core";

/**
 * Client errors that the same request may get over: they depend on who asks (401, 403, 407), when
 * (408, 425, 429), or what else is going on (409, 421, 423, 424). Nothing of that is in the
 * payload, so a stored answer would refuse for a day what is allowed by now.
 */
const passing: ReadonlySet<number> = new Set([401, 403, 407, 408, 409, 421, 423, 424, 425, 429]);

/**
 * What a status says of the execution. Success, redirection, and the client errors that the same
 * request gets again (400, 402, 404, 410, 412, 413, 415, 422 …) are `stored`. Passing client errors
 * are `released`: a handler that answers so has done nothing. A 5xx is as `on5xx` says.
 */
export function statusPolicy(on5xx: "unknown" | "released"): (status: number) => Disposition {
  return (status) => {
    if (status >= 500) return on5xx;
    return passing.has(status) ? "released" : "stored";
  };
}
