/** Replies that come when their request has an outcome already. */
import { createHash } from 'node:crypto'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import { RemoteError, remoteCodes } from '../src/errors.ts'
import { errorHeaders } from '../src/wire/milena.ts'
import { AnsweredRequests } from '../src/requester/memory.ts'
import { fingerprintOf } from '../src/requester/fingerprint.ts'
import type { RequesterOptions } from '../src/requester/options.ts'
import type { Logger } from '../src/warnings.ts'
import type { WarningStep } from '../src/diagnostics.ts'
import { code, echo, seenOn, setUp, until, warningsSeen, type Setup } from './requesting.ts'

const value = Buffer.from('x')

const refusal = (
  name: string,
  effect?: 'none' | 'done',
): { value: null; headers: ReturnType<typeof errorHeaders> } => ({
  value: null,
  headers: errorHeaders({ code: name, message: 'no', effect }),
})

async function answeredWith(
  answer: Parameters<Setup['replier']['answer']>[1],
  options: Partial<RequesterOptions> = {},
): Promise<Setup> {
  const setup = await setUp(() => undefined, options)
  const outcome = setup.requester.request(echo, value).catch(() => {})
  await until(() => setup.replier.requests.length === 1)
  await setup.replier.answer(setup.replier.requests[0]!, answer)
  await outcome
  return setup
}

test('after an error that leaves its effect open, the reply that comes all the same is late', async () => {
  for (const name of [remoteCodes.deadlineExceeded, remoteCodes.handlerFailed, 'AN_APPLICATIONS_OWN']) {
    const steps = seenOn('milena:reply:late')
    const { requester, replier, late } = await answeredWith(refusal(name))
    const again = (answer: Parameters<typeof replier.answer>[1]): Promise<void> =>
      replier.answer(replier.requests[0]!, answer)
    await again(refusal(name))
    await until(() => requester.stats().duplicate === 1)
    await again({ value: Buffer.from('approved') })
    await until(() => late.length === 1)
    assert.equal(String(late[0]!.reply?.value), 'approved')
    assert.deepEqual(late[0]!.request, value)
    assert.equal(steps.length, 1)
    await again({ value: Buffer.from('approved') })
    await until(() => requester.stats().duplicate === 2)
    const { remoteErrors, late: counted, contradicting, replied } = requester.stats()
    assert.deepEqual([remoteErrors, counted, contradicting, replied], [1, 1, 0, 0])
  }
})

test('an error of whose effect something is known is late as well, after one that leaves it open', async () => {
  const { replier, late } = await answeredWith(refusal(remoteCodes.operationUnknown))
  await replier.answer(replier.requests[0]!, refusal('DECLINED', 'none'))
  await until(() => late.length === 1)
  const { error } = late[0]!
  assert.ok(error instanceof RemoteError)
  assert.deepEqual([error.remoteCode, error.effect, error.outcomeKnown], ['DECLINED', 'none', true])
  assert.equal(error.request?.correlationId, late[0]!.correlationId)
})

test('a late error that leaves the effect open is handed over, and so is the reply after it', async () => {
  const { requester, replier, clock, late } = await setUp(() => undefined)
  const outcome = assert.rejects(requester.request(echo, value, { timeout: 50 }), code('MILENA_TIMEOUT'))
  await until(() => replier.requests.length === 1)
  await clock.advance(50)
  await outcome
  await replier.answer(replier.requests[0]!, refusal(remoteCodes.deadlineExceeded))
  await replier.answer(replier.requests[0]!, { value: Buffer.from('approved') })
  await until(() => late.length === 2)
  assert.ok(late[0]!.error instanceof RemoteError)
  assert.equal(String(late[1]!.reply?.value), 'approved')
})

test('two replies with different content are a warning that says where both stand', async () => {
  for (const second of [{ value: Buffer.from('other') }, refusal('DECLINED', 'none')]) {
    const warnings = warningsSeen()
    const { requester, replier } = await answeredWith({ value: Buffer.from('first') })
    await replier.answer(replier.requests[0]!, second)
    await until(() => requester.stats().contradicting === 1)
    assert.equal(requester.stats().duplicate, 0)
    const [{ context, details }] = warnings as [WarningStep]
    assert.match(context, /two different replies to one request/)
    assert.deepEqual([details.first, details.second], ['replies[2] at offset 0', 'replies[2] at offset 1'])
  }
  // An error, and a success after it that contradicts it.
  const { requester, replier, late } = await answeredWith(refusal('DECLINED', 'none'))
  await replier.answer(replier.requests[0]!, { value: Buffer.from('approved') })
  await until(() => requester.stats().contradicting === 1)
  assert.equal(late.length, 0)
})

test('contradictions by the thousand are counted each, and told the logger once in ten seconds', async () => {
  const told: Readonly<Record<string, unknown>>[] = []
  const logger: Logger = {
    warn: (message, details) => void (message.startsWith('two different') && told.push(details)),
  }
  const { requester, replier, clock } = await answeredWith({ value: Buffer.from('first') }, { logger })
  const again = (text: string): Promise<void> =>
    replier.answer(replier.requests[0]!, { value: Buffer.from(text) })
  for (let n = 0; n < 10; n++) await again(`other ${n}`)
  await until(() => requester.stats().contradicting === 10)
  assert.equal(told.length, 1)
  await clock.advance(10_000)
  assert.deepEqual(
    told.map(({ more }) => more),
    [undefined, 9],
  )
})

test('what falls out of the memory of unanswered requests is counted, and the first is a warning', async () => {
  const warnings = warningsSeen()
  const { requester, replier, clock, late } = await setUp(() => undefined, { remember: 2 })
  const asked = [1, 2, 3, 4].map(() => requester.request(echo, value, { timeout: 50 }).catch(() => {}))
  await until(() => replier.requests.length === 4)
  await clock.advance(50)
  await Promise.all(asked)
  assert.equal(requester.stats().forgotten, 2)
  assert.equal(warnings.length, 1)
  assert.match(warnings[0]!.error.message, /forgotten/)
  for (const request of replier.requests) await replier.answer(request, { value })
  await until(() => late.length === 2)
  await until(() => requester.stats().foreign === 2)
})

test('whatever onLateReply throws, or rejects with, is a warning and nothing else', async () => {
  const thrown: readonly unknown[] = [undefined, null, Object.create(null), new Error('an error')]
  for (const one of thrown) {
    for (const later of [true, false]) {
      const warnings = warningsSeen()
      const { requester, replier, clock } = await setUp(() => undefined, {
        onLateReply() {
          if (later) return Promise.reject(one)
          throw one
        },
      })
      const outcome = requester.request(echo, value, { timeout: 10 }).catch(() => {})
      await until(() => replier.requests.length === 1)
      await clock.advance(10)
      await outcome
      await replier.answer(replier.requests[0]!, { value })
      await until(() => warnings.length === 1)
      assert.match(warnings[0]!.context, /onLateReply/)
    }
  }
})

test('a late reply knows its operation', async () => {
  const other = defineOperation({ name: 'other', topic: 'requests', request: string(), reply: string() })
  const { requester, replier, clock, late } = await setUp(() => undefined)
  const outcome = requester.request(other, 'asked', { timeout: 10 }).catch(() => {})
  await until(() => replier.requests.length === 1)
  await clock.advance(10)
  await outcome
  await replier.answer(replier.requests[0]!, { value: Buffer.from('late') })
  await until(() => late.length === 1)
  const [one] = late
  assert.ok(!one!.of(echo))
  assert.ok(one!.of(other))
  const text: string = one.request + one.reply!.value
  assert.equal(text, 'askedlate')
})

test('replies are remembered as numbers, for as many requests as asked for, and no more than twice that', () => {
  // Counted up at either end, where all else is the same, and random.
  const kinds = [
    (n: number): Buffer => Buffer.from(`${String(n).padStart(4, '0')}............`),
    (n: number): Buffer => Buffer.from(`............${String(n).padStart(4, '0')}`),
    (n: number): Buffer => createHash('md5').update(String(n)).digest(),
  ]
  for (const idOf of kinds) {
    const answered = new AnsweredRequests(1000)
    for (let n = 0; n < 5000; n++) {
      answered.add(idOf(n), -n, { topic: `replies ${n % 2}`, partition: n % 3, offset: 2 ** 40 + n })
    }
    for (let n = 4000; n < 5000; n++) {
      assert.deepEqual(answered.find(idOf(n).toString('latin1')), {
        fingerprint: -n,
        position: { topic: `replies ${n % 2}`, partition: n % 3, offset: 2 ** 40 + n },
      })
    }
    const found = Array.from({ length: 5000 }, (_, n) => answered.find(idOf(n).toString('latin1')))
    const known = found.filter((one) => one !== undefined).length
    assert.ok(known >= 1000 && known <= 2000, `${known}`)
    assert.equal(answered.find('an id of another'), undefined)
    assert.equal(answered.find('too short'), undefined)
  }
})

test('of two replies to one request the last is remembered; with a memory of none, none', () => {
  const id = Buffer.alloc(16, 7)
  const at = { topic: 'replies', partition: 0, offset: 1 }
  const answered = new AnsweredRequests(10)
  answered.add(id, 1, at)
  answered.add(id, 2, { ...at, offset: 2 })
  assert.deepEqual(answered.find(id.toString('latin1')), { fingerprint: 2, position: { ...at, offset: 2 } })
  const none = new AnsweredRequests(0)
  none.add(id, 1, at)
  assert.equal(none.find(id.toString('latin1')), undefined)
})

test('a fingerprint tells values, their absence, and error codes apart', () => {
  const long = Buffer.alloc(1000, 'x')
  const other = Buffer.from(long)
  other[999] = 0
  // Each byte of those that are summed up here, too.
  const short = Buffer.alloc(203, 'x')
  const others = Array.from(short, (_, at) =>
    Buffer.concat([short.subarray(0, at), Buffer.of(0), short.subarray(at + 1)]),
  )
  const contents = [null, Buffer.alloc(0), Buffer.from('a'), Buffer.from('b'), long, other, short, ...others]
  const prints = contents.flatMap((content) =>
    [undefined, 'A', 'B'].map((name) => fingerprintOf(content, name)),
  )
  assert.equal(new Set(prints).size, prints.length)
  assert.equal(fingerprintOf(Buffer.from(long), 'A'), fingerprintOf(long, 'A'))
})
