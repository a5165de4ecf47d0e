import assert from 'node:assert/strict'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { runBlock } from '../src/side/block.ts'
import { Latencies } from '../src/side/latencies.ts'
import type { Asker } from '../src/system.ts'

const close = async (): Promise<void> => {}

test('quantiles are within two thousandths of the values', () => {
  const latencies = new Latencies()
  for (let n = 1; n <= 10_000; n++) latencies.add(n / 10)
  const { count, p50, p90, p99, p999, max } = latencies.quantiles()
  assert.equal(count, 10_000)
  for (const [is, should] of [
    [p50, 500],
    [p90, 900],
    [p99, 990],
    [p999, 999],
    [max, 1_000],
  ] as const) {
    assert.ok(Math.abs(is - should) <= should / 500, `${is} instead of ${should}`)
  }
})

test('a closed loop keeps so many round trips in flight, and no more', async () => {
  let out = 0
  let most = 0
  const asker: Asker = {
    async ask() {
      most = Math.max(most, ++out)
      await nextTurn()
      out--
    },
    close,
  }
  const result = await runBlock(asker, { kind: 'closed', inFlight: 7, milliseconds: 50 })
  assert.equal(most, 7)
  assert.equal(out, 0)
  assert.equal(result.asked, result.answered)
})

test('an open loop charges a stall to every request that was due in it', async () => {
  let asked = 0
  const asker: Asker = {
    async ask() {
      // The first one blocks the process; those due meanwhile are sent late.
      if (asked++ > 0) return
      for (const end = performance.now() + 200; performance.now() < end;);
    },
    close,
  }
  const result = await runBlock(asker, { kind: 'open', rate: 500, milliseconds: 300, seed: 1 })
  assert.equal(result.answered, asked)
  assert.ok(result.latency.max >= 150, `longest ${result.latency.max} ms`)
  assert.ok(result.latency.p50 >= 20, `median ${result.latency.p50} ms`)
  // The thread that paces was not held up.
  assert.equal(result.lag!.count, asked)
  assert.ok(result.lag!.p50 < result.latency.p50, `median of the lag ${result.lag!.p50} ms`)
})

test('failures are told apart: time-outs, rejections, errors', async () => {
  let turn = 0
  const failures = [
    undefined,
    Object.assign(new Error('too late'), { code: 'MILENA_TIMEOUT' }),
    Object.assign(new Error('too much'), { code: 'MILENA_OVERLOADED' }),
    new Error('something else'),
  ]
  const asker: Asker = {
    async ask() {
      const failure = failures[turn++ % failures.length]
      await sleep(1)
      if (failure !== undefined) throw failure
    },
    close,
  }
  const result = await runBlock(asker, { kind: 'closed', inFlight: 4, milliseconds: 30 })
  const { asked, answered, timeouts, rejected, errors } = result
  assert.equal(asked, answered + timeouts + rejected + errors)
  for (const count of [answered, timeouts, rejected, errors]) assert.ok(count > 0)
  assert.match(result.firstError!, /too late|something else/)
  assert.equal(result.rejection!.count, rejected)
})
