import type { AnyOperation } from '../contract/operation.ts'
import { OptionsError } from '../errors.ts'
import { unknownOptions } from '../given.ts'
import type { FurtherTopic, ReplierExtension, ReplierOpening } from '../replier/extension.ts'
import type { Outcome } from '../replier/outcome.ts'
import type { RawRequest } from '../replier/raw-request.ts'
import { depths, type RecordMiddleware } from '../replier/record-middleware.ts'
import { missingTopic, requireTopic } from '../transport/topics.ts'
import type { IncomingRecord } from '../transport/transport.ts'
import { errorOf } from '../words.ts'
import { isRetryable, type Retryable } from './classify.ts'
import { Forwarding } from './forwarding.ts'
import { problemOfDuration, problemOfFunction } from './options.ts'

export interface RetryTopicsOptions {
  /**
   * Milliseconds that a request waits in each retry topic before it is tried there; as many topics, and tries beside the
   * first. Default 1 s, 10 s, 60 s.
   */
  readonly delays?: readonly number[]
  /** Names them; default `<base>-retry-<place>`. @param place from 1 */
  readonly topic?: (base: string, place: number) => string
  /** Which failures are tried again; default `isRetryable`. */
  readonly retryable?: Retryable
}

const known: ReadonlySet<string> = new Set<keyof RetryTopicsOptions>(['delays', 'topic', 'retryable'])
/** The most retry topics of an operation. */
const mostTopics = 20

/**
 * Tries a request again later without holding up any other: what has failed is written to a retry topic, with its key,
 * value and headers, into the same partition, and read from there when its time has come.
 *
 *     pay ── failed ─▶ pay-retry-1 (1 s) ── failed ─▶ pay-retry-2 (10 s) ── failed ─▶ pay-retry-3 (60 s) ── failed ─▶ given up
 *
 * Which try it is follows from the topic that it is read from; no header is believed. While that topic cannot be written to,
 * the partition stands still (`health()` says so), and its record is not handled again before it goes on. A try that
 * cannot begin before the requester's deadline is not made: the failure goes out at once, to the requester or to the
 * middleware outside of this one, as it does after the last topic.
 *
 * Not guaranteed: order. Later requests of the key overtake one that waits. And, as everywhere: a crash between the
 * writing and the commit has the request handled again, and written to the retry topic a second time.
 *
 * @throws OptionsError `MILENA_OPTIONS_INVALID`, listing every problem.
 */
export function retryTopics(options: RetryTopicsOptions = {}): RecordMiddleware {
  const problems = unknownOptions('retryTopics', options, known)
  const {
    delays = [1_000, 10_000, 60_000],
    topic: nameOf = (base, place) => `${base}-retry-${place}`,
    retryable = isRetryable,
  } = options
  if (!Array.isArray(delays) || delays.length === 0 || delays.length > mostTopics)
    problems.push(`delays must be a list of 1 to ${mostTopics} numbers`)
  else problems.push(...delays.flatMap((delay, i) => problemOfDuration(`delays[${i}]`, delay) ?? []))
  for (const [name, value] of [
    ['topic', nameOf],
    ['retryable', retryable],
  ] as const)
    problems.push(...[problemOfFunction(name, value) ?? []].flat())
  if (problems.length > 0) throw new OptionsError('retryTopics', problems)

  const topicsOf = ({ topic }: AnyOperation): FurtherTopic[] =>
    delays.map((delay, i) => ({ topic: nameOf(topic, i + 1), place: i + 1, delay }))
  const extension: ReplierExtension = {
    topics: topicsOf,
    open: (opening) => openTopics(opening, topicsOf),
  }
  /** What has failed and could not be handed over yet; forgotten with the record. */
  const forwardings = new WeakMap<IncomingRecord, Forwarding>()

  async function retryTopics(request: RawRequest, next: () => Promise<Outcome>): Promise<Outcome> {
    const { record, base, place, deadline, operation, replier } = request
    let forwarding = forwardings.get(record)
    if (forwarding === undefined) {
      const outcome = await next()
      if (outcome.kind !== 'error' || !retryable(request.error, outcome)) return outcome
      forwarding = new Forwarding(outcome)
    }
    // Whoever has the partition by now gets the record; and what was answered is not tried again.
    if (!request.owned) return { kind: 'abandoned' }
    const delay = delays[place]
    if (operation === undefined) return forwarding.outcome
    const givenUp: Outcome = { ...forwarding.outcome, givenUp: true }
    if (delay === undefined) return givenUp
    const dueAt = replier.clock.now() + delay
    if (deadline !== undefined && dueAt > deadline && !forwarding.began) return givenUp
    request.endLimit()
    try {
      await forwarding.write(request, nameOf(base, place + 1), dueAt)
      return { kind: 'handed over', comesAgain: true }
    } catch (error) {
      forwardings.set(record, forwarding)
      return { kind: 'stop', error: errorOf(error) }
    }
  }
  return Object.assign(retryTopics, { extension, depth: depths.retryTopics })
}

/** @throws TransportError `MILENA_TOPIC_MISSING` where they are missing and are not to be created. */
async function openTopics(
  opening: ReplierOpening,
  topicsOf: (operation: AnyOperation) => readonly FurtherTopic[],
): Promise<void> {
  const { transport, operations, createTopics } = opening
  const names = new Map(operations.map((operation) => [operation.topic, topicsOf(operation)]))
  const bases = await transport.describeTopics([...names.keys()])
  for (const [base, further] of names) {
    const partitions = bases.get(base)?.partitions
    if (partitions === undefined) throw missingTopic(base, 1)
    for (const { topic } of further) {
      const found = await requireTopic(transport, { name: topic, partitions }, createTopics)
      if (found.partitions >= partitions) continue
      opening.warn(
        'a retry topic has fewer partitions than its topic: requests of the others go to the partition of their key',
        { topic, partitions: found.partitions, wanted: partitions },
      )
    }
  }
}
