/** A table's cells, the first line its titles. */
export type Cells = readonly (readonly string[])[]

/** Aligns cells: the first column, and the second of two, to the left, the others to the right. */
export function formatColumns(cells: Cells): string {
  const isText = (column: number): boolean => column === 0 || cells[0]!.length === 2
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)))
  return cells
    .map((line) =>
      line
        .map((cell, column) =>
          isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
