import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import * as errors from '../src/errors.ts'
import { errorCodes, type Effect, type ErrorCode, type ErrorFacts } from '../src/error-facts.ts'
import {
  listIssues,
  MilenaError,
  OptionsError,
  RemoteError,
  remoteCodes,
  remoteFacts,
  ReplyError,
  TimeoutError,
  TransportError,
  ValidationError,
} from '../src/errors.ts'

const page = await readFile(new URL('../../../docs/errors.md', import.meta.url), 'utf8')

/** The rows of the table below a heading: the cells, without their marks. */
function tableBelow(heading: string): string[][] {
  const section = page.split(/^## /m).find((part) => part.startsWith(heading))
  assert.ok(section, `docs/errors.md has no section "${heading}"`)
  const rows = section.split('\n').filter((line) => line.startsWith('| `'))
  return rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  )
}

const yes = (fact: boolean): string => (fact ? 'yes' : 'no')

test('docs/errors.md lists every code, with what is true of it', () => {
  const written = tableBelow('What a call can end with').map((cells) => cells.slice(0, 5))
  const coded = Object.entries(errorCodes).map(([code, facts]) => [
    code,
    facts.sent,
    facts.effect,
    yes(facts.outcomeKnown),
    yes(facts.retryable),
  ])
  assert.deepEqual(written, coded)
})

test('docs/errors.md lists every code that a replier itself answers with, with what is true of it', () => {
  const written = tableBelow('What a replier answers with').map((cells) => cells.slice(0, 4))
  const coded = Object.values(remoteCodes).map((code) => {
    const facts = remoteFacts(code)
    return [code, facts.effect, yes(facts.outcomeKnown), yes(facts.retryable)]
  })
  assert.deepEqual(written, coded)
})

test('an error says what its code says, unless it knows better', () => {
  for (const code of Object.keys(errorCodes) as ErrorCode[]) {
    const { sent, outcomeKnown, retryable, effect } = new MilenaError(code, 'm')
    assert.deepEqual({ sent, outcomeKnown, retryable, effect }, { ...errorCodes[code] })
  }
  const request = { operation: 'o', correlationId: 'c', topic: 't', key: null, position: undefined }
  const better = new MilenaError('MILENA_CANCELLED', 'm', {
    sent: 'no',
    outcomeKnown: true,
    effect: 'none',
    cause: 'c',
    request,
  })
  assert.deepEqual(
    [better.sent, better.outcomeKnown, better.retryable, better.effect, better.cause, better.request],
    ['no', true, false, 'none', 'c', request],
  )
})

/** Whether facts fit together. */
const sound = (what: string, { sent, outcomeKnown, retryable, effect }: ErrorFacts): void => {
  if (retryable) assert.ok(sent === 'no' && outcomeKnown, what)
  if (sent === 'no') assert.ok(outcomeKnown, what)
  if (effect === 'none') assert.ok(outcomeKnown && sent === 'no', what)
  if (outcomeKnown) assert.ok(sent === 'no', what)
}

test('nothing claims more than is known', () => {
  for (const [code, facts] of Object.entries(errorCodes)) sound(code, facts)
  for (const code of Object.values(remoteCodes)) {
    // A replier of ours speaks of its own delivery only: whatever an error reply with such a code adds.
    for (const effect of ['none', 'done', 'unknown', undefined] as const) {
      const facts = remoteFacts(code, { effect, retryable: true })
      sound(code, { sent: 'yes', ...facts })
      assert.notEqual(facts.effect, 'none', code)
    }
  }
})

/** What a requester is told when a `ReplyError` says so. */
const said = (effect?: Effect, retryable?: boolean): unknown[] => {
  const facts = remoteFacts('CARD_DECLINED', { effect, retryable })
  return [facts.effect, facts.outcomeKnown, facts.retryable]
}

test('a ReplyError says of the effect what it knows, and nothing of its own accord', () => {
  assert.deepEqual(said(), ['unknown', false, false])
  assert.deepEqual(said('none'), ['none', true, false])
  assert.deepEqual(said('done'), ['done', true, false])
  assert.deepEqual(said('none', true), ['none', true, true])
  const plain = new ReplyError('C', 'm')
  assert.deepEqual([plain.effect, plain.retryable], ['unknown', false])
  const better = new ReplyError('C', 'm', { effect: 'none', retryable: true, cause: 'c' })
  assert.deepEqual([better.effect, better.retryable, better.cause], ['none', true, 'c'])
})

test('somebody else’s text can forge no line and has a bound', () => {
  const remote = new RemoteError('o', 'A\nB', `x\u0000\nFORGED\u001b[31m${'y'.repeat(10_000)}`)
  assert.doesNotMatch(remote.message, /\p{Cc}/u)
  assert.ok(remote.message.length < 1000)
  assert.equal(remote.remoteCode, 'A\nB')
  assert.equal(new RemoteError('o', '', '').message, 'operation o: an error reply without a code')
  assert.equal(new RemoteError('o', 'NO', '').message, 'operation o: NO')
  const issues = Array.from({ length: 1000 }, (_, i) => ({
    path: `a\n${i}`,
    message: 'm\u2028'.repeat(1000),
  }))
  assert.doesNotMatch(listIssues(issues), /[\n\u2028]/)
  assert.match(listIssues(issues), /; and 980 more$/)
  assert.ok(new ValidationError('MILENA_REPLY_INVALID', 'o', issues).message.length < 50_000)
})

/** One of each class. */
const makers = {
  MilenaError: (from: typeof errors) => new from.MilenaError('MILENA_CLOSED', 'm'),
  TransportError: (from: typeof errors) => new from.TransportError('MILENA_NOT_SENT', 'm'),
  OptionsError: (from: typeof errors) => new from.OptionsError('o', ['p']),
  ValidationError: (from: typeof errors) => new from.ValidationError('MILENA_REQUEST_INVALID', 'o', []),
  TimeoutError: (from: typeof errors) => new from.TimeoutError('o', 1),
  RemoteError: (from: typeof errors) => new from.RemoteError('o', 'c', 'm'),
  ReplyError: (from: typeof errors) => new from.ReplyError('C', 'm'),
}
const classes = {
  MilenaError,
  TransportError,
  OptionsError,
  ValidationError,
  TimeoutError,
  RemoteError,
  ReplyError,
} as const
type Name = keyof typeof classes
const names = Object.keys(classes) as Name[]

/** As the class hierarchy has it. */
function expected(error: Name, of: Name): boolean {
  return error === of || (of === 'MilenaError' && error !== 'ReplyError')
}

test('each error has the name of its class', () => {
  for (const name of names) assert.equal(makers[name](errors).name, name)
})

test('every class of errors is here', () => {
  const exported = Object.entries(errors).filter(
    ([, value]) => typeof value === 'function' && value.prototype instanceof Error,
  )
  assert.deepEqual(exported.map(([name]) => name).toSorted(), names.toSorted())
})

test('an error of another copy of the package is known by its class', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'milena-copy-'))
  try {
    await cp(new URL('../src', import.meta.url), folder, { recursive: true })
    const copy = (await import(pathToFileURL(join(folder, 'errors.ts')).href)) as typeof errors
    assert.notEqual(copy.MilenaError, MilenaError)
    for (const error of names) {
      for (const of of names) {
        assert.equal(
          makers[error](copy) instanceof classes[of],
          expected(error, of),
          `${error} of a copy, ${of}`,
        )
        assert.equal(
          makers[error](errors) instanceof copy[of],
          expected(error, of),
          `${error}, ${of} of a copy`,
        )
        assert.equal(makers[error](errors) instanceof classes[of], expected(error, of), `${error}, ${of}`)
      }
    }
    class Declined extends copy.ReplyError {}
    const declined: unknown = new Declined('D', 'm')
    assert.ok(declined instanceof ReplyError && declined instanceof Declined)
    assert.ok(!(declined instanceof MilenaError))
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('a class that somebody derives is told apart as usual', () => {
  class Declined extends ReplyError {}
  class Stolen extends Declined {}
  class Lost extends TransportError {}
  const [declined, stolen, lost] = [
    new Declined('D', 'm'),
    new Stolen('S', 'm'),
    new Lost('MILENA_NOT_SENT', 'm'),
  ]
  assert.ok(declined instanceof Declined && declined instanceof ReplyError && declined instanceof Error)
  assert.ok(stolen instanceof Declined && !((declined as unknown) instanceof Stolen))
  assert.ok(!((new ReplyError('C', 'm') as unknown) instanceof Declined))
  assert.ok(lost instanceof TransportError && lost instanceof MilenaError)
  assert.ok(!((new TransportError('MILENA_NOT_SENT', 'm') as unknown) instanceof Lost))
  assert.equal(lost.name, 'Lost')
})

test('what is no error of ours is not taken for one, whatever it is', () => {
  const revoked = Proxy.revocable({}, {})
  revoked.revoke()
  const hostile = new Proxy(
    {},
    {
      get: () => assert.fail('hostile'),
      getPrototypeOf: () => assert.fail('hostile'),
      has: () => assert.fail('hostile'),
    },
  )
  for (const value of [
    undefined,
    null,
    5,
    'MILENA_CLOSED',
    {},
    Object.create(null),
    new Error('m'),
    hostile,
    revoked.proxy,
  ])
    for (const name of names) assert.equal((value as unknown) instanceof classes[name], false)
  assert.equal(MilenaError.prototype instanceof TransportError, false)
})
