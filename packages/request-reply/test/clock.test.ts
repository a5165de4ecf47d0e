import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { systemClock } from '../src/clock.ts'

describe('system clock', () => {
  it('calls once, not at once', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    let calls = 0
    systemClock.schedule(0, () => {
      calls++
      resolve()
    })
    assert.equal(calls, 0)
    await promise
    // Another timer of the same delay fires after every repetition that there could be.
    await new Promise<void>((done) => systemClock.schedule(5, done))
    assert.equal(calls, 1)
  })

  it('does not call what was cancelled, and cancelling twice or late does nothing', async () => {
    let calls = 0
    const cancelled = systemClock.schedule(0, () => calls++)
    cancelled.cancel()
    cancelled.cancel()
    const fired = await new Promise<ReturnType<typeof systemClock.schedule>>((resolve) => {
      const timer = systemClock.schedule(2, () => resolve(timer))
    })
    fired.cancel()
    assert.equal(calls, 0)
  })

  it('measures durations with a time that never goes back', () => {
    let last = systemClock.monotonic()
    for (let i = 0; i < 1000; i++) {
      const now = systemClock.monotonic()
      assert.ok(now >= last)
      last = now
    }
    assert.ok(Math.abs(systemClock.now() - Date.now()) < 1000)
  })

  it('keeps the process alive until the timer fires', async () => {
    const clock = new URL('../src/clock.ts', import.meta.url).href
    const script = `import(${JSON.stringify(clock)}).then(({ systemClock }) => {
      systemClock.schedule(30, () => process.stdout.write('fired'))
      systemClock.schedule(2 ** 30, () => {}).cancel()
    })`
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', script])
    assert.equal(stdout, 'fired')
  })
})
