/** Every function of the library that takes options refuses what is wrong with them, in its own words. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import type * as library from '@milena/request-reply'
import * as all from '@milena/request-reply'
import * as testing from '@milena/request-reply/testing'
import {
  functionsOf,
  refuseUnlisted,
  refuseWrongOptions,
  takes,
  type TakesOptions,
} from '../../../test/support/given-options.ts'

const say = all.defineOperation({
  name: 'say',
  topic: 'say_request',
  request: all.string(),
  reply: all.string(),
})
const memory = testing.createMemoryBroker({ topics: [{ name: 'say_reply', partitions: 2 }] })
const transport = memory.connect()
const folder = mkdtempSync(join(tmpdir(), 'milena-given-'))
after(async () => {
  await transport.close()
  rmSync(folder, { recursive: true })
})

const kafka = { brokers: ['127.0.0.1:1'], deliveryTimeout: 300, requestTimeout: 200, connectTimeout: 200 }
const random: library.RandomBytes = (length) => Buffer.alloc(length, 7)
const logger = { warn: (): void => undefined }
const clock = all.systemClock
const replyRouting = all.replyPartition({ topic: 'say_reply' })
const profile = all.springProfile
const none = (): undefined => undefined

const table: readonly TakesOptions[] = [
  takes<library.OperationOptions<library.PayloadSpec, library.PayloadSpec>>(
    'defineOperation',
    all.defineOperation,
    {
      name: 'say',
      topic: 'say_request',
      request: all.string(),
      reply: all.string(),
      key: () => 'a',
      partition: () => 0,
      idempotencyKey: () => 'a',
      timeout: 1_000,
      checkRoundTrip: true,
    },
  ),
  takes<library.RequesterOptions>(
    'createRequester',
    all.createRequester,
    {
      kafka,
      transport,
      replyRouting,
      instanceId: 'given',
      timeout: 1_000,
      maxPending: 10,
      maxPendingBytes: 1_000,
      maxReplyBytes: 1_000,
      whileNotReceiving: 'wait',
      headers: none,
      resumeFrom: [],
      journal: { store: testing.createMemoryJournal(), operations: [say], onRecovered: none },
      createTopics: false,
      drainTimeout: 0,
      onLateReply: none,
      remember: 10,
      logger,
      profile,
      clock,
      random,
    },
    { apart: ['kafka', 'resumeFrom', 'journal'] },
  ),
  takes<library.ReplierOptions>(
    'createReplier',
    all.createReplier,
    {
      kafka,
      transport,
      groupId: 'given',
      concurrency: 1,
      replyTopics: ['say_reply'],
      select: none,
      unknownOperations: 'ignore',
      clockTolerance: 0,
      maxAge: 1_000,
      maxRequestBytes: 1_000,
      copyHeaders: ['a'],
      replyHeaders: { b: 'c' },
      forwardHeaders: ['d'],
      exposeErrors: true,
      commitInterval: 1,
      maxInHand: 10,
      maxInHandBytes: 1_000,
      maxAhead: 10,
      handlerTimeout: 1_000,
      slowAfter: 1_000,
      replyGrace: 1_000,
      replyTimeout: 1_000,
      beforeFinish: none,
      drainTimeout: 0,
      sessionTimeout: 6_000,
      heartbeatInterval: 1_000,
      groupInstanceId: 'given',
      from: 'latest',
      createTopics: true,
      profile,
      logger,
      clock,
    },
    { apart: ['kafka'] },
  ),
  takes<library.KafkaOptions>('openKafka', (options) => refusedOrAway(all.openKafka(options)), {
    ...kafka,
    clientId: 'given',
    tls: false,
    sasl: { mechanism: 'PLAIN', username: 'a', password: 'b' },
    compression: 'none',
    linger: 0,
    batchSize: 1_000,
    metadataMaxAge: 1_000,
    maxBatchMemory: 100_000,
  }),
  takes<library.ReplyPartitionOptions>('replyPartition', all.replyPartition, {
    topic: 'say_reply',
    partition: 0,
    partitions: 1,
  }),
  takes<library.SharedReplyTopicOptions>('sharedReplyTopic', all.sharedReplyTopic, {
    topic: 'say_reply',
    partitions: 1,
  }),
  takes<library.InstanceReplyTopicOptions>('instanceReplyTopic', all.instanceReplyTopic, {
    prefix: 'say_',
    partitions: 1,
    replicationFactor: 1,
    configs: { 'retention.ms': '1000' },
    sweepAfter: 60_000,
  }),
  takes<library.BatchOptions>(
    'batchHandler',
    (options) => all.batchHandler(() => [], options),
    { size: 1, running: 1 },
    { optional: true },
  ),
  takes<library.RetryOptions>(
    'retry',
    all.retry,
    { attempts: 1, backoff: all.fixed(1), maxTime: 1, retryable: all.isRetryable, random },
    { optional: true },
  ),
  takes<library.RetryTopicsOptions>(
    'retryTopics',
    all.retryTopics,
    { delays: [1], topic: (base: string) => base, retryable: all.isRetryable },
    { optional: true },
  ),
  takes<library.ExponentialOptions>('exponential', all.exponential, {
    first: 1,
    factor: 2,
    most: 10,
    jitter: false,
  }),
  takes<library.IdempotencyOptions>('idempotency', all.idempotency, {
    store: all.memoryIdempotencyStore(),
    scope: all.idempotencyScope,
    key: () => 'a',
    ttl: 1_000,
    lease: 1_000,
    whileRunning: 'wait',
    random,
  }),
  takes<library.MemoryIdempotencyStoreOptions>(
    'memoryIdempotencyStore',
    all.memoryIdempotencyStore,
    { maxEntries: 1, maxBytes: 1_000, clock },
    { optional: true },
  ),
  takes<library.FileJournalOptions>('fileJournal', all.fileJournal, {
    directory: folder,
    sync: false,
    segmentBytes: 10_000,
  }),
  takes<library.DeadLetterOptions>(
    'deadLetter',
    all.deadLetter,
    { topic: (topic: string) => `${topic}-dlt`, which: () => true, detail: 'class' },
    { optional: true },
  ),
  takes<library.DeadLettersOptions>(
    'deadLetters',
    all.deadLetters,
    { kafka, transport, topic: (topic: string) => topic, createTopics: true, profile, clock, random },
    { apart: ['kafka'] },
  ),
  takes<library.EffectInOptions>(
    'effectIn',
    (options) => all.effectIn(all.memoryIdempotencyStore(), options),
    { scope: all.idempotencyScope, key: () => 'a' },
    { optional: true },
  ),
  takes<library.RequestRecordOptions>(
    'requestRecord',
    (options) => all.requestRecord(say, 'hello', options),
    {
      headers: { a: 'b' },
      key: 'a',
      partition: 0,
      replyTo: { topic: 'say_reply' },
      correlationId: Buffer.alloc(16),
      idempotencyKey: 'a',
      deadline: 4e12,
      profile,
      random,
    },
    { optional: true },
  ),
  takes<library.SagaOptions<undefined, unknown>>('defineSaga', all.defineSaga, {
    name: 'trip',
    input: undefined,
    deadline: 1_000,
    changed: none,
  }),
  takes<library.SagasOptions<unknown>>('createSagas', all.createSagas, {
    store: new all.MemorySagaStore(),
    sagas: [all.defineSaga({ name: 'trip' }).step('hotel', none)],
    requester: undefined,
    outbox: undefined,
    concurrency: 1,
    maxRuns: 1,
    maxBytes: 1_000,
    lease: 1_000,
    interval: 1_000,
    keep: 0,
    drainTimeout: 0,
    logger,
    clock,
    random,
  }),
  takes<{ readonly clock?: library.Clock }>(
    'MemorySagaStore',
    (options) => new all.MemorySagaStore(options),
    { clock },
    { optional: true },
  ),
  takes<{ readonly replyTo: string }>('command', (options) => all.command(say, () => 'hello', options), {
    replyTo: 'say_reply',
  }),
  takes<library.StepErrorOptions>(
    'StepError',
    (options) => new all.StepError('no', options),
    { cause: 1, code: 'NO', effect: 'none', retryable: false },
    { optional: true },
  ),
  takes<library.ReplyErrorOptions>(
    'ReplyError',
    (options) => new all.ReplyError('NO', 'no', options),
    { cause: 1, effect: 'none', retryable: false },
    { optional: true },
  ),
  takes<testing.MemoryBrokerOptions>(
    'createMemoryBroker',
    testing.createMemoryBroker,
    { topics: [{ name: 'a', partitions: 1 }], clock, random: () => 0.5, faults: {} },
    { optional: true },
  ),
]

/** What they take is no options: a value, a name, a schema, something else of the library's. */
const withoutOptions = [
  // Suites of tests: what is wrong with the target is what they are there to say.
  'describeReplyDelivery',
  'describeRoutingContract',
  'describeTransportContract',
  'OptionsError',
  'MilenaError',
  'RemoteError',
  'TimeoutError',
  'TransportError',
  'ValidationError',
  'TransactionRefused',
  'MessageHeaders',
  'bytes',
  'correlationKey',
  'decodeStoredOutcome',
  'encodeHeaders',
  'encodeStoredOutcome',
  'fixed',
  'gatheredIn',
  'idempotencyScope',
  'inTransaction',
  'isMilenaError',
  'isRetryable',
  'journalFailed',
  'journalTaken',
  'json',
  'losslessJson',
  'operation',
  'originOf',
  'replyHeaders',
  'requireTopic',
  'string',
  'waitingFor',
  'createMemoryJournal',
]

refuseUnlisted(
  'index.ts and testing.ts',
  [...functionsOf(all), ...functionsOf(testing)],
  table,
  withoutOptions,
)
refuseWrongOptions(table, {
  isRefusal: (error) => error instanceof all.OptionsError && error.code === 'MILENA_OPTIONS_INVALID',
  isOwn: (error) => all.isMilenaError(error),
})

/** There is no broker at that address; that it was looked for is what counts here. */
async function refusedOrAway(opening: Promise<library.Transport>): Promise<void> {
  await assert.rejects(opening, (error) => {
    if (all.isMilenaError(error) && error.code === 'MILENA_BROKER_UNREACHABLE') return true
    throw error
  })
}
