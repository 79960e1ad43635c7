/** Rows with aligned columns; numbers stand right. The last column is not padded. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => String(row[column] ?? "").length))
  );
  const line = (cells: readonly (string | number)[]) =>
    cells.map((cell, column) => {
      const width = widths[column] ?? 0;
      if (typeof cell === "number") return String(cell).padStart(width);
      return column === cells.length - 1 ? cell : cell.padEnd(width);
    }).join("  ").trimEnd();
  return [head, ...rows].map((cells) => `${line(cells)}\n`).join("");
}
