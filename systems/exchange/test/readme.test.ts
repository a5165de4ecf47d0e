import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

test('the README shows the whole exchange as it is', async () => {
  const [readme, code] = await Promise.all(
    ['../README.md', '../src/exchange/exchange.ts'].map((file) =>
      readFile(new URL(file, import.meta.url), 'utf8'),
    ),
  )
  assert.ok(readme!.includes(`\`\`\`ts\n${code!}\`\`\``), 'copy src/exchange/exchange.ts into the README')
})
