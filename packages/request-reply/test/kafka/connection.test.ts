import assert from 'node:assert/strict'
import { createServer } from 'node:tls'
import { describe, test } from 'node:test'
import { selfSigned } from '../../../../test/support/self-signed.ts'
import type { MilenaError } from '../../src/errors.ts'
import {
  API_VERSIONS,
  ECHO,
  echo,
  echoed,
  offer,
  startScriptedBroker,
  withPool,
  type Call,
} from './scripted-broker.ts'

const bytes = (text: string): Buffer => Buffer.from(text)

describe('a connection to a broker', () => {
  test('gives each request its answer, one request at a time, however the answers are cut', async () => {
    let busy = 0
    let most = 0
    await using broker = await startScriptedBroker((call) => {
      if (call.key !== ECHO) return false
      most = Math.max(most, ++busy)
      setImmediate(() => {
        busy--
        for (const byte of call.frame(echoed(call.body))) call.socket.write(Buffer.of(byte))
      })
      return true
    })
    await withPool(broker, {}, async (pool, address) => {
      const connection = await pool.get(address)
      const large = Buffer.alloc(50_000, 7)
      const asked = [bytes('one'), bytes('two'), large, bytes('')]
      assert.deepEqual(await Promise.all(asked.map((one) => connection.ask(echo, one))), asked)
      assert.equal(most, 1)
    })
  })

  test('never calls back before send returns, even when it has ended', async () => {
    await using broker = await startScriptedBroker()
    await withPool(broker, {}, async (pool, address) => {
      const connection = await pool.get(address)
      let returned = false
      const ended = Promise.withResolvers<Error | null>()
      connection.send(echo, bytes('x'), (error) => {
        assert.equal(returned, true)
        ended.resolve(error)
      })
      connection.cut(new Error('enough'))
      returned = true
      assert.match((await ended.promise)!.message, /enough/)
      returned = false
      const late = Promise.withResolvers<Error | null>()
      connection.send(echo, bytes('x'), (error) => {
        assert.equal(returned, true)
        late.resolve(error)
      })
      returned = true
      assert.match((await late.promise)!.message, /enough/)
    })
  })

  test('that gets an answer which it cannot read, did not ask for, or could not hold, ends', async () => {
    const bad: Readonly<Record<string, (call: Call) => void>> = {
      'Echo cannot be read': (call) => call.answer(Buffer.from([0, 0, 0, 0, 0, 0, 0, 9])),
      'not asked for': ({ socket }) => socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 7, 7])),
      '1213486160 bytes': ({ socket }) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
    }
    for (const [words, misbehave] of Object.entries(bad)) {
      await using broker = await startScriptedBroker((call) => {
        if (call.key === ECHO) misbehave(call)
        return call.key === ECHO
      })
      await withPool(broker, {}, async (pool, address) => {
        const connection = await pool.get(address)
        await assert.rejects(connection.ask(echo, bytes('x')), new RegExp(words))
        assert.equal(connection.open, false)
        assert.equal(pool.peek(address), undefined)
      })
    }
  })

  test('asks each broker that comes back what it speaks: it may be another version of itself', async () => {
    await using broker = await startScriptedBroker((call) => {
      if (call.key !== API_VERSIONS) return false
      call.answer(call.connection === 0 ? offer([ECHO, 0, 0]) : offer([ECHO, 1, 4]))
      return true
    })
    await withPool(broker, {}, async (pool, address) => {
      const before = await pool.get(address)
      assert.equal(before.version(echo), 0)
      before.cut(new Error('it goes away'))
      const after = await pool.get(address)
      assert.throws(
        () => after.version(echo),
        (error: MilenaError) =>
          error.code === 'MILENA_BROKER_ERROR' &&
          /Echo.*versions 0 to 0.*offers 1 to 4/.test(error.message) &&
          error.message.includes(broker.address),
      )
      await assert.rejects(after.ask(echo, bytes('x')), { code: 'MILENA_BROKER_ERROR' })
      assert.equal(after.open, true)
    })
  })

  test('is made once for all who ask at the same time, and again after it broke', async () => {
    await using broker = await startScriptedBroker()
    await withPool(broker, {}, async (pool, address) => {
      const all = await Promise.all(Array.from({ length: 20 }, () => pool.get(address)))
      assert.equal(new Set(all).size, 1)
      assert.equal(broker.connections, 1)
      all[0]!.cut(new Error('it broke'))
      assert.notEqual(await pool.get(address), all[0])
      assert.equal(broker.connections, 2)
    })
  })

  test('waits out the time that the broker wants to be left in peace (KIP-219)', async () => {
    const THROTTLE = 200
    const came: number[] = []
    await using broker = await startScriptedBroker((call) => {
      if (call.key !== ECHO) return false
      came.push(performance.now())
      call.answer(echoed(call.body, came.length === 1 ? THROTTLE : 0))
      return true
    })
    await withPool(broker, {}, async (pool, address) => {
      const connection = await pool.get(address)
      await connection.ask(echo, bytes('a'))
      await Promise.all([connection.ask(echo, bytes('b')), connection.ask(echo, bytes('c'))])
      assert.equal(came.length, 3)
      // Of a timer only that it does not fire early is asserted; by the clock, that is within a millisecond.
      assert.ok(came[1]! - came[0]! >= THROTTLE - 1, `the next request came after ${came[1]! - came[0]!} ms`)
    })
  })

  test('names the host in its TLS handshake, and never an address (RFC 6066)', async () => {
    const named: (string | false | null | undefined)[] = []
    await using broker = await startScriptedBroker(
      () => false,
      (serve) =>
        createServer(selfSigned, (socket) => {
          named.push(socket.servername)
          serve(socket)
        }),
    )
    await withPool(broker, { tls: { ca: selfSigned.cert } }, async (pool, address) => {
      await pool.get(address)
      await pool.get({ ...address, host: 'localhost' })
    })
    assert.deepEqual(named, [false, 'localhost'])
  })

  test('to a broker that refuses is not tried as fast as the callers ask', async () => {
    await using broker = await startScriptedBroker((call) => {
      call.socket.destroy()
      return true
    })
    await withPool(broker, {}, async (pool, address, connections) => {
      const pools = [pool, connections.open(), connections.open()]
      let failures = 0
      const began = performance.now()
      while (broker.connections < 4) {
        for (const one of pools) await assert.rejects(one.get(address)).then(() => failures++)
        await new Promise(setImmediate)
      }
      assert.ok(failures > broker.connections, `${failures} failures, ${broker.connections} attempts`)
      // A lower bound, which a busy machine does not change: pauses of 25, 50 and 100 ms, each up to a quarter shorter.
      const took = performance.now() - began
      assert.ok(took >= 130, `${broker.connections} attempts within ${took} ms`)
    })
  })
})
