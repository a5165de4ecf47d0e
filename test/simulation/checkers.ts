/**
 * The invariants, checked from what observers outside have written down and from what is in the log at the end.
 *
 * I1 every accepted request has exactly one outcome, in time and before its requester has closed; what is said not to
 *    have been sent was not.
 * I2 an outcome never changes; a late reply comes apart, once, and only to a request that was given up.
 * I3 a reply belongs to its request.
 * I4 work is done once, and answered once, when nobody dies, is cut off or overruns his time.
 * I5 the work of one key is done in the order in which it was asked for.
 * I7 what was acknowledged is in the log; every request in the log was handled, or refused with an error, and answered.
 * I8 after the faults everything is worked off, new requests are answered, closing ends, and no error went unheard.
 * I9 nobody is told "nothing was done" of a request that was handled, at whichever of its deliveries, nor that its outcome
 *    is known when it is not.
 * I10 what was answered, by a replier that has kept its partition for long enough to commit that, is not handled again,
 *    whatever is unfinished below it.
 */
import type { Happening, Life } from './history.ts'

/** A request as it stands in the log. */
export interface LoggedRequest {
  readonly id: string
  readonly key: string
  readonly partition: number
  readonly offset: number
  readonly correlationId: string
}

export interface Facts {
  readonly history: readonly Happening[]
  /** Every request in the log, partition by partition. */
  readonly log: readonly LoggedRequest[]
  /** Every reply in the reply topic that is there for good, with its correlation id, by `partition@offset`. */
  readonly replies: { readonly topic: string; readonly at: ReadonlyMap<string, string> }
  /** What was not as it should be when everything had healed. */
  readonly unhealed: readonly string[]
  /** Whether nothing happened that lets work be done twice. */
  readonly calm: boolean
}

export interface Violation {
  readonly invariant: 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I7' | 'I8' | 'I9' | 'I10'
  readonly message: string
}

export function check(facts: Facts): Violation[] {
  const violations: Violation[] = []
  const report = (invariant: Violation['invariant'], message: string): void => {
    violations.push({ invariant, message })
  }
  checkOutcomes(facts, report)
  checkClosing(facts, report)
  checkLateReplies(facts, report)
  checkReplies(facts, report)
  if (facts.calm) checkOnce(facts, report)
  checkOrder(facts, report)
  checkNothingVanishes(facts, report)
  checkClaims(facts, report)
  checkCommitted(facts, report)
  for (const what of facts.unhealed) report('I8', what)
  return violations
}

type Report = (invariant: Violation['invariant'], message: string) => void
type Of<What extends Happening['what']> = Extract<Happening, { what: What }>

function select<What extends Happening['what']>(history: readonly Happening[], what: What): Of<What>[] {
  return history.filter((happening): happening is Of<What> => happening.what === what)
}

function outcomesById(history: readonly Happening[]): Map<string, Of<'outcome'>[]> {
  return Map.groupBy(select(history, 'outcome'), ({ id }) => id)
}

/** Outcomes of requests of which it is not known whether they were sent: only when nobody waits any more. */
const mayBeUnknown = new Set(['MILENA_TIMEOUT', 'MILENA_CANCELLED', 'MILENA_ABANDONED'])

/** Milliseconds that an outcome may come after the timeout: timers are whole milliseconds. */
const slack = 1

function checkOutcomes({ history, log }: Facts, report: Report): void {
  const outcomes = outcomesById(history)
  const logged = new Set(log.map(({ id }) => id))
  const crashed = new Set<Life>(
    select(history, 'process')
      .filter(({ event }) => event === 'crash')
      .map(({ name }) => name),
  )
  for (const { id, life, at, timeout } of select(history, 'asked')) {
    const [first, ...more] = outcomes.get(id) ?? []
    if (first === undefined) {
      if (!crashed.has(life)) report('I1', `${id} has no outcome`)
      continue
    }
    if (more.length > 0)
      report('I2', `${id} has outcomes ${[first, ...more].map(({ code }) => code).join(', ')}`)
    if (first.sent === 'no' && logged.has(id))
      report('I1', `${id} was said not to be sent (${first.code}), and is in the log`)
    if (first.sent === 'unknown' && !mayBeUnknown.has(first.code))
      report('I1', `${id} ended as ${first.code} although a reply may yet have come in time`)
    if (first.at > at + timeout + slack)
      report(
        'I1',
        `${id} had its outcome ${first.at - at} ms after it was asked, its timeout is ${timeout} ms`,
      )
  }
}

const givenUp = new Set(['MILENA_TIMEOUT', 'MILENA_CANCELLED'])

/** An outcome that nobody waits for any more: the application may be gone once `close()` has come back. */
function checkClosing({ history }: Facts, report: Report): void {
  const lives = new Map<string, Life>()
  const closed = new Set<Life>()
  for (const happening of history)
    if (happening.what === 'asked') lives.set(happening.id, happening.life)
    else if (happening.what === 'process' && happening.event === 'closed') closed.add(happening.name)
    else if (happening.what === 'outcome' && closed.has(lives.get(happening.id)!))
      report('I1', `${happening.id} had its outcome (${happening.code}) after its requester had closed`)
}

function checkLateReplies({ history }: Facts, report: Report): void {
  const outcomes = outcomesById(history)
  for (const [id, late] of Map.groupBy(select(history, 'late'), ({ id }) => id)) {
    // An error that leaves the effect open may yet be followed by the reply; nothing follows that.
    const ends = late.findIndex(({ effect }) => effect !== 'unknown')
    if (ends >= 0 && ends < late.length - 1) report('I2', `${id} had ${late.length} late replies`)
    const before = outcomes.get(id)?.[0]
    if (before === undefined || before.at > late[0]!.at)
      report('I2', `${id} had a late reply before it had an outcome`)
    else if (
      !givenUp.has(before.code) &&
      !(before.code === 'MILENA_REMOTE_ERROR' && before.effect === 'unknown')
    )
      report('I2', `${id} had a late reply after its outcome was ${before.code}`)
  }
}

function checkReplies({ history }: Facts, report: Report): void {
  const hashes = new Map(select(history, 'asked').map(({ id, hash }) => [id, hash]))
  for (const happening of history) {
    if (happening.what !== 'outcome' && happening.what !== 'late') continue
    const { id, hash } = happening
    if (hash !== undefined && hash !== hashes.get(id))
      report('I3', `${id} was given the reply to another request`)
  }
}

function checkOnce({ history }: Facts, report: Report): void {
  const handled = Map.groupBy(select(history, 'handled'), ({ id }) => id)
  for (const [id, times] of handled)
    if (times.length > 1)
      report(
        'I4',
        `${id} was handled ${times.length} times, by ${times.map(({ worker }) => worker).join(', ')}`,
      )
  const answered = Map.groupBy(select(history, 'answered'), ({ correlationId }) => correlationId)
  for (const [correlationId, times] of answered)
    if (times.length > 1) report('I4', `${correlationId} was answered ${times.length} times`)
}

/**
 * Of each key, the order in which requests were asked for (by one requester), in which they stand in the log, and in
 * which each was done for the first time. A redelivery repeats work; it begins at or before the first that is undone,
 * so that the first times are still in order.
 *
 * Not so for work that a replier ends when it no longer has the partition, because it did not end in the time that it
 * was given, or could not know: nothing but an idempotency key can hold that back. Such a time is the first one all the
 * same: a replier that has the partition back goes on behind what it was still doing, without doing it again.
 */
function checkOrder({ history, log }: Facts, report: Report): void {
  const inLog = Map.groupBy(log, ({ key }) => key)
  const done = Map.groupBy(
    firstTimes(history).filter(({ zombie }) => !zombie),
    ({ key }) => key,
  )
  const asked = Map.groupBy(select(history, 'asked'), ({ key, life }) => `${key} of ${life}`)
  const places = new Map<string, number>()
  for (const [key, requests] of inLog) {
    for (const [place, { id }] of requests.entries()) if (!places.has(id)) places.set(id, place)
    const order = (done.get(key) ?? []).map(({ id }) => places.get(id) ?? -1)
    if (!isAscending(order)) report('I5', `key ${key}: done in the order ${order.join(' ')} of the log`)
  }
  for (const [what, requests] of asked) {
    const order = requests.flatMap(({ id }) => places.get(id) ?? [])
    if (!isAscending(order)) report('I5', `key ${what}: asked for in the order ${order.join(' ')} of the log`)
  }
}

function firstTimes(history: readonly Happening[]): Of<'handled'>[] {
  const done = new Set<string>()
  return select(history, 'handled').filter((one) => {
    if (!one.done || done.has(one.id)) return false
    done.add(one.id)
    return true
  })
}

function isAscending(order: readonly number[]): boolean {
  return order.every((place, i) => i === 0 || place > order[i - 1]!)
}

function checkNothingVanishes({ history, log, replies }: Facts, report: Report): void {
  const at = new Map(log.map((request) => [placeOf(request), request.correlationId]))
  for (const happening of select(history, 'acknowledged'))
    if (at.get(placeOf(happening)) !== happening.correlationId)
      report('I7', `the request acknowledged at ${placeOf(happening)} is not there`)
  for (const happening of select(history, 'answered'))
    if (happening.topic === replies.topic && replies.at.get(placeOf(happening)) !== happening.correlationId)
      report('I7', `the reply acknowledged at ${placeOf(happening)} is not there`)

  const handled = new Set(select(history, 'handled').map(({ id }) => id))
  const refused = new Set(
    select(history, 'replied').flatMap(({ code, correlationId }) =>
      code === undefined ? [] : correlationId,
    ),
  )
  const answered = new Set(select(history, 'answered').map(({ correlationId }) => correlationId))
  // Its reply topic is gone, because its requester is.
  const unanswerable = new Set(
    select(history, 'passed over').flatMap(({ reason, correlationId }) =>
      reason === 'reply-undeliverable' ? (correlationId ?? []) : [],
    ),
  )
  for (const request of log) {
    const { id, correlationId } = request
    if (unanswerable.has(correlationId)) continue
    const where = `${id}, in the log at ${placeOf(request)}, was never`
    if (!handled.has(id) && !refused.has(correlationId)) report('I7', `${where} handled`)
    else if (!answered.has(correlationId)) report('I7', `${where} answered`)
  }
}

function checkClaims({ history }: Facts, report: Report): void {
  const touched = new Set(select(history, 'handled').flatMap(({ id, touched }) => (touched ? id : [])))
  for (const happening of history) {
    if (happening.what !== 'outcome' && happening.what !== 'late') continue
    const { id, effect, code } = happening
    if (effect === 'none' && touched.has(id))
      report('I9', `${id} was said to have had no effect (${code}), and was handled`)
  }
}

function checkCommitted({ history }: Facts, report: Report): void {
  const kept = new Set<string>()
  for (const happening of history)
    if (happening.what === 'kept') kept.add(happening.place)
    else if (happening.what === 'handled' && !happening.zombie && kept.has(happening.place))
      report('I10', `${happening.id}, answered long before, was handled again by ${happening.worker}`)
}

export function placeOf({
  partition,
  offset,
}: {
  readonly partition: number
  readonly offset: number
}): string {
  return `${partition}@${offset}`
}
