import assert from 'node:assert/strict'
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { describe, test } from 'node:test'
import { queryObjects } from 'node:v8'
import { Refusal } from '../../src/transport/kafka/connection/verdicts.ts'
import { Scram } from '../../src/transport/kafka/connection/scram.ts'
import {
  AUTHENTICATE,
  ECHO,
  echo,
  HANDSHAKE,
  startScriptedBroker,
  withPool,
  type Call,
} from './scripted-broker.ts'
import type { StubBroker } from './stub-brokers.ts'

/** What a broker says to one message of a login. */
interface Said {
  readonly code?: number
  readonly message?: string
  readonly bytes?: string
  /** Milliseconds. */
  readonly lifetime?: number
}

/** A broker that takes every mechanism and answers the messages of a login so. */
function startLoginBroker(answer: (message: Buffer, call: Call) => Said): Promise<StubBroker> {
  return startScriptedBroker((call) => {
    if (call.key === HANDSHAKE) call.answer(Buffer.from([0, 0, 0, 0, 0, 0]))
    else if (call.key === AUTHENTICATE) {
      const { code = 0, message = '', bytes = '', lifetime = 0 } = answer(call.body.subarray(4), call)
      const body = Buffer.alloc(16 + message.length + bytes.length)
      let at = body.writeInt16BE(code)
      at = body.writeInt16BE(message.length, at)
      at += body.write(message, at)
      at = body.writeInt32BE(bytes.length, at)
      at += body.write(bytes, at)
      body.writeBigInt64BE(BigInt(lifetime), at)
      call.answer(body)
    } else return false
    return true
  })
}

function mac(key: Buffer, of: string): Buffer {
  return createHmac('sha512', key).update(of).digest()
}

/** A broker that takes these tokens; it refuses others as Kafka does, in two steps. */
function startTokenBroker(good: (token: string) => boolean): Promise<StubBroker> {
  return startLoginBroker((message) => {
    if (message.equals(Buffer.of(1))) return { code: 58, message: 'invalid credentials' }
    const [gs2, auth] = message.toString().split('\x01') as [string, string]
    assert.equal(gs2, 'n,,')
    return good(auth.replace('auth=Bearer ', '')) ? {} : { bytes: '{"status":"invalid_token"}' }
  })
}

/** The claims of a token that ends in so many seconds. */
function claims(seconds: number): string {
  const exp = Math.floor(Date.now() / 1_000) + seconds
  return Buffer.from(JSON.stringify({ exp })).toString('base64url')
}

describe('PLAIN', () => {
  test('tells name and password, which may be functions', async () => {
    const told: string[] = []
    await using broker = await startLoginBroker((message) => {
      told.push(message.toString())
      return {}
    })
    const sasl = { mechanism: 'PLAIN', username: () => 'ü', password: async () => 'p' } as const
    await withPool(broker, { sasl }, async (pool, address) => void (await pool.get(address)))
    assert.deepEqual(told, ['\0ü\0p'])
  })
})

describe('SCRAM', () => {
  // The example of RFC 7677.
  const nonce = 'rOprNGfwEbeRWgbNEkqO'
  const serverFirst = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'
  const begin = (): Scram => new Scram('sha256', 'user', 'pencil', nonce)

  test('says what RFC 7677 has as its example, and takes its answer', async () => {
    const scram = begin()
    assert.equal(scram.first().toString(), 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO')
    assert.equal(
      (await scram.final(Buffer.from(serverFirst))).toString(),
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    )
    scram.verify(Buffer.from('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='))
  })

  test('takes no broker for the one that it trusts which does not know the password', async () => {
    for (const final of ['v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=', 'v=', '', 'e=other-error']) {
      const scram = begin()
      await scram.final(Buffer.from(serverFirst))
      assert.throws(() => scram.verify(Buffer.from(final)), Refusal)
    }
    assert.throws(() => begin().verify(Buffer.from('v=')), Refusal)
  })

  test('accepts a sound first message only', async () => {
    const messages = {
      'another nonce': serverFirst.replace('r=rO', 'r=Ro'),
      'our nonce alone': serverFirst.replace('%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0', ''),
      'no salt': serverFirst.replace('s=W22ZaJ0SNY7soEsUEjb6gQ==', 's='),
      'too few iterations': serverFirst.replace('i=4096', 'i=4095'),
      'too many iterations': serverFirst.replace('i=4096', 'i=2000000000'),
      'no number of iterations': serverFirst.replace('i=4096', 'i=x'),
    }
    for (const [what, message] of Object.entries(messages)) {
      await assert.rejects(begin().final(Buffer.from(message)), Refusal, what)
    }
  })

  test('with SHA-512 logs in to a broker that checks the proof, and shows that it knows the password', async () => {
    let first = ''
    await using broker = await startLoginBroker((message) => {
      const text = message.toString()
      if (text.startsWith('n,,')) {
        first = text.slice(3)
        return { bytes: `${first.slice(first.indexOf('r='))}more,s=c2FsdA==,i=4096` }
      }
      const [withoutProof, proof] = text.split(',p=') as [string, string]
      const salted = pbkdf2Sync('secret', 'salt', 4096, 64, 'sha512')
      const clientKey = mac(salted, 'Client Key')
      const whole = `${first},${first.slice(first.indexOf('r='))}more,s=c2FsdA==,i=4096,${withoutProof}`
      const expected = mac(createHash('sha512').update(clientKey).digest(), whole)
      for (let i = 0; i < expected.length; i++) expected[i]! ^= clientKey[i]!
      if (expected.toString('base64') !== proof) return { code: 58, message: 'wrong proof' }
      return { bytes: `v=${mac(mac(salted, 'Server Key'), whole).toString('base64')}` }
    })
    const sasl = { mechanism: 'SCRAM-SHA-512', username: 'a=b,c', password: 'secret' } as const
    await withPool(broker, { sasl }, async (pool, address) => void (await pool.get(address)))
    assert.match(first, /^n=a=3Db=2Cc,r=/)
    await withPool(broker, { sasl: { ...sasl, password: 'wrong' } }, async (pool, address) => {
      await assert.rejects(pool.get(address), /SASL authentication failed: wrong proof/)
    })
  })
})

describe('a login that the broker lets last for so long', () => {
  test('is renewed before the next request, and what waits goes on (KIP-368)', async () => {
    const said: string[] = []
    await using broker = await startScriptedBroker((call) => {
      if (call.key === HANDSHAKE) call.answer(Buffer.from([0, 0, 0, 0, 0, 0]))
      else if (call.key === AUTHENTICATE) {
        said.push('login')
        const body = Buffer.alloc(16)
        body.writeBigInt64BE(100n, 8)
        call.answer(body)
      } else if (call.key === ECHO) {
        said.push('request')
        return false
      } else return false
      return true
    })
    const sasl = { mechanism: 'PLAIN', username: 'u', password: 'p' } as const
    await withPool(broker, { sasl }, async (pool, address) => {
      const connection = await pool.get(address)
      while (said.filter((one) => one === 'login').length < 3) await connection.ask(echo, Buffer.from('x'))
      assert.equal(broker.connections, 1)
      assert.equal(said[0], 'login')
    })
  })
})

test('a renewed login leaves nothing behind, however often that is', async () => {
  let logins = 0
  await using broker = await startLoginBroker(() => {
    logins++
    return { lifetime: 1 }
  })
  const sasl = { mechanism: 'PLAIN', username: 'u', password: 'p' } as const
  await withPool(broker, { sasl }, async (pool, address) => {
    const connection = await pool.get(address)
    const renew = async (times: number): Promise<number> => {
      for (let n = 0; n < times;) {
        const before = logins
        await connection.ask(echo, Buffer.from('x'))
        n += logins - before
      }
      return queryObjects(Promise, { format: 'count' })
    }
    const before = await renew(10)
    assert.ok((await renew(200)) - before < 100, 'promises of former logins are kept')
  })
})

test('a login that is not renewed in time ends the connection, and what waited with it', async () => {
  let isDown = false
  const secret = (): string | Promise<string> => (isDown ? new Promise<string>(() => undefined) : 'u')
  await using broker = await startLoginBroker(() => ({ lifetime: 50 }))
  const sasl = { mechanism: 'PLAIN', username: secret, password: 'p' } as const
  await withPool(broker, { sasl, connectTimeout: 300 }, async (pool, address) => {
    const connection = await pool.get(address)
    isDown = true
    const asking = async (): Promise<never> => {
      for (;;) await connection.ask(echo, Buffer.from('x'))
    }
    await assert.rejects(asking(), { name: 'NetworkFailure', message: /not renewed within 300 ms/ })
    isDown = false
    assert.deepEqual(await (await pool.get(address)).ask(echo, Buffer.from('x')), Buffer.from('x'))
  })
})

describe('OAUTHBEARER', () => {
  test('asks for a token once for all connections, until most of its time is over', async () => {
    await using broker = await startTokenBroker(() => true)
    let asked = 0
    let life = 3_600
    const token = (): string => `.${claims(life)}.${++asked}`
    await withPool(
      broker,
      { sasl: { mechanism: 'OAUTHBEARER', token } },
      async (pool, address, connections) => {
        await Promise.all([pool.get(address), connections.open().get(address)])
        await connections.open().get(address)
        assert.equal(asked, 1)
      },
    )
    life = 0
    await withPool(
      broker,
      { sasl: { mechanism: 'OAUTHBEARER', token } },
      async (pool, address, connections) => {
        await pool.get(address)
        await connections.open().get(address)
        assert.equal(asked, 3)
      },
    )
  })

  test('tries a new token at once when a broker refuses one that others have used', async () => {
    let good = 'first'
    await using broker = await startTokenBroker((token) => token === good)
    await withPool(
      broker,
      { sasl: { mechanism: 'OAUTHBEARER', token: () => good } },
      async (pool, address, connections) => {
        await pool.get(address)
        good = 'second'
        assert.equal((await connections.open().get(address)).open, true)
      },
    )
  })

  test('that is refused although it was just got is final; one that has ended is not', async () => {
    await using broker = await startTokenBroker(() => false)
    let token = 'opaque'
    const sasl = { mechanism: 'OAUTHBEARER', token: () => token } as const
    await withPool(broker, { sasl }, async (pool, address) => {
      await assert.rejects(pool.get(address), { code: 'MILENA_AUTHENTICATION_FAILED' })
    })
    token = `.${claims(-30)}.`
    await withPool(broker, { sasl }, async (pool, address) => {
      await assert.rejects(pool.get(address), {
        name: 'NetworkFailure',
        message: /sasl\.token gave ended at 2/,
      })
    })
    await withPool(broker, { sasl: { mechanism: 'OAUTHBEARER', token } }, async (pool, address) => {
      await assert.rejects(pool.get(address), { code: 'MILENA_AUTHENTICATION_FAILED' })
    })
  })

  test('is not had while its service is down, and not waited for longer than a connection', async () => {
    await using broker = await startTokenBroker((token) => token === 'good')
    const answers: (() => string | Promise<string>)[] = [
      () => {
        throw new Error('503 from the token service')
      },
      () => new Promise<string>(() => undefined),
      () => 'good',
    ]
    const sasl = { mechanism: 'OAUTHBEARER', token: () => answers.shift()!() } as const
    await withPool(broker, { sasl, connectTimeout: 300 }, async (pool, address, connections) => {
      await assert.rejects(pool.get(address), {
        name: 'NetworkFailure',
        message: /503 from the token service/,
      })
      const patient = async (): Promise<unknown> => {
        while (answers.length > 1)
          await connections
            .open()
            .get(address)
            .catch(() => new Promise(setImmediate))
        return connections.open().get(address)
      }
      await patient().catch((error: Error) => assert.match(error.message, /no connection within 300 ms/))
      while (answers.length > 0) await pool.get(address).catch(() => new Promise(setImmediate))
      assert.equal((await pool.get(address)).open, true)
    })
  })
})
