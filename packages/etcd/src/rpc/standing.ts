import type { IResponseHeader } from "etcd3";

/** Which member answered, and in which term of raft it was when it did. */
export interface Standing {
  readonly member: string;
  readonly term: string;
}

export function standingOf({ member_id: member, raft_term: term }: IResponseHeader): Standing {
  return { member, term };
}

/** Whether one member answered all of these within one term. */
export function areOneStanding(...standings: readonly Standing[]): boolean {
  const [first, ...others] = standings;
  return others.every(({ member, term }) => member === first?.member && term === first.term);
}
