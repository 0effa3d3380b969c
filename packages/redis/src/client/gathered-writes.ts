import { isCluster, type ClusterClient, type RedisClient } from "./client.ts";
import { socketOf, type Socket } from "./socket.ts";

/** How many requests are written together at most. */
const MOST_GATHERED = 8;

/**
 * Writes the requests of one turn of the event loop in a few pieces: a system call costs more than
 * a script. A single piece would leave the server idle while we collect, and us while it answers.
 */
export class GatheredWrites {
  readonly #client: RedisClient | ClusterClient;
  /** How many requests wait to be written, and the socket that holds them back. */
  #count = 0;
  #socket: Socket | undefined;

  constructor(client: RedisClient | ClusterClient) {
    this.#client = client;
  }

  /** A request is about to be written. `pending`: how many are in flight, itself among them. */
  add(pending: number): void {
    if (this.#count > 0) {
      this.#count += 1;
      if (this.#count > MOST_GATHERED) this.#flush();
      return;
    }
    // A lone request is not held back. The nodes of a Cluster have a socket each.
    if (pending < 2 || isCluster(this.#client)) return;
    this.#socket = socketOf(this.#client);
    if (this.#socket === undefined) return;
    this.#count = 1;
    this.#socket.cork();
    process.nextTick(() => {
      this.#count = 0;
      this.#socket?.uncork();
    });
  }

  /** Sends what was gathered, and begins anew with the next request. */
  #flush(): void {
    this.#count = 1;
    this.#socket?.uncork();
    this.#socket?.cork();
  }
}
