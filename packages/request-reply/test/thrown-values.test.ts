/**
 * Anything can be thrown, and text of somebody else can say anything. So whatever was thrown becomes words, or an error,
 * in `words.ts` alone; this reads the sources and lists every place that does it by itself.
 */
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

const sources = new URL('../src/', import.meta.url)
const thrown = '(?:e|error|cause|reason|failure|failed|problem|thrown|rejected)'

/** What a source must not do, and what is wrong with it. */
const offences: readonly (readonly [pattern: RegExp, why: string])[] = [
  [/\bas (?:Milena|Transport)?Error\b/, 'takes what was thrown for an error'],
  [new RegExp(String.raw`\bString\(${thrown}\)`), 'puts what was thrown into words by itself'],
  [/\$\{(?:e|error|cause|thrown)\}/, 'puts what was thrown into words by itself'],
  [/\binstanceof Error \? \w+(?:\.\w+)?\.message\b/, 'puts what was thrown into words by itself'],
  [/\.catch\(\s*\(\w+: \w*Error\)/, 'takes what was rejected with for an error'],
  [new RegExp(String.raw`^\s*\(${thrown}: \w*Error\) =>`), 'takes what was rejected with for an error'],
]

function offencesIn(file: string, text: string): string[] {
  return text.split('\n').flatMap((line, index) => {
    if (/^\s*(?:\*|\/[/*])/.test(line)) return []
    const found = offences.filter(([pattern]) => pattern.test(line))
    return found.map(([, why]) => `${file}:${index + 1} ${why}: ${line.trim()}`)
  })
}

test('what was thrown becomes words and errors in words.ts alone', async () => {
  const files = globSync('**/*.ts', { cwd: sources }).filter((file) => file !== 'words.ts')
  assert.ok(files.length > 50)
  const texts = await Promise.all(files.map((file) => readFile(new URL(file, sources), 'utf8')))
  const found = texts.flatMap((text, i) => offencesIn(files[i]!, text))
  assert.deepEqual(found, [], `use wordsOf, errorOf, classOf or foreign of words.ts:\n${found.join('\n')}`)
})

test('every way to do it is found', () => {
  for (const line of [
    'const message = (error as Error).message',
    "const ended = (error as MilenaError).code === 'MILENA_CLOSED'",
    'failure = error instanceof Error ? error : new Error(String(error))',
    'const message = `it failed: ${cause}`',
    'return cause instanceof Error ? cause.message : what',
    'work.catch((problem: Error) => warn(problem))',
    '  (error: TransportError) => this.#failed(error),',
  ])
    assert.equal(offencesIn('f', line).length > 0, true, line)
  for (const line of [
    '// (error as Error).message',
    'const message = wordsOf(error)',
    '  onError?(error: Error): void',
    '  readonly warn: (error: Error) => void',
    'if (error instanceof Error) throw error',
  ])
    assert.deepEqual(offencesIn('f', line), [])
})
