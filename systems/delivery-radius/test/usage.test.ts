/** What a run says that it was bound by. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boundBy, costOf, type Usage } from '../src/run/usage.ts'

const usage: Usage = {
  took: 10_000,
  processors: 4,
  parts: [
    { name: 'database', cpu: 9_600, oneThread: false },
    { name: 'worker-1', cpu: 4_000, oneThread: true },
  ],
  all: 16_000,
}

test('processors that are all busy are the bound, whoever keeps them busy', () => {
  assert.equal(
    boundBy({ ...usage, all: 38_000 }),
    'bound by the processors of this machine: the 4 processors were 95 % busy, 34 % with this run and 61 % with other ' +
      "programs; of this run's time the most was database's (96 % of one processor)",
  )
})

test('a full thread is the bound where processors are left; a database of many processes is none', () => {
  assert.match(boundBy(usage), /^bound by waiting .* not by processors/)
  const parts = [{ name: 'requester-1', cpu: 9_900, oneThread: true }, ...usage.parts]
  assert.match(
    boundBy({ ...usage, parts }),
    /^bound by the one thread of requester-1 \(99 % of a processor\)/,
  )
})

test('nothing is said where nothing is known', () => {
  assert.match(boundBy({ ...usage, all: undefined }), /is not known/)
})

test('what a change costs is the time of all processes together', () => {
  assert.match(costOf(usage, 34_000), /^0\.40 ms of processor time for each change/)
})
