/** Logins, TLS and rights on an Apache Kafka that requires them. */
import assert from 'node:assert/strict'
import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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
import { defaultJvmOptions } from '../../tools/kafka/cluster.ts'
import { fetchKafkaJars } from '../../tools/kafka/jars.ts'
import { KafkaNode } from '../../tools/kafka/node.ts'
import { freePorts } from '../../tools/kafka/ports.ts'
import { awaitMember, awaitReady } from '../../tools/kafka/ready.ts'
import { selfSigned } from '../support/self-signed.ts'
import { uniqueName } from '../support/cluster.ts'
import { waitFor } from '../support/wait-for.ts'

let node: KafkaNode
let folder: string
let secure: string

before(async () => {
  const [port, controllerPort, securePort] = (await freePorts(3)) as [number, number, number]
  secure = `127.0.0.1:${securePort}`
  folder = await mkdtemp(join(tmpdir(), 'milena-kafka-'))
  const loginModules = 'org.apache.kafka.common.security'
  node = new KafkaNode({
    id: 1,
    port,
    controllerPort,
    voters: [{ id: 1, controllerPort }],
    configs: {
      listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort},SECURE://${secure}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},SECURE://${secure}`,
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL',
      'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
      'listener.name.secure.plain.sasl.jaas.config': `${loginModules}.plain.PlainLoginModule required user_milena="secret";`,
      'listener.name.secure.scram-sha-256.sasl.jaas.config': `${loginModules}.scram.ScramLoginModule required;`,
      'listener.name.secure.oauthbearer.sasl.jaas.config': `${loginModules}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
      'listener.name.secure.oauthbearer.sasl.server.callback.handler.class': `${loginModules}.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler`,
      // Sessions end with their tokens.
      'listener.name.secure.oauthbearer.connections.max.reauth.ms': '3600000',
      'listener.name.secure.scram-sha-512.sasl.jaas.config': `${loginModules}.scram.ScramLoginModule required;`,
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS',
      'allow.everyone.if.no.acl.found': 'true',
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.key': selfSigned.key.replaceAll('\n', '\\n'),
      'ssl.keystore.certificate.chain': selfSigned.cert.replaceAll('\n', '\\n'),
    },
    jars: await fetchKafkaJars(),
    clusterId: randomBytes(16).toString('base64url').replace(/^-/, 'A'),
    dir: join(folder, 'node-1'),
    keep: false,
    around: folder,
    jvmOptions: defaultJvmOptions,
    awaitMember,
  })
  await node.start()
  await awaitReady([node])
})
after(async () => {
  await node?.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

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
  const transport = await openKafka({ brokers: [secure], tls, sasl })
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
      const connection = await pool.get({ host: '127.0.0.1', port: node.port })
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
  const transport = await openWithToken(() => {
    tokens.push(unsecuredToken(4))
    return tokens.at(-1)!
  })
  try {
    const topic = uniqueName('bearer')
    await transport.createTopics([{ name: topic, partitions: 1 }])
    while (tokens.length < 4) await transport.send({ topic, key: null, value: Buffer.from('x'), headers: [] })
    await transport.deleteTopics([topic])
  } finally {
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
  const admin = new Admin({ clientId: 'acl', bootstrapBrokers: [node.address] })
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
