/** What the sender's tests share: a sender on a cluster in memory, closed after each test, and things for brokers to do. */
import { afterEach } from 'node:test'
import { Sender, type SenderSettings } from '../../src/transport/kafka/sending/sender.ts'
import type { OutgoingRecord, RecordPosition } from '../../src/transport/transport.ts'
import { FakeCluster, refuse, type Behaviour, type SeenRequest } from './fake-cluster.ts'

/** Kafka's error codes. */
export const codes = {
  unknownTopic: 3,
  notLeader: 6,
  requestTimedOut: 7,
  messageTooLarge: 10,
  notEnoughReplicas: 19,
  topicAuthorizationFailed: 29,
  outOfOrderSequence: 45,
  invalidProducerEpoch: 47,
  unknownProducerId: 59,
  invalidRecord: 87,
} as const

const open: Sender[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((sender) => sender.close()))
})

export function setUp(settings: Partial<SenderSettings> = {}): { cluster: FakeCluster; sender: Sender } {
  const cluster = new FakeCluster()
  const sender = new Sender(cluster, {
    compression: 'none',
    batchSize: 900_000,
    linger: 0,
    deliveryTimeout: 20_000,
    closeTimeout: 100,
    ...settings,
  })
  open.push(sender)
  return { cluster, sender }
}

export const record = (value: string, partition: number | undefined = 0, topic = 't'): OutgoingRecord => ({
  topic,
  partition,
  key: null,
  value: Buffer.from(value),
  headers: [],
})
export const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => String(index))
export const sendAll = (
  sender: Sender,
  values: readonly string[],
  partition = 0,
): Promise<RecordPosition[]> => Promise.all(values.map((value) => sender.send(record(value, partition))))
export const offsets = (positions: readonly RecordPosition[]): number[] => positions.map((one) => one.offset)

/** More than a batch's memory is too small for to be used again. */
export const LARGE = 20_000

/** The first batch of each request: its bytes where the sender has them, not as they were then. */
export function live(cluster: FakeCluster): Buffer[] {
  const seen: Buffer[] = []
  const produce = cluster.produce.bind(cluster)
  cluster.produce = (node, batches, patience) => {
    seen.push(batches[0]!.bytes)
    return produce(node, batches, patience)
  }
  return seen
}

/** Does these to the first requests, one each, then what brokers do. */
export function first(...behaviours: readonly Behaviour[]): Behaviour {
  let count = 0
  return (request) => behaviours[count++]?.(request)
}

/** The leader appends; its answer is lost with the connection. */
export const loseAnswer =
  (cluster: FakeCluster): Behaviour =>
  async (request) => {
    cluster.appendAll(request)
    throw new Error('Connection closed')
  }
/** The request is lost with the connection before the leader read it. */
export const loseRequest: Behaviour = () => Promise.reject(new Error('Connection closed'))
export const answer =
  (code: number): Behaviour =>
  async (request) =>
    refuse(request, code)

/** Requests wait at the broker until they are let go. */
export function gate(cluster: FakeCluster): { release(): void; readonly waiting: SeenRequest[] } {
  const waiting: SeenRequest[] = []
  let go: (() => void)[] = []
  cluster.behaviour = (request) => {
    waiting.push(request)
    return new Promise((resolve) => go.push(() => resolve(cluster.appendAll(request))))
  }
  return {
    waiting,
    release() {
      const all = go
      go = []
      for (const one of all) one()
    },
  }
}
