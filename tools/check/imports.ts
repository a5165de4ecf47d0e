import { globSync, readFileSync } from 'node:fs'
import { join, posix, sep } from 'node:path'

/** One import, export-from, `import()` or `require()` of a source file; type-only ones count like all others. */
export interface Import {
  /** The importing file, relative to the root, with forward slashes. */
  from: string
  line: number
  /** What is written between the quotes. */
  specifier: string
  /** The imported file, relative to the root, when the specifier is a relative path. */
  target: string | undefined
}

// The sources are formatted, so statements begin a line; that is what keeps text in comments and strings out.
const statements = [
  /^[ \t]*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/gm,
  /^[ \t]*import\s*['"]([^'"]+)['"]/gm,
  /^(?![ \t]*(?:\*|\/\/)).*?\b(?:import|require)\(\s*['"]([^'"]+)['"]/gm,
]

/** Every import of one file's text. */
export function readImports(from: string, text: string): Import[] {
  const found = new Map<number, Import>()
  for (const pattern of statements) {
    for (const match of text.matchAll(pattern)) {
      const specifier = match[1] ?? ''
      const at = match.index + match[0].lastIndexOf(specifier)
      const target = specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : undefined
      found.set(at, { from, line: text.slice(0, at).split('\n').length, specifier, target })
    }
  }
  return [...found.values()].toSorted((a, b) => a.line - b.line)
}

/** Every import of the files that match the patterns. */
export function readAllImports(
  root: string,
  patterns: readonly string[],
): { files: string[]; imports: Import[] } {
  const files = patterns
    .flatMap((pattern) => globSync(pattern, { cwd: root, exclude: ['**/node_modules/**', '**/dist/**'] }))
    .map((file) => file.replaceAll(sep, '/'))
    .toSorted()
  return {
    files,
    imports: files.flatMap((file) => readImports(file, readFileSync(join(root, file), 'utf8'))),
  }
}
