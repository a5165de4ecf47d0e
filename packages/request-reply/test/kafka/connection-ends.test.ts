/** Why a connection ended: what is final, and what is the network's. */
import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { selfSigned } from '../../../../test/support/self-signed.ts'
import type { MilenaError } from '../../src/errors.ts'
import { NetworkFailure } from '../../src/transport/kafka/connection/verdicts.ts'
import type { KafkaOptions } from '../../src/transport/kafka/options.ts'
import {
  API_VERSIONS,
  AUTHENTICATE,
  ECHO,
  echo,
  HANDSHAKE,
  startScriptedBroker,
  withPool,
} from './scripted-broker.ts'
import { listen, startSelfSignedBroker, type StubBroker } from './stub-brokers.ts'
import { until } from './until.ts'

const sasl = { mechanism: 'PLAIN', username: 'u', password: 'p' } as const
const tls = { ca: selfSigned.cert }

async function failure(broker: StubBroker, options: Partial<KafkaOptions>): Promise<unknown> {
  let failed: unknown
  await withPool(broker, options, async (pool, address) => {
    await pool.get(address).then(
      () => assert.fail('it connected'),
      (error: unknown) => (failed = error),
    )
  })
  return failed
}

function assertFinal(error: unknown, words: RegExp): void {
  const { code, retryable, message } = error as MilenaError
  assert.deepEqual([code, retryable], ['MILENA_AUTHENTICATION_FAILED', false], message)
  assert.match(message, words)
  assert.match(message, /^broker 127\.0\.0\.1:\d+: /)
}

function assertNetwork(error: unknown, words: RegExp): void {
  assert.ok(error instanceof NetworkFailure, String(error))
  assert.match(error.message, words)
}

/** An answer that begins with an error code. */
function refused(code: number, more: readonly number[]): Buffer {
  return Buffer.from([0, code, ...more])
}

function text(words: string): number[] {
  return [0, words.length, ...Buffer.from(words)]
}

function down(): never {
  throw new Error('503 from the vault')
}

describe('final is', () => {
  test('SASL_AUTHENTICATION_FAILED, with the broker’s words', async () => {
    await using broker = await startScriptedBroker((call) => {
      if (call.key === HANDSHAKE) call.answer(Buffer.from([0, 0, 0, 0, 0, 1, ...text('PLAIN')]))
      if (call.key === AUTHENTICATE) {
        call.answer(refused(58, [...text('no such user'), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
      }
      return call.key !== API_VERSIONS
    })
    assertFinal(await failure(broker, { sasl }), /SASL authentication failed: no such user/)
  })

  test('a mechanism that the broker does not take, naming those that it does', async () => {
    await using broker = await startScriptedBroker((call) => {
      if (call.key === HANDSHAKE) call.answer(refused(33, [0, 0, 0, 1, ...text('GSSAPI')]))
      return call.key !== API_VERSIONS
    })
    assertFinal(await failure(broker, { sasl }), /PLAIN is not taken, but GSSAPI/)
  })

  test('ILLEGAL_SASL_STATE: nobody is logged in there', async () => {
    await using broker = await startScriptedBroker((call) => {
      if (call.key === HANDSHAKE) call.answer(refused(34, [0, 0, 0, 0]))
      return call.key !== API_VERSIONS
    })
    assertFinal(await failure(broker, { sasl }), /ILLEGAL_SASL_STATE/)
  })

  test('a certificate that is not trusted', async () => {
    await using broker = await startSelfSignedBroker()
    assertFinal(await failure(broker, { tls: true }), /certificate is not trusted: self-signed certificate/)
  })

  test('a certificate for another host', async () => {
    await using broker = await startSelfSignedBroker()
    const named = { ...tls, servername: 'kafka.example' }
    assertFinal(await failure(broker, { tls: named }), /certificate is not trusted: .*kafka\.example/)
  })

  test('no certificate of ours where the broker wants one', async () => {
    const wanting = { ...selfSigned, ca: selfSigned.cert, requestCert: true, rejectUnauthorized: true }
    await using broker = await startScriptedBroker(
      () => false,
      (serve) => createTlsServer(wanting, serve),
    )
    assertFinal(await failure(broker, { tls }), /does not take our certificate/)
  })

  test('a certificate of ours that cannot be read', async () => {
    await using broker = await startSelfSignedBroker()
    assertFinal(await failure(broker, { tls: { ...tls, cert: 'no PEM', key: selfSigned.key } }), /tls option/)
  })

  test('TLS from a broker to which we speak plaintext', async () => {
    // The alert of a broker that takes our request for the beginning of a handshake.
    await using broker = await listen(
      createServer((socket) => socket.once('data', () => socket.end(Buffer.from('15030300020250', 'hex')))),
    )
    assertFinal(await failure(broker, {}), /speaks TLS there/)
  })

  for (const [what, answer] of [
    ['an HTTP server', 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'],
    ['a broker without TLS', Buffer.from([0, 0, 0, 10, 0, 0, 0, 0, 0, 35, 0, 0, 0, 0])],
  ] as const) {
    test(`plaintext, which ${what} answers to our TLS`, async () => {
      await using broker = await listen(
        createServer((socket) => socket.once('data', () => socket.write(answer))),
      )
      assertFinal(await failure(broker, { tls }), /does not speak TLS there/)
    })
  }
})

describe('the network’s is', () => {
  /** A broker whose connections are closed, reset or left alone at one step; until then it answers. */
  const endings: Readonly<Record<string, (socket: Socket) => void>> = {
    closes: (socket) => socket.end(),
    resets: (socket) => socket.resetAndDestroy(),
    hangs: () => undefined,
  }
  const quick = { connectTimeout: 300, requestTimeout: 300 }
  for (const [how, end] of Object.entries(endings)) {
    test(`a broker that ${how} when it is connected to, over TLS or not`, async () => {
      await using broker = await listen(createServer((socket) => end(socket.on('error', () => undefined))))
      assertNetwork(await failure(broker, quick), /while (connecting|asking)/)
      assertNetwork(await failure(broker, { ...quick, tls }), /while (connecting|agreeing on TLS)/)
    })

    test(`a broker that ${how} in the middle of the TLS handshake`, async () => {
      await using broker = await listen(
        createServer((socket) => {
          socket.on('error', () => undefined)
          // The beginning of a ServerHello.
          socket.once('data', () =>
            socket.write(Buffer.from('160303007a0200007603', 'hex'), () => end(socket)),
          )
        }),
      )
      assertNetwork(await failure(broker, { ...quick, tls }), /while agreeing on TLS/)
    })

    for (const [key, stage] of [
      [API_VERSIONS, 'asking what it speaks'],
      [HANDSHAKE, 'logging in'],
      [AUTHENTICATE, 'logging in'],
    ] as const) {
      test(`a broker that ${how} when it is asked API ${key}`, async () => {
        await using broker = await startScriptedBroker((call) => {
          if (call.key === key) end(call.socket)
          else if (call.key === HANDSHAKE) call.answer(Buffer.from([0, 0, 0, 0, 0, 0]))
          else return false
          return true
        })
        assertNetwork(await failure(broker, { ...quick, sasl }), new RegExp(`while ${stage}`))
      })
    }
  }

  test('a secret that cannot be had now', async () => {
    await using broker = await startScriptedBroker((call) => {
      if (call.key === HANDSHAKE) call.answer(Buffer.from([0, 0, 0, 0, 0, 0]))
      return call.key === HANDSHAKE
    })
    assertNetwork(
      await failure(broker, { sasl: { ...sasl, password: down } }),
      /sasl\.password failed with: 503 from the vault/,
    )
  })

  test('the end of a connection in use', async () => {
    await using broker = await startScriptedBroker((call) => {
      if (call.key === ECHO) call.socket.end()
      return call.key === ECHO
    })
    await withPool(broker, {}, async (pool, address) => {
      const connection = await pool.get(address)
      await assert.rejects(connection.ask(echo, Buffer.from('x')), /closed by the other side, while in use/)
    })
  })
})

test('a connection that is not made in time leaves nothing behind', async () => {
  let open = 0
  await using broker = await listen(
    createServer((socket) => {
      open++
      socket.resume().on('close', () => open--)
    }),
  )
  await withPool(broker, { connectTimeout: 50 }, async (pool, address) => {
    while (broker.connections < 3) {
      await assert.rejects(pool.get(address), /no connection within 50 ms/)
      await setImmediate()
    }
    await until('the broker to see the end of every connection', () => open === 0)
  })
})
