/**
 * Whether another living instance has this one's id, and with it its address. A lease cannot say: it looks the same
 * after a kill. So its owner is asked, by a record in the reply partition that it reads; it answers in the lease.
 *
 *     started ──a lease in our name──▶ asking ──the lease names the question──▶ refused
 *        └──none──▶ free                  └──nothing within 1 s──▶ free: whoever had it was killed
 *
 * Nobody is asked where a journal has settled whose the id is. An owner that is held up for longer, or of an earlier version, does not answer: it is found out later, by renewals that
 * are not ours (`own-lease.ts`).
 */
import { randomUUID } from 'node:crypto'
import { OptionsError } from '../errors.ts'
import type { IncomingRecord, OutgoingRecord, TopicPartition } from '../transport/transport.ts'
import { errorOf } from '../words.ts'
import { isClosed, leaseValidity, type Lease, type LeaseTable } from './leases.ts'
import type { OwnLease } from './own-lease.ts'
import type { RoutingContext } from './routing.ts'

const questionHeader = Buffer.from('milena-lease-question')
/** Milliseconds that an answer may take, with all that has to be asked before. */
const patience = 1_000
/** Milliseconds between two looks at the lease. */
const interval = 20
/** The most questions that wait to be answered: each is a write. */
const mostQuestions = 8

/**
 * Resolves when nobody living is known to have the lease of this place in this instance's name, within a second.
 *
 * @throws OptionsError that says who has it and until when
 */
export async function refuseLivingOwner(
  leases: LeaseTable,
  place: TopicPartition,
  context: RoutingContext,
): Promise<void> {
  if (context.idIsOurs === true) return
  const over = new AbortController()
  const late = Promise.withResolvers<undefined>()
  const timer = context.clock.schedule(patience, () => late.resolve(undefined))
  const asking = askOwner(leases, place, context, over.signal).catch((thrown: unknown) => {
    // Whether it lives is worth knowing, not worth failing for.
    if (!isClosed(thrown) && !over.signal.aborted) context.warn(errorOf(thrown))
    return undefined
  })
  const owner = await Promise.race([asking, late.promise])
  timer.cancel()
  over.abort()
  if (owner !== undefined) throw inUse(owner)
}

/** Its lease, when it has answered. */
async function askOwner(
  leases: LeaseTable,
  { topic, partition }: TopicPartition,
  { transport, instanceId, clock }: RoutingContext,
  over: AbortSignal,
): Promise<Lease | undefined> {
  const read = async (): Promise<Lease | undefined> =>
    (await leases.read([topic])).find((lease) => lease.partition === partition && lease.owner === instanceId)
  if ((await read()) === undefined || over.aborted) return undefined
  const token = randomUUID()
  const question: OutgoingRecord = {
    topic,
    partition,
    key: null,
    value: null,
    headers: [[questionHeader, Buffer.from(`${instanceId} ${token}`)]],
  }
  transport.send(question).catch(() => undefined)
  try {
    while (!over.aborted) {
      const lease = await read()
      if (lease?.answers === token) return lease
      await new Promise<void>((resolve) => clock.schedule(interval, resolve))
    }
    return undefined
  } finally {
    transport.withdraw(question)
  }
}

function inUse({ owner, topic, partition, renewedAt, holder }: Lease): OptionsError {
  const who = holder === undefined ? 'a living instance' : `a living instance, process ${holder},`
  const until = new Date(renewedAt + leaseValidity).toISOString()
  return new OptionsError(`instanceId ${owner}`, [
    `${who} has it, and the lease of ${topic}[${partition}] until ${until}, which it renews; ` +
      'give each instance an instanceId of its own, or close the other one first',
  ])
}

/** A context that answers questions for this instance, and hands everything but questions on. */
export function answering(context: RoutingContext, lease: OwnLease): RoutingContext {
  const waiting: string[] = []
  let answers: Promise<void> | undefined
  const answerAll = async (): Promise<void> => {
    for (let token = waiting.shift(); token !== undefined; token = waiting.shift())
      await lease.renew(token).catch(() => undefined)
    answers = undefined
  }
  return {
    ...context,
    receive(records) {
      if (!records.some((record) => readQuestion(record) !== undefined)) {
        context.receive(records)
        return
      }
      for (const record of records) {
        const [instanceId, token] = readQuestion(record)?.split(' ') ?? []
        if (instanceId !== context.instanceId || token === undefined || waiting.length === mostQuestions)
          continue
        waiting.push(token)
        answers ??= answerAll()
      }
      context.receive(records.filter((record) => readQuestion(record) === undefined))
    },
  }
}

function readQuestion({ key, value, headers }: IncomingRecord): string | undefined {
  if (value !== null || key !== null || headers.length !== 1) return undefined
  const [name, text] = headers[0]!
  return name.equals(questionHeader) ? String(text ?? '') : undefined
}
