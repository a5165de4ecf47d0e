import type { Import } from './imports.ts'

/** Circles of files that import each other, each told once, as the imports that close it. */
export function findCycles(imports: readonly Import[]): Import[][] {
  const edges = Map.groupBy(
    imports.filter((each) => each.target !== undefined),
    (each) => each.from,
  )
  const cycles: Import[][] = []
  const done = new Set<string>()
  const trail: Import[] = []

  // Depth first: an import of a file that is on the trail closes a circle.
  const visit = (file: string): void => {
    if (done.has(file)) return
    for (const edge of edges.get(file) ?? []) {
      const target = edge.target ?? ''
      const start = target === file ? trail.length : trail.findIndex((step) => step.from === target)
      if (start >= 0) cycles.push([...trail.slice(start), edge])
      else {
        trail.push(edge)
        visit(target)
        trail.pop()
      }
    }
    done.add(file)
  }
  for (const file of edges.keys()) visit(file)
  return cycles
}
