/** A right that is taken away while reading, and given back: one broker with an authorizer. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  AclOperations,
  AclPermissionTypes,
  Admin,
  ResourcePatternTypes,
  ResourceTypes,
  type AclOperationValue,
  type AclPermissionTypeValue,
  type ResourceTypeValue,
} from '@platformatic/kafka'
import type { MilenaError } from '../../packages/request-reply/src/errors.ts'
import { openKafka } from '../../packages/request-reply/src/transport/kafka/kafka-transport.ts'
import type { IncomingRecord, Transport } from '../../packages/request-reply/src/transport/transport.ts'
import { startKafka, type KafkaCluster } from '../../tools/kafka/cluster.ts'
import { waitFor } from '../support/wait-for.ts'

let cluster: KafkaCluster
let transport: Transport
let admin: Admin

before(async () => {
  cluster = await startKafka({
    brokers: 1,
    configs: {
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'allow.everyone.if.no.acl.found': 'true',
    },
  })
  transport = await openKafka({ brokers: cluster.brokers })
  admin = new Admin({ clientId: 'acl', bootstrapBrokers: cluster.brokers })
})

after(async () => {
  await transport?.close()
  await admin?.close()
  await cluster?.close()
})

type Right = { type: ResourceTypeValue; name: string; operation: AclOperationValue }

function acl({ type, name, operation }: Right, permissionType: AclPermissionTypeValue) {
  return {
    resourceType: type,
    resourceName: name,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: 'User:ANONYMOUS',
    host: '*',
    operation,
    permissionType,
  }
}

/** Takes a right away; gives how to give it back. Once there is an ACL, only what one allows is allowed. */
async function takeAway(right: Right): Promise<() => Promise<void>> {
  const allow = acl({ ...right, operation: AclOperations.ALL }, AclPermissionTypes.ALLOW)
  const deny = acl(right, AclPermissionTypes.DENY)
  await admin.createAcls({ creations: [allow, deny] })
  return async () => void (await admin.deleteAcls({ filters: [deny] }))
}

/** It is tried again every second: that the same is told again could only be seen then. */
async function isTriedAgain(): Promise<void> {
  const until = performance.now() + 3_000
  await waitFor(() => performance.now() >= until, { what: 'further tries' })
}

test('a tail that loses its right on a topic reports it once and goes on when it has it again', async () => {
  const topic = 'forbidden'
  await transport.createTopics([{ name: topic, partitions: 2 }])
  const records: IncomingRecord[] = []
  const errors: Error[] = []
  await transport.tail({
    topic,
    partitions: 'all',
    from: 'latest',
    onRecords: (some) => records.push(...some),
    onError: (error) => errors.push(error),
  })
  const giveBack = await takeAway({ type: ResourceTypes.TOPIC, name: topic, operation: AclOperations.READ })
  await waitFor(() => errors.length > 0, { what: 'an error' })
  assert.equal((errors[0] as MilenaError).code, 'MILENA_NOT_AUTHORIZED')
  assert.match(errors[0]!.message, /forbidden/)
  // A fetch that was under way when the right was taken away may bring what comes while it waits.
  await isTriedAgain()
  await transport.send({ topic, partition: 0, key: null, value: Buffer.from('v'), headers: [] })
  await isTriedAgain()
  assert.deepEqual([records.length, errors.length], [0, 1])
  await giveBack()
  await waitFor(() => records.length === 1, { what: 'the record' })
  assert.equal(errors.length, 1)
})

test('a member that loses its right on the group reports it once and goes on when it has it again', async () => {
  const topic = 'work'
  await transport.createTopics([{ name: topic, partitions: 2 }])
  const records: IncomingRecord[] = []
  const errors: Error[] = []
  const group = {
    groupId: 'workers',
    topics: [topic],
    from: 'earliest',
    // Longer than the right is away, also on a busy machine.
    sessionTimeout: 30_000,
    heartbeatInterval: 200,
    onRecords: (some: readonly IncomingRecord[]) => void records.push(...some),
    onRevoked: () => Promise.resolve(),
    onLost: () => {},
    onError: (error: Error) => void errors.push(error),
  } as const
  const membership = await transport.join(group)
  const giveBack = await takeAway({
    type: ResourceTypes.GROUP,
    name: 'workers',
    operation: AclOperations.READ,
  })
  await waitFor(() => errors.length > 0, { what: 'an error' })
  assert.equal((errors[0] as MilenaError).code, 'MILENA_NOT_AUTHORIZED')
  assert.match(errors[0]!.message, /workers/)
  await assert.rejects(membership.commit([{ topic, partition: 0, offset: 0 }]), {
    code: 'MILENA_NOT_AUTHORIZED',
  })
  await isTriedAgain()
  assert.equal(errors.length, 1)
  await assert.rejects(transport.join(group), { code: 'MILENA_NOT_AUTHORIZED', message: /workers/ })
  await giveBack()
  await transport.send({ topic, partition: 0, key: null, value: Buffer.from('v'), headers: [] })
  await waitFor(() => records.length === 1, { what: 'the record' })
  await waitFor(() => membership.commit([{ topic, partition: 0, offset: 1 }]).then(() => true), {
    what: 'a commit',
  })
  await waitFor(() => membership.troubles().length === 0, { what: 'the member to be at its place' })
  assert.equal(errors.length, 1)
})
