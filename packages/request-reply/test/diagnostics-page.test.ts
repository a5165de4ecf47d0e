import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import * as diagnostics from '../src/diagnostics.ts'

const page = await readFile(new URL('../../../docs/diagnostics.md', import.meta.url), 'utf8')
const listed = [...page.matchAll(/^\| `(milena:[a-z:-]+)` \|/gm)].map(([, name]) => name!)

test('docs/diagnostics.md lists every channel, and none that there is not', () => {
  const tracing = ['milena:request', 'milena:send', 'milena:handling']
  assert.deepEqual(listed.toSorted(), [...diagnostics.channelNames, ...tracing].toSorted())
})

test('channelNames has every channel', () => {
  const channels = Object.values(diagnostics).filter(
    (exported) => typeof exported === 'object' && 'publish' in exported,
  )
  assert.deepEqual(channels.map(({ name }) => name).toSorted(), diagnostics.channelNames.toSorted())
})

test('the tracing channels have the names that the page gives', () => {
  assert.equal(diagnostics.requestTracing.start.name, 'tracing:milena:request:start')
  assert.equal(diagnostics.sendTracing.start.name, 'tracing:milena:send:start')
  assert.equal(diagnostics.handlingTracing.start.name, 'tracing:milena:handling:start')
})
