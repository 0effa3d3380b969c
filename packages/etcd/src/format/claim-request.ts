import type { AcquireRequest, ClaimRef } from "@leasehold/core";

/** Names one claim, as etcd's side knows it: keys are made of the resource's name alone. */
export interface ClaimName {
  readonly resource: string;
  readonly owner: string;
}

/** A request whose resource is its name: whoever watches keys is told, announced or not. */
export type Named<R extends ClaimRef> = Omit<R, "resource"> & ClaimName;

/** An acquire also needs the capacity, which is a part of the key. */
export type JoinRequest = Named<AcquireRequest> & { readonly capacity: number };

export function named<R extends ClaimRef>(request: R): Named<R> {
  return { ...request, resource: request.resource.name };
}
