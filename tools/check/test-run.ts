import { globSync } from 'node:fs'
import { runTestFile } from './test-file.ts'
import type { TestFileOptions, TestFileResult } from './test-file.ts'
import { indent, seconds } from './print.ts'
import type { Print } from './print.ts'
import type { Tally } from './tally.ts'

export interface TestRunOptions extends TestFileOptions {
  /** Where test files are, relative to the root. */
  patterns: readonly string[]
  /** Only files whose path contains one of these; empty for all. */
  files?: readonly string[] | undefined
  /** How many files run at once. */
  concurrency: number
  /** Parts of the paths of files that take long, the longest first: they begin first, so that none runs on alone. */
  longest?: readonly string[]
  tally: Tally
  print: Print
}

/** The test files that match the patterns and, if `wanted` has any, whose path contains one of these; by name. */
export function findTestFiles(
  root: string,
  patterns: readonly string[],
  wanted: readonly string[] = [],
): string[] {
  const isWanted = (file: string): boolean =>
    wanted.length === 0 || wanted.some((text) => file.includes(text))
  const found = patterns.flatMap((pattern) =>
    globSync(pattern, { cwd: root, exclude: ['**/node_modules/**'] }),
  )
  return [...new Set(found)].filter(isWanted).toSorted()
}

/** Runs the test files of one step and prints a line for each. A step without any says so. */
export async function runTestFiles(options: TestRunOptions): Promise<void> {
  const { root, patterns, files: wanted, concurrency, longest = [], tally, print } = options
  const files = inTurn(findTestFiles(root, patterns, wanted), longest)
  if (files.length === 0) print(`  no test files (${patterns.join(', ')})`)
  const queue = files[Symbol.iterator]()
  const work = async (): Promise<void> => {
    for (const file of queue) printResult(await runTestFile(file, options), tally, print)
  }
  await Promise.all(Array.from({ length: concurrency }, work))
}

function inTurn(files: readonly string[], longest: readonly string[]): readonly string[] {
  const place = (file: string): number => {
    const found = longest.findIndex((part) => file.includes(part))
    return found < 0 ? longest.length : found
  }
  return files.toSorted((a, b) => place(a) - place(b))
}

function printResult(result: TestFileResult, tally: Tally, print: Print): void {
  const { file, passed, failures, skips, output, duration } = result
  const parts = [`${passed} passed`]
  if (failures.length > 0) parts.push(`${failures.length} FAILED`)
  if (skips.length > 0) parts.push(`${skips.length} skipped`)
  if (passed + failures.length + skips.length > 0) {
    print(`  ${failures.length > 0 ? '✗' : '✓'} ${file}: ${parts.join(', ')} (${seconds(duration)})`)
  }
  for (const { name, reason } of skips) print(`    skipped: ${name}: ${reason}`)
  for (const { name, detail } of failures) print(`    ✗ ${name}\n${indent(detail, '      ')}`)
  if (failures.length > 0 && output.trim() !== '')
    print(`    output of the file:\n${indent(output, '      ')}`)
  tally.pass(passed)
  for (const { name } of failures) tally.fail(`${file}: ${name}`)
  for (const _ of skips) tally.skip()
}
