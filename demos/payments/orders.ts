/** What one customer wants to pay, once. */
export interface Order {
  readonly name: string;
  readonly tenant: string;
  /** In cents. */
  readonly amount: number;
  /** The customer's own, for all its tries. */
  readonly key: string;
}

export function makeOrders(count: number): Order[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `order-${index + 1}`,
    tenant: index % 2 === 0 ? "acme" : "globex",
    amount: 1_000 * (index + 1),
    // Two tenants with the same key: they must never meet.
    key: `payment-${Math.floor(index / 2) + 1}`,
  }));
}

export function inEuros(cents: number): string {
  return `${(cents / 100).toFixed(2)} €`;
}
