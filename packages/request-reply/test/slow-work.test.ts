/** What is told of requests that run for long. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Job } from '../src/replier/partition-work.ts'
import { SlowWork, type SlowWorkOptions } from '../src/replier/slow-work.ts'

test('a request that was dropped before its turn, since its partition moves, is not said to run', () => {
  const told: string[] = []
  const slowWork = new SlowWork({
    slowAfter: 1_000,
    warnings: { tell: (message: string) => told.push(message) },
    steps: { of: () => ({}) },
  } as unknown as SlowWorkOptions)
  const job = { phase: 'over', beganAt: Number.NaN, told: false, record: { key: null } } as unknown as Job
  slowWork.look(job, 180_000)
  assert.deepEqual(told, [])
})
