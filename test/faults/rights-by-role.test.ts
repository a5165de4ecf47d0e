/** The rights that docs/first-service.md lists for each role are enough, and each of them is needed. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it, test } from 'node:test'
import {
  createReplier,
  createRequester,
  deadLetter,
  deadLetters,
  defineOperation,
  instanceReplyTopic,
  replyPartition,
  retryTopics,
  sharedReplyTopic,
  string,
  type DeadLetter,
  type KafkaOptions,
  type Logger,
  type ReplyRouting,
} from '@milena/request-reply'
import {
  AclOperations,
  AclPermissionTypes,
  Admin,
  ResourcePatternTypes,
  ResourceTypes,
} from '@platformatic/kafka'
import { waitFor } from '../support/wait-for.ts'
import { startSecuredBroker, type SecuredBroker } from './secured-broker.ts'

let broker: SecuredBroker
let admin: Admin

before(async () => {
  broker = await startSecuredBroker({
    protocol: 'SASL_PLAINTEXT',
    users: { gateway: 'secret', worker: 'secret', operator: 'secret' },
    allowUnlessDenied: false,
  })
  admin = new Admin({ clientId: 'rights', bootstrapBrokers: [broker.node.address] })
})
after(async () => {
  await admin?.close()
  await broker?.close()
})

type User = 'gateway' | 'worker' | 'operator'

/** A line of the page's table, such as `gateway, topic pay_reply: Read`. */
interface Right {
  readonly user: User
  readonly on: 'topic' | 'topics' | 'group' | 'cluster'
  readonly name: string
  readonly may: 'Read' | 'Write' | 'Create' | 'Delete'
}

const operations = {
  Read: AclOperations.READ,
  Write: AclOperations.WRITE,
  Create: AclOperations.CREATE,
  Delete: AclOperations.DELETE,
}

const types = {
  topic: ResourceTypes.TOPIC,
  topics: ResourceTypes.TOPIC,
  group: ResourceTypes.GROUP,
  cluster: ResourceTypes.CLUSTER,
}

function entry({ user, on, name, may }: Right) {
  return {
    resourceType: types[on],
    resourceName: on === 'cluster' ? 'kafka-cluster' : name,
    resourcePatternType: on === 'topics' ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
    principal: `User:${user}`,
    host: '*',
    operation: operations[may],
    permissionType: AclPermissionTypes.ALLOW,
  }
}

/** Gives these rights, or takes them away: resolves when the broker itself goes by it. */
async function grant(rights: readonly Right[]): Promise<void> {
  await admin.createAcls({ creations: rights.map(entry) })
  await untilSet(rights, true)
}

async function revoke(rights: readonly Right[]): Promise<void> {
  await admin.deleteAcls({ filters: rights.map(entry) })
  await untilSet(rights, false)
}

async function untilSet(rights: readonly Right[], set: boolean): Promise<void> {
  for (const right of rights) {
    const isSet = async () => (await admin.describeAcls({ filter: entry(right) })).length > 0
    await waitFor(async () => (await isSet()) === set, { what: `${JSON.stringify(right)} to be ${set}` })
  }
}

function as(user: User): KafkaOptions {
  const sasl = { mechanism: 'PLAIN', username: user, password: 'secret' } as const
  return { brokers: [broker.secured], sasl, deliveryTimeout: 10_000 }
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

interface Turn {
  readonly replyRouting: ReplyRouting
  /** The handler fails, and so does its retry: the request becomes a letter. */
  readonly fails?: boolean
  readonly createTopics?: boolean
}

/** A round trip from nothing to nothing; what went wrong, an error or a warning about a right. */
async function roundTrip(
  name: string,
  { replyRouting, fails = false, createTopics = false }: Turn,
): Promise<unknown> {
  const warnings: Error[] = []
  const logger: Logger = {
    warn: (message, details) => void warnings.push(new Error(`${message} ${JSON.stringify(details)}`)),
  }
  const operation = defineOperation({ name, topic: `${name}_request`, request: string(), reply: string() })
  const replier = createReplier({
    kafka: as('worker'),
    groupId: `${name}-workers`,
    replyTopics: [`${name}_reply*`],
    createTopics,
    logger,
  })
  replier.handle(
    operation,
    (text) => {
      if (fails) throw new Error('the bank does not answer')
      return text
    },
    fails ? { useRecords: [deadLetter(), retryTopics({ delays: [10] })] } : {},
  )
  try {
    await replier.start()
    const requester = await createRequester({
      kafka: as('gateway'),
      replyRouting,
      createTopics,
      logger,
      instanceId: 'gw-1',
    })
    try {
      const asked = requester.request(operation, 'hello', { timeout: 10_000 })
      if (fails) await assert.rejects(asked, { remoteCode: 'MILENA_DEAD_LETTERED' })
      else assert.equal((await asked).value, 'hello')
    } finally {
      await requester.close({ timeout: 0 })
    }
  } catch (error) {
    return error
  } finally {
    await replier.close({ timeout: 0 })
  }
  return warnings.find(({ message }) => /NOT_AUTHORIZED|authori[sz]/i.test(message))
}

/** With all of them nothing has gone wrong; without any one of these something does. */
async function eachIsNeeded(rights: readonly Right[], run: () => Promise<unknown>): Promise<void> {
  for (const right of rights) {
    await revoke([right])
    const wrong = await run()
    assert.ok(wrong !== undefined, `nothing was wrong without ${JSON.stringify(right)}`)
    await grant([right])
  }
}

/** What a replier that keeps what fails needs beside the rest. */
const keepers = (name: string): Right[] => [
  { user: 'worker', on: 'topic', name: `${name}_request-retry-1`, may: 'Read' },
  { user: 'worker', on: 'topic', name: `${name}_request-retry-1`, may: 'Write' },
  { user: 'worker', on: 'topic', name: `${name}_request-dlt`, may: 'Write' },
]

/** Lists the letters and replays the first one; what went wrong. */
async function replay(name: string): Promise<unknown> {
  await using letters = deadLetters({ kafka: as('operator') })
  const filter = { topic: `${name}_request`, limit: 1 }
  try {
    const listed: DeadLetter[] = []
    for await (const letter of letters.list(filter)) listed.push(letter)
    assert.equal(listed.length, 1)
    for await (const { verdict, detail } of letters.replay(filter, { dryRun: false, again: true }))
      return verdict === 'replayed' ? undefined : new Error(`${verdict}: ${detail}`)
    return new Error('nothing was replayed')
  } catch (error) {
    return error
  }
}

// Each waits for what is refused: side by side.
describe('the rights of the page are enough, and each of them is needed', { concurrency: true }, () => {
  for (const [way, { routing, rights }] of Object.entries(ways)) {
    it(`with ${way}`, async () => {
      const name = `rights${way}`
      const needed = [...common(name), ...rights(name)]
      const topics = [`${name}_request`, ...(way === 'instanceReplyTopic' ? [] : [`${name}_reply`])]
      await admin.createTopics({ topics, partitions: 2, replicas: 1 })
      await grant(needed)
      assert.equal(await roundTrip(name, { replyRouting: routing(name) }), undefined)
      await eachIsNeeded(needed, () => roundTrip(name, { replyRouting: routing(name) }))
    })
  }

  it('with retry topics and dead letters', async () => {
    const name = 'rightskept'
    const { routing, rights } = ways['sharedReplyTopic']!
    const needed = keepers(name)
    const operators: Right[] = [
      { user: 'operator', on: 'topic', name: `${name}_request-dlt`, may: 'Read' },
      { user: 'operator', on: 'topic', name: `${name}_request-dlt-replays`, may: 'Read' },
      { user: 'operator', on: 'topic', name: `${name}_request-dlt-replays`, may: 'Write' },
      { user: 'operator', on: 'topic', name: `${name}_request`, may: 'Write' },
    ]
    const topics = ['request', 'reply', 'request-retry-1', 'request-dlt'].map((part) => `${name}_${part}`)
    await admin.createTopics({ topics, partitions: 2, replicas: 1 })
    await admin.createTopics({ topics: [`${name}_request-dlt-replays`], partitions: 1, replicas: 1 })
    await grant([...common(name), ...rights(name), ...needed, ...operators])
    const run = () => roundTrip(name, { replyRouting: routing(name), fails: true })
    assert.equal(await run(), undefined)
    await eachIsNeeded(needed, run)
    assert.equal(await replay(name), undefined)
    await eachIsNeeded(operators, () => replay(name))
  })
})

test('createTopics: the rights of the page are enough, for the topics or the cluster, and each of them is needed', async () => {
  const name = 'rightsmade'
  const { routing, rights } = ways['replyPartition']!
  const made = ['request', 'reply', 'request-retry-1', 'request-dlt'].map((part) => `${name}_${part}`)
  const creates: Right[] = made.map((topic) => ({
    user: topic === `${name}_reply` ? 'gateway' : 'worker',
    on: 'topic',
    name: topic,
    may: 'Create',
  }))
  await grant([...common(name), ...rights(name), ...keepers(name), ...creates])
  const run = async (): Promise<unknown> => {
    const existing = await admin.listTopics()
    const topics = made.filter((topic) => existing.includes(topic))
    if (topics.length > 0) await admin.deleteTopics({ topics })
    return roundTrip(name, { replyRouting: routing(name), fails: true, createTopics: true })
  }
  assert.equal(await run(), undefined)
  await eachIsNeeded(creates, run)
  await revoke(creates)
  const users = ['gateway', 'worker'] as const
  const onCluster = users.map((user): Right => ({ user, on: 'cluster', name: '', may: 'Create' }))
  await grant(onCluster)
  assert.equal(await run(), undefined)
})

test('the page lists these rights', async () => {
  const page = await readFile(new URL('../../docs/first-service.md', import.meta.url), 'utf8')
  const lines = page.split('\n').filter((line) => line.startsWith('|') && /`(Read|Write|Create)`/.test(line))
  const told = (part: RegExp): string => lines.find((line) => part.test(line)) ?? ''
  /** The line says what was shown to be needed, and no more. */
  const says = (part: RegExp, rights: readonly Right[], user: User, name: string): void => {
    const needed = rights.filter((right) => right.user === user && right.name === name)
    const operations = needed.map(({ may }) => `\`${may}\``).join(', ')
    assert.ok(operations !== '', `nothing was shown of ${name}`)
    assert.ok(
      told(part).endsWith(`| ${operations} |`),
      `${operations} are needed, and the page says ${told(part)}`,
    )
  }
  const { replyPartition: one, sharedReplyTopic: shared, instanceReplyTopic: own } = ways
  says(/^\| requester \| request topics/, common('x'), 'gateway', 'x_request')
  says(/owners\.<reply topic>/, one!.rights('x'), 'gateway', 'milena-reply-owners.x_reply')
  says(/topics with its prefix/, own!.rights('x'), 'gateway', 'x_reply_')
  says(/owners\.<prefix>/, own!.rights('x'), 'gateway', 'milena-reply-owners.x_reply_')
  says(/^\| replier \| request topics/, common('x'), 'worker', 'x_request')
  says(/\| its group \|/, common('x'), 'worker', 'x-workers')
  for (const { rights } of [one!, shared!]) {
    says(/with `replyPartition`, `sharedReplyTopic`/, rights('x'), 'gateway', 'x_reply')
    says(/\| reply topics \|/, rights('x'), 'worker', 'x_reply')
  }
  assert.match(told(/with `retryTopics`/), /\| `Read`, `Write` \|$/)
  assert.match(told(/with `deadLetter`/), /\| `Write` \|$/)
  assert.match(told(/^\| who lists and replays letters \| dead-letter topics/), /\| `Read` \|$/)
  assert.match(told(/`…-dlt-replays`/), /\| `Read`, `Write` \|$/)
  assert.match(told(/^\| \| request topics/), /\| `Write` \|$/)
  assert.match(told(/^\| `createTopics: true`/), /\| `Create` \|$/)
})
