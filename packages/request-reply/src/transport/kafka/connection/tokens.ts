/** OAUTHBEARER tokens: asked for once for all connections, and anew when one is used up or refused. */
import { NetworkFailure } from './verdicts.ts'
import { wordsOf } from '../../../words.ts'

/** The part of a token's life, from when we got it, after which the next connection asks for another. */
const USED_UP = 0.8

export interface Token {
  readonly text: string
  /** `Date.now()` at which its `exp` says that it ends; `undefined` when it does not say. */
  readonly expires: number | undefined
  readonly gotAt: number
}

export class Tokens {
  readonly #source: string | (() => string | Promise<string>)
  #token: Token | undefined
  #asking: Promise<Token> | undefined

  constructor(source: string | (() => string | Promise<string>)) {
    this.#source = source
  }

  /** Whether there may be another one than the last. */
  get renewable(): boolean {
    return typeof this.#source === 'function'
  }

  /** `fresh`: it was asked for now, and not before. Rejects with a `NetworkFailure`: the service may be back next time. */
  async get(): Promise<{ readonly token: Token; readonly fresh: boolean }> {
    const held = this.#token
    if (held !== undefined && !isUsedUp(held, Date.now())) return { token: held, fresh: false }
    return { token: await (this.#asking ?? this.#begin()), fresh: true }
  }

  /** It was refused, or what it is good for cannot be known: the next one is asked for. */
  forget(token: Token): void {
    if (this.#token === token) this.#token = undefined
  }

  /** Nobody waits any longer for a source that says nothing. */
  giveUp(): void {
    this.#asking = undefined
  }

  #begin(): Promise<Token> {
    const asking = this.#ask()
    this.#asking = asking
    const over = (): void => {
      if (this.#asking === asking) this.#asking = undefined
    }
    asking.then(over, over)
    return asking
  }

  async #ask(): Promise<Token> {
    try {
      const text: unknown = typeof this.#source === 'function' ? await this.#source() : this.#source
      if (typeof text !== 'string' || text === '') throw new TypeError('it gave no text')
      return (this.#token = { text, expires: expiryOf(text), gotAt: Date.now() })
    } catch (error) {
      throw new NetworkFailure(`no token: sasl.token failed with: ${wordsOf(error)}`, { cause: error })
    }
  }
}

function isUsedUp({ expires, gotAt }: Token, now: number): boolean {
  return expires !== undefined && now >= gotAt + (expires - gotAt) * USED_UP
}

/** Of a JSON Web Token (RFC 7519), whoever signed it: when it ends is the broker's to judge, ours to expect. */
function expiryOf(token: string): number | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
    const exp: unknown = (claims as { exp?: unknown } | null)?.exp
    return typeof exp === 'number' && Number.isFinite(exp) ? exp * 1_000 : undefined
  } catch {
    return undefined
  }
}
