/** How a demo gets at one kind of server. */
export interface StoreKind {
  readonly title: string;
  readonly start: () => Promise<{ readonly url: string; stop(): Promise<void> }>;
  readonly connect: (url: string) => {
    /** Rejects when no server answers. */
    ping(): Promise<unknown>;
    removeKeys(run: string): Promise<unknown>;
    close(): void;
  };
}
