/** docs/first-service.md shows parts of an example that runs; it must be those parts. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

test('the code of docs/first-service.md is that of examples/http-service.ts, which another test runs', () => {
  const page = readFileSync(`${root}/docs/first-service.md`, 'utf8')
  const example = readFileSync(`${root}/examples/http-service.ts`, 'utf8')
  const blocks = [...page.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code!)
  assert.ok(blocks.length >= 5, 'the page has lost its code')
  for (const block of blocks) assert.ok(example.includes(block), `not in examples/http-service.ts:\n${block}`)
})
