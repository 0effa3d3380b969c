import { styleText } from "node:util";

/** One line of the table at the end. */
export interface Row {
  readonly what: string;
  readonly found: string;
  /** Undefined: a figure, not a promise. */
  readonly ok?: boolean;
}

/** Prints the table, and answers whether every promise in it was kept. */
export function printSummary(rows: readonly Row[]): boolean {
  const ok = rows.every((row) => row.ok !== false);
  console.log(`\n${rows.map(tableLine).join("\n")}\n`);
  console.log(
    ok ? styleText("green", "Everything held.") : styleText("red", "NOT everything held: see the table."),
  );
  return ok;
}

function tableLine({ what, found, ok }: Row): string {
  const mark = ok === undefined ? " " : ok ? styleText("green", "✓") : styleText("red", "✗");
  return `  ${mark} ${what.padEnd(28)} ${found}`;
}
