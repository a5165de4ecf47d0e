import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { classOf, errorOf, foreign, wordsOf } from '../src/words.ts'

const revoked = Proxy.revocable({}, {})
revoked.revoke()
const revokedFunction = Proxy.revocable(() => 1, {})
revokedFunction.revoke()
const fails = (): never => {
  throw new Error('hostile')
}

/** What somebody may throw who wants to do harm. */
const hostile: Record<string, unknown> = {
  nothing: undefined,
  null: null,
  symbol: Symbol('s'),
  bigint: 1n,
  function: () => 1,
  'no prototype': Object.create(null),
  'a getter that throws': Object.defineProperty({}, 'message', { get: fails }),
  'an error whose message throws': Object.defineProperty(new Error('m'), 'message', { get: fails }),
  'an error whose name throws': Object.defineProperty(new Error(''), 'name', { get: fails }),
  'an error whose name is none': Object.assign(new Error(''), { name: 5, message: 5 }),
  'a proxy that refuses all': new Proxy(new Error('m'), {
    get: fails,
    getPrototypeOf: fails,
    has: fails,
    ownKeys: fails,
  }),
  'a revoked proxy': revoked.proxy,
  'a function that is a revoked proxy': revokedFunction.proxy,
  'text that forges': 'a\n[ERROR] forged\u001b[31m\u2028\u202e\u0000\ud800',
  'huge text': 'x'.repeat(10_000_000),
  'an error of huge text': new Error('y'.repeat(10_000_000)),
  'a toString that throws': { toString: fails, [Symbol.toPrimitive]: fails },
  'a tag that throws': Object.defineProperty({}, Symbol.toStringTag, { get: fails }),
  'a constructor that throws': Object.defineProperty({}, 'constructor', { get: fails }),
}

describe('whatever was thrown', () => {
  for (const [what, thrown] of Object.entries(hostile)) {
    it(`is put into words without harm: ${what}`, () => {
      for (const words of [
        wordsOf(thrown),
        classOf(thrown),
        errorOf(thrown) instanceof Error ? 'an error' : '',
      ]) {
        assert.equal(typeof words, 'string')
        assert.ok(words.length > 0 && words.length < 4_000)
        assert.ok(words.isWellFormed())
        assert.doesNotMatch(words, /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u)
      }
    })
  }

  it('says what it is', () => {
    assert.equal(wordsOf(new Error('no')), 'no')
    assert.equal(wordsOf('no'), 'no')
    assert.equal(wordsOf({ message: 'no' }), 'no')
    assert.equal(wordsOf(new TypeError('')), 'TypeError')
    assert.equal(wordsOf(undefined), 'undefined')
    assert.equal(wordsOf({}), 'a thrown object ([object Object])')
  })

  it('is an error: itself, or one that has it as its cause', () => {
    const error = new Error('no')
    assert.equal(errorOf(error), error)
    const made = errorOf('no')
    assert.deepEqual([made.message, made.cause], ['no', 'no'])
    assert.equal(made.stack, 'Error: no', 'where the error was made up is no place to look')
  })
})

describe('the class of a value', () => {
  it('is told without a word of what it says', () => {
    class Declined extends Error {
      override name = 'Declined'
    }
    assert.equal(classOf(new Declined('card 4111')), 'Declined')
    assert.equal(classOf('card 4111'), 'a string')
    assert.equal(classOf(null), 'null')
    assert.equal(classOf({ card: 4111 }), 'an object (Object)')
    assert.equal(classOf(Object.create(null)), 'an object (of no class)')
    assert.equal(classOf([4111]), 'an object (Array)')
  })
})

describe('foreign text', () => {
  it('is escaped where it could forge a line or steer a terminal, and is itself elsewhere', () => {
    assert.equal(foreign('a\nb\u001b[31m\u007f\u009b'), String.raw`a\u000ab\u001b[31m\u007f\u009b`)
    assert.equal(foreign('\u2028\u2029\u202e\u2066'), String.raw`\u2028\u2029\u202e\u2066`)
    assert.equal(foreign('a\ud800b\udc00'), String.raw`a\ud800b\udc00`)
    assert.equal(foreign('größe 😀 "quoted"'), 'größe 😀 "quoted"')
  })

  it('is cut where it is too long, and says how long it was', () => {
    assert.equal(foreign('x'.repeat(501)), `${'x'.repeat(500)}… (501 characters)`)
    assert.equal(foreign('x'.repeat(500)), 'x'.repeat(500))
    assert.equal(foreign('😀'.repeat(10), 3), String.raw`😀\ud83d… (20 characters)`)
  })
})
