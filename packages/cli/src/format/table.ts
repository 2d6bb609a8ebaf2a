/** Go's tabwriter as docker sets it: cells at least ten wide, three spaces between, the last cell of a line as it is. */
export function layout(
  rows: readonly (readonly string[])[],
  options: { minWidth?: number; padding?: number } = {},
): string {
  const { minWidth = 10, padding = 3 } = options;
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.slice(0, -1).entries())
      widths[column] = Math.max(widths[column] ?? 0, Math.max(minWidth, [...cell].length + padding));
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === row.length - 1 ? cell : cell + ' '.repeat((widths[column] ?? 0) - [...cell].length),
        )
        .join(''),
    )
    .map((line) => `${line}\n`)
    .join('');
}
