/** Logins, TLS and rights on an Apache Kafka that requires them. */
import assert from 'node:assert/strict'
import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { after, before, test } from 'node:test'
import {
  AclOperations,
  AclPermissionTypes,
  Admin,
  ConnectionPool,
  ResourcePatternTypes,
  ResourceTypes,
  alterUserScramCredentialsV0,
} from '@platformatic/kafka'
import type { MilenaError } from '../../packages/request-reply/src/errors.ts'
import { openKafka } from '../../packages/request-reply/src/transport/kafka/open-kafka.ts'
import { selfSigned } from '../support/self-signed.ts'
import { uniqueName } from '../support/cluster.ts'
import { waitFor } from '../support/wait-for.ts'
import { startSecuredBroker, type SecuredBroker } from './secured-broker.ts'

const loginModules = 'org.apache.kafka.common.security'
let broker: SecuredBroker
let secure: string

before(async () => {
  broker = await startSecuredBroker({
    protocol: 'SASL_SSL',
    users: { milena: 'secret' },
    allowUnlessDenied: true,
    configs: {
      'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
      'listener.name.secured.scram-sha-256.sasl.jaas.config': `${loginModules}.scram.ScramLoginModule required;`,
      'listener.name.secured.scram-sha-512.sasl.jaas.config': `${loginModules}.scram.ScramLoginModule required;`,
      'listener.name.secured.oauthbearer.sasl.jaas.config': `${loginModules}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
      'listener.name.secured.oauthbearer.sasl.server.callback.handler.class': `${loginModules}.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler`,
      // Sessions end with their tokens.
      'listener.name.secured.oauthbearer.connections.max.reauth.ms': '3600000',
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.key': selfSigned.key.replaceAll('\n', '\\n'),
      'ssl.keystore.certificate.chain': selfSigned.cert.replaceAll('\n', '\\n'),
    },
  })
  secure = broker.secured
})
after(() => broker?.close())

/** Kafka's numbers of the mechanisms (KIP-554), and what is needed to derive a key. */
const scram = {
  'SCRAM-SHA-256': { number: 1, length: 32, hash: 'sha256' },
  'SCRAM-SHA-512': { number: 2, length: 64, hash: 'sha512' },
} as const
const tls = { ca: selfSigned.cert }

async function sendsAndReads(
  mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512',
  password: string,
): Promise<void> {
  const sasl = { mechanism, username: 'milena', password }
  // A broker's first TLS handshake loads what it needs, on a busy machine for seconds.
  const transport = await openKafka({ brokers: [secure], tls, sasl, connectTimeout: 30_000 })
  try {
    const topic = uniqueName('secure')
    await transport.createTopics([{ name: topic, partitions: 1 }])
    const read = new Promise<string>((resolve, reject) => {
      void transport
        .tail({
          topic,
          partitions: 'all',
          from: 'earliest',
          onRecords: ([record]) => resolve(String(record!.value)),
        })
        .catch(reject)
    })
    await transport.send({ topic, key: null, value: Buffer.from('kept'), headers: [] })
    assert.equal(await read, 'kept')
    await transport.deleteTopics([topic])
  } finally {
    await transport.close()
  }
}

test('with the right password and authority, over PLAIN: sends and reads', () =>
  sendsAndReads('PLAIN', 'secret'))

for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const) {
  test(`with the right password and authority, over ${mechanism}: sends and reads`, async () => {
    const salt = randomBytes(16)
    const iterations = 4_096
    const { number, length, hash } = scram[mechanism]
    const saltedPassword = pbkdf2Sync('secret', salt, iterations, length, hash)
    const user = { name: 'milena', mechanism: number, iterations, salt, saltedPassword }
    const pool = new ConnectionPool('scram')
    try {
      const connection = await pool.get({ host: '127.0.0.1', port: broker.node.port })
      await alterUserScramCredentialsV0.api.async(connection, [], [user])
    } finally {
      await pool.close()
    }
    // The broker takes a new user in a moment after it has confirmed it.
    const sasl = { mechanism, username: 'milena', password: 'secret' } as const
    const opened = await waitFor(() => openKafka({ brokers: [secure], tls, sasl }), {
      what: 'the user to be known',
    })
    await opened.close()
    await sendsAndReads(mechanism, 'secret')
  })
}

/** An unsecured token (RFC 7515, appendix A.5), which the broker here accepts until it ends. */
function unsecuredToken(seconds: number): string {
  const now = Math.floor(Date.now() / 1_000)
  return `${base64url({ alg: 'none' })}.${base64url({ sub: 'milena', iat: now - 60, exp: now + seconds })}.`
}

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function openWithToken(token: () => string): ReturnType<typeof openKafka> {
  return openKafka({ brokers: [secure], tls, sasl: { mechanism: 'OAUTHBEARER', token } })
}

test('over OAUTHBEARER: sends, with one token after the other, on the connections that it has', async () => {
  const tokens: string[] = []
  let sockets = 0
  const count = (): void => void sockets++
  subscribe('net.client.socket', count)
  const transport = await openWithToken(() => {
    tokens.push(unsecuredToken(4))
    return tokens.at(-1)!
  })
  try {
    const topic = uniqueName('bearer')
    await transport.createTopics([{ name: topic, partitions: 1 }])
    const send = (): Promise<unknown> =>
      transport.send({ topic, key: null, value: Buffer.from('x'), headers: [] })
    await send()
    const [had, made] = [tokens.length, sockets]
    while (tokens.length < had + 3) await send()
    // Without a renewal each token is a new connection's; on a busy machine one of them may come too late.
    assert.ok(sockets - made < tokens.length - had, `${sockets - made} new connections`)
    await transport.deleteTopics([topic])
  } finally {
    unsubscribe('net.client.socket', count)
    await transport.close()
  }
})

test('an OAUTHBEARER token that has ended is worth another try, one that is none is not', async () => {
  await assert.rejects(
    openWithToken(() => unsecuredToken(-30)),
    { code: 'MILENA_BROKER_UNREACHABLE', message: /sasl\.token gave ended at/ },
  )
  await assert.rejects(
    openWithToken(() => 'nonsense'),
    { code: 'MILENA_AUTHENTICATION_FAILED', retryable: false },
  )
})

for (const mechanism of ['PLAIN', 'SCRAM-SHA-512'] as const) {
  test(`a wrong password over ${mechanism} fails at once and says so (trap N8)`, async () => {
    const sasl = { mechanism, username: 'milena', password: 'wrong' }
    await assert.rejects(openKafka({ brokers: [secure], tls, sasl }), (error: MilenaError) => {
      assert.equal(error.code, 'MILENA_AUTHENTICATION_FAILED')
      assert.doesNotMatch(JSON.stringify(error), /wrong"/)
      return true
    })
  })
}

test('a certificate that is not trusted fails at once and says so (trap N8)', async () => {
  const sasl = { mechanism: 'PLAIN', username: 'milena', password: 'secret' } as const
  await assert.rejects(openKafka({ brokers: [secure], tls: true, sasl }), (error: MilenaError) => {
    assert.equal(error.code, 'MILENA_AUTHENTICATION_FAILED')
    assert.match(error.message, /self-signed certificate/)
    return true
  })
})

test('no TLS where the broker wants it fails at once and says so', async () => {
  await assert.rejects(openKafka({ brokers: [secure] }), {
    code: 'MILENA_AUTHENTICATION_FAILED',
    message: /speaks TLS there.*\btls\b/,
  })
})

test('a topic that this user may not write, or not even see, is an error that says so; other topics go on', async () => {
  const admin = new Admin({ clientId: 'acl', bootstrapBrokers: [broker.node.address] })
  const sasl = { mechanism: 'PLAIN', username: 'milena', password: 'secret' } as const
  const transport = await openKafka({ brokers: [secure], tls, sasl })
  try {
    const topics = ['unwritable', 'unseen', 'free'].map(uniqueName)
    const [unwritable, unseen, free] = topics as [string, string, string]
    await transport.createTopics(topics.map((name) => ({ name, partitions: 1 })))
    const denials = [
      [unwritable, AclOperations.WRITE],
      [unseen, AclOperations.ALL],
    ] as const
    await admin.createAcls({
      creations: denials.map(([resourceName, operation]) => ({
        resourceType: ResourceTypes.TOPIC,
        resourceName,
        resourcePatternType: ResourcePatternTypes.LITERAL,
        principal: 'User:milena',
        host: '*',
        operation,
        permissionType: AclPermissionTypes.DENY,
      })),
    })
    const send = (topic: string): Promise<unknown> =>
      transport.send({ topic, key: null, value: Buffer.from('x'), headers: [] })
    const outcomes = async (): Promise<string> => {
      const together = await Promise.allSettled(topics.map(send))
      const codes = together.map((one) =>
        one.status === 'rejected' ? (one.reason as MilenaError).code : 'sent',
      )
      return codes.join(' ')
    }
    const wanted = 'MILENA_NOT_AUTHORIZED MILENA_NOT_AUTHORIZED sent'
    // The broker applies a new ACL a moment after it has taken it.
    await waitFor(async () => (await outcomes()) === wanted, { what: wanted })
    await assert.rejects(send(unwritable), { code: 'MILENA_NOT_AUTHORIZED', sent: 'no' })
    await assert.rejects(transport.describeTopics([unseen]), { code: 'MILENA_NOT_AUTHORIZED' })
    await send(free)
  } finally {
    await transport.close()
    await admin.close()
  }
})
