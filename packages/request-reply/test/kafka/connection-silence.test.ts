import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, test, type TestContext } from 'node:test'
import { NetworkFailure } from '../../src/transport/kafka/connection/verdicts.ts'
import { API_VERSIONS, ECHO, echo, echoed, offer, startScriptedBroker, withPool } from './scripted-broker.ts'
import { until } from './until.ts'

const SILENCE = 400
const options = { requestTimeout: SILENCE }

/** Lets as many milliseconds pass at once for who looks at `performance.now()`. */
function moveClock(t: TestContext, milliseconds: number): void {
  const now = performance.now.bind(performance)
  t.mock.method(performance, 'now', () => now() + milliseconds)
}

describe('a limit on silence', () => {
  test('ends a connection by which nothing comes, and says what was awaited', async () => {
    await using broker = await startScriptedBroker(({ key }) => key === ECHO)
    await withPool(broker, options, async (pool, address) => {
      const connection = await pool.get(address)
      await assert.rejects(connection.ask(echo, Buffer.from('x')), (error: Error) => {
        assert.ok(error instanceof NetworkFailure && error.silent)
        assert.match(error.message, /not a byte for \d+ ms while an answer to Echo was awaited/)
        return true
      })
      assert.equal(pool.peek(address), undefined)
    })
  })

  test('does not end one whose answer takes longer, but comes', async () => {
    const answer = Buffer.alloc(64, 1)
    await using broker = await startScriptedBroker((call) => {
      if (call.key !== ECHO) return false
      void (async () => {
        const frame = call.frame(echoed(call.body))
        // Eight pieces, each well within the limit, all together far beyond it.
        for (let at = 0; at < frame.length; at += 10) {
          call.socket.write(frame.subarray(at, at + 10))
          await sleep(SILENCE / 3)
        }
      })()
      return true
    })
    await withPool(broker, options, async (pool, address) => {
      const begun = performance.now()
      assert.deepEqual(await (await pool.get(address)).ask(echo, answer), answer)
      assert.ok(performance.now() - begun > 2 * SILENCE)
    })
  })

  test('does not end one whose request a slow line takes in bit by bit', async () => {
    const request = Buffer.alloc(32 * 1024 * 1024, 1)
    const limit = 1_000
    await using broker = await startScriptedBroker((call) => {
      call.answer(offer([ECHO, 0, 0]))
      call.socket.removeAllListeners('data')
      let length = 0
      const begun = performance.now()
      call.socket.on('data', (piece) => {
        // Then quickly: what the operating systems hold of it is none of what is seen going out.
        if (performance.now() - begun < 2.5 * limit) {
          call.socket.pause()
          setTimeout(() => call.socket.resume(), 20)
        }
        length += piece.length
        if (length > request.length)
          call.socket.write(Buffer.from('0000000e0000000100000000000000020707', 'hex'))
      })
      return true
    })
    await withPool(broker, { requestTimeout: limit }, async (pool, address) => {
      const begun = performance.now()
      assert.deepEqual(await (await pool.get(address)).ask(echo, request), Buffer.from([7, 7]))
      assert.ok(performance.now() - begun > 2 * limit, 'the line was too fast to show it')
    })
  })

  test('is not for a process that was held up itself: what lies in the socket is read first', async () => {
    await using broker = await startScriptedBroker()
    await withPool(broker, options, async (pool, address) => {
      const connection = await pool.get(address)
      const answer = connection.ask(echo, Buffer.from('x'))
      // The broker, in this process, answers in the next round of the loop; only then is it held up.
      await new Promise(setImmediate)
      const until = performance.now() + 2 * SILENCE
      while (performance.now() < until);
      assert.deepEqual(await answer, Buffer.from('x'))
    })
  })
})

test('an answer that came just before the limit is read, although the process was held up until it was over', async () => {
  await using broker = await startScriptedBroker((call) => {
    if (call.key !== ECHO) return false
    const over = performance.now() + SILENCE * 1.05
    setTimeout(() => {
      call.answer(echoed(call.body))
      // The answer lies in the socket when the last look is due.
      setImmediate(() => {
        while (performance.now() < over);
      })
    }, SILENCE * 0.85)
    return true
  })
  await withPool(broker, options, async (pool, address) => {
    assert.deepEqual(await (await pool.get(address)).ask(echo, Buffer.from('x')), Buffer.from('x'))
  })
})

describe('a connection that was not used for a while', () => {
  test('and that a firewall has forgotten meanwhile is noticed by a companion of the next request', async (t) => {
    let isForgotten = false
    const companions: number[] = []
    await using broker = await startScriptedBroker((call) => {
      if (isForgotten && call.key === API_VERSIONS) companions.push(call.connection)
      return isForgotten && call.connection < 2
    })
    await withPool(broker, { requestTimeout: 60_000 }, async (pool, address, connections) => {
      const connection = await pool.get(address)
      const other = await connections.open().get(address)
      isForgotten = true
      moveClock(t, 5_000)
      // The limit on silence is a minute: it is the companion's that ends it.
      await assert.rejects(connection.ask(echo, Buffer.from('x')), /not a byte/)
      assert.deepEqual(companions, [0])
      assert.equal(other.open, false, 'the other one was not used for as long')
      assert.deepEqual(await (await pool.get(address)).ask(echo, Buffer.from('x')), Buffer.from('x'))
    })
  })

  test('goes on when the broker answers the companion, however long the request takes', async (t) => {
    await using broker = await startScriptedBroker((call) => {
      if (call.key !== ECHO) return false
      setTimeout(() => call.answer(echoed(call.body)), 1_500)
      return true
    })
    await withPool(broker, { requestTimeout: 60_000 }, async (pool, address) => {
      const connection = await pool.get(address)
      moveClock(t, 5_000)
      assert.deepEqual(await connection.ask(echo, Buffer.from('x')), Buffer.from('x'))
    })
  })

  test('for minutes is not used again', async (t) => {
    await using broker = await startScriptedBroker()
    await withPool(broker, {}, async (pool, address) => {
      const before = await pool.get(address)
      moveClock(t, 5 * 60_000)
      assert.equal(pool.peek(address), undefined)
      assert.notEqual(await pool.get(address), before)
      await until('the old one to be gone', () => !before.open)
      assert.equal(broker.connections, 2)
    })
  })
})
