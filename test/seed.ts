// Every property that fails prints its seed. With it in LEASEHOLD_SEED a run draws what that run
// drew.
const seed = process.env.LEASEHOLD_SEED;
if (seed) {
  const { default: fc } = await import("fast-check");
  if (!Number.isInteger(Number(seed))) throw new Error(`LEASEHOLD_SEED is "${seed}", and must be an integer`);
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(seed) });
}
