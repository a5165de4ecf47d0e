/**
 * A reply routing of one's own: the pods of a StatefulSet are numbered, and pod 3 receives its replies in partition 3.
 * Nothing has to be agreed on among them, as `replyPartition` does with leases: Kubernetes runs each number once.
 * `testing/own-routing.test.ts` asks it what is asked of every routing; docs/own-routing.md says what that is.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import {
  createReplier,
  createRequester,
  defineOperation,
  isMilenaError,
  OptionsError,
  requireTopic,
  string,
  type OpenReplyRouting,
  type RecordPosition,
  type ReplyRouting,
  type RoutingContext,
  type Trouble,
} from '@milena/request-reply'

export interface OrdinalPartitionOptions {
  readonly topic: string
  /** This pod's number, from 0: its partition. */
  readonly ordinal: number
  /** How many partitions `createTopics` makes: as many as there will ever be pods. Default 12. */
  readonly partitions?: number
}

export function ordinalPartition({ topic, ordinal, partitions = 12 }: OrdinalPartitionOptions): ReplyRouting {
  return {
    name: 'ordinalPartition',
    topicOf: () => topic,
    async open(context) {
      const found = await requireTopic(context.transport, { name: topic, partitions }, context.createTopics)
      if (ordinal >= found.partitions) {
        const problem = `pod ${ordinal} has no partition: topic ${topic} has ${found.partitions}, add some`
        throw new OptionsError('ordinalPartition', [problem])
      }
      return open(context, topic, ordinal, found.partitions)
    },
  }
}

/** `gateway-3` is 3: what Kubernetes calls a StatefulSet's pods, and their hosts (`os.hostname()`). */
export function ordinalOf(pod: string): number {
  const digits = /-(\d+)$/.exec(pod)?.[1]
  if (digits === undefined) throw new Error(`${pod} does not end with a number, as a StatefulSet's pods do`)
  return Number(digits)
}

async function open(
  context: RoutingContext,
  topic: string,
  partition: number,
  partitions: number,
): Promise<OpenReplyRouting> {
  const { transport } = context
  const closing = new AbortController()
  let lasting: readonly Trouble[] = []
  let making: Promise<void> | undefined

  function onTrouble(troubles: readonly Trouble[]): void {
    lasting = troubles
    if (isGone() && context.createTopics) making ??= makeAgain().finally(() => (making = undefined))
    context.onTrouble(troubles) // while there is one the requester sends nothing
  }

  function isGone(): boolean {
    return lasting.some(({ kind }) => kind === 'topic-missing')
  }

  /** Until the reading has found it: the broker that answered may not be the one that made it. */
  async function makeAgain(): Promise<void> {
    while (isGone() && !closing.signal.aborted) {
      await transport.createTopics([{ name: topic, partitions }]).catch(tell)
      await sleep(1_000, undefined, { signal: closing.signal }).catch(() => {})
    }
  }

  /** That the transport was closed is no news to whoever closed it. */
  function tell(error: Error): void {
    if (!closing.signal.aborted && !(isMilenaError(error) && error.code === 'MILENA_CLOSED'))
      context.warn(error)
  }

  // It has begun to read when this resolves: a reply that is sent from now on will be received.
  const tail = await transport.tail({
    topic,
    partitions: [partition],
    from: startOf(context.resumeFrom, topic, partition),
    onRecords: (records) => context.receive(records),
    onUnreadable: (range) => context.unreadable(range),
    onTrouble,
    onError: tell,
  })
  const address = { topic, partition }
  return {
    address: () => address,
    positions: () => tail.positions(),
    caughtUp: () => tail.caughtUp(),
    async close() {
      closing.abort()
      await Promise.all([tail.close(), making])
    },
  }
}

/** The end, or the lowest position that a predecessor had; one of somewhere else is refused. */
function startOf(
  resumeFrom: readonly RecordPosition[] | undefined,
  topic: string,
  partition: number,
): 'latest' | readonly RecordPosition[] {
  if (resumeFrom === undefined || resumeFrom.length === 0) return 'latest'
  const strange = resumeFrom.filter(
    (position) => position.topic !== topic || position.partition !== partition,
  )
  if (strange.length > 0) {
    const problems = strange.map(
      (position) =>
        `resumeFrom names ${position.topic}[${position.partition}], and this pod reads ${topic}[${partition}]`,
    )
    throw new OptionsError('ordinalPartition', problems)
  }
  return [{ topic, partition, offset: Math.min(...resumeFrom.map(({ offset }) => offset)) }]
}

if (process.argv[1] === import.meta.filename) {
  // A broker in this process, or yours: KAFKA_BROKERS=host:port,…
  await using broker = process.env['KAFKA_BROKERS'] ? undefined : await startEmbeddedKafka()
  const kafka = { brokers: broker?.brokers ?? process.env['KAFKA_BROKERS']!.split(',') }
  const greet = defineOperation({
    name: 'greet',
    topic: 'own-routing-requests',
    request: string(),
    reply: string(),
  })
  await using replier = createReplier({ kafka, groupId: 'own-routing-worker', createTopics: true })
  replier.handle(greet, (name) => `hello ${name}`)
  await replier.start()

  // In your system each is a process of its own, and `pod` is os.hostname().
  for (const pod of ['gateway-0', 'gateway-3']) {
    await using requester = await createRequester({
      kafka,
      instanceId: pod,
      replyRouting: ordinalPartition({ topic: 'own-routing-replies', ordinal: ordinalOf(pod) }),
      createTopics: true,
      timeout: 30_000,
    })
    const { value, position } = await requester.request(greet, pod)
    console.log(`${value}: in ${position.topic}[${position.partition}]`)
  }
}

// Prints:
// hello gateway-0: in own-routing-replies[0]
// hello gateway-3: in own-routing-replies[3]
