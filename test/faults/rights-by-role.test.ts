/** The rights that docs/first-service.md lists for each role are enough, and each of them is needed. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  createReplier,
  createRequester,
  defineOperation,
  instanceReplyTopic,
  replyPartition,
  sharedReplyTopic,
  string,
  type KafkaOptions,
  type ReplyRouting,
} from '@milena/request-reply'
import {
  AclOperations,
  AclPermissionTypes,
  Admin,
  ResourcePatternTypes,
  ResourceTypes,
} from '@platformatic/kafka'
import { defaultJvmOptions } from '../../tools/kafka/cluster.ts'
import { fetchKafkaJars } from '../../tools/kafka/jars.ts'
import { KafkaNode } from '../../tools/kafka/node.ts'
import { freePorts } from '../../tools/kafka/ports.ts'
import { awaitMember, awaitReady } from '../../tools/kafka/ready.ts'

let node: KafkaNode
let folder: string
let login: string
let admin: Admin

before(async () => {
  const [port, controllerPort, loginPort] = (await freePorts(3)) as [number, number, number]
  login = `127.0.0.1:${loginPort}`
  folder = await mkdtemp(join(tmpdir(), 'milena-kafka-'))
  const plain = 'org.apache.kafka.common.security.plain.PlainLoginModule'
  node = new KafkaNode({
    id: 1,
    port,
    controllerPort,
    voters: [{ id: 1, controllerPort }],
    configs: {
      listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort},LOGIN://${login}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},LOGIN://${login}`,
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT',
      'sasl.enabled.mechanisms': 'PLAIN',
      'listener.name.login.plain.sasl.jaas.config': `${plain} required user_gateway="secret" user_worker="secret";`,
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS',
      'allow.everyone.if.no.acl.found': 'false',
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
  admin = new Admin({ clientId: 'rights', bootstrapBrokers: [`127.0.0.1:${port}`] })
})
after(async () => {
  await admin?.close()
  await node?.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

type User = 'gateway' | 'worker'

/** A line of the page's table, such as `gateway, topic pay_reply: Read`. */
interface Right {
  readonly user: User
  readonly on: 'topic' | 'topics' | 'group'
  readonly name: string
  readonly may: 'Read' | 'Write' | 'Create' | 'Delete'
}

const operations = {
  Read: AclOperations.READ,
  Write: AclOperations.WRITE,
  Create: AclOperations.CREATE,
  Delete: AclOperations.DELETE,
}

function entry({ user, on, name, may }: Right) {
  return {
    resourceType: on === 'group' ? ResourceTypes.GROUP : ResourceTypes.TOPIC,
    resourceName: name,
    resourcePatternType: on === 'topics' ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
    principal: `User:${user}`,
    host: '*',
    operation: operations[may],
    permissionType: AclPermissionTypes.ALLOW,
  }
}

function as(user: User): KafkaOptions {
  const sasl = { mechanism: 'PLAIN', username: user, password: 'secret' } as const
  return { brokers: [login], sasl, deliveryTimeout: 10_000 }
}

const common = (name: string): Right[] => [
  { user: 'gateway', on: 'topic', name: `${name}_request`, may: 'Write' },
  { user: 'worker', on: 'topic', name: `${name}_request`, may: 'Read' },
  { user: 'worker', on: 'group', name: `${name}-workers`, may: 'Read' },
]

const ways: Record<string, { routing: (name: string) => ReplyRouting; rights: (name: string) => Right[] }> = {
  replyPartition: {
    routing: (name) => replyPartition({ topic: `${name}_reply` }),
    rights: (name) => [
      { user: 'gateway', on: 'topic', name: `${name}_reply`, may: 'Read' },
      { user: 'gateway', on: 'group', name: `milena-reply-owners.${name}_reply`, may: 'Read' },
      { user: 'worker', on: 'topic', name: `${name}_reply`, may: 'Write' },
    ],
  },
  sharedReplyTopic: {
    routing: (name) => sharedReplyTopic({ topic: `${name}_reply` }),
    rights: (name) => [
      { user: 'gateway', on: 'topic', name: `${name}_reply`, may: 'Read' },
      { user: 'worker', on: 'topic', name: `${name}_reply`, may: 'Write' },
    ],
  },
  instanceReplyTopic: {
    routing: (name) => instanceReplyTopic({ prefix: `${name}_reply_`, replicationFactor: 1 }),
    rights: (name) => [
      { user: 'gateway', on: 'topics', name: `${name}_reply_`, may: 'Read' },
      { user: 'gateway', on: 'topics', name: `${name}_reply_`, may: 'Create' },
      { user: 'gateway', on: 'topics', name: `${name}_reply_`, may: 'Delete' },
      { user: 'gateway', on: 'group', name: `milena-reply-owners.${name}_reply_`, may: 'Read' },
      { user: 'worker', on: 'topics', name: `${name}_reply_`, may: 'Write' },
    ],
  },
}

/** A round trip from nothing to nothing; what went wrong, an error or a warning about a right. */
async function roundTrip(name: string, replyRouting: ReplyRouting): Promise<unknown> {
  const warnings: unknown[] = []
  const listen = (warning: Error): void => void warnings.push(warning)
  process.on('warning', listen)
  const operation = defineOperation({ name, topic: `${name}_request`, request: string(), reply: string() })
  const replier = createReplier({
    kafka: as('worker'),
    groupId: `${name}-workers`,
    replyTopics: [`${name}_reply*`],
    logger: {
      warn: (message, details) => void warnings.push(new Error(`${message} ${JSON.stringify(details)}`)),
    },
  })
  replier.handle(operation, (text) => text)
  try {
    await replier.start()
    const requester = await createRequester({ kafka: as('gateway'), replyRouting, instanceId: 'gw-1' })
    try {
      const { value } = await requester.request(operation, 'hello', { timeout: 10_000 })
      assert.equal(value, 'hello')
    } finally {
      await requester.close({ timeout: 0 })
    }
  } catch (error) {
    return error
  } finally {
    await replier.close({ timeout: 0 })
    process.off('warning', listen)
  }
  return warnings.find((warning) => /NOT_AUTHORIZED|authori[sz]/i.test(String(warning)))
}

for (const [way, { routing, rights }] of Object.entries(ways)) {
  test(`${way}: the rights of the page are enough, and each of them is needed`, async () => {
    const name = `rights${way}`
    const needed = [...common(name), ...rights(name)]
    const topics = [`${name}_request`, ...(way === 'instanceReplyTopic' ? [] : [`${name}_reply`])]
    await admin.createTopics({ topics, partitions: 2, replicas: 1 })
    await admin.createAcls({ creations: needed.map(entry) })
    assert.equal(await roundTrip(name, routing(name)), undefined)
    for (const right of needed) {
      await admin.deleteAcls({ filters: [entry(right)] })
      const wrong = await roundTrip(name, routing(name))
      assert.ok(wrong !== undefined, `nothing was wrong without ${JSON.stringify(right)}`)
      await admin.createAcls({ creations: [entry(right)] })
    }
  })
}

test('the page lists these rights', async () => {
  const page = await readFile(new URL('../../docs/first-service.md', import.meta.url), 'utf8')
  const lines = page.split('\n').filter((line) => line.startsWith('|') && /`(Read|Write)`/.test(line))
  const told = (part: RegExp): string => lines.find((line) => part.test(line)) ?? ''
  assert.match(told(/^\| requester \| request topics/), /\| `Write` \|$/)
  assert.match(told(/with `replyPartition`, `sharedReplyTopic`/), /\| `Read` \|$/)
  assert.match(told(/owners\.<reply topic>/), /\| `Read` \|$/)
  assert.match(told(/topics with its prefix/), /\| `Read`, `Create`, `Delete` \|$/)
  assert.match(told(/owners\.<prefix>/), /\| `Read` \|$/)
  assert.match(told(/^\| replier \| request topics/), /\| `Read` \|$/)
  assert.match(told(/\| reply topics \|/), /\| `Write` \|$/)
  assert.match(told(/\| its group \|/), /\| `Read` \|$/)
})
