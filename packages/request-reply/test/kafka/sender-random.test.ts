/**
 * The sender against a cluster that fails at random in every way its rules are for. A failing seed is printed with the
 * test's name; `MILENA_SEED=…` runs it alone.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MilenaError } from '../../src/errors.ts'
import type { PartitionResult } from '../../src/transport/kafka/sending/produce.ts'
import { Sender } from '../../src/transport/kafka/sending/sender.ts'
import type { OutgoingRecord, RecordPosition } from '../../src/transport/transport.ts'
import { FakeCluster, refuse, type SeenRequest } from './fake-cluster.ts'
import { until } from './until.ts'

const NOT_LEADER = 6
const REQUEST_TIMED_OUT = 7
const NOT_ENOUGH_REPLICAS = 19
const partitions = 4
const nodes = 3
const perPartition = 120

/** Mulberry32, by Tommy Ettinger; public domain. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A cluster whose brokers fail at random for as long as `faulty` says. */
function troubled(random: () => number, faulty: () => boolean): FakeCluster {
  const cluster = new FakeCluster()
  const leaders = Array.from({ length: partitions }, (_, partition) => 1 + (partition % nodes))
  cluster.lead('t', leaders)

  const append = (request: SeenRequest): PartitionResult[] =>
    request.batches.map((batch) =>
      // A deposed leader is fenced: what it is asked late, it refuses.
      leaders[batch.partition] === request.node
        ? cluster.append(batch)
        : refuse({ ...request, batches: [batch] }, NOT_LEADER)[0]!,
    )
  const depose = (request: SeenRequest): void => {
    for (const { partition } of request.batches) leaders[partition] = 1 + Math.floor(random() * nodes)
    cluster.lead('t', leaders)
  }
  const faults: ((request: SeenRequest) => Promise<PartitionResult[]> | PartitionResult[])[] = [
    // The request is lost.
    () => Promise.reject(new Error('connection lost')),
    // The answer is lost.
    (request) => {
      append(request)
      throw new Error('connection lost')
    },
    // The request lies in the socket for a while after its sender has given it up.
    (request) => {
      void sleep(random() * 100).then(() => append(request))
      throw new Error('connection lost')
    },
    // Appended, but not replicated in time.
    (request) => {
      const results = append(request)
      return results.some((one) => one.errorCode !== 0) ? results : refuse(request, REQUEST_TIMED_OUT)
    },
    // Appended, then deposed.
    (request) => {
      append(request)
      depose(request)
      return refuse(request, NOT_LEADER)
    },
    // Deposed before.
    (request) => {
      depose(request)
      return append(request)
    },
    (request) => refuse(request, NOT_ENOUGH_REPLICAS),
    // Only some of the partitions fare well.
    (request) =>
      request.batches.map((batch) =>
        random() < 0.5
          ? append({ ...request, batches: [batch] })[0]!
          : refuse({ ...request, batches: [batch] }, NOT_LEADER)[0]!,
      ),
    // Hangs, is deposed, and answers late.
    async (request) => {
      depose(request)
      await sleep(random() * 60)
      return append(request)
    },
  ]
  cluster.behaviour = async (request) => {
    await sleep(random() * 2)
    if (!faulty() || random() < 0.5) return append(request)
    return faults[Math.floor(random() * faults.length)]!(request)
  }
  return cluster
}

interface Outcome {
  readonly partition: number
  readonly number: number
  /** What taking it back said, where that was tried. */
  readonly withdrawn: boolean | undefined
  readonly position?: RecordPosition
  readonly error?: MilenaError
}

/** `regret`: how often, of all records, one is taken back some time after it was sent. */
async function run(
  seed: number,
  deliveryTimeout: number,
  regret = 0,
): Promise<{ cluster: FakeCluster; outcomes: Outcome[] }> {
  const random = seeded(seed)
  let trouble = true
  const cluster = troubled(random, () => trouble)
  // Batches of one record are those that can be taken for one another.
  const batchSize = seed % 2 === 0 ? 1 : 100 + Math.floor(random() * 2_000)
  const sender = new Sender(cluster, {
    compression: 'none',
    batchSize,
    linger: 0,
    deliveryTimeout,
    closeTimeout: 50,
  })
  const sent: Promise<Outcome>[] = []
  const withdrawn = new Map<OutgoingRecord, boolean>()
  let regretted: OutgoingRecord[] = []
  for (let number = 0; number < perPartition; number++) {
    for (let partition = 0; partition < partitions; partition++) {
      const record = { topic: 't', partition, key: null, value: Buffer.from(String(number)), headers: [] }
      sent.push(
        sender.send(record).then(
          (position) => ({ partition, number, withdrawn: withdrawn.get(record), position }),
          (error: MilenaError) => ({ partition, number, withdrawn: withdrawn.get(record), error }),
        ),
      )
      if (random() < regret) regretted.push(record)
    }
    if (random() < 0.3) {
      for (const record of regretted) withdrawn.set(record, sender.withdraw(record))
      regretted = []
    }
    if (random() < 0.5) await sleep(random() * 8)
  }
  trouble = false
  const outcomes = await Promise.all(sent)
  // Late arrivals, too, must find their place taken.
  await sleep(100)
  await until('everything was let go of', () => sender.sending().records === 0)
  assert.deepEqual(sender.sending(), { records: 0, bytes: 0 })
  await sender.close()
  return { cluster, outcomes }
}

function check({ cluster, outcomes }: { cluster: FakeCluster; outcomes: Outcome[] }): void {
  assert.deepEqual(cluster.violations, [])
  for (let partition = 0; partition < partitions; partition++) {
    const log = cluster.log('t', partition).map(Number)
    const disorder = log.findIndex((number, at) => at > 0 && number <= log[at - 1]!)
    assert.equal(
      disorder,
      -1,
      `partition ${partition}: out of order or twice: ${log.slice(disorder - 3, disorder + 3).join(' ')}`,
    )
    const there = new Set(log)
    for (const { number, withdrawn, position, error } of outcomes.filter(
      (one) => one.partition === partition,
    )) {
      if (position !== undefined) assert.equal(log[position.offset], number, `acknowledged ${number}`)
      if (withdrawn === true) assert.equal(error?.code, 'MILENA_NOT_SENT', `${number} was taken back`)
      if (error?.sent === 'no')
        assert.ok(!there.has(number), `${number} was said not to be sent, and is in the log`)
    }
  }
}

const seeds = process.env['MILENA_SEED']
  ? [Number(process.env['MILENA_SEED'])]
  : Array.from({ length: 6 }, (_, index) => Math.floor(Math.random() * 2 ** 30) * 2 + (index % 2))

for (const seed of seeds) {
  test(`seed ${seed}: with time enough every record is in the log once and in order`, async () => {
    const result = await run(seed, 30_000)
    const failed = result.outcomes.filter((one) => one.error !== undefined)
    assert.deepEqual(
      failed.map((one) => one.error!.message),
      [],
    )
    check(result)
    for (let partition = 0; partition < partitions; partition++) {
      assert.equal(result.cluster.log('t', partition).length, perPartition)
    }
  })

  test(`seed ${seed}: with little time no record is lost that was acknowledged, none is twice or overtaken`, async () => {
    const result = await run(seed, 60)
    for (const { error } of result.outcomes) {
      if (error) assert.match(error.code, /^MILENA_(NOT_SENT|SEND_UNKNOWN)$/, error.message)
    }
    check(result)
  })

  test(`seed ${seed}: what was taken back never appears, and everything else does, in order`, async () => {
    const result = await run(seed, 30_000, 0.4)
    check(result)
    assert.ok(result.outcomes.some((one) => one.withdrawn === true))
    for (const { withdrawn, error } of result.outcomes) if (withdrawn !== true) assert.equal(error, undefined)
  })

  test(`seed ${seed}: with little time, too, what was taken back never appears`, async () => {
    const result = await run(seed, 60, 0.4)
    check(result)
    assert.ok(result.outcomes.some((one) => one.withdrawn === true))
  })
}
