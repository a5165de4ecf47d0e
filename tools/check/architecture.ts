import { findCycles } from './import-cycles.ts'
import { importRules } from './import-rules.ts'
import { readAllImports } from './imports.ts'

const sources = [
  'packages/*/{src,test}/**/*.ts',
  'systems/*/{src,test}/**/*.ts',
  'bench/{src,test}/**/*.ts',
  'examples/**/*.ts',
  'tools/**/*.ts',
  'interop/src/**/*.ts',
  'test/**/*.ts',
]

export interface ArchitectureReport {
  /** Number of files that were read. */
  files: number
  /** `file:line: what is wrong: what to do`, one for each violation. */
  violations: string[]
}

/** Holds the direction of imports that design.md gives, for the checkout at `root`. */
export function checkArchitecture(root: string): ArchitectureReport {
  const { files, imports } = readAllImports(root, sources)
  const broken = imports.flatMap((imported) =>
    importRules.flatMap((rule) => {
      const wrong = rule(imported)
      return wrong === undefined ? [] : [`${imported.from}:${imported.line}: ${wrong}`]
    }),
  )
  const circles = findCycles(imports).map((cycle) => {
    const [first] = cycle
    const way = [...cycle.map((edge) => edge.from), first?.from].join(' → ')
    return `${first?.from}:${first?.line}: files import each other in a circle (${way}): move what is shared into a file of its own`
  })
  return { files: files.length, violations: [...broken, ...circles] }
}
