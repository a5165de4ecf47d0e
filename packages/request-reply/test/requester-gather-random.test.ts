/** Many requests for several replies, each with events in a random order, against a model that knows nothing of the requester. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MilenaError } from '../src/errors.ts'
import { gatheredIn, type Gathered } from '../src/requester/gathered.ts'
import { springProfile } from '../src/wire/spring.ts'
import { errorHeaders, groupHeader } from '../src/wire/milena.ts'
import type { RawHeader } from '../src/wire/headers.ts'
import { assertAccounted, echo, setUp, StagedRouting, until, warningsSeen } from './requesting.ts'

const contents = ['one', 'two', 'error that leaves it open', 'error that says what it did'] as const
type Content = (typeof contents)[number]
type Happening = { readonly group: string | undefined; readonly content: Content } | 'timeout' | 'abort'

const isOpen = (content: Content): boolean => content === 'error that leaves it open'
const isError = (content: Content): boolean => content.startsWith('error')

/** A small generator, so that a seed is a test again. */
function randomOf(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 + 1
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0
    return ((state ^ (state >>> 13)) >>> 8) % below
  }
}

interface Case {
  readonly count: number
  readonly maxReplies: number
  readonly happenings: readonly Happening[]
}

function draw(seed: number): Case {
  const random = randomOf(seed)
  const count = 1 + random(3)
  const groups = ['a', 'b', 'c', undefined]
  const happenings = Array.from({ length: 2 + random(10) }, (): Happening => {
    const what = random(14)
    if (what === 0) return 'timeout'
    if (what === 1) return 'abort'
    return { group: groups[random(groups.length)], content: contents[random(contents.length)]! }
  })
  return { count, maxReplies: count + random(3), happenings: [...happenings, 'timeout'] }
}

interface Told {
  ended: string | undefined
  replies: string[]
  errors: number
  late: number
  duplicate: number
  contradicting: number
}

/** What has to come of it. */
function model({ count, maxReplies, happenings }: Case): Told {
  const told: Told = { ended: undefined, replies: [], errors: 0, late: 0, duplicate: 0, contradicting: 0 }
  const answers = new Map<string | symbol, Content>()
  for (const happening of happenings) {
    if (happening === 'abort') told.ended ??= 'MILENA_CANCELLED'
    else if (happening === 'timeout') told.ended ??= told.replies.length > 0 ? 'partial' : 'MILENA_TIMEOUT'
    else {
      const { group, content } = happening
      const name = group ?? Symbol('none')
      const before = answers.get(name)
      if (before !== undefined && (!isOpen(before) || isOpen(content))) {
        if (before === content) told.duplicate++
        else told.contradicting++
        continue
      }
      answers.set(name, content)
      if (told.ended === undefined && told.replies.length + told.errors === maxReplies)
        told.ended = 'MILENA_TOO_MANY_REPLIES'
      if (told.ended !== undefined) told.late++
      else if (isError(content)) told.errors++
      else if (told.replies.push(content) === count) told.ended = 'complete'
    }
  }
  return told
}

test('whatever comes in whatever order: one outcome, with what the model says', async () => {
  const warnings = warningsSeen()
  const routing = new StagedRouting()
  const setup = await setUp(() => undefined, { replyRouting: routing })
  const { requester, replier, clock, late } = setup
  let offset = 0
  const outcomes = new Set<string>()
  for (let seed = 0; seed < 300; seed++) {
    const drawn = draw(seed)
    const expected = model(drawn)
    const before = requester.stats()
    const lateBefore = late.length
    const abort = new AbortController()
    const { count, maxReplies } = drawn
    const outcome = requester
      .requestMany(echo, Buffer.from('x'), { count, maxReplies, timeout: 1_000, signal: abort.signal })
      .then(
        (gathered): [string, Gathered<Buffer>] => [gathered.complete ? 'complete' : 'partial', gathered],
        (error: MilenaError): [string, Gathered<Buffer>] => [error.code, gatheredIn(error, echo)!],
      )
    await until(() => replier.requests.length === seed + 1 && requester.stats().sending === 0)
    const id = springProfile.readReplyRequest(replier.requests[seed]!.headers) as { correlationId: Buffer }
    for (const happening of drawn.happenings) {
      if (happening === 'timeout') await clock.advance(1_000)
      else if (happening === 'abort') abort.abort()
      else {
        const { group, content } = happening
        const headers: RawHeader[] = [springProfile.correlationHeader(id.correlationId)]
        const effect = isOpen(content) ? undefined : 'done'
        if (isError(content)) headers.push(...errorHeaders({ code: content, message: '', effect }))
        if (group !== undefined) headers.push(groupHeader(group)!)
        const value = isError(content) ? null : Buffer.from(content)
        const place = { topic: 'replies', partition: 2, offset: offset++, timestamp: 0, key: null }
        routing.context!.receive([{ ...place, value, headers, size: 100 }])
      }
    }
    const [ended, { replies, errors }] = await outcome
    outcomes.add(ended)
    const after = requester.stats()
    const told: Told = {
      ended,
      replies: replies.map(({ value }) => String(value)),
      errors: errors.length,
      late: after.late - before.late,
      duplicate: after.duplicate - before.duplicate,
      contradicting: after.contradicting - before.contradicting,
    }
    assert.deepEqual(told, expected, `seed ${seed}: ${JSON.stringify(drawn)}`)
    assert.equal(late.length - lateBefore, expected.late, `handed over, seed ${seed}`)
    assert.deepEqual([after.pending, after.pendingBytes], [0, 0], `seed ${seed}`)
  }
  assert.deepEqual(
    [...outcomes].toSorted(),
    ['MILENA_CANCELLED', 'MILENA_TIMEOUT', 'MILENA_TOO_MANY_REPLIES', 'complete', 'partial'],
    'each outcome has come',
  )
  assert.ok(warnings.every(({ context }) => /two different replies|answered twice/.test(context)))
  assertAccounted(requester)
})
